#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# fetch-kernel.sh: unpack the kernel of the emulated machines, Debian's for
# clouds, which has all drivers that they need built in, into the cache:
# CLSA_VM_CACHE, by default ~/.cache/clsa-vm. It is never installed.
set -euo pipefail

cache=${CLSA_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/clsa-vm}
if ls "$cache"/boot/vmlinuz-* >/dev/null 2>&1; then
    exit 0
fi
package=$(apt-cache depends linux-image-cloud-amd64 |
    sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
mkdir -p "$cache"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -q -o APT::Sandbox::User="$(id -un)" "$package"
dpkg -x ./*.deb .
cp -r boot "$cache/"
echo "fetch-kernel: $package in $cache"
