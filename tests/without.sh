#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# without.sh [FOLDER]: a build in FOLDER (build-without) that has none of what
# is optional: no oneDNN, hwloc, Check and static library. None of them is
# linked or made, and the program does its work.
set -euo pipefail
. "$(dirname "$0")/vm/emulated.sh"

folder=$(realpath -m "${1:-build-without}")

build "$folder" --enable-werror --without-onednn --without-hwloc \
    --without-readline --without-microhttpd --without-libcurl \
    --without-check --disable-static CFLAGS=-O1
linked=$(ldd "$folder/.libs/libclsa.so" "$folder/.libs/clsa" |
    grep -E 'hwloc|dnnl|microhttpd|curl' || true)
[ -z "$linked" ] || fail "linked all the same: $linked"
[ ! -e "$folder/.libs/libclsa.a" ] || fail "there is a static library"
tests=(check_refused check_steps tests/symbols.test
    tests/cli/{usage,info,run,session,bench}.sh)
make -C "$folder" -k -j "$jobs" check-TESTS TESTS="${tests[*]}" \
    >"$folder/tests.log" 2>&1 || {
    tail -n 60 "$folder/test-suite.log" "$folder/tests.log" >&2
    fail "tests failed"
}
report "$folder" "$folder/tests.log"
say "passed in $SECONDS s"
