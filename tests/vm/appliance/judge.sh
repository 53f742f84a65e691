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
says 'every entry is what was packed' 'every entry' berth bundle verify
read -r up _ </proc/uptime
say "note judged $up s after the kernel began"
say 'done'
kill -USR2 1
