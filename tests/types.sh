#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# types.sh: the table of README.md of what each type of weights costs: bits per
# weight, loss of a held-out book in windows of 8K, facts recalled from contexts
# of 32K. All by the program, from the BF16 model of the golden data.
#
#   types.sh CLSA FOLDER [TYPE...]       FOLDER takes the models; 100 MB
#
# Environment: CLSA_SHARED (golden data, default ../shared).
set -euo pipefail

clsa=$1
folder=$2
shift 2
[ $# -gt 0 ] || set -- bf16 f16 q8_0 q6_k q4_k q4_0
shared=${CLSA_SHARED:-../shared}
book=$(ls "$shared"/eval/books/*.txt | head -n 1)

# value FILE KEY: the first number of that key.
value() {
    grep -oE "\"$2\": *[0-9.]+" "$1" | head -n 1 | sed 's/.*: *//'
}

row() {
    local model=$folder/$1.gguf out=$folder/$1.json bits loss
    "$clsa" quantize -q --json "$shared/models/clsa-tiny-bf16.gguf" \
        "$model" "$1" >"$out"
    bits=$(value "$out" bits_per_weight)
    "$clsa" eval perplexity -q --json -m "$model" -c 8K --file "$book" >"$out"
    loss=$(value "$out" loss)
    "$clsa" eval needles -q --json -m "$model" \
        --file "$shared/eval/needles-32k.jsonl" >"$out"
    printf '| %-4s | %6.3f | %.4f | %s/%s |\n' "$1" "$bits" "$loss" \
        "$(value "$out" recalled)" "$(value "$out" asked)"
}

echo '| type | bits per weight | loss at 8K | facts at 32K |'
echo '|---|---|---|---|'
for type; do
    row "$type"
done
