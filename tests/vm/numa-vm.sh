#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# numa-vm.sh [-e] [-n NODES] [-c CPUS] [-m MB] [-p CPU] [-f FILE]
#            PROGRAM [ARGUMENT]...
#
# Runs an x86-64 program on a machine of NODES (2) NUMA nodes, with CPUS (2)
# and MB (256) of memory each, which QEMU emulates: mbind, move_pages and
# hwloc's memory binding are real there. CPU: as in qemu-system-x86_64 -cpu
# help, default max (AVX2). -e: the last node has CPUs, but no memory. FILE is
# there as /NAME. Prints what the program prints and exits with its status; 124
# after 600 seconds, 125 if the machine did not get as far. A boot takes a
# quarter of a minute.
set -euo pipefail
. "$(dirname "$0")/vm.sh"

nodes=2 cpus=2 megabytes=256 cpu=max empty=0 file=
while getopts en:c:m:p:f: option; do
    case $option in
    e) empty=1 ;;
    n) nodes=$OPTARG ;;
    c) cpus=$OPTARG ;;
    m) megabytes=$OPTARG ;;
    p) cpu=$OPTARG ;;
    f) file=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
start "$@"
[ -z "$file" ] || cp "$file" "$folder/root/"
make_initrd "$folder/root" "$folder/initrd"

memory=()
for ((i = 0; i < nodes; i++)); do
    node=node,nodeid=$i,cpus=$((i * cpus))-$((i * cpus + cpus - 1))
    if ((i < nodes - empty)); then
        memory+=(-object "memory-backend-ram,id=m$i,size=${megabytes}M")
        node+=,memdev=m$i
    fi
    memory+=(-numa "$node")
done
status=0
timeout 600 qemu-system-x86_64 -machine q35 -accel tcg -cpu "$cpu" \
    -smp "$((nodes * cpus)),sockets=$nodes,cores=$cpus,threads=1" \
    -m "$(((nodes - empty) * megabytes))M" "${memory[@]}" \
    -kernel "$kernel" -initrd "$folder/initrd" -append \
    "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on" \
    -display none -serial "file:$folder/serial" -monitor none -no-reboot \
    -nodefaults </dev/null || status=$?

finish "$status"
