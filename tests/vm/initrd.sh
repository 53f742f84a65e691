#!/bin/sh
# initrd.sh MODULES_DIR OUT: an initramfs that mounts /dev/vda read-write, the sources of /dev/vdb at
# /src, and executes what init= on the kernel command line names.
set -eu
cd "$(dirname "$0")/../.."
modules=$1 out=$2
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/bin" "$tree/dev" "$tree/proc" "$tree/sys" "$tree/new"
cp /bin/busybox "$tree/bin/"
tests/vm/modules.sh "$modules" "$tree" virtio_pci virtio_blk virtio_rng ext4
cat >"$tree/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
for m in virtio_pci virtio_blk virtio_rng ext4; do /bin/busybox modprobe $m 2>/dev/null; done
i=0
while [ ! -b /dev/vdb ] && [ $i -lt 50 ]; do /bin/busybox sleep 0.1; i=$((i + 1)); done
/bin/busybox mount -t ext4 /dev/vda /new || /bin/busybox poweroff -f
/bin/busybox mount -t ext4 -o ro /dev/vdb /new/src || /bin/busybox poweroff -f
init=/sbin/init
for word in $(/bin/busybox cat /proc/cmdline); do
	case $word in init=*) init=${word#init=} ;; esac
done
/bin/busybox umount /proc /sys
exec /bin/busybox switch_root /new "$init"
INIT
chmod +x "$tree/init"
(cd "$tree" && find . | cpio --quiet -o -H newc | gzip -1) >"$out"
