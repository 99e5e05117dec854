#!/usr/bin/env bash
# Tries README's two commands on a bare Debian 12: makes a root by debootstrap, puts a clean clone of HEAD into it and runs
# ./tools/demo and ./tools/test there by chroot. Needs root, debootstrap and the network that apt-get and pip need.
#
#   tests/bare/run.sh [--keep] [FOLDER [COMMAND...]]
#
# FOLDER (default: a new one under /tmp) holds the root; it is removed at the end unless --keep is given. COMMANDs, each
# one argument, replace the two. The machine's own package sources, certificates and pip settings are copied in, so that
# it works behind a mirror; CORNU_SUITE (bookworm), CORNU_MIRROR and CORNU_CORPORA may be set.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
suite=${CORNU_SUITE:-bookworm}
sources=$(ls /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true)
# Debian's own sources are those that serve the suite under a path .../debian; the first is the mirror.
# shellcheck disable=SC2086
mirror=${CORNU_MIRROR:-$(grep -hoE 'https?://[^ ]+/debian/?( |$)' $sources | head -n 1 | tr -d ' ')}
corpora=${CORNU_CORPORA:-$here/../shared/corpora}
keep=0
if [ "${1:-}" = --keep ]; then keep=1; shift; fi
folder=${1:-$(mktemp -d -t cornu-bare-XXXXXX)}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- ./tools/demo ./tools/test
root=$folder/root

cleanup() {
    for place in dev/shm dev/pts dev sys proc; do
        if mountpoint -q "$root/$place"; then umount "$root/$place" || umount -l "$root/$place"; fi
    done
    if [ "$keep" = 0 ] && ! mountpoint -q "$root/proc" && ! mountpoint -q "$root/dev"; then
        rm -rf --one-file-system "$root"
        rmdir "$folder" 2>/dev/null || true
    fi
}

copy_settings() {
    rm -rf "$root/etc/apt/sources.list.d" "$root/etc/apt/sources.list"
    mkdir -p "$root/etc/apt/sources.list.d" "$root/etc/ssl/certs" "$root/usr/share/keyrings"
    # Only Debian's own: a third party's packages would not be bare.
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        if [ -f "$file" ] && grep -qE "https?://[^ ]+/debian(-security)?/?( |\$)" "$file"; then cp "$file" "$root$file"; fi
    done
    if ! grep -rqs . "$root/etc/apt/sources.list" "$root/etc/apt/sources.list.d"; then
        [ -n "$mirror" ] || { echo "no mirror of Debian is known; set CORNU_MIRROR"; exit 1; }
        echo "deb $mirror $suite main" >"$root/etc/apt/sources.list"
    fi
    for file in /etc/apt/apt.conf.d/*proxy* /etc/pip.conf; do
        if [ -f "$file" ]; then cp "$file" "$root$file"; fi
    done
    if [ -f "${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}" ]; then
        cp "${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}" "$root/etc/cornu-certificates.crt"
    fi
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    cp /etc/hosts "$root/etc/hosts"
}

copy_tree() {
    mkdir -p "$root/srv"
    rm -rf "$root/srv/cornu"
    git clone -q --no-hardlinks "$here" "$root/srv/cornu"
    if [ -d "$corpora" ] && [ ! -d "$root/srv/shared/corpora" ]; then
        mkdir -p "$root/srv/shared"
        cp -r "$corpora" "$root/srv/shared/corpora"
    fi
}

mount_kernel() {
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount --bind /dev "$root/dev"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts" 2>/dev/null || mount --bind /dev/pts "$root/dev/pts"
    [ -d "$root/dev/shm" ] && mount -t tmpfs tmpfs "$root/dev/shm"
    return 0
}

inside() {
    local settings=(HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM="${TERM:-dumb}")
    local name
    for name in http_proxy https_proxy no_proxy PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_DEFAULT_TIMEOUT; do
        if [ -n "${!name:-}" ]; then settings+=("$name=${!name}"); fi
    done
    if [ -f "$root/etc/cornu-certificates.crt" ]; then
        settings+=(PIP_CERT=/etc/cornu-certificates.crt SSL_CERT_FILE=/etc/cornu-certificates.crt)
    fi
    chroot "$root" /usr/bin/env -i "${settings[@]}" /bin/bash -c "cd /srv/cornu && $1" </dev/null
}

trap cleanup EXIT
mkdir -p "$folder"
if [ ! -x "$root/bin/bash" ]; then
    echo "making a bare $suite in $root"
    debootstrap --variant=minbase "$suite" "$root" ${mirror:+"$mirror"} >"$folder.log" 2>&1 || { tail -n 20 "$folder.log"; exit 1; }
    rm -f "$folder.log"
fi
copy_settings
copy_tree
mount_kernel
for command; do
    start=$(date +%s)
    echo "== $command"
    inside "$command" || { echo "== $command: exit $?, after $(($(date +%s) - start)) s"; exit 1; }
    echo "== $command: done after $(($(date +%s) - start)) s"
done
