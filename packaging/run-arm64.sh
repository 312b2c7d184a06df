#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run-arm64.sh FOLDER: unpacks the AArch64 packages of FOLDER and runs their
# program under qemu-aarch64, with the libraries of AArch64 of this system.
set -euo pipefail

packages=$(realpath "$1")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
for package in "$packages"/libclsa0_*_arm64.deb "$packages"/clsa_*_arm64.deb; do
    dpkg-deb -x "$package" "$root"
done
model=$(realpath "$(dirname "$0")/../models/clsa-tiny-q8_0.gguf")
export OMP_WAIT_POLICY=passive
clsa() {
    qemu-aarch64 -cpu max \
        -E LD_LIBRARY_PATH="$root/usr/lib/aarch64-linux-gnu" \
        "$root/usr/bin/clsa" "$@"
}
clsa info | grep neon
answer=$(clsa run -q -m "$model" --temp 0 -n 12 -p "The sea was calm, and")
echo "$answer"
[ -n "$answer" ]
