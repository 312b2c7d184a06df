# SPDX-License-Identifier: Apache-2.0
# Indexes of an ordinary model: trained, measured, run with; a training that is
# killed and interrupted goes on to the same file. What is wrong is told.
shape=llama-3.2-1b,block_count=3,embedding_length=32,feed_forward_length=64
shape+=,attention.head_count=4,attention.head_count_kv=2,vocab=500
shape+=,attention.key_length=8,attention.value_length=8,rope.dimension_count=8
"$program" bench model --shape $shape --type f32 -o tiny.gguf -q
for i in {1..400}; do
    echo "Day $i: the ferry left on time, and $((i * i % 97)) boats came back."
done >text
small=(--text text -c 96 --rows 24 --key-size 8 -q)
train() {
    "$program" index train tiny.gguf "${small[@]}" --sites 0,2 "$@"
}
# steps FILE: of the training that made it
steps() {
    grep -ao 'made by clsa index train [^;]*' "$1" |
        sed 's/.*: \([0-9]* steps\).*/\1/'
}
# The members of lines, and their steps.
train -o short.gguf --steps 40 --json | sed -E 's/("[a-z]*": )[0-9.]{5,}/\1X/g;
    s/("seconds": )[0-9.]+/\1X/'
train -o whole.gguf --steps 400 -t 1
steps whole.gguf
ls whole.gguf*
# Killed after the first measurement (a file that was being written then may be
# left, under another name), interrupted after the next one, which
# replaces the state: long before the last step, on any machine.
start=(env --default-signal=INT "$program" index train tiny.gguf "${small[@]}"
    --sites 0,2 -o again.gguf)
"${start[@]}" &
while [ ! -e again.gguf.state ]; do
    sleep 0.02
done
kill -KILL $!
wait $! 2>/dev/null || true
ls again.gguf again.gguf.state 2>/dev/null || true
cp again.gguf.state before
"${start[@]}" &
while cmp -s before again.gguf.state; do
    sleep 0.005
done
kill -INT $!
wait $! || echo "exit status $?"
train -o again.gguf --steps 400 -t 2
cmp whole.gguf again.gguf && ls again.gguf again.gguf.state 2>/dev/null || true
# Better than at the beginning; several heads; the model file has no say.
cover() {
    "$program" index test tiny.gguf --index "$1" "${small[@]:0:6}" --json |
        tr -d '\n' | sed -E 's/^\{"coverage": ([0-9.]*).*/\1/'
}
train -o first.gguf --steps 1
train -o heads.gguf --steps 120 --heads 3
for file in whole heads; do
    awk -v a="$(cover $file.gguf)" -v b="$(cover first.gguf)" \
        'BEGIN { print (a > b + 0.01 ? "better" : "no better: " a " " b) }'
done
clsa index test tiny.gguf --index whole.gguf "${small[@]:0:6}" --json |
    sed -E 's/[0-9]\.[0-9]+/X/g'
clsa index test tiny.gguf --index heads.gguf "${small[@]:0:6}" |
    sed -E 's/ +0\.[0-9]+/ X/g'
clsa run -m tiny.gguf --index heads.gguf -f text -n 4 --temp 0 | wc -l
# Sites come from the side file.
train=("${small[@]}" --steps 4 -o short.gguf)
clsa index train tiny.gguf "${train[@]}" --sites auto
clsa index test tiny.gguf --index short.gguf "${small[@]:0:6}" | cut -c 1-5
# What is wrong.
clsa index train tiny.gguf "${small[@]}" -o none.gguf
clsa index train tiny.gguf "${small[@]}" -o none.gguf --sites 2,1
clsa index train tiny.gguf "${small[@]}" -o none.gguf --sites 1,
clsa index train tiny.gguf "${small[@]}" -o none.gguf --sites 7
head -c 900 text >little
clsa index train tiny.gguf --text little -o none.gguf --sites 1
clsa index train tiny.gguf -o none.gguf
clsa index train tiny.gguf --text no-text --sites 1
clsa index train model.gguf "${small[@]}" -o none.gguf --sites 1
clsa index train tiny.gguf "${small[@]}" -o nowhere/side.gguf --sites 1
clsa index train tiny.gguf "${small[@]}" -o tiny.gguf --sites 1
clsa index test tiny.gguf --text text
clsa index test model.gguf --text text
clsa index test tiny.gguf --index whole.gguf --text text --rows 4 -c 90
echo short >few
clsa index test tiny.gguf --index whole.gguf --text few
echo "no state" >other.gguf.state
clsa index train tiny.gguf "${small[@]}" -o other.gguf --sites 1
ls none.gguf other.gguf 2>&1
