#!/bin/sh
# disk.sh: the machine's disk build/vm/disk.img, made once: Debian with systemd, the servers that the
# system tests run, and what berth links; prints its path. /dev/vdb is the source tree: sources.sh.
set -eu
cd "$(dirname "$0")/../.."
disk=$PWD/build/vm/disk.img
[ -e "$disk" ] && {
	echo "$disk"
	exit 0
}
mkdir -p build/vm
tree=$PWD/build/vm/disk.tree
rm -rf "$tree"
sources=$(tests/lib/apt-source.sh)
suite=$(printf '%s\n' "$sources" | awk 'NR == 1 { print $(NF - 1) }')
printf '%s\n' "$sources" | mmdebstrap --quiet --variant=essential --mode=root \
	--include=systemd-sysv,dbus,kmod,iproute2,nftables,procps,jq,bats,curl,busybox-static,nginx-light,redis-server,netcat-openbsd,strace,util-linux,mount,udev,python3-minimal,libnl-3-200,libmnl0,libcap2,libseccomp2,libinih1,libjansson4,libarchive13,fuse3,crun \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' "$suite" "$tree" >&2
rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/*
mkdir -p "$tree/src"
: >"$tree/etc/fstab"
truncate -s 3G "$disk.new"
mke2fs -q -t ext4 -d "$tree" "$disk.new"
rm -rf "$tree"
mv "$disk.new" "$disk"
echo "$disk"
