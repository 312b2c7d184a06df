#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# abi.sh FOLDER [--renew]: compares the ABI of FOLDER/.libs/libclsa.so with that
# of the last release, packaging/libclsa0.abi, by abidiff. What was there has to
# be there and be the same; additions are shown. --renew writes the file, for a
# release.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
library=$1/.libs/libclsa.so
dump=$here/libclsa0.abi
[ "$(uname -m)" = x86_64 ] || {
    echo "abi: left out, the dump is of x86_64"
    exit 0
}
now=$(mktemp)
trap 'rm -f "$now"' EXIT
abidw --no-corpus-path --no-comp-dir-path --no-show-locs \
    --headers-dir "$here/../include" --drop-private-types \
    --out-file "$now" "$library"
# Sources by their place in the tree, wherever that is.
sed -i -E "s,path='[^']*/((src|simd|include)/[^']*),path='\\1,g" "$now"
if [ "${2:-}" = --renew ]; then
    cp "$now" "$dump"
    chmod 644 "$dump"
    exit
fi
# Bit 3: an incompatible change. Others are additions.
status=0
abidiff --no-default-suppression --no-show-locs "$dump" "$now" || status=$?
[ $((status & 11)) -eq 0 ] || {
    echo "abi: the ABI of the last release is broken: raise the soname" >&2
    exit 1
}
echo "abi: compatible with the last release"
