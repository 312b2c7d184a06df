#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# compare-builds.sh: the speed of two builds of the program, measured in turns,
# so that what else the machine does meets both. Decoding with the shape 1b in
# Q8_0 and Q4_0 from 1K and 128K tokens with 1 and 8 sequences, and with the
# shape tiny from 8K; prompts of the shape 1b.
#
#   compare-builds.sh OLD_CLSA NEW_CLSA [ROUNDS]     5 rounds by default
#
# For each point: the medians in milliseconds, the ratio of new to old (above 1
# the new one is slower), and the least and greatest ratio of one round. Every
# other round the new program comes first. The last line has the worst ratio.
# A round takes about 2.5 minutes on 2 cores, and 4 GB of memory. On a machine
# with other work the ratios say little: the spread tells.
#
# Environment: SHAPE in place of 1b, DEPTHS (1K,128K), PREFILL (tokens of the
# prompt, 1K), OPTIONS (words for both, such as '-t 2 --simd avx2'), KEEP (file
# for all that was measured), PYTHON3 (default python3).
set -euo pipefail

if [ $# -lt 2 ] || [ $# -gt 3 ]; then
    echo "usage: compare-builds.sh OLD_CLSA NEW_CLSA [ROUNDS]" >&2
    exit 2
fi
old=$1
new=$2
rounds=${3:-5}
shape=${SHAPE:-1b}
depths=${DEPTHS:-1K,128K}
prefill=${PREFILL:-1K}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
lines=${KEEP:-$folder/lines}
: >"$lines"
read -ra options <<<"${OPTIONS:-}"

# once ROUND NAME PROGRAM ARGUMENTS...: a line of JSON for all points of a run.
once() {
    "$3" bench "${@:4}" "${options[@]}" -q --json >"$folder/out"
    printf '{"round": %d, "build": "%s", "points": %s}\n' "$1" "$2" \
        "$(tr '\n' ' ' <"$folder/out")" >>"$lines"
}

# both ROUND ARGUMENTS...
both() {
    local round=$1
    shift
    echo "round $round of $rounds: bench $*" >&2
    if [ $((round % 2)) = 1 ]; then
        once "$round" old "$old" "$@"
        once "$round" new "$new" "$@"
    else
        once "$round" new "$new" "$@"
        once "$round" old "$old" "$@"
    fi
}

for ((round = 1; round <= rounds; round++)); do
    for type in q8_0 q4_0; do
        both "$round" decode --shape "$shape" --type "$type" \
            --depth "$depths" --batch 1,8
    done
    both "$round" decode --shape tiny --depth 8K --batch 1,8
    both "$round" prefill --shape "$shape" --tokens "$prefill"
done

"${PYTHON3:-python3}" - "$lines" <<'END'
import json
import statistics
import sys

times = {}  # point: {build: {round: ms}}
for line in open(sys.argv[1], encoding='utf-8'):
    run = json.loads(line)
    for point in run['points']:
        if 'depth' in point:
            name = 'decode {shape} {type}, depth {depth}, batch {batch}'
            ms = point['ms_per_step']
        else:
            name = 'prefill {shape} {type}, {tokens} tokens'
            ms = point['ms']
        builds = times.setdefault(name.format(**point), {})
        builds.setdefault(run['build'], {})[run['round']] = ms

worst = (0, '')
print(f'{"":44} {"old ms":>10} {"new ms":>10} {"ratio":>6}  spread')
for name, builds in times.items():
    old, new = builds['old'], builds['new']
    medians = [statistics.median(b.values()) for b in (old, new)]
    ratio = medians[1] / medians[0]
    ratios = [new[r] / old[r] for r in old]
    print(f'{name:44} {medians[0]:10.3f} {medians[1]:10.3f} {ratio:6.3f}  '
          f'{min(ratios):.3f} to {max(ratios):.3f}')
    worst = max(worst, (ratio, name))
print(f'worst ratio: {worst[0]:.3f}, {worst[1]}')
END
