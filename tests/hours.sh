#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# hours.sh: tests of hours, for a person who waits. Each prints what it showed.
# Models of real sizes (large.sh); LIMIT seconds (1800) of fuzzing for each
# target, one after the other, with clang; then as long a load: sessions with
# random seeds, forked, saved and continued, on changing numbers of threads,
# whose text has to be that of one thread; and ten thousand requests to clsa
# serve.
#
# Environment: CLSA (the program, default ./clsa), CLSA_MODEL, LIMIT.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
clsa=$(realpath "${CLSA:-./clsa}")
model=$(realpath "${CLSA_MODEL:-$here/../models/clsa-tiny-q8_0.gguf}")
limit=${LIMIT:-1800}
folder=$(mktemp -d)
failed=0
trap 'rm -rf "$folder"' EXIT

fuzz() {
    local target count
    if ! command -v "${CC_FUZZ:-clang}" >/dev/null; then
        echo "SKIP hours fuzzing: there is no clang"
        return
    fi
    for target in gguf safetensors folder session needles numbers template tokenizer body; do
        CC=${CC_FUZZ:-clang} "$here/fuzz/run.sh" "$target" "$limit" \
            >"$folder/log" 2>&1 || {
            failed=1
            echo "fuzzing, $target: FAILED, see build-fuzz"
            tail -n 15 "$folder/log"
        }
        count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/log")
        echo "fuzzing, $target: ${count:-no} inputs in $limit seconds"
    done
}

# A text in two parts, saved between them, with so many threads.
text() { # SEED THREADS
    rm -f s
    "$clsa" run -q -m "$model" -p "The captain of the boat" -n 60 --seed "$1" \
        -t "$2" --session s
    "$clsa" run -q -m "$model" -p " In the morning" -n 60 --seed "$1" \
        -t "$((2 + ($1 + $2) % 3))" --session s
}

load() {
    local end=$((SECONDS + limit)) seed=1 threads
    mkdir "$folder/load"
    cd "$folder/load"
    for (( ; SECONDS < end; seed++)); do
        text "$seed" 1 >one
        threads=$((2 + seed % 15))
        text "$seed" "$threads" >many
        cmp -s one many || {
            failed=1
            echo "load: seed $seed, $threads threads: another text: FAILED"
        }
    done
    echo "load: $((seed - 1)) sessions, saved and continued, in $limit seconds"
}

# Ten thousand requests to clsa serve: memory does not grow.
serve() {
    CLSA=$clsa CLSA_TEST_MODEL=$model PYTHONDONTWRITEBYTECODE=1 \
        python3 "$here/serve/load.py" 10000 || failed=1
}

# Ordinary models in their real sizes.
large() {
    local status=0
    CLSA=$clsa bash "$here/large.sh" || status=$?
    [ $status = 0 ] || [ $status = 77 ] || failed=1
}

large
fuzz
load
serve
exit $failed
