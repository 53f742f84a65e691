#!/bin/sh
# initramfs.sh MODULES_DIR BUILD_DIR OUT: an initramfs whose /init is berth: with its libraries, the
# modules it loads itself, a busybox, a busybox root for containers, and units below /etc.
set -eu
cd "$(dirname "$0")/../.."
modules=$1 O=$2 out=$3
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/bin" "$tree/sbin" "$tree/etc" "$tree/srv" "$tree/dev" "$tree/data"
cp "$O/berth" "$tree/init"
ln -s /init "$tree/sbin/berth"
cp "$O/berth-worker" "$tree/sbin/"
ldd "$O/berth" | awk '/\// { print ($2 == "=>") ? $3 : $1 }' | while read -r library; do
	mkdir -p "$tree/${library%/*}"
	cp -L "$library" "$tree/$library"
done
cp /bin/busybox "$tree/bin/"
for applet in sh mount umount modprobe; do ln -s busybox "$tree/bin/$applet"; done
cp -a "$(tests/lib/roots.sh busybox "$O")" "$tree/srv/"
tests/vm/modules.sh "$modules" "$tree" overlay erofs loop veth bridge nf_tables nft_chain_nat nft_nat nft_masq \
	nft_ct nft_fib_inet nf_conntrack fuse inet_diag tcp_diag udp_diag raw_diag virtio_pci virtio_blk \
	virtio_rng ext4 i6300esb softdog
cp -r tests/vm/pid1/. "$tree/etc/"
(cd "$tree" && find . | cpio --quiet -o -H newc | gzip -1) >"$out"
