# SPDX-License-Identifier: Apache-2.0
#
# vm.sh: what the emulated machines share; sourced by avx512-vm.sh and
# numa-vm.sh. Needs what ./bootstrap ci-deps installs.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${CLSA_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/clsa-vm}

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 125
}

# The newest kernel of the cache.
find_kernel() {
    local all=("$cache"/boot/vmlinuz-*)
    [ -f "${all[-1]}" ] ||
        fail "no kernel in $cache: run ./bootstrap ci-deps"
    printf '%s\n' "${all[-1]}"
}

# make_root FOLDER PROGRAM [ARGUMENT]...: the root of the machine, with the
# libraries of a dynamic program where its loader looks for them.
make_root() {
    local root=$1 program library
    program=$(readlink -f "$2") || fail "$2 is not there"
    shift 2
    mkdir -p "$root"/{dev,proc,sys,tmp}
    gcc -O2 -Wall -static "$here/init.c" -o "$root/init"
    cp "$program" "$root/prog"
    strip "$root/init" "$root/prog"
    : >"$root/args"
    [ $# -eq 0 ] || printf '%s\n' "$@" >"$root/args"
    { ldd "$program" 2>/dev/null || true; } | { grep -oE '/[^ ]+' || true; } |
        while read -r library; do
            mkdir -p "$root$(dirname "$library")"
            cp -L "$library" "$root$library"
        done
}

# make_initrd ROOT FILE
make_initrd() {
    (cd "$1" && find . | cpio -o -H newc --quiet) >"$2"
}

# The output of the program, without what the machine said around it, and
# without the end of line before the last mark.
print_output() {
    tr -d '\r' <"$1" | sed -n '/<<<VM-BEGIN>>>/,/<<<VM-EXIT/p' |
        sed '1d;$d' | sed '${/^$/d;}'
}

# The exit status of the program; nothing if it did not come to its end.
exit_status() {
    tr -d '\r' <"$1" | sed -n 's/.*<<<VM-EXIT \([0-9]*\)>>>.*/\1/p' | tail -n 1
}

# start PROGRAM [ARGUMENT]...: sets $folder, which is removed at the end, with
# the root of the machine in it, and $kernel.
start() {
    [ $# -gt 0 ] || fail "which program?"
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    kernel=$(find_kernel)
    make_root "$folder/root" "$@"
}

# finish STATUS: prints what the program printed on $folder/serial and exits
# with its status, with 124 if STATUS of the machine is that, or with 125.
finish() {
    local result
    touch "$folder/serial"
    print_output "$folder/serial"
    result=$(exit_status "$folder/serial")
    [ -z "$result" ] || exit "$result"
    [ "$1" -ne 124 ] || exit 124
    tail -n 5 "$folder/serial" >&2
    fail "the machine did not come to the end of the program"
}
