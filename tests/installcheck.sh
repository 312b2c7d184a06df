#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# installcheck.sh: compiles the examples against the installed library, by what
# pkg-config says, shared and static, and compares what they print with the
# installed model. Run by make installcheck.
#
# Environment: CC, PKG_CONFIG, DESTDIR, pkgconfigdir, libdir, pkgdatadir,
# srcdir.
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

for name in generate score; do
    cp "$srcdir/tests/examples/$name.c" "$folder/$name.c"
    cp "$srcdir/tests/examples/$name.c" "$folder/$name-static.c"
    # shellcheck disable=SC2046
    link $name $(flags --libs) -lm
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
if [ -f "$root$libdir/libclsa.a" ]; then
    "$folder/generate-static" "$model" "The sea was calm, and" 8 |
        cmp - "$folder/shared"
    echo "installcheck: passed, shared and static"
else
    echo "installcheck: passed, shared; left out: static, not installed"
fi
