#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run-test.sh TEST.sh: run a test of the program in an empty folder and compare
# all it prints with TEST.out beside it. Exit status 77: skipped, as are tests
# that say "# Not under an emulator" under one.
#
# In the folder, `model.gguf` is the model, which is also the default one, and
# the function `clsa` runs the program, after a line with the command, and prints
# its exit status if that is not 0. The command goes to the output of the test
# past all pipes and redirections of the script; of long words it has the
# beginning, and DATA is $data, the folder of this script.
#
# With RENEW=1 the output becomes TEST.out; look at the difference.
#
# Environment: CLSA (the program, default ./clsa), CLSA_MODEL (default
# models/clsa-tiny-q8_0.gguf of the sources), srcdir (default .),
# CLSA_EMULATOR (words before the program, default none). CLSA_SIMD is handed
# on: the outputs are the same at every level.
set -euo pipefail

test=$(realpath "$1")
name=$(basename "$1" .sh)
srcdir=$(realpath "${srcdir:-.}")
program=$(realpath "${CLSA:-./clsa}")
model=$(realpath "${CLSA_MODEL:-$srcdir/models/clsa-tiny-q8_0.gguf}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

if [ ! -r "$model" ]; then
    echo "SKIP $name: $model is not there"
    exit 77
fi
if [ -n "${CLSA_EMULATOR:-}" ]; then
    if grep -q '^# Not under an emulator' "$test"; then
        echo "SKIP $name: an emulator is too slow"
        exit 77
    fi
    printf '#!/bin/sh\nexec %s %q "$@"\n' "$CLSA_EMULATOR" "$program" \
        >"$folder/clsa"
    chmod +x "$folder/clsa"
    program=$folder/clsa
fi
mkdir "$folder/here"
ln -s "$model" "$folder/here/model.gguf"

# The command of these arguments, in ASCII, whatever the locale.
command_line() (
    LC_ALL=C line='$ clsa'
    for word in "$@"; do
        word=${word//"$data"/DATA}
        if [ ${#word} -gt 40 ]; then
            word=${word:0:37}...
        fi
        case $word in
        '' | *[!A-Za-z0-9_.,:/=+@%-]*) line+=" ${word@Q}" ;;
        *) line+=" $word" ;;
        esac
    done
    printf '%s\n' "$line"
)
clsa() {
    local status=0
    command_line "$@" >&9
    "$program" "$@" 9>&- || status=$?
    if [ $status -ne 0 ]; then
        echo "exit status $status" >&2
    fi
}
export -f clsa command_line
export program CLSA_MODEL=model.gguf data="${test%/*}"

(cd "$folder/here" && bash -u "$test" 9>&1) >"$folder/out" 2>&1 || true
[ -z "${RENEW:-}" ] || cp "$folder/out" "${test%.sh}.out"
diff -u "${test%.sh}.out" "$folder/out"
