# SPDX-License-Identifier: Apache-2.0
# Comparisons of policies: who takes part, and the forms of the output. Plots
# are looked at with a gnuplot that prints what it is given.
# Not under an emulator: the policies run there in check_models.
cat >needles <<'END'
{"context": "The gate code of Ines of Porto is 51832. The sea was grey and the bells were silent. The key word of Otto of Riga is 90174. Nobody spoke.", "questions": [{"question": "\n\nQuestion: What is the gate code of Ines of Porto?\nAnswer: The gate code of Ines of Porto is", "answer": " 51832"}]}
END
seq 200 >numbers.txt
clsa eval compare
clsa eval compare x
clsa eval compare --file numbers.txt -c 64
clsa eval compare --file numbers.txt --contexts 64,x
clsa eval compare --file numbers.txt --budgets 64
clsa eval compare --file numbers.txt --budgets 129
clsa eval compare --file numbers.txt --contexts 2K
clsa eval compare --file numbers.txt --contexts 64 --attention dense,h2o:1
clsa eval compare --file numbers.txt --contexts 32,256 --last 16 --windows 2 \
    --budgets 128,256 -q >all.txt
awk '{ print $1, $2, $3, $4, $7 }' all.txt
# where all rows are read, all are dense
awk '$3 == 32 { print $6 }' all.txt | sort -u
clsa eval compare --needles needles -q \
    --attention dense,clsa:64,window:8,token:32
clsa eval compare --needles needles --file numbers.txt --contexts 64 -q \
    --attention dense,sink:9 --json --csv csv >json
grep -oE '"[a-z0-9_]+":' json | sort -u | tr -d '\n' && echo
sed -E 's/[0-9]+\.[0-9]{5}/N/g' csv
mkdir bin
printf '#!/bin/sh\necho drawn\ngrep -E "title|logscale" "$1"\n' >bin/gnuplot
chmod +x bin/gnuplot
with=$PWD/bin:$PATH
PATH=$with clsa eval compare --file numbers.txt --contexts 64 --last 8 -q \
    --attention dense,window:8,window:16,sink:16 --plot eval.svg >/dev/null
cat eval.svg
PATH=$with clsa eval compare --file numbers.txt --contexts 64 --last 8 -q \
    --attention dense,window:8,window:9 --plot missing/eval.svg >/dev/null
printf '#!/bin/sh\nexit 1\n' >bin/gnuplot
PATH=$with clsa eval compare --file numbers.txt --contexts 64 --last 8 -q \
    --attention dense,window:8,window:9 --plot no.svg >/dev/null
ls no.svg 2>/dev/null

small=d=64,h=2,g=1,e=32,f=64,window=32,index=32,k=40,vocab=100
clsa bench compare --budgets 1
clsa bench compare --shape $small --depth 1K -q -t 1 --batch 1,2 \
    --budgets 128 | awk '{ print $1, $2, $3, NF }'
printf '#!/bin/sh\necho drawn\ngrep title "$1"\n' >bin/gnuplot
PATH=$with clsa bench compare --shape $small --depth 300,600 --batch 1,2 -q -t 1 --plot p \
    --attention h2o:40,token:40,dense --csv csv --json >json
grep -oE '"[a-z0-9_]+":' json | sort -u | tr -d '\n' && echo
head -1 csv
cat p-context.svg p-batch.svg
PATH=$with clsa bench compare --shape $small --depth 300 -t 1 --plot one \
    --attention dense --csv csv 2>&1 >/dev/null | grep drawn
