# SPDX-License-Identifier: Apache-2.0
# Other types of tensors, exceptions, and what is refused.
clsa quantize model.gguf a.gguf q4_k | sed -n '1,5p;$p'
clsa quantize model.gguf b.gguf Q4_0 --keep 'blk.?.attn_[qk].weight=f16' \
    --keep token_embd.weight=q6_k | grep -E 'token|blk.3.attn_[qkv]\.|indexer'
clsa info a.gguf | grep -E '^(name|parameters|check)|file_type|quantiz'
clsa quantize model.gguf c.gguf q8_0 --json -q -t 2 | tr -d ' \n' |
    grep -oE '^.{120}'
head -c 2000 "$data/../../models/chronicle.txt" >text
clsa quantize model.gguf c.gguf q4_k --eval text |
    tail -n 2 | sed -E 's/loss [0-9.]+/loss/; s/[0-9] of/some of/'
clsa quantize model.gguf c.gguf q4_k --eval missing
clsa quantize a.gguf c.gguf i8
clsa quantize model.gguf c.gguf Q4_K_M | grep -E 'attn_v|ffn_down|token|attn_q.w'
clsa info c.gguf | grep file_type
clsa quantize a.gguf c.gguf
clsa quantize a.gguf c.gguf f16 --keep token_embd.weight
clsa quantize a.gguf c.gguf f16 --keep token_embd.weight=i8
clsa quantize a.gguf c.gguf f16 --keep 'blk.0.ffn_up=f16'
clsa quantize a.gguf c.gguf f16 --keep 'blk.0.attn_norm.weight=f16'
clsa convert . -o c.gguf --type bogus
clsa quantize a.gguf missing/c.gguf f16
clsa quantize missing.gguf c.gguf f16
ls
clsa convert . -o d.gguf
clsa convert missing -o d.gguf
clsa convert .
# What is replaced: the file behind a link, with its permissions, but nothing
# else than a file.
mkdir folder
mkfifo pipe
cp a.gguf target.gguf
chmod 640 target.gguf
ln -s target.gguf link.gguf
ln -s nothing.gguf dead.gguf
for name in folder pipe dead.gguf '' x/; do
    clsa quantize a.gguf "$name" q8_0 -q --json | head -c 10
done
clsa quantize a.gguf link.gguf f16 -q | tail -n 1
stat -c '%F %n' folder pipe dead.gguf target.gguf link.gguf
stat -c %a target.gguf
# A file that is read is never what is written, by whatever name.
ln -s a.gguf alias.gguf
ln a.gguf hard.gguf
for name in a.gguf ./a.gguf alias.gguf hard.gguf; do
    clsa quantize a.gguf $name q8_0
done
clsa quantize a.gguf text q8_0 --eval text
