#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# check-service.sh PROGRAM MODEL: the files of packaging/service: systemd knows
# every option of the units, the sandbox is as tight as it should be, the command
# of the service starts PROGRAM on sockets such as those of the socket unit, and
# answers; the scripts for OpenRC and Alpine are scripts.
set -euo pipefail

program=$(realpath "$1")
model=$(realpath "$2")
files=$(cd "$(dirname "$0")/service" && pwd)
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"' EXIT

fail() {
    echo "check-service: $*" >&2
    cat "$folder/log" >&2 2>/dev/null || true
    exit 1
}

# What a unit says about a key.
of_unit() { sed -n "s|^$2=||p" "$files/clsa-serve.$1"; }

for unit in service socket; do
    sed "s|/usr/bin/clsa|$program|" "$files/clsa-serve.$unit" \
        >"$folder/clsa-serve.$unit"
done
# It only warns about names that it does not know.
said=$(systemd-analyze verify --man=no "$folder"/clsa-serve.{service,socket} 2>&1)
[ -z "$said" ] || fail "$said"
systemd-analyze security --offline=true --threshold=15 \
    "$folder/clsa-serve.service" | tail -n 1 | sed 's/^[^A-Z]*//'

# The name of the user is the same in all of them.
user=$(of_unit service User)
for file in clsa-serve.socket clsa-serve.sysusers clsa-serve.initd \
    clsa-serve.default ../alpine/clsa-server.pre-install; do
    grep -qw -- "$user" "$files/$file" || fail "$file: nothing of $user"
done

for script in clsa-serve.initd clsa-serve.default \
    ../alpine/clsa-server.pre-install; do
    sh -n "$files/$script"
done

command=$(of_unit service ExecStart)
# The options of the package, with a folder of ours.
. "$files/clsa-serve.default"
folder_of_unit=/var/cache/$(of_unit service CacheDirectory)
[[ $CLSA_SERVE_OPTIONS == *$folder_of_unit* ]] ||
    fail "the options do not name $folder_of_unit"
export CLSA_SERVE_OPTIONS="-m $model -c 512 \
    ${CLSA_SERVE_OPTIONS/$folder_of_unit/$folder/cache}"
# The command is split into words as systemd does it.
# shellcheck disable=SC2086
eval exec systemd-socket-activate -E CLSA_SERVE_OPTIONS \
    -l "$folder/socket" -l "$folder/another" \
    "${command/#\/usr\/bin\/clsa/$program}" >"$folder/log" 2>&1 &
server=$!
for ((i = 0; i < 100; i++)); do
    [ ! -S "$folder/socket" ] || break
    sleep 0.1
done
answer=$(curl -sf --retry 100 --retry-delay 0 --retry-max-time 60 \
    --unix-socket "$folder/socket" http://localhost/health) || fail "no answer"
[ "$answer" = '{"status":"ok"}' ] || fail "/health: $answer"
kill "$server"
wait "$server" || fail "exit status $?"
server=
echo "check-service: passed"
