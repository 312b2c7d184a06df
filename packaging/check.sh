#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# check.sh BUILD FOLDER: what a distribution does with a release, on Debian for
# x86-64: the tarball is reproducible, the ABI is that of the last release, the
# installed library can be used; units and scripts of the service; Debian
# packages for both architectures, and those installed; RPM packages; the recipes
# of others. Needs what ./bootstrap ci-deps installs, and root. Only the first build has the flags of
# distributions: -O1 compiles twice as fast.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=$(realpath "$1")
folder=$(realpath -m "$2")
export DEB_BUILD_OPTIONS=nocheck

say() { printf 'packaging: %s (after %d s)\n' "$*" "$SECONDS"; }

rm -rf "$folder"
mkdir -p "$folder"
say "two tarballs of two clones"
"$here/dist-twice.sh"
say "ABI"
"$here/abi.sh" "$build"
say "make installcheck"
make -C "$build" install DESTDIR="$folder/installed" >"$folder/log" 2>&1
make -s -C "$build" installcheck DESTDIR="$folder/installed"
make -C "$build" dist >>"$folder/log" 2>&1
tarball=$(echo "$build"/clsa-*.tar.xz)
"$here/check-recipes.sh" "$tarball"
say "service"
"$here/check-service.sh" "$build/clsa" "$here/../models/clsa-tiny-q8_0.gguf"
say "Debian packages"
"$here/build-deb.sh" "$tarball" "$folder/debian"
say "Debian packages in a clean root"
"$here/clean-root.sh" "$folder/debian"
say "Debian packages for AArch64"
DEB_CFLAGS_APPEND=-O1 \
    "$here/build-deb.sh" "$tarball" "$folder/debian-arm64" arm64
"$here/run-arm64.sh" "$folder/debian-arm64"
say "RPM packages"
OPTFLAGS='-O1 -g' "$here/build-rpm.sh" "$tarball" "$folder/rpm"
say "passed"
