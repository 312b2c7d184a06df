#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# dist-twice.sh: makes the release tarball of the commit from two clones in
# different folders, with different permissions for new files, and compares
# them.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# A clone; where that cannot be, a copy without what was built in it.
copy() {
    git clone -q "$top" "$1" && return
    rm -rf "$1"
    mkdir "$1"
    (cd "$top" && tar cf - --exclude='./build*' .) | tar xf - -C "$1"
}

# tarball FOLDER UMASK
tarball() {
    mkdir -p "$folder/$1/build"
    (
        umask "$2"
        copy "$folder/$1/source"
        cd "$folder/$1/source"
        autoreconf -fi
        cd ../build
        ../source/configure
        make dist
    ) >"$folder/log" 2>&1 || {
        tail -n 20 "$folder/log" >&2
        exit 1
    }
}

tarball a 022
sleep 1
tarball some/where/else 077
cmp "$folder"/a/build/clsa-*.tar.xz "$folder"/some/where/else/build/clsa-*.tar.xz
# All that the tests and a build need, as distcheck runs few of the tests.
if files=$(git -C "$folder/a/source" ls-files); then
    missing=$(comm -23 <(grep -v '\.gitignore$' <<<"$files" | sort) \
        <(tar tf "$folder"/a/build/clsa-*.tar.xz | sed 's,^[^/]*/,,' | sort))
    if [ -n "$missing" ]; then
        echo "dist-twice: not in the tarball:" "$missing" >&2
        exit 1
    fi
else
    echo "SKIP dist-twice: git does not list the files of the sources"
fi
sha512sum "$folder"/a/build/clsa-*.tar.xz | sed 's,[^ ]*/,,'
echo "dist-twice: the same"
