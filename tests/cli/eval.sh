# SPDX-License-Identifier: Apache-2.0
# Evaluations: forms of input and output, and results that are known.
cat >needles <<'END'
{"context": "The gate code of Ines of Porto is 51832. The sea was grey and the bells were silent. The key word of Otto of Riga is 90174. Nobody spoke.", "questions": [{"question": "\n\nQuestion: What is the gate code of Ines of Porto?\nAnswer: The gate code of Ines of Porto is", "answer": " 51832"}, {"question": "\n\nQuestion: What is the key word of Otto of Riga?\nAnswer: The key word of Otto of Riga is", "answer": " 90174"}]}
END
clsa eval needles --file needles --attention dense,clsa:64,window:8
clsa eval needles --file needles --attention dense,Window:8
clsa eval needles --file needles --json
clsa eval needles --file needles -c 20
echo '{"context": "x"}' >wrong
clsa eval needles --file wrong
echo '{"context"' >wrong
clsa eval needles --file wrong
clsa eval needles --file missing

echo '[[284, 264], [4851, 284, 264, 17]]' >ids
clsa eval logits --ids ids -o out -q --json --rows rows
wc -c <out
cat rows && echo
clsa eval logits --ids ids -o out --attention window:2 --rows rows
cat rows && echo
clsa eval logits --ids ids -o out -q --attention dense --rows rows
cat rows && echo
clsa eval logits --ids ids -o /dev/full
for bad in '{}' '[' '[[]]' '[[8192]]' '[[-1]]' '[[1.5]]' '[5]'; do
    echo "$bad" >wrong
    clsa eval logits --ids wrong -o out
done

echo '[{"ids": [284, 264, 17, 202, 15], "positions": [1, 3]}]' >ids
clsa eval loss --ids ids --attention dense,clsa:1 --json |
    sed -E 's/"loss": [0-9]+\.[0-9]{6,}/"loss": X/'
clsa eval loss --ids ids | sed -E 's/[0-9]+\.[0-9]+$/X/'
echo '[{"ids": [284, 264], "positions": [1]}]' >ids
clsa eval loss --ids ids
for policy in 5 '"bogus"' '"window:0"'; do
    echo '[{"ids": [284, 264, 17], "positions": [1]},
           {"ids": [284, 264, 17], "positions": [1], "policy": '"$policy"'}]' >ids
    clsa eval loss --ids ids
done

for i in {1..20}; do echo "The lamp in tower $i was lit."; done >text
clsa eval perplexity --file text -c 90 --attention dense,clsa --json -q |
    sed -E 's/: [0-9]+\.[0-9]{6,}/: X/g'
clsa eval perplexity --file text -c 90 --positions all |
    sed -E 's/ +[0-9]+\.[0-9]+ +[0-9.]+$/ X/'
clsa eval perplexity --file text -c 90 --positions chunk --json -q |
    sed -E 's/: [0-9]+\.[0-9]{6,}/: X/g'
clsa eval perplexity --file text -c 2 --positions chunk
clsa eval perplexity --file text -c 64K
clsa eval perplexity --file text -c 1
: >empty
clsa eval perplexity --file empty

# Outputs appear when they are whole, and a pipe is written to as it is.
echo '[[284, 264]]' >ids
echo old >out
ln -s out link
clsa eval logits --ids ids -o out --rows out
clsa eval logits --ids ids -o new --rows ./new
clsa eval logits --ids ids -o out --rows no/folder/rows
clsa eval logits --ids ids -o out --rows .
clsa eval logits --ids ids -o ''
clsa eval logits --ids ids -o out -c 1
cat out
ls
clsa eval logits --ids ids -o link -q --rows rows
stat -c '%F, %s' out link
clsa eval logits --ids ids -o /dev/stdout -q | wc -c
# Nothing but logits gets into the file where standard streams are closed.
echo '[[284, 264]]' >ids
for closed in '2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
    eval "\"\$program\" eval logits --ids ids -o out $closed"
    echo "exit status $?, $(wc -c <out) bytes"
done
clsa info --json >&-
