#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# build-deb.sh TARBALL FOLDER [ARCHITECTURE]: Debian packages of a release
# tarball, in FOLDER; lintian has no error and no warning. Without the tests,
# which ran before, when DEB_BUILD_OPTIONS has nocheck. For another
# architecture they are cross-built.
set -euo pipefail

tarball=$(realpath "$1")
folder=$(realpath -m "$2")
host=${3:-$(dpkg --print-architecture)}
source=$(basename "$tarball" .tar.xz)
options=(-us -uc -b)
if [ "$host" != "$(dpkg --print-architecture)" ]; then
    # The libraries of the other architecture are there, its tools are not.
    options+=(-a "$host" -d "-Pcross,nocheck")
    DEB_BUILD_OPTIONS="nocheck ${DEB_BUILD_OPTIONS:-}"
    triplet=$(dpkg-architecture -a "$host" -qDEB_HOST_MULTIARCH 2>/dev/null)
    export PKG_CONFIG=pkg-config
    export PKG_CONFIG_LIBDIR=/usr/lib/$triplet/pkgconfig:/usr/share/pkgconfig
fi
export DEB_BUILD_OPTIONS="parallel=2 ${DEB_BUILD_OPTIONS:-}"

mkdir -p "$folder"
cp "$tarball" "$folder/${source/-/_}.orig.tar.xz"
rm -rf "${folder:?}/$source"
tar xf "$tarball" -C "$folder"
cp -r "$folder/$source/packaging/debian" "$folder/$source/debian"
cd "$folder/$source"
dpkg-buildpackage "${options[@]}" >"$folder/build.log" 2>&1 || {
    tail -n 40 "$folder/build.log" >&2
    exit 1
}
cd ..
as=()
[ "$(id -u)" -ne 0 ] || as=(--allow-root)
# The number of the bug that asks for the package is for who uploads it.
lintian "${as[@]}" --fail-on error,warning \
    --suppress-tags initial-upload-closes-no-bugs ./*.changes
ls ./*.deb
