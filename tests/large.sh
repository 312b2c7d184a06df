#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Ordinary models of random weights in their real sizes: a Llama-3.2-1B in
# Q4_K_M reads and decodes 8K tokens within the memory that clsa info --plan
# says, and a file of 8 GB opens in a second. Takes 9 GB of disk and as much
# memory, and minutes.
#
# Environment: CLSA (the program, default ./clsa), TMPDIR, PYTHON3.
set -euo pipefail

clsa=$(realpath "${CLSA:-./clsa}")
python=${PYTHON3:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

# The peak of resident memory of a command, in bytes, after its seconds.
measured() {
    "$python" - "$@" <<'PYTHON'
import resource
import subprocess
import sys
import time
start = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdin=subprocess.DEVNULL,
               stdout=subprocess.DEVNULL)
print('%.2f' % (time.monotonic() - start),
      1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
PYTHON
}

planned() {
    "$clsa" info --plan --json "$@" |
        "$python" -c 'import json, sys
print(json.load(sys.stdin)[0]["bytes"]["total"])'
}

# At most AMOUNT of WHAT.
at_most() {
    local what=$1 amount=$2 most=$3
    "$python" -c 'import sys; sys.exit(float(sys.argv[1]) > float(sys.argv[2]))' \
        "$amount" "$most" || {
        echo "FAIL $what: $amount, more than $most"
        failed=1
        return
    }
    echo "$what: $amount of $most"
}

# room GIGABYTES: of disk and of memory.
room() {
    local disk memory
    disk=$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1e6) }')
    memory=$(awk '/^MemAvailable/ { print int($2 / 1e6) }' /proc/meminfo)
    [ "$disk" -gt "$1" ] && [ "$memory" -gt "$1" ]
}

if ! room 2; then
    echo "SKIP large: less than 2 GB of disk or memory"
    exit 77
fi
"$clsa" bench model -q --shape llama-3.2-1b --type q4_k_m -o "$folder/1b.gguf"
# two tokens a word
"$python" -c 'print("fish " * 4000)' >"$folder/text"
plan=$(planned -m "$folder/1b.gguf" -c 8K)
read -r _ peak < <(measured "$clsa" run -q -m "$folder/1b.gguf" -c 8K \
    -f "$folder/text" -n 16 --temp 0)
at_most "bytes of a 1B model with 8K tokens" "$peak" "$plan"
rm "$folder/1b.gguf"

if room 10; then
    "$clsa" bench model -q --shape qwen3-8b --type q8_0 -o "$folder/8b.gguf"
    read -r seconds _ < <(measured "$clsa" info -m "$folder/8b.gguf")
    at_most "seconds to open $(stat -c %s "$folder/8b.gguf") bytes" \
        "$seconds" 1
    read -r seconds peak < <(measured "$clsa" tokenize -m "$folder/8b.gguf" x)
    at_most "bytes to open them" "$peak" 1e9
else
    echo "SKIP large, the file of 8 GB: less than 10 GB of disk or memory"
fi
exit $failed
