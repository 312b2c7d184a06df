#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# clients.sh CLSA MODULES: clsa serve with the clients that people have
# (tests/npm/clients.mjs) and with curl. MODULES is the folder that ./bootstrap
# ci-deps made, with its node_modules; nothing is fetched.
set -euo pipefail

clsa=$(realpath "$1")
modules=$(realpath "$2")
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
servers=()
trap 'kill "${servers[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT

# start NAME: a server of the model NAME; its address is in $url.
start() {
    "$clsa" serve -m "$folder/$1.gguf" -c 2048 --port 0 2>"$folder/$1.log" &
    servers+=($!)
    for _ in $(seq 200); do
        url=$(sed -nE 's/.*listening on (http.*)/\1/p' "$folder/$1.log")
        [ -z "$url" ] || ! curl -sf "$url/health" >/dev/null || break
        sleep 0.1
    done
}

export CLSA_TEST_MODEL=${CLSA_TEST_MODEL:-$here/../../models/clsa-tiny-q8_0.gguf}
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here python3 -c '
import chat, embed, sys
chat.with_template(chat.TEMPLATE, sys.argv[1] + "/chat.gguf")
embed.with_pooling(1, sys.argv[1] + "/embed.gguf")' "$folder"
start embed
embed=$url
start chat
body='{"prompt": "The town", "max_tokens": 4, "stream": true}'
curl -sfN "$url/v1/completions" -d "$body" | grep -q '^data: \[DONE\]'
(cd "$modules" && node "$here/../npm/clients.mjs" "$url" "$embed")
for server in "${servers[@]}"; do
    kill "$server"
    wait "$server"
done
servers=()
echo "clients: passed"
