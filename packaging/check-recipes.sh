#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# check-recipes.sh TARBALL: APKBUILD and PKGBUILD as far as other systems can
# tell: their syntax, the variables and functions that they need, their version
# and source, which is TARBALL. Prints its sum for them.
set -euo pipefail

tarball=$1
here=$(cd "$(dirname "$0")" && pwd)
version=$(basename "$tarball" .tar.xz)
version=${version#clsa-}

# check SHELL FILE FUNCTION...
check() {
    local shell=$1 file=$2 name
    shift 2
    $shell -n "$file"
    for name in "$@"; do
        $shell -c '. "$1"; command -v "$2"' sh "$file" "$name" >/dev/null || {
            echo "$file: no function $name" >&2
            exit 1
        }
    done
    for name in pkgname pkgver pkgrel pkgdesc url arch license source; do
        [ -n "$($shell -c '. "$1"; eval "echo \$$2"' sh "$file" $name)" ] || {
            echo "$file: no $name" >&2
            exit 1
        }
    done
    [ "$($shell -c '. "$1"; echo "$pkgver $source"' sh "$file")" = \
        "$version clsa-$version.tar.xz" ] || {
        echo "$file: not of $(basename "$tarball")" >&2
        exit 1
    }
}

check sh "$here/alpine/APKBUILD" build check package libs model server
check bash "$here/arch/PKGBUILD" build check package
(cd "$(dirname "$tarball")" && sha512sum "$(basename "$tarball")")
echo "check-recipes: passed"
