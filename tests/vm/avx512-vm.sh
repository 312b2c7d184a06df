#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# avx512-vm.sh [-m MODEL] [-t SECONDS] PROGRAM [ARGUMENT]...
#
# Runs an x86-64 program on a CPU with AVX-512 that Bochs emulates: F, BW, DQ,
# VL, CD, IFMA, VBMI, VBMI2, VNNI, BITALG and VPOPCNTDQ, not BF16. Prints what
# the program prints and exits with its status; 124 after SECONDS (600), 125
# if the machine did not get as far. One CPU of about 20 million instructions
# a second: a boot takes a minute. MODEL: as in bochsrc(5), default tigerlake.
set -euo pipefail
. "$(dirname "$0")/vm.sh"

model=tigerlake limit=600
while getopts m:t: option; do
    case $option in
    m) model=$OPTARG ;;
    t) limit=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
start "$@"
mkdir -p "$folder/iso/boot/grub"
make_initrd "$folder/root" "$folder/iso/boot/initrd.img"
cp "$kernel" "$folder/iso/boot/vmlinuz"

# CPUID leaf 0xd of Bochs 2.7 is wrong for PKRU and for compacted XSAVE, and
# Linux 6.1 dies in its FSRM paths there. The rest is not needed.
options="console=ttyS0,115200 quiet loglevel=1 nokaslr nosmp no_timer_check
    mitigations=off nopti random.trust_cpu=on i8042.noaux 8250.nr_uarts=1
    panic=-1 lsm=capability clearcpuid=pku,ospke,xsaves,xsavec,fsrm,gfni,vaes"
options+=",vpclmulqdq,rdpid,umip,sha_ni"
cat >"$folder/iso/boot/grub/grub.cfg" <<END
set timeout=0
linux /boot/vmlinuz $(echo $options)
initrd /boot/initrd.img
boot
END
grub-mkrescue -d /usr/lib/grub/i386-pc -o "$folder/vm.iso" "$folder/iso" \
    >"$folder/grub.log" 2>&1 || fail "$(tail -n 1 "$folder/grub.log")"

cat >"$folder/bochsrc" <<END
display_library: term
megs: 512
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=$model, count=1, ips=4000000
clock: sync=none, time0=1
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=$folder/vm.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$folder/serial
log: $folder/log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
plugin_ctrl: unmapped=true, speaker=false, e1000=false
END
# Debian's Bochs has the debugger built in and waits for a command.
echo c >"$folder/commands"
# The display wants a terminal.
status=0
TERM=xterm timeout -k 5 "$limit" script -qfc \
    "exec bochs-bin -q -f $folder/bochsrc -rc $folder/commands" /dev/null \
    </dev/null >"$folder/screen" 2>&1 || status=$?

finish "$status"
