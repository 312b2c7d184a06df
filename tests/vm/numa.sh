#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# numa.sh [FOLDER]: checks where the pages of the cache and of the weights lie
# in machines with two and four NUMA nodes, and in one with three, of which one
# has no memory; built in FOLDER (build-numa), or by an earlier build there.
set -euo pipefail
. "$(dirname "$0")/emulated.sh"

folder=$(realpath -m "${1:-build-numa}")
model=$top/models/clsa-tiny-q8_0.gguf
vm=$(dirname "$(realpath "$0")")/numa-vm.sh

# machine OPTIONS NODE...: the nodes that have to be used.
machine() {
    local options=$1
    shift
    say "machine $options: check_numa $*"
    # Words are split on purpose.
    # shellcheck disable=SC2086
    "$vm" $options -f "$model" "$folder/check_numa" -m "/${model##*/}" "$@" |
        sed 's/^/  /'
}

command -v qemu-system-x86_64 >/dev/null ||
    fail "qemu-system-x86_64 is missing: ./bootstrap ci-deps"
build "$folder" --enable-werror --with-hwloc
machine "-n 2 -c 1" 0 1
machine "-n 4 -c 1" 0 1 2 3
machine "-n 3 -c 1 -e" 0 1
say "passed in $SECONDS s"
