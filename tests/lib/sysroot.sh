#!/bin/sh
# sysroot.sh ARCH: what a cross build for a Debian architecture includes and links, and a static
# busybox for its tests, in build/sysroot-ARCH/root; prints that directory. Fetched once with the
# machine's own apt (suite-debs.sh); nothing is installed and nothing of it is ever run here.
set -eu
cd "$(dirname "$0")/../.."
arch=${1:?an architecture, as dpkg names it: arm64}
dir=build/sysroot-$arch
if [ ! -d "$dir" ]; then
	suite=$(tests/lib/apt-source.sh | awk 'NR == 1 { print $(NF - 1) }')
	# libgcc-*-dev is the compiler's own; a library's development package brings the library.
	tests/lib/suite-debs.sh -d -a "$arch" "$suite" "$dir" libc6-dev linux-libc-dev libnl-3-dev \
		libnl-route-3-dev libmnl-dev libcap-dev libseccomp-dev libinih-dev libjansson-dev \
		libarchive-dev liblzma-dev libzstd-dev zlib1g-dev nettle-dev libsodium-dev libcmocka-dev busybox-static >&2
fi
# Where all is below /usr, programs still name /lib.
[ -e "$dir/root/lib" ] || ln -s usr/lib "$dir/root/lib"
# A link that says /lib/… means the sysroot's.
find "$PWD/$dir/root" -type l -lname '/*' | while read -r link; do
	ln -sfnr "$PWD/$dir/root$(readlink "$link")" "$link"
done
echo "$dir/root"
