# SPDX-License-Identifier: Apache-2.0
# Models in parts, weights that were not downloaded or are damaged, control
# characters in files, outputs that are inputs.
cp "$data"/../data/*-of-00003.gguf "$data"/../data/good-clsa.gguf .
chmod u+w ./*.gguf
echo '[[5, 6, 7, 8, 9]]' >ids
for model in good-clsa.gguf split-00001-of-00003.gguf; do
    clsa eval logits -q -m $model --ids ids -o $model.f32
done
cmp ./*.f32 && echo the same logits
printf '\xef\xbb\xbf[[5, 6, 7, 8, 9]]' >marked
clsa eval logits -q -m good-clsa.gguf --ids marked -o marked.f32
cmp marked.f32 good-clsa.gguf.f32 && echo the same logits
clsa info split-00001-of-00003.gguf | grep -E '^(parameters|file_size|check)'
clsa info split-00001-of-00003.gguf --json | grep -oE '"part": [0-9]' | uniq
cat split-*.gguf | wc -c
clsa quantize -q split-00001-of-00003.gguf whole.gguf f32 | tail -n 1
clsa info whole.gguf | grep -E '^parameters|split'
clsa quantize -q split-00001-of-00003.gguf split-00002-of-00003.gguf f32
clsa info split-00002-of-00003.gguf
clsa info ./split-00003-of-00003.gguf
mv split-00001-of-00003.gguf first.gguf
clsa info first.gguf
mv first.gguf split-00001-of-00003.gguf
mv split-00002-of-00003.gguf second
clsa info split-00001-of-00003.gguf
cp split-00003-of-00003.gguf split-00002-of-00003.gguf
clsa info split-00001-of-00003.gguf
cp good-clsa.gguf split-00002-of-00003.gguf
clsa info split-00001-of-00003.gguf
head -c 3000 second >split-00002-of-00003.gguf
clsa info split-00001-of-00003.gguf
rm split-00002-of-00003.gguf split-00003-of-00003.gguf
clsa info split-00001-of-00003.gguf

clsa info "$data/../data/zero.gguf" | grep -E '^(check|zero)|all zero'
clsa info "$data/../data/zero.gguf" --json | grep -oE '"zero": true' | uniq -c
clsa info "$data/../data/bad-norm-zero.gguf" 2>&1 | sed 's/.*: tensor/tensor/'

clsa info "$data/../data/control.gguf" | grep -aE '^name|general' | cat -v
clsa info "$data/../data/unsupported-tensor-control.gguf" 2>&1 |
    sed 's/.*: tensor/tensor/' | cat -v
clsa info $'no\x1b[2J\nfile' 2>&1 | cat -v

for model in nan nan-row; do
    cp "$data/../data/$model.gguf" .
    clsa run -m $model.gguf -p the -n 2 --temp 0 --json | grep -o '"end": .*,'
    clsa run -m $model.gguf -p the -n 2 --seed 1 --json | grep -o '"end": .*,'
    clsa eval logits -q -m $model.gguf --ids ids -o nan.f32 --json
    echo '[{"ids": [5, 6, 7, 8], "positions": [2]}]' >positions
    clsa eval loss -q -m $model.gguf --ids positions
done

clsa eval logits -m good-clsa.gguf --ids ids -o ids
clsa eval logits -m good-clsa.gguf --ids ids -o good-clsa.gguf
clsa eval logits -m good-clsa.gguf --ids ids -o x --rows ./ids
cat ids
clsa eval compare -m good-clsa.gguf --file ids --csv ids
clsa bench compare -m good-clsa.gguf --csv good-clsa.gguf
