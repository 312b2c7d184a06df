# SPDX-License-Identifier: Apache-2.0
# The form of what bench prints: the numbers are those of the machine.
clsa bench
clsa bench nonsense
clsa bench machine x
clsa bench machine --simd none
CLSA_SIMD=none clsa bench machine
clsa bench machine -t 1 | tee machine.txt | sed -E 's/ +[0-9]+\.[0-9]$/ N/' |
    grep -E '^(simd|threads)|^  (memory|L1|f32|.* bytes)|[;,] G|GB' |
    sed -E 's/^(simd +).*/\1LEVEL/'
grep -cE '^  (s8|u4) ' machine.txt | sed 's/[1-9]/some/'
clsa bench machine -t 1 --json >machine.json
grep -oE '"[a-z0-9_]+":' machine.json | sort -u | tr -d '\n' && echo
grep -oE '"(gbs|gflops|gmacs)": (-|0(\.0)?[,}]).*' machine.json
