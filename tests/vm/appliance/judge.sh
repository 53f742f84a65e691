#!/bin/sh
# Run by an appliance that is process 1 of this machine, /init of an initramfs, as a native service.
# shellcheck disable=SC1091 # it is there in the machine
. /lib.sh
asked() { sed -n "s/.*vm\.$1=\([a-z]*\).*/\1/p" /proc/cmdline; }
says 'process 1 is the appliance' '^/init' cat /proc/1/cmdline
says "its initramfs is a $(asked fs)" "^$(asked fs)\$" stat -f -c %T /
ok 'page becomes ready' until_true 60 active page ready
ok 'visitor becomes ready' until_true 60 active visitor ready
says 'one container fetches from the other by name' 'hello from a container' \
	berth exec visitor wget -q -O - http://page/
berth bundle ls | show
says "the image is mounted where it lies: $(asked way)" "^image .* $(asked way)\$" berth bundle ls
same 'once' 1 "$(grep -c /run/berth/img/ /proc/mounts)"
# ---- a program of the file, run where it can be ------------------------------------------------------
runs() { # WHERE
	active kit ready && readlink "/proc/$(pid_of kit)/exe" | grep -q "$1"
}
ok 'a program of the file is extracted, and runs' until_true 30 runs '^/var/lib/berth/bundles/kit-.*/busybox$'
for place in /var/lib/berth/bundles /run/berth/bundles; do
	mkdir -p $place
	mount -t tmpfs -o noexec tmpfs $place
done
berth restart kit
case $(cat /proc/sys/vm/memfd_noexec 2>/dev/null) in
2) ok 'where no place and no memfd may be run from, it runs out of a mount of its own' until_true 30 runs '^/busybox$' ;;
*) ok 'where no place may be run from, it runs out of memory' until_true 30 runs '^/memfd:busybox' ;;
esac
says 'every entry is what was packed' 'every entry' berth bundle verify
read -r up _ </proc/uptime
say "note judged $up s after the kernel began"
say 'done'
kill -USR2 1
