#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# avx512.sh [FOLDER]: checks the kernels up to level avx512vnni, in a machine
# with AVX-512 that Bochs emulates, built in FOLDER (build-avx512), or by an
# earlier build there.
#
# Of the cases two kinds are left out, as Bochs 2.7 is not like the hardware:
# it loads masked-out lanes, and its vcvtps2ph rounds values half way between
# two f16 numbers up, where the hardware rounds to even.
set -euo pipefail
. "$(dirname "$0")/emulated.sh"

folder=$(realpath -m "${1:-build-avx512}")
vm=$(dirname "$(realpath "$0")")/avx512-vm.sh
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

command -v bochs-bin >/dev/null || fail "Bochs is missing: ./bootstrap ci-deps"
build "$folder" --enable-werror

say "two machines: check_kernels --quick --no-guard --no-f16-ties, check_peaks"
"$vm" -t 1500 "$folder/check_peaks" >"$results/peaks" 2>&1 &
peaks=$!
status=0
"$vm" -t 1500 "$folder/check_kernels" --quick --no-guard --no-f16-ties \
    >"$results/kernels" 2>&1 || status=$?
sed 's/^/  /' "$results/kernels"
wait $peaks || status=$?
sed 's/^/  peaks: /' "$results/peaks"
[ $status -eq 0 ] || fail "failed with exit status $status"
for level in avx2 avx512 avx512vnni; do
    grep -q "^$level: [0-9]* kernels ok" "$results/kernels" ||
        fail "level $level was not there"
done
say "passed in $SECONDS s"
