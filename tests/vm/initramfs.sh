#!/bin/sh
# initramfs.sh MODULES_DIR BUILD_DIR OUT [SYSROOT]: an initramfs whose /init is berth: with its
# libraries, the modules it loads itself, a busybox, a busybox root for containers, and units below
# /etc. With a SYSROOT, of another architecture, libraries and busybox are taken from there.
set -eu
cd "$(dirname "$0")/../.."
sysroot=${4:-}
modules=$1 O=$2 out=$3
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/bin" "$tree/sbin" "$tree/etc" "$tree/srv" "$tree/dev" "$tree/data"
cp "$O/berth" "$tree/init"
ln -s /init "$tree/sbin/berth"
cp "$O/berth-worker" "$tree/sbin/"

# needed FILE: what `ldd` would print, for a machine whose programs do not run here.
needed() {
	readelf -ld "$1" | sed -n 's/.*\(NEEDED\|interpreter\).*[[ ]\([^] ]*\)\]$/\2/p' | while read -r name; do
		library=$(find "$sysroot/lib" "$sysroot/usr/lib" -name "${name##*/}" | head -n 1)
		library=${library#"$sysroot"}
		case $name in /*) library=$name ;; esac
		[ -e "$tree/$library" ] || {
			mkdir -p "$tree/${library%/*}"
			cp -L "$sysroot/$library" "$tree/$library"
			needed "$sysroot/$library"
		}
	done
}
if [ -n "$sysroot" ]; then
	needed "$O/berth"
	# The unit tests too: nothing else runs them on that architecture.
	mkdir -p "$tree/src/tests/fuzz" "$tree/src/unit"
	cp "$O"/tests/test_* "$tree/src/unit/"
	cp -r tests/fuzz/corpus "$tree/src/tests/fuzz/"
	for program in "$O"/tests/test_*; do needed "$program"; done
else
	# Of the unit tests that whose answer depends on the kernel most.
	mkdir -p "$tree/src/unit"
	cp "$O/tests/test_rootfs" "$tree/src/unit/"
	{ ldd "$O/berth" && ldd "$O/tests/test_rootfs"; } | awk '/\// { print ($2 == "=>") ? $3 : $1 }' | sort -u | while read -r library; do
		mkdir -p "$tree/${library%/*}"
		cp -L "$library" "$tree/$library"
	done
fi
cp "$sysroot/bin/busybox" "$tree/bin/"
for applet in sh mount umount modprobe; do ln -s busybox "$tree/bin/$applet"; done
# The root that all tests share is this machine's: another architecture's programs go into the copy.
cp -a "$(tests/lib/roots.sh busybox)" "$tree/srv/"
cp "$sysroot/bin/busybox" "$O/tests/probe" "$tree/srv/busybox/bin/"
tests/vm/modules.sh "$modules" "$tree" overlay erofs loop veth bridge nf_tables nft_chain_nat nft_nat nft_meta_bridge nft_masq \
	nft_ct nft_fib_inet nf_conntrack fuse inet_diag tcp_diag udp_diag raw_diag virtio_pci virtio_blk \
	virtio_rng virtio_net ext4 i6300esb softdog
cp -r tests/vm/pid1/. "$tree/etc/"
(cd "$tree" && find . | cpio --quiet -o -H newc | gzip -1) >"$out"
