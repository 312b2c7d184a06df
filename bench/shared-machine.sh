#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# shared-machine.sh: what decoding keeps of its speed on a machine that it has
# to share: another process on one of its CPUs, two runs at once, a CPU quota,
# all threads bound to one CPU.
#
#   shared-machine.sh CLSA [ROUNDS]     5 rounds by default
#
# Each situation is measured beside the run that it is compared with, in turns.
# For each the median of the ratios, the least and the greatest: throughput in
# parts of what the share of the machine is worth, 1 being all of it. Needs
# taskset, and for the quota root and a cpu controller; otherwise a line says
# what was left out. A round takes about a minute on 2 cores, and 3 GB of memory.
#
# Environment: SHAPE in place of 1b, STEPS (60), OPTIONS (words for all runs).
set -euo pipefail

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: shared-machine.sh CLSA [ROUNDS]" >&2
    exit 2
fi
program=$1
rounds=${2:-5}
read -ra options <<<"${OPTIONS:-}"
cpus=$(nproc)
last=$(taskset -cp $$ | sed 's/.*[:,-] *//')
first=$(taskset -cp $$ | sed 's/.*: *//; s/[,-].*//')
folder=$(mktemp -d)
group=
busy=
clean() {
    [ -z "$busy" ] || kill "$busy" 2>/dev/null || true
    [ -z "$group" ] || rmdir "$group" 2>/dev/null || true
    rm -rf "$folder"
}
trap clean EXIT

# speed COMMAND...: tokens a second, of a run by this command.
speed() {
    "$@" "$program" bench decode --shape "${SHAPE:-1b}" --depth 1K \
        --steps "${STEPS:-60}" -q --json "${options[@]}" ${extra:-} |
        sed 's/.*"tokens_per_s": \([0-9.]*\).*/\1/'
}

# ratio NAME OF TO SHARE: notes OF / TO / SHARE.
ratio() {
    awk -v of="$2" -v to="$3" -v share="$4" \
        'BEGIN { print of / to / share }' >>"$folder/$1"
}

# With a process that does nothing but run, on the last CPU.
one_cpu_half_taken() {
    local alone shared
    alone=$(speed env)
    taskset -c "$last" sh -c 'while :; do :; done' &
    busy=$!
    shared=$(speed env)
    kill "$busy"
    wait "$busy" 2>/dev/null || true
    busy=
    ratio half "$shared" "$alone" "$(awk "BEGIN { print 1 - 0.5 / $cpus }")"
}

two_at_once() {
    local alone other both
    alone=$(speed env)
    speed env >"$folder/other" &
    both=$(speed env)
    wait $!
    other=$(cat "$folder/other")
    ratio two "$(awk "BEGIN { print $both + $other }")" "$alone" 1
}

# A group with half a CPU; false if there is none to be had.
make_group() {
    local v1=/sys/fs/cgroup/cpu v2=/sys/fs/cgroup
    if [ -e "$v1/cpu.cfs_quota_us" ] && mkdir "$v1/clsa-bench.$$" 2>/dev/null; then
        group=$v1/clsa-bench.$$
        echo 100000 >"$group/cpu.cfs_period_us"
        echo 50000 >"$group/cpu.cfs_quota_us"
    elif mkdir "$v2/clsa-bench.$$" 2>/dev/null; then
        group=$v2/clsa-bench.$$
        [ -e "$group/cpu.max" ] && echo "50000 100000" >"$group/cpu.max"
    else
        return 1
    fi
}

in_group() {
    (
        echo "$BASHPID" >"$group/cgroup.procs"
        exec "$@"
    )
}

quota_of_half() {
    local one
    one=$(extra='-t 1' speed in_group)
    ratio quota "$(speed in_group)" "$one" 1
}

bound_to_one() {
    local one
    one=$(extra='-t 1' speed taskset -c "$first")
    ratio bound "$(speed env GOMP_CPU_AFFINITY="$first")" "$one" 1
}

report() {
    [ -s "$folder/$1" ] || return 0
    sort -g "$folder/$1" | awk -v text="$2" '{ r[NR] = $1 } END {
        printf "%-56s %.2f (%.2f to %.2f)\n", text, r[int((NR + 1) / 2)],
            r[1], r[NR] }'
}

make_group || echo "no quota: there is no cpu controller to be had"
for ((i = 0; i < rounds; i++)); do
    one_cpu_half_taken
    two_at_once
    if [ -n "$group" ]; then
        quota_of_half
    fi
    bound_to_one
done
report half "one CPU half taken: of the share of $cpus CPUs"
report two "two runs at once: together, of one alone"
report quota "quota of half a CPU: of -t 1 there"
report bound "all threads bound to one CPU: of -t 1 there"
