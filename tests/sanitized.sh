#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# sanitized.sh [FOLDER]: the test programs and the tests of the program with
# AddressSanitizer and UndefinedBehaviorSanitizer, built in FOLDER
# (build-sanitized); about five minutes on two CPUs. The longest tests run at
# the size that they have under an emulator. Left out, and counted at the end,
# is what a sanitizer itself breaks or another step covers. Environment: TESTS,
# to run only these.
set -euo pipefail

. "$(dirname "$0")/vm/emulated.sh"
folder=${1:-$top/build-sanitized}

# "TEST: REASON"
left_out="check_refused: it forbids system calls that sanitizers make
check_steps: it forbids system calls that sanitizers make
check_memory: it replaces malloc, as sanitizers do
tests/fuzz/replay.test: has sanitizers of its own
needles: long, and the same code as check_golden
tests/cli/bench.sh: long, and loops of nothing but time
tests/cli/compare.sh: long, and the same code as eval.sh
tests/cli/quantize.sh: long, and the same code as check_kernels and check_mix"
small="check_golden check_golden_arch check_golden_dense \
check_invariance check_random"

# The tests that are not in the list $1, of which the reason is printed.
kept() {
    local test
    for test in check_kernels check_peaks check_simde check_numa check_steps \
        check_refused check_team check_memory $(variable unit_tests) \
        $(variable cli_tests) tests/convert.test tests/fuzz/replay.test; do
        case " $small $(sed 's/:.*//' <<<"$left_out" | tr '\n' ' ')" in
        *" $test "*) ;;
        *) echo "$test" ;;
        esac
    done
}

mkdir -p "$folder"
cd "$folder"
[ -f Makefile ] || "$top/configure" --enable-werror --disable-shared \
    CFLAGS='-fsanitize=address,undefined -fno-sanitize-recover=undefined -g1 -O1 -Wno-frame-larger-than'
make -j "$jobs"
make -j "$jobs" check-programs
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1
export UBSAN_OPTIONS=print_stacktrace=1 CK_TIMEOUT_MULTIPLIER=10
if [ -n "${TESTS:-}" ]; then
    exec make -k -j "$jobs" check-TESTS TESTS="$TESTS"
fi
tests=$(kept | tr '\n' ' ')
failed=0
make -k -j "$jobs" check-TESTS TESTS="$tests" || failed=1
make -k -j "$jobs" check-TESTS TESTS="$small" EMULATOR=env || failed=1
bash "$top/tests/skips.sh" $(for test in $tests $small; do
    echo "${test%.*}.log"
done)
echo "small, as under an emulator: $small"
sed 's/^/left out: /' <<<"$left_out"
echo "$(wc -w <<<"$tests $small") tests sanitized, $(wc -l <<<"$left_out") left out"
exit $failed
