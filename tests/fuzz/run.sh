#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh TARGET SECONDS [FOLDER]: fuzz one target with libFuzzer, which needs
# clang and its runtime. Built in
# FOLDER, by default build-fuzz of the sources; there are the inputs that were
# found, found/TARGET, and crash-*, leak-*, timeout-* of what went wrong. Exit
# status 1 when something did. Words of the formats are in words.dict.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
target=$1
seconds=$2
folder=${3:-$top/build-fuzz}
mkdir -p "$folder/found/$target" "$folder/tmp"
cd "$folder"
make -s -f "$top/tests/fuzz/fuzz.mk" TOP="$top" CC="${CC:-clang}" MODE=fuzzer \
    "fuzz_$target" >&2
[ -w /dev/shm ] && TMPDIR=$(mktemp -d /dev/shm/clsa-fuzz.XXXXXX) ||
    TMPDIR=$(mktemp -d)
trap 'rm -rf "$TMPDIR"' EXIT
export TMPDIR CLSA_TEST_DATA="$top/tests/data" OMP_NUM_THREADS=1
export ASAN_OPTIONS=allocator_may_return_null=1
"./fuzz_$target" "found/$target" "$top/tests/fuzz/corpus/$target" \
    -dict="$top/tests/fuzz/words.dict" -artifact_prefix="$target-" \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
    -malloc_limit_mb=1024 -max_len=50000 -close_fd_mask=3 -print_final_stats=1
