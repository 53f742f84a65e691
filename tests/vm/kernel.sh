#!/bin/sh
# kernel.sh oldest|newest|arm64: a kernel for the virtual machine; prints "VMLINUZ MODULES_DIR".
#
# oldest: of the installed linux-image-cloud package (Debian 12: 6.1). newest: the newest that the
# archive offers, from the next suites, fetched once into build/vm/. arm64: that of the machine's suite.
set -eu
cd "$(dirname "$0")/../.."
case "$1" in
oldest)
	vmlinuz=$(find /boot -name 'vmlinuz-*-cloud-*' | sort -V | head -n 1)
	[ -n "$vmlinuz" ] || {
		echo "linux-image-cloud-amd64 is not installed" >&2
		exit 1
	}
	echo "$vmlinuz /lib/modules/${vmlinuz#/boot/vmlinuz-}"
	;;
newest)
	# From 7 on an image is two packages; the archive's newest, else that of Debian 13.
	version='[0-9.]+[+]deb[0-9]+-cloud-amd64$'
	tests/lib/suite-debs.sh sid build/vm/kernel-sid "^linux-binary-$version" "^linux-modules-$version" \
		"^linux-base-$version" ||
		tests/lib/suite-debs.sh trixie build/vm/kernel-trixie "^linux-image-$version"
	for root in build/vm/kernel-sid/root build/vm/kernel-trixie/root; do
		[ -d "$root" ] || continue
		vmlinuz=$(find "$root" -name 'vmlinuz*' | head -n 1)
		modules=$(find "$root" -type d -path '*/lib/modules/*-cloud-amd64' | head -n 1)
		if [ -n "$vmlinuz" ] && [ -n "$modules" ]; then
			echo "$vmlinuz $modules"
			exit 0
		fi
	done
	exit 1
	;;
arm64)
	suite=$(tests/lib/apt-source.sh | awk 'NR == 1 { print $(NF - 1) }')
	tests/lib/suite-debs.sh -a arm64 "$suite" build/vm/kernel-arm64 '^linux-image-[0-9.+deb-]+-cloud-arm64$'
	vmlinuz=$(find build/vm/kernel-arm64/root -name 'vmlinuz*' | head -n 1)
	modules=$(find build/vm/kernel-arm64/root -type d -path '*/lib/modules/*-cloud-arm64' | head -n 1)
	echo "$vmlinuz $modules"
	;;
esac
