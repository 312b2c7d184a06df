#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run-test.sh TEST.sh: run a test of the program in an empty folder and compare
# all it prints with TEST.out beside it. Exit status 77: skipped, as are tests
# that say "# Not under an emulator" under one.
#
# In the folder, `model.gguf` is the model, which is also the default one, and
# the function `clsa` runs the program and prints its exit status where that
# is not 0. $data is the folder of this script.
#
# Environment: CLSA (the program, default ./clsa), CLSA_MODEL (default
# models/clsa-tiny-q8_0.gguf of the sources), srcdir (default .),
# CLSA_EMULATOR (words before the program, default none). CLSA_SIMD is handed
# on: the outputs are the same at every level.
set -euo pipefail

test=$(realpath "$1")
srcdir=$(realpath "${srcdir:-.}")
program=$(realpath "${CLSA:-./clsa}")
model=$(realpath "${CLSA_MODEL:-$srcdir/models/clsa-tiny-q8_0.gguf}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

if [ ! -r "$model" ]; then
    echo "skipped: $model is not there"
    exit 77
fi
if [ -n "${CLSA_EMULATOR:-}" ]; then
    if grep -q '^# Not under an emulator' "$test"; then
        echo "skipped: an emulator is too slow"
        exit 77
    fi
    printf '#!/bin/sh\nexec %s %q "$@"\n' "$CLSA_EMULATOR" "$program" \
        >"$folder/clsa"
    chmod +x "$folder/clsa"
    program=$folder/clsa
fi
mkdir "$folder/here"
ln -s "$model" "$folder/here/model.gguf"

clsa() {
    local status=0
    "$program" "$@" || status=$?
    if [ $status -ne 0 ]; then
        echo "exit status $status" >&2
    fi
}
export -f clsa
export program CLSA_MODEL=model.gguf data="${test%/*}"

(cd "$folder/here" && bash -u "$test") >"$folder/out" 2>&1 || true
diff -u "${test%.sh}.out" "$folder/out"
