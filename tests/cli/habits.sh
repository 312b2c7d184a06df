# SPDX-License-Identifier: Apache-2.0
# What hands type that come from other programs; input as it comes.
once() {
    clsa run --temp 0 -n 1 -p "The town" "$@"
}
once -n -1 --stop e
once -c 0
once -s 5
once --seed -1
once --n-predict 2
once --predict=2
once --n_predict 2
once --ctx-size 64
once --temperature 0
once --repeat_penalty 1.1
once -ngl 99 -fa on --mlock -b 512 -q
once -ngl 99 -fa on --mlock -b 512
once -ngl
once --fast
once -sys "You are brief."
# An argument is no option.
clsa run --temp 0 -n 1 -p -ngl -v 2>&1 | grep -c meaning
# libtool --mode=execute of an emulator loses newlines in arguments.
printf 'a\nb!\\q\\' >text
clsa run -e -p 'a\nb\x21\q\' -n 0 --session e
clsa run -f text -n 0 --session p
cmp e p && echo same
clsa -V | grep -c clsa
clsa help tokenize | head -1
clsa help eval loss | head -1
clsa help nothing
# A prompt that is written with bos gets no second one.
cp --no-preserve=mode model.gguf bos.gguf
key=$(grep -abo tokenizer.ggml.add_bos_token bos.gguf)
printf '\1' | dd of=bos.gguf bs=1 seek=$((${key%%:*} + 32)) conv=notrunc \
    status=none
clsa info bos.gguf | grep add_bos
clsa run -m bos.gguf -p "<|endoftext|>The town" -n 0 --session a
clsa run -m bos.gguf -p "The town" -n 0 --session b
cmp a b && echo same
# The end of the context is told.
clsa run --temp 0 -p "The history of the town begins" -c 6 -n 1
clsa run --temp 0 -p "The history of the town begins" -c 9 -n 100
# Lines that go on.
clsa run -i --temp 0 -n 1 -v 2>&1 <<'END' | grep -c read
one \
two
"""three
four
five"""
END
printf '\377\376T\0h\0e\0' >utf16
clsa run -f utf16 -n 0
# A limit of the shell on files is an error of writing, and leaves none.
(
    ulimit -f 100
    clsa run -p "The town" -n 40 --temp 0 --session s >/dev/null
    clsa quantize model.gguf q.gguf f32 >/dev/null
)
ls s* q*
