#!/bin/bash
# Where an appliance may find itself: on a kernel without overlay, erofs, squashfs and loop devices; on a
# stick that is mounted read-only, with ext4 (/src) and with vfat (/dev/vdc); on a machine whose own disk
# cannot be written. Cost: 40 s.
# shellcheck disable=SC1091,SC2034 # it is there in the guest; for what is sourced
. /src/tests/vm/guest/lib.sh
early
BERTH=/src/box
fails() { until_true 60 one_of "$1" 'failed backoff'; }
down() {
	kill -INT "$SUPERVISOR"
	wait "$SUPERVISOR"
}

# ---- no module can be loaded ----------------------------------------------------------------------
supervise
berth start --no-block frozen squashed >/dev/null 2>&1
ok 'without erofs, loop and a tool, an image is not there' fails frozen
says 'why names what the kernel lacks and the cure' 'this kernel has no erofs: load the module' berth why frozen
says 'and the tool that would do' 'erofs-utils' berth why frozen
ok 'nor is a squashfs image' fails squashed
says 'of which the same is said' 'this kernel has no squashfs: load the module' berth why squashed
down
export PATH=$PATH:/src/bin
supervise
berth start --no-block frozen plain >/dev/null 2>&1
reach frozen ready 60
says 'one whose root is not written runs without overlay, too' 'hello from a container' berth exec frozen cat /www/index.html
never 'and writes nothing' berth exec frozen touch /x
says 'with the tool it is unpacked' '^image .*box.* unpacked$' berth bundle ls
ok 'a container whose root is written needs overlay' fails plain
says 'why says so, with the cure' 'this kernel has no overlay: load the module' berth why plain
says 'and what can be done without' 'without ReadOnly=yes it takes an overlay' berth why plain
ok 'nothing half is left' test -z "$(find /run/berth/img -name '*.part' -o -name '.tmp-*')"
down
rm -rf /run/berth /run/berth-appliance

# ---- a vfat stick, and no disk that can be written --------------------------------------------------
modules_here
modprobe -a overlay erofs squashfs loop virtio_blk
mkdir -p /run/stick
ok 'a vfat stick is mounted read-only' mount -t vfat -o ro,nosuid,nodev /dev/vdc /run/stick
BERTH=/run/stick/BOX
ok 'the disk of the machine can no longer be written' mount -o remount,ro /
never 'it cannot' touch /var/lib/x
supervise
berth start plain frozen squashed >/dev/null 2>&1
for unit in plain frozen squashed; do reach $unit ready 60; done
says 'the image is mounted through a loop device of the file' '^image .*box.* loop$' berth bundle ls
says 'a container runs from it' '^hello from a container$' berth exec plain cat /www/index.html
ok 'and writes, as long as it runs' berth exec plain touch /x
berth stop squashed
noted() { berth status | grep -q 'note: a start or stop by hand will not outlive a reboot: .*Read-only file system'; }
ok 'status tells what is lost with the power' until_true 20 noted
berth start --no-block keeper >/dev/null 2>&1
ok 'a volume cannot be there' fails keeper
says 'why says so' 'keeper.container:[0-9]*: mkdir /var/lib/berth/volumes.*: Read-only file system' berth why keeper
run_pid=$(pid_of plain)
kill -KILL "$SUPERVISOR"
wait "$SUPERVISOR"
supervise
same 'after a death of the supervisor it goes on' "$run_pid" "$(pid_of plain)"
down
ok 'the stick can be taken away' umount /run/stick
finish
