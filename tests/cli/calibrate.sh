# SPDX-License-Identifier: Apache-2.0
# calibrate: what is chosen in a model of random weights, the side file of it,
# the heat map, and what is refused.
like=llama-3.2-1b,block_count=5,vocab=400,embedding_length=64
like=$like,feed_forward_length=96,attention.head_count=4,attention.head_count_kv=2
like=$like,attention.key_length=16,attention.value_length=16,rope.dimension_count=16
"$program" bench model --shape "$like" --type q8_0 -o like.gguf -q
"$program" bench model --shape "${like/block_count=5/block_count=1}" -o one.gguf -q
"$program" bench model --shape "${like/block_count=5/block_count=6}" \
    -o six.gguf -q
yes 'the cat has a hat and a bed and a cab' | head -n 600 >text

clsa calibrate
clsa calibrate like.gguf model.gguf
clsa calibrate --index none like.gguf
clsa calibrate --sites 0 like.gguf
clsa calibrate model.gguf
clsa calibrate one.gguf
clsa calibrate --sites 4 like.gguf
clsa calibrate -c 200 like.gguf
clsa calibrate -c 1M like.gguf
echo 'too short' >short
clsa calibrate --text short like.gguf
clsa calibrate --text nothing like.gguf
clsa calibrate -o like.gguf like.gguf
clsa calibrate -o short like.gguf
clsa calibrate --svg . like.gguf
ls *.clsa.gguf

clsa calibrate -c 512 --sites 2 -q --svg map.svg --json like.gguf >json
tr -d ' \n' <json | grep -oE '"[a-z_]+":' | awk '!seen[$0]++' | tr -d '\n' && echo
tr -d ' \n' <json | grep -oE '"(layers|context|asked)":[0-9]+' | sort -u
tr -d ' \n' <json | grep -oE '"(far_mass|shared|chosen)":\[*' 
grep -c '<rect' map.svg
sed -n '1p;$p' map.svg | cut -c 1-40
ls *.clsa.gguf
# the file is found beside the model, and names the anchors
clsa info like.gguf | grep -E '^(anchors|index)'
clsa eval logits -q -m like.gguf --ids <(echo '[[1,2,3,4,5,6]]') -o out --attention anchors
clsa eval logits -q -m one.gguf --index like.clsa.gguf --ids <(echo '[[1,2]]') -o out
clsa calibrate -c 600 --sites 2 --text text -o other.gguf like.gguf >table
sed -nE 's/^(The layers before 2|The model needs|Layers 2).*/\1/p; s/^Written.*/&/p' table
awk '$2 == "of" { print NF } /recalled/' table | uniq -c
# a file of another model stays
cp like.clsa.gguf side.gguf
clsa calibrate -o side.gguf -c 512 --sites 2 six.gguf
cmp like.clsa.gguf side.gguf
