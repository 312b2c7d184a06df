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

# kernels EMULATOR: every level that this CPU has.
kernels() {
    say "$1: check_kernels --quick, check_peaks"
    $1 "$folder/check_kernels" --quick | sed 's/^/  /'
    $1 "$folder/check_peaks" | sed 's/^/  peaks: /'
}

for command in qemu-aarch64 aarch64-linux-gnu-gcc; do
    command -v $command >/dev/null ||
        fail "$command is missing: ./bootstrap ci-deps"
done
export PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig
PKG_CONFIG_LIBDIR+=:/usr/share/pkgconfig
build "$folder" --host=aarch64-linux-gnu --enable-werror --without-onednn \
    --with-check --disable-static

expect_level "$folder" "$most" neon_bf16
kernels "$most"
check "$folder" "$most" check_gguf check_tokenizer check_bpe check_vocab \
    check_tokens check_golden check_invariance check_models check_random \
    check_steps check_refused \
    tests/cli/{usage,info,tokenize,run,session,interrupt,eval,bench}.sh \
    tests/cli/quantize.sh
expect_level "$folder" "$least" neon
kernels "$least"
check "$folder" "$least" tests/cli/{usage,run,session}.sh
say "passed in $SECONDS s"
