# SPDX-License-Identifier: Apache-2.0
# Wrong usage is one line that names the option, and exit status 2.
clsa
clsa nonsense
clsa eval
clsa eval nonsense
clsa run
clsa run text
clsa run --nonsense
clsa run -Z
clsa run -p
clsa run --json=yes -p x
clsa run -p x -f y
clsa run -i -
clsa run -i --json
clsa run -p x --stop ''
for n in '' -2 +1 ' 1' 1x 0x10 1.5 1T 4G 99999999999999999999; do
    clsa run -p x -n "$n"
done
clsa run -p x -c -1
clsa run -p x -t 1025
for t in '' nan inf -1 1e 0x1 '1 ' 101 1e999; do
    clsa run -p x --temp "$t"
done
clsa run -p x --top-p 1.01
clsa run -p x --repeat-penalty 0
clsa run -p x --kv-type i8
clsa run -p x --index-type q8_0
clsa run -p x --attention sparse
clsa run -p x --attention window:0
clsa run -p x --attention clsa:99999999999
clsa run -p x --attention clsa:-1
clsa run -p x -c 3G
clsa eval logits --ids x.json
clsa eval loss
clsa eval needles --file a b
clsa eval perplexity --file a --positions none
clsa tokenize
clsa tokenize a b
clsa detokenize
clsa info a b
clsa info ''
clsa info -m ''
clsa run -f ''
clsa convert '' -o x
# No line of a help is longer than 80 columns or ends in a blank.
for command in run tokenize detokenize 'eval logits' 'eval needles' \
    'eval loss' 'eval perplexity' info convert quantize 'bench machine' \
    'bench kernels' 'bench decode' 'bench tokenize' 'bench serve'; do
    clsa $command --help | grep -E '^.{81}| $'
done
