#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# real.sh DIR: two models that people have, in the folder DIR, as get-real.sh of
# the golden data brings them. SmolLM2-135M-Instruct (Q4_1) has to give the
# logits, chosen rows and greedy answers of golden-real, calibration has to find
# good anchors in it, and both models have to give the perplexities that others
# have measured for the first 48,000 bytes of a book, in chunks of 2048 tokens.
# What is missing is told and counted.
#
# Environment: QUICK (leave out what takes minutes: calibration, perplexity with
# the own kernels), CLSA (the program, default ./clsa), CLSA_SHARED (golden data),
# PYTHON3 (default python3; with the package tokenizers of PyPI, token ids are
# compared, too).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
real=${1:-}
clsa=${CLSA:-./clsa}
shared=${CLSA_SHARED:-../shared}
book=$shared/eval/books/the-spy.txt
smol=$real/SmolLM2-135M-Instruct.Q4_1.gguf
gemma=$real/gemma-3-270m-q4_k_m.gguf
failed=0
skipped=0

if [ -z "$real" ]; then
    echo 'usage: make check-real REAL=DIR' >&2
    exit 2
fi

skip() {
    echo "SKIP real: $*"
    skipped=$((skipped + 1))
}

# there FILE WHAT: whether a file is there; else WHAT is left out.
there() {
    [ -s "$1" ] && return
    skip "$2: there is no $1"
    return 1
}

# perplexity MODEL POSITIONS WANT PERCENT OPTION...: within PERCENT of WANT. The
# figure of SmolLM2 counts the whole second half of each chunk, as half does, the
# figures of Gemma 3 are of llama-perplexity, which leaves its first token out.
perplexity() {
    local model=$1 positions=$2 want=$3 percent=$4 got
    shift 4
    got=$(head -c 48000 "$book" | "$clsa" eval perplexity -q -m "$model" \
        --file - -c 2048 --positions "$positions" --attention dense "$@" |
        awk 'END { print $NF }')
    if awk -v a="$got" -v b="$want" -v p="$percent" \
        'BEGIN { exit !(a > 0 && a - b <= b * p / 100 && b - a <= b * p / 100) }'; then
        echo "perplexity of ${model##*/} $*: $got, $want within $percent %"
    else
        echo "FAIL perplexity of ${model##*/} $*: $got, not $want within $percent %"
        failed=1
    fi
}

# Three layers with which 512 rows lose 0.03 nats at most and two thirds of the
# answers stay, and windows in the layers before them.
calibration='
import json, sys
found = json.load(sys.stdin)
layers = ",".join(map(str, found["chosen"]))
trials = {t["policy"]: t for t in found["candidates"]}
dense, anchors = trials["dense"], trials["anchors:512:" + layers]
print("calibration of SmolLM2:", layers, "loss", anchors["loss"], "of dense",
      dense["loss"], "answers", anchors["recalled"], "of dense",
      dense["recalled"], "windows", found["first_window"])
if not (anchors["loss"] <= dense["loss"] + 0.03 and found["first_window"] > 0
        and 3 * anchors["recalled"] >= 2 * dense["recalled"] > 0):
    sys.exit("FAIL calibration of SmolLM2")
'

if there "$smol" 'SmolLM2'; then
    if [ -n "${QUICK:-}" ]; then
        skip 'calibration takes minutes'
    else
        side=$(mktemp)
        rm "$side"
        "$clsa" calibrate -q --json -o "$side" "$smol" |
            "${PYTHON3:-python3}" -c "$calibration" || failed=1
        rm -f "$side"
    fi
    if there "$shared/golden-real/logits.f32" 'logits and answers'; then
        CLSA_REAL=$real ./check_real || failed=1
        CLSA_REAL=$real ./check_golden_dense || failed=1
    fi
    if there "$book" 'perplexities'; then
        if [ -n "${QUICK:-}" ]; then
            skip 'perplexity with the own kernels takes minutes'
        elif "$clsa" info --json | grep -q '"avx2"'; then
            perplexity "$smol" half 35.995 0.3 --prefill own --simd avx2
        else
            skip 'perplexity at avx2: the CPU does not have it'
        fi
        perplexity "$smol" half 35.995 0.8
    fi
fi
if there "$gemma" 'Gemma 3' && there "$book" 'perplexities'; then
    perplexity "$gemma" chunk 34.21 1
fi
# Token ids of their vocabularies beside the makers' library.
status=0
"${PYTHON3:-python3}" "$here/real/tokenizers_of_makers.py" "$clsa" \
    "$shared/golden-tok" --texts 50 smollm gemma3 || status=$?
case $status in
0) ;;
77) skipped=$((skipped + 1)) ;;
*) failed=1 ;;
esac
[ "$skipped" = 0 ] || echo "$skipped parts were left out"
exit $failed
