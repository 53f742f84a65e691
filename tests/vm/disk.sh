#!/bin/sh
# disk.sh [SUITE]: the machine's disk, made once, and anew when this file is another: Debian with systemd,
# the servers that the system tests run, and what berth links; prints its path. With a SUITE (trixie): that
# Debian, with podman.
# /dev/vdb is the source tree: sources.sh.
set -eu
cd "$(dirname "$0")/../.."
suite=${1:-}
disk=$PWD/build/vm/disk${suite:+-$suite}.img
recipe=$(sha256sum <tests/vm/disk.sh)
[ -e "$disk" ] && [ "$recipe" = "$(cat "$disk.recipe" 2>/dev/null)" ] && {
	echo "$disk"
	exit 0
}
mkdir -p build/vm
tree=${disk%.img}.tree
rm -rf "$tree"
sources=$(tests/lib/apt-source.sh "$suite")
packages=systemd-sysv,dbus,kmod,iproute2,nftables,procps,jq,bats,curl,busybox-static,nginx-light,redis-server,netcat-openbsd,strace,util-linux,mount,udev,python3-minimal,libnl-3-200,libmnl0,libcap2,libseccomp2,libinih1,libjansson4,crun,socat,catatonit
case $suite in
'') packages=$packages,libsodium23,libarchive13,fuse3,tcpdump,conntrack,iptables,dnsmasq-base,bind9-dnsutils ;;
*) packages=$packages,libsodium23,libarchive13t64,tzdata,podman,netavark,aardvark-dns ;;
esac
# redis is 101, as the examples say, wherever packages would put it.
# shellcheck disable=SC2016 # for the shell of the hook
printf '%s\n' "$sources" | mmdebstrap --quiet --variant=essential --mode=root --include=$packages \
	--essential-hook='echo "redis:x:101:101::/var/lib/redis:/usr/sbin/nologin" >>"$1/etc/passwd"' \
	--essential-hook='echo "redis:x:101:" >>"$1/etc/group"' \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	"${suite:-$(printf '%s\n' "$sources" | awk 'NR == 1 { print $(NF - 1) }')}" "$tree" >&2
rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/*
mkdir -p "$tree/src"
: >"$tree/etc/fstab"
truncate -s 3G "$disk.new"
mke2fs -q -t ext4 -d "$tree" "$disk.new"
rm -rf "$tree"
mv "$disk.new" "$disk"
echo "$recipe" >"$disk.recipe"
echo "$disk"
