#!/bin/sh
# boot.sh VMLINUZ INITRD SECONDS [-a 'KERNEL COMMAND LINE'] [-d DISK]… [-w DISK]… [-i FILE] [-- QEMU ARGUMENTS]
#
# Boots a virtual machine (pure emulation, so that it runs anywhere), its console on our standard
# output, until it powers off or SECONDS have passed. The kernel's name says which: arm64 or x86-64. Disks are /dev/vda, /dev/vdb, …; what is
# written to a -d is forgotten, to a -w kept. -i: what is typed on the console comes from FILE (a
# FIFO). Exit 0: it powered off by itself; 124: it did not in time.
set -eu
vmlinuz=$1 initrd=$2 seconds=$3
shift 3
append='' disks='' input=/dev/null
while [ $# -gt 0 ]; do
	case "$1" in
	-a) append=$2 && shift 2 ;;
	-d) disks="$disks -drive file=$2,format=raw,if=virtio,snapshot=on" && shift 2 ;;
	-w) disks="$disks -drive file=$2,format=raw,if=virtio" && shift 2 ;;
	-i) input=$2 && shift 2 ;;
	--) shift && break ;;
	esac
done
# With two processors, newer kernels trip over their own patching of code under emulation (int3 in
# sched_clock_cpu at boot, one time in three).
case $vmlinuz in *-6.1.*) cpus=2 ;; *) cpus=1 ;; esac
# Signing pointers as the architecture says costs an emulator half its time.
case $vmlinuz in
*-arm64) qemu="qemu-system-aarch64 -M virt -cpu max,pauth-impdef=on" console=ttyAMA0 ;;
*) qemu="qemu-system-x86_64 -cpu max" console=ttyS0 ;;
esac
# shellcheck disable=SC2086 # lists of words
exec timeout --foreground "$seconds" $qemu -accel tcg,thread=multi -smp $cpus -m 1024 \
	-nodefaults -no-user-config -nographic -no-reboot -serial stdio -device virtio-rng-pci \
	-kernel "$vmlinuz" -initrd "$initrd" \
	-append "console=$console panic=-1 quiet loglevel=4 mitigations=off $append" $disks "$@" <"$input"
