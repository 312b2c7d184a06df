# SPDX-License-Identifier: Apache-2.0
# A session that is read, saved and continued in pieces says what one run says.
story="The door code of Anselm of Bergen is 70415. Rain fell on the quay."
ask="

Question: What is the door code of Anselm of Bergen?
Answer: The door code of Anselm of Bergen is"
run() {
    clsa run --temp 0 --session s "$@"
}
clsa run --temp 0 -p "$story$ask" -n 12 >whole
run -p "$story" -n 0
# The session begins with this prompt: nothing is read or generated twice.
cp s read
run -p "$story" -n 0
cmp s read && echo as before
# A longer prompt is read from where the session ends; -n 0 kept no logits.
clsa run --temp 0 --session-ro s -p "$story$ask" -n 12 >longer
cmp longer whole && echo same
clsa run --temp 0 --session-ro s -n 4 >first
clsa run --temp 0 -p "$story" -n 4 >second
cmp first second && cmp s read && echo same, and not saved
clsa run --session-ro missing -n 1
run --session-ro s
run -p "$ask" -n 4 >pieces
run -n 8 >>pieces
tr -d '\n' <whole >a
tr -d '\n' <pieces >b
cmp a b && echo same
# Tokens of a stop text do not stay: the answer can be asked for again.
run -p "$ask" --stop 415
run -p 415 -n 1
# Mismatches are refused, and the file stays.
cp s kept
run -n 1 --kv-type f32
run -n 1 --attention dense
run -p x -c 8
cmp s kept && echo kept
head -c 1000 kept >s
run -n 1
# Of a damaged header nothing is believed: the length, the fingerprint, types.
for at in 8 12 16 24 32 40 64; do
    cp kept s
    printf '\377\377\377\377' | dd of=s bs=1 seek=$at conv=notrunc status=none
    run -n 1
done
head -c 1000 model.gguf >s
run -n 1
# What cannot become a session is refused before any work.
mkfifo pipe
for name in no/folder/s '' pipe . s/s; do
    clsa run -p x -n 4 --session "$name"
done
# Turns: what is on the screen is what has been read.
printf '%s\n' "What is the door code of Anselm of Bergen? It is" |
    clsa run --temp 0 -i -p "$story" -n 4 --session turns | tail -n 1
# A private session stays private, and a link to one stays a link.
clsa run --temp 0 -p "The boat" -n 0 --session private
chmod 600 private
ln -s private link
clsa run --temp 0 -p " left" -n 0 --session link
clsa run --temp 0 -p " in" -n 1 --session private
stat -c '%F %n' private link
stat -c %a private
