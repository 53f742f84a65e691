#!/bin/sh
# boot.sh: packs the two units beside it and an image into one file, and boots that in QEMU until both
# containers run. README.md has the commands alone. No root needed. On Debian:
#     apt install erofs-utils busybox-static qemu-system-x86 linux-image-cloud-amd64
# BERTH= and KERNEL= choose others; ACCEL=kvm where there is one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
BERTH=${BERTH:-berth}
KERNEL=${KERNEL:-$(find /boot -name 'vmlinuz-*-cloud-*' | sort -V | tail -n 1)}
dir=$(mktemp -d)
qemu=
trap '[ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true; rm -rf "$dir"' EXIT

mkdir -p "$dir/root/bin" "$dir/root/www" "$dir/root/tmp"
cp /bin/busybox "$dir/root/bin/"
for applet in sh httpd wget cat sleep; do ln -s busybox "$dir/root/bin/$applet"; done
echo 'hello from a container' >"$dir/root/www/index.html"

cd "$dir"
"$BERTH" --config "$here/units" pack --initramfs --kernel "$KERNEL" --image page=root -o box

begun=$(date +%s%N)
took() { echo $((($(date +%s%N) - begun) / 1000000000)); }
qemu-system-x86_64 -machine accel="${ACCEL:-tcg}" -cpu max -m 512 -display none -no-reboot -serial file:console \
	-kernel "$KERNEL" -initrd box -append 'console=ttyS0 quiet panic=-1' 2>said &
qemu=$!
until grep -aqs 'visitor: .*began' console; do
	if [ "$(took)" -gt 120 ] || ! kill -0 $qemu 2>/dev/null; then
		tail -n 20 said console >&2
		exit 1
	fi
	sleep 0.1
done
grep -a 'visitor: ' console | tr -d '\r'
echo "two containers run, $(took) s after QEMU was started"
