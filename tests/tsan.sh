#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# tsan.sh [FOLDER]: check_team with ThreadSanitizer, built in FOLDER
# (build-tsan): loops of the team and whole steps in 1 to 4 threads. With
# clang, whose OpenMP tells the sanitizer by Archer (libarcher, a part of
# libomp) where threads fork and join; the OpenMP of GCC does not. The build is
# seen to be able to find something: a loop whose end orders nothing has to fail.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$top/build-tsan}
jobs=$(getconf _NPROCESSORS_ONLN)
export CLSA_TEST_DATA=$top/tests/data OMP_NUM_THREADS=4
export TSAN_OPTIONS=ignore_noninstrumented_modules=1

build() {
    make -s -C "$1" -j "$jobs" -f "$top/tests/fuzz/fuzz.mk" TOP="$top" \
        CC="${CC:-clang}" MODE=tsan check_team >"$1.log" || {
        tail -n 20 "$1.log" >&2
        exit 1
    }
}

rm -rf "$folder/broken"
mkdir -p "$folder/whole"
build "$folder/whole"
"$folder/whole/check_team"

# The same, but what the end of a loop reads orders nothing.
cp -a "$folder/whole" "$folder/broken"
sed 's/memory_order_\(acquire\|release\|acq_rel\)/memory_order_relaxed/' \
    "$top/src/base/loop.c" >"$folder/broken/loop.c"
"${CC:-clang}" -std=gnu11 -O1 -fopenmp -fsanitize=thread -I"$top" \
    -I"$top/include" -c -o "$folder/broken/src/base/loop.o" \
    "$folder/broken/loop.c"
build "$folder/broken"
if "$folder/broken/check_team" >"$folder/broken.log" 2>&1 ||
    ! grep -q 'WARNING: ThreadSanitizer: data race' "$folder/broken.log"; then
    echo "tsan: a broken loop was not found" >&2
    exit 1
fi
echo "tsan: passed, and a broken loop is found"
