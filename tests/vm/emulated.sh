# SPDX-License-Identifier: Apache-2.0
#
# emulated.sh: what aarch64.sh, avx512.sh and no-avx2.sh share: building the
# test programs, and running them under an emulator; sourced, also by
# ../without.sh and ../sanitized.sh. What a test leaves out under an emulator is
# printed below its name.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
# The emulated CPU decides the level. Threads wait asleep: emulated ones that
# spin take the time of those that work.
unset CLSA_SIMD
export OMP_WAIT_POLICY=passive

# Units that meet the kernels, and that no emulator takes long for. The others
# are the same code on every CPU.
units=(check_tokens check_golden check_models)

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*"; }
fail() {
    say "$*" >&2
    exit 1
}

# variable NAME: the words of a variable of Makefile.am.
variable() {
    sed -n "/^$1 = /,/[^\\\\]\$/p" "$top/Makefile.am" |
        sed "s/^$1 = //" | tr -s '\\\t\n' ' '
}

# build FOLDER [CONFIGURE ARGUMENT]...: the program and its test programs.
build() {
    local folder=$1 log=$1/emulated-build.log
    shift
    mkdir -p "$folder"
    say "building in $folder"
    {
        [ -x "$top/configure" ] || (cd "$top" && autoreconf -fi)
        [ -f "$folder/Makefile" ] || (cd "$folder" && "$top/configure" "$@")
        # One after the other: all is a make of its own.
        make -C "$folder" -j "$jobs" all &&
            make -C "$folder" -j "$jobs" check-programs
    } >"$log" 2>&1 || {
        tail -n 30 "$log" >&2
        fail "the build failed"
    }
}

# expect_level FOLDER EMULATOR LEVEL: the CPU is the one that is meant. Words of
# an emulator are split on purpose.
# shellcheck disable=SC2086
expect_level() {
    local level
    level=$("$1/libtool" --mode=execute $2 "$1/clsa" info |
        sed -nE 's/^simd .* ([a-z0-9_]+)$/\1/p')
    [ "$level" = "$3" ] || fail "$2: level ${level:-unknown}, not $3"
    say "$2: the highest level is $level"
}

# kernels FOLDER EMULATOR: every level that this CPU has.
# shellcheck disable=SC2086
kernels() {
    say "$2: check_kernels --quick, check_peaks"
    $2 "$1/check_kernels" --quick | sed 's/^/  /'
    $2 "$1/check_peaks" | sed 's/^/  peaks: /'
}

# The tests of a log of make check, and what they left out.
report() {
    local result name
    while read -r result name; do
        echo "  $result $name"
        grep -hE '^(SKIP [^(:]*:|under an emulator)' \
            "$1/${name%.*}.log" | sort -u | sed 's/^/      /' || true
    done < <(grep -E '^(PASS|SKIP|FAIL|ERROR|XPASS|XFAIL):' "$2")
    grep -hE '^SKIP [^(:]*:' "$2" | sed 's/^/  /' || true
}

# check FOLDER EMULATOR [TEST]...: make check of these tests, by default all.
check() {
    local folder=$1 emulator=$2 log=$1/emulated.log status=0 tests=() start
    shift 2
    [ $# -eq 0 ] || tests=("TESTS=$*")
    start=$SECONDS
    say "$emulator: make check ${*:-with all tests}"
    make -C "$folder" -k -j "$jobs" check EMULATOR="$emulator" \
        ${tests[@]+"${tests[@]}"} >"$log" 2>&1 || status=$?
    report "$folder" "$log"
    say "$emulator: $(grep -cE '^PASS:' "$log") passed," \
        "$(grep -cE '^SKIP:' "$log") skipped," \
        "$(grep -cE '^(FAIL|ERROR|XPASS):' "$log") failed," \
        "$((SECONDS - start)) s"
    [ $status -eq 0 ] || {
        tail -n 60 "$folder/test-suite.log" "$log" >&2
        fail "$emulator: tests failed"
    }
}
