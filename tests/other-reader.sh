#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# other-reader.sh CLSA MODULES: files of clsa convert and clsa quantize, in all
# types, read by @huggingface/gguf. MODULES is the folder that ./bootstrap
# ci-deps made, with its node_modules; nothing is fetched.
set -euo pipefail

clsa=$(realpath "$1")
modules=$(realpath "$2")
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$modules"

read_file() {
    "$clsa" info --json "$1" >"$folder/info.json"
    node "$here/npm/read-gguf.mjs" "$1" "$folder/info.json"
}

"$clsa" convert -q "$here/fuzz/folder" -o "$folder/converted.gguf" >/dev/null
read_file "$folder/converted.gguf"
for type in f32 f16 bf16 q8_0 q6_k q4_k q4_0; do
    "$clsa" quantize -q "$here/../models/clsa-tiny-q8_0.gguf" \
        "$folder/$type.gguf" "$type" >/dev/null
    read_file "$folder/$type.gguf"
    rm "$folder/$type.gguf"
done
for model in "$here"/data/good-*.gguf; do
    "$clsa" quantize -q "$model" "$folder/other.gguf" q8_0 >/dev/null
    read_file "$folder/other.gguf"
done
