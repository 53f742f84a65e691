#!/bin/sh
# deps.sh run|check|all: install the packages that a target needs (apt where there is apt), or say
# which are missing. BERTH_NO_INSTALL=1 never installs.
set -eu

build="gcc libc6-dev make pkg-config libnl-3-dev libmnl-dev libseccomp-dev libinih-dev libjansson-dev libarchive-dev liblzma-dev libzstd-dev zlib1g-dev nettle-dev libsodium-dev libcurl4-openssl-dev"
images="mmdebstrap buildah umoci skopeo podman squashfs-tools erofs-utils docker-registry apache2-utils nginx-light openssl faketime minisign signify-openbsd dosfstools mtools containerd"
run="$build busybox-static erofs-utils nftables iproute2 procps util-linux"
check="$run libcmocka-dev bats git clang clang-format clang-tidy cppcheck shellcheck strace python3 jq curl socat iptables conntrack tcpdump netavark catatonit dnsmasq-base bind9-dnsutils crun runc e2fsprogs cpio qemu-system-x86 linux-image-cloud-amd64 fuse3 libfuse3-dev mandoc man-db $images"
soak="$check gcc-aarch64-linux-gnu qemu-system-arm"
all="$soak universal-ctags lcov runit s6 iperf3"

case "${1:-all}" in
run) want=$run ;;
check) want=$check ;;
soak) want=$soak ;;
*) want=$all ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1; then
	missing=
	for tool in cc make pkg-config; do
		command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
	done
	for lib in libnl-3.0 libmnl libseccomp inih jansson libarchive nettle libsodium libcurl; do
		pkg-config --exists "$lib" 2>/dev/null || missing="$missing $lib"
	done
	[ -z "$missing" ] && exit 0
	echo "berth: this machine has no apt; please install:$missing" >&2
	exit 1
fi

missing=
for package in $want; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
		missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if [ -n "${BERTH_NO_INSTALL:-}" ]; then
	echo "berth: not installed (BERTH_NO_INSTALL is set):$missing" >&2
	exit 0
fi
if [ "$(id -u)" != 0 ]; then
	echo "berth: these packages are missing, and installing needs root:$missing" >&2
	exit 1
fi
echo "berth: about to install with apt-get (skip with BERTH_NO_INSTALL=1):$missing"
apt-get -qq update
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $missing >/dev/null
