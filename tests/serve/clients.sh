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
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT

export CLSA_TEST_MODEL=${CLSA_TEST_MODEL:-$here/../../models/clsa-tiny-q8_0.gguf}
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here python3 -c '
import chat, sys
chat.with_template(chat.TEMPLATE, sys.argv[1])' "$folder/chat.gguf"
"$clsa" serve -m "$folder/chat.gguf" -c 2048 --port 0 2>"$folder/log" &
server=$!
for _ in $(seq 200); do
    url=$(sed -nE 's/.*listening on (http.*)/\1/p' "$folder/log")
    [ -z "$url" ] || ! curl -sf "$url/health" >/dev/null || break
    sleep 0.1
done
body='{"prompt": "The town", "max_tokens": 4, "stream": true}'
curl -sfN "$url/v1/completions" -d "$body" | grep -q '^data: \[DONE\]'
(cd "$modules" && node "$here/../npm/clients.mjs" "$url")
kill "$server"
wait "$server"
server=
echo "clients: passed"
