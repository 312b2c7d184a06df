#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# selection.sh LENGTH...: needle-in-a-haystack retrieval from contexts of 2k or
# 8k tokens by an ordinary transformer that shares one selection between its
# layers: by the index in its file, by the side file with three indexes, and by
# its anchors, all with 512 rows; and by the anchors that `clsa calibrate` finds
# in it. Each has to be within a number of answers of
# `dense`.
#
# Environment: CLSA (the program, default ./clsa), CLSA_SHARED (models and
# needles; without them the test is skipped, and says so).
set -euo pipefail

clsa=${CLSA:-./clsa}
shared=${CLSA_SHARED:-../shared}
model=$shared/models/qwen3-tiny-bf16.gguf
failed=0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
declare -A file=([2k]=5 [8k]=8) side=([2k]=6 [8k]=4) anchors=([2k]=6 [8k]=4)

if [ ! -r "$model" ] || [ ! -r "$shared/eval/needles-2k.jsonl" ]; then
    echo "SKIP selection: no $model or needles in $shared (see CLSA_SHARED)"
    exit 0
fi

# recalled LENGTH INDEX POLICIES: "policy asked recalled" lines.
recalled() {
    "$clsa" eval needles -q -m "$model" --index "$2" --attention "$3" \
        --file "$shared/eval/needles-$1.jsonl" | awk 'NR > 1 { print $1, $2, $3 }'
}

# within LENGTH WHAT ANSWERS DENSE LIMIT
within() {
    printf '%s %s: %d of dense %d, limit %d less\n' "$1" "$2" "$3" "$4" "$5"
    if [ $(($3 + $5)) -lt "$4" ]; then
        echo "FAIL selection $1 $2"
        failed=1
    fi
}

"$clsa" calibrate -q -o "$folder/found.clsa.gguf" "$model" |
    tail -n 4 | grep -v Written

for length in "$@"; do
    table=$(recalled "$length" none dense,clsa:512,anchors:512)
    dense=$(awk '$1 == "dense" { print $3 }' <<<"$table")
    within "$length" 'clsa:512 by the file' \
        "$(awk '$1 == "clsa:512" { print $3 }' <<<"$table")" "$dense" \
        "${file[$length]}"
    within "$length" anchors:512 \
        "$(awk '$1 == "anchors:512" { print $3 }' <<<"$table")" "$dense" \
        "${anchors[$length]}"
    table=$(recalled "$length" "$shared/models/qwen3-tiny-h8.clsa.gguf" clsa:512)
    within "$length" 'clsa:512 by the side file' \
        "$(awk '{ print $3 }' <<<"$table")" "$dense" "${side[$length]}"
    table=$(recalled "$length" "$folder/found.clsa.gguf" anchors:512)
    within "$length" 'anchors:512 by calibration' \
        "$(awk '{ print $3 }' <<<"$table")" "$dense" "${anchors[$length]}"
done
exit $failed
