#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# clean-root.sh FOLDER: installs the Debian packages of FOLDER into a clean
# Debian 12 (debootstrap), runs the demo and shows the manual pages there,
# compiles the examples, and removes it all without a trace. As root.
set -euo pipefail

packages=$(realpath "$1")
root=$(mktemp -d)
chmod 755 "$root"
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' \
    'Codename: bookworm' | head -n 1)
trap 'umount "$root/proc" "$root/sys" 2>/dev/null || true
    rm -rf --one-file-system "$root"' EXIT

say() { printf 'clean-root: %s\n' "$*"; }
inside() {
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}
install() {
    inside apt-get install -y -q --no-install-recommends "$@" \
        >"$root/install.log" 2>&1 || {
        tail -n 20 "$root/install.log" >&2
        exit 1
    }
}

debootstrap --variant=minbase --include=man-db bookworm "$root" "$mirror" \
    >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; exit 1; }
rm -f "$root.log"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
# Documentation of packages is part of what is checked.
rm -f "$root"/etc/dpkg/dpkg.cfg.d/*
mkdir "$root/debs"
cp "$packages"/*.deb "$root/debs"
inside apt-get update -q >/dev/null

say "apt install ./libclsa0_*.deb ./clsa_*.deb ./clsa-model-tiny_*.deb"
# The names have no blanks.
# shellcheck disable=SC2046
install $(cd "$root" && ls ./debs/libclsa0_*.deb ./debs/clsa_*.deb \
    ./debs/clsa-model-tiny_*.deb)
cp -r "$(dirname "$0")/debian/tests" "$root/debs/tests"
inside /debs/tests/run
for page in clsa clsa-run clsa-gguf "7 clsa"; do
    # shellcheck disable=SC2086
    inside man $page | grep EXAMPLES >/dev/null || {
        say "man $page does not render"
        exit 1
    }
done
say "manual pages render"

# shellcheck disable=SC2046
install systemd $(cd "$root" && ls ./debs/clsa-server_*.deb)
inside getent passwd _clsa >/dev/null
verify=$(inside systemd-analyze verify --man=no clsa-serve.service \
    clsa-serve.socket 2>&1) || true
[ -z "$verify" ] && [ -f "$root/etc/default/clsa-serve" ] || {
    say "clsa-server: $verify"
    exit 1
}
say "the service and its user are there"

# shellcheck disable=SC2046
install gcc libc6-dev pkg-config $(cd "$root" && ls ./debs/libclsa-dev_*.deb)
inside man clsa_model_open | grep clsa_model_close >/dev/null
inside /debs/tests/compile
say "the examples compile, shared and static"

inside apt-get purge -y -q clsa clsa-server clsa-model-tiny libclsa0 libclsa-dev \
    >"$root/remove.log" 2>&1
rm -rf "$root"/debs "$root"/*.log
left=$(find "$root" -xdev \( -path "$root/var/log" -o -path "$root/var/lib/apt" \
    -o -path "$root/var/cache" -o -path "$root/proc" -o -path "$root/tmp" \) \
    -prune -o -name '*clsa*' -print
    grep -l clsa "$root/var/lib/dpkg/status" || true)
[ -z "$left" ] || {
    say "left behind: $left"
    exit 1
}
say "removed without a trace"
