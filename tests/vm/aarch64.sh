#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# aarch64.sh [FOLDER]: builds for AArch64 in FOLDER (build-aarch64) and tests
# that under qemu-aarch64: the kernels of all levels, the units and the program
# on a CPU with all that QEMU has, and the kernels and a part of the program
# tests on a Cortex-A53, which has level neon alone. Without oneDNN: Debian's
# headers for it cannot be installed for two architectures.
set -euo pipefail
. "$(dirname "$0")/emulated.sh"

folder=$(realpath -m "${1:-build-aarch64}")
most="qemu-aarch64 -cpu max"
least="qemu-aarch64 -cpu cortex-a53"

for command in qemu-aarch64 aarch64-linux-gnu-gcc; do
    command -v $command >/dev/null ||
        fail "$command is missing: ./bootstrap ci-deps"
done
export PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig
PKG_CONFIG_LIBDIR+=:/usr/share/pkgconfig
build "$folder" --host=aarch64-linux-gnu --enable-werror --without-onednn \
    --with-check --disable-static

expect_level "$folder" "$most" neon_bf16
kernels "$folder" "$most"
check "$folder" "$most" "${units[@]}" check_golden_arch check_refused \
    tests/cli/{usage,info,run,session}.sh
expect_level "$folder" "$least" neon
kernels "$folder" "$least"
check "$folder" "$least" tests/cli/run.sh
say "passed in $SECONDS s"
