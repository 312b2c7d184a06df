#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# installcheck.sh: compiles all examples against the installed library, by what
# pkg-config says, shared and static, runs them with the installed model, and
# compares what generate prints. Run by make installcheck.
#
# Environment: CC, CXX (default c++), PKG_CONFIG, DESTDIR, pkgconfigdir, libdir,
# pkgdatadir, srcdir.
set -euo pipefail

root=${DESTDIR:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PKG_CONFIG_PATH=$root$pkgconfigdir LD_LIBRARY_PATH=$root$libdir
model=$root$pkgdatadir/clsa-tiny-q8_0.gguf

flags() {
    local prefix=()
    [ -z "$root" ] || prefix=("--define-variable=prefix=$root$prefixdir")
    "${PKG_CONFIG:-pkg-config}" "${prefix[@]}" "$@" libclsa
}

# link NAME FLAG...: words of CC and of flags are split on purpose.
# shellcheck disable=SC2086,SC2046
link() {
    local name=$1
    shift
    ${CC:-cc} -o "$folder/$name" "$folder/$name.c" $(flags --cflags) "$@"
}

for source in "$srcdir"/tests/examples/*.c; do
    name=$(basename "$source" .c)
    cp "$source" "$folder/$name.c"
    cp "$source" "$folder/$name-static.c"
    # shellcheck disable=SC2046
    link $name $(flags --libs) -lm -lpthread
    if [ -f "$root$libdir/libclsa.a" ]; then
        # shellcheck disable=SC2046
        link $name-static $(flags --libs --static |
            sed "s,-lclsa,$root$libdir/libclsa.a,")
        ! ldd "$folder/$name-static" | grep libclsa
    fi
done
"$folder/generate" "$model" "The sea was calm, and" 8 >"$folder/shared"
[ -s "$folder/shared" ]
"$folder/score" "$model" clsa "The sea was calm, and the ship was old."
"$folder/cancel" "$model" 20
"$folder/two_models" "$model" "$model"
if command -v "${CXX:-c++}" >/dev/null; then
    # shellcheck disable=SC2046
    "${CXX:-c++}" -std=c++17 -o "$folder/embed" \
        "$srcdir/tests/examples/embed.cpp" $(flags --cflags --libs)
    "$folder/embed" "$model" "The sea was calm, and"
else
    echo "SKIP installcheck embed: there is no compiler for C++"
fi
if [ -f "$root$libdir/libclsa.a" ]; then
    "$folder/generate-static" "$model" "The sea was calm, and" 8 |
        cmp - "$folder/shared"
    echo "installcheck: passed, shared and static"
else
    echo "installcheck: passed, shared; left out: static, not installed"
fi
