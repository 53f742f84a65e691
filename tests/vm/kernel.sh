#!/bin/sh
# kernel.sh oldest|newest: a kernel for the virtual machine; prints "VMLINUZ MODULES_DIR".
#
# oldest: of the installed linux-image-cloud package (Debian 12: 6.1). newest: the newest that the
# archive offers, from the next suites, fetched once into build/vm/.
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
esac
