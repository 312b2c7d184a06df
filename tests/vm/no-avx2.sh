#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# no-avx2.sh [FOLDER]: the kernels and a part of the units and of the tests of
# the program on a CPU without AVX, in FOLDER (build-no-avx2), or with an earlier
# build there. Instructions that a level needs must not get out of it: anywhere
# else they are illegal here.
set -euo pipefail
. "$(dirname "$0")/emulated.sh"

folder=$(realpath -m "${1:-build-no-avx2}")
emulator="qemu-x86_64 -cpu Nehalem"

command -v qemu-x86_64 >/dev/null ||
    fail "qemu-x86_64 is missing: ./bootstrap ci-deps"
build "$folder" --enable-werror
expect_level "$folder" "$emulator" ref
kernels "$folder" "$emulator"
check "$folder" "$emulator" "${units[@]}" tests/cli/{info,run}.sh
say "passed in $SECONDS s"
