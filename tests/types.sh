#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# types.sh: the table of docs/types.md of what each type of weights costs: bits
# per weight, loss of the first 256 KiB of a held-out book in windows of 8K,
# facts recalled from contexts of 32K, and tokens per second of the shape 1b.
# All by the program, from the BF16 model of the golden data and from random
# weights.
#
#   types.sh CLSA FOLDER [TYPE...]     FOLDER takes the models; 4.5 GB
#
# Two types are held against each other at the end: q8_0 has to be within 0.002
# nats of bf16, q4_k better than q4_0.
#
# Environment: CLSA_SHARED (golden data, default ../shared), TIMED (words
# before a command that is timed, for a machine that others use, too), PYTHON3
# (with numpy, default python3).
set -euo pipefail

clsa=$1
folder=$2
here=$(cd "$(dirname "$0")" && pwd)
shift 2
[ $# -gt 0 ] || set -- bf16 f16 q8_0 q6_k q4_k q4_0
shared=${CLSA_SHARED:-../shared}
books=("$shared"/eval/books/*.txt)
declare -A losses

# value FILE KEY: the first number of that key.
value() {
    grep -oE "\"$2\": *[0-9.]+" "$1" | head -n 1 | sed 's/.*: *//'
}

# Tokens per second, from 8K random rows.
speed() {
    local model=$folder/1b-$1.gguf
    [ -e "$folder/1b-bf16.gguf" ] ||
        "${PYTHON3:-python3}" "$here/shape_file.py" "$folder/1b-bf16.gguf"
    [ -e "$model" ] ||
        "$clsa" quantize -q "$folder/1b-bf16.gguf" "$model" "$1" >"$folder/log"
    cat "$model" >/dev/null # into memory, before the clock runs
    # shellcheck disable=SC2086 # words
    ${TIMED:-} "$clsa" bench decode -q --json -m "$model" -c 16K --depth 8K \
        --attention clsa --steps 20 >"$folder/$1.json"
    [ "$1" = bf16 ] || rm "$model"
    value "$folder/$1.json" tokens_per_s
}

row() {
    local model=$folder/$1.gguf out=$folder/$1.json bits facts
    "$clsa" quantize -q --json "$shared/models/clsa-tiny-bf16.gguf" \
        "$model" "$1" >"$out"
    bits=$(value "$out" bits_per_weight)
    head -c 256K "${books[0]}" >"$folder/text"
    "$clsa" eval perplexity -q --json -m "$model" -c 8K --file "$folder/text" \
        >"$out"
    losses[$1]=$(value "$out" loss)
    "$clsa" eval needles -q --json -m "$model" \
        --file "$shared/eval/needles-32k.jsonl" >"$out"
    facts=$(value "$out" recalled)/$(value "$out" asked)
    printf '| %-4s | %6.3f | %.4f | %s | %.1f |\n' "$1" "$bits" \
        "${losses[$1]}" "$facts" "$(speed "$1")"
}

# holds TYPE LIMIT: the loss of a type is no more; both have to be there.
holds() {
    awk -v loss="${losses[$1]}" -v limit="$2" 'BEGIN { exit !(loss <= limit) }' ||
        { echo "types.sh: $1: loss ${losses[$1]} is more than $2" >&2; exit 1; }
}

echo '| type | bits per weight | loss at 8K | facts at 32K | tokens/s of 1b |'
echo '|---|---|---|---|---|'
for type; do
    row "$type"
done
[ -z "${losses[bf16]:-}" ] || [ -z "${losses[q8_0]:-}" ] ||
    holds q8_0 "$(awk -v x="${losses[bf16]}" 'BEGIN { print x + 0.002 }')"
[ -z "${losses[q4_k]:-}" ] || [ -z "${losses[q4_0]:-}" ] ||
    holds q4_k "${losses[q4_0]}"
