#!/bin/sh
# sources.sh BUILD_DIR: build/vm/sources.img, what the guest sees read-only at /src: the built programs,
# the tests, the busybox root, and the kernel modules that berth uses, of both kernels. Prints the path.
set -eu
cd "$(dirname "$0")/../.."
O=${1:-build/release}
image=$PWD/build/vm/sources.img
tree=$PWD/build/vm/sources.tree
rm -rf "$tree"
mkdir -p "$tree/build/release/tests" "$tree/build/roots/debian" "$tree/packaging" "$tree/modules"
cp "$O/berth" "$O/berth-worker" "$tree/build/release/"
[ ! -x "$O/berth-fetch" ] || cp "$O/berth-fetch" "$tree/build/release/"
for program in probe hang; do
	[ ! -x "$O/tests/$program" ] || cp "$O/tests/$program" "$tree/build/release/tests/"
done
mkdir -p "$tree/tests"
cp -r tests/lib tests/system tests/vm tests/walk "$tree/tests/"
cp -r packaging examples "$tree/"
cp -a "$(tests/lib/roots.sh busybox "$O")" "$tree/build/roots/"
for kernel in oldest newest; do
	# shellcheck disable=SC2046 # two words
	set -- $(tests/vm/kernel.sh $kernel)
	tests/vm/modules.sh "$2" "$tree/modules" overlay bridge veth nf_tables nft_chain_nat nft_nat nft_meta_bridge nft_masq \
		nft_ct nf_nat nft_redir nft_fib nft_fib_inet erofs squashfs loop vfat nls_cp437 nls_ascii dm_log_writes fuse tun softdog i6300esb \
		inet_diag tcp_diag udp_diag raw_diag unix_diag macvlan ipvlan 8021q dummy \
		nft_reject_inet nft_compat xt_conntrack xt_REDIRECT ipt_REJECT nf_conntrack_netlink af_packet
done
# An appliance to be started in the machine, and what unpacks its image there.
tests/vm/box.sh "$O" "$tree/box"
! command -v fsck.erofs >/dev/null || install -D -t "$tree/bin" "$(command -v fsck.erofs)"
rm -f "$image"
truncate -s $(($(du -sm "$tree" | cut -f1) + 24))M "$image"
mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$tree" "$image"
rm -rf "$tree"
echo "$image"
