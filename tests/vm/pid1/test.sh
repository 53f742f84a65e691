#!/bin/sh
# Run by berth, process 1 of this machine, as a native service.
# shellcheck disable=SC1091 # it is there in the machine
. /etc/lib.sh
says 'process 1 is berth' 'init|berth' cat /proc/1/comm
same 'its host name is that of /etc/hostname' vm-of-berth "$(hostname)"
for module in overlay veth bridge nf_tables; do
	ok "berth has loaded $module" grep -q "^$module " /proc/modules
done
for where in /proc /sys /dev /dev/pts /dev/shm /run /tmp /sys/fs/cgroup; do
	ok "$where is mounted" grep -q " $where " /proc/mounts
done
ok 'lo is up' sh -c 'ip link show lo | grep -q LOWER_UP'
ok 'web becomes ready' until_true 60 active web ready
ok 'asker becomes ready' until_true 60 active asker ready
berth ps | show
says 'one container fetches from the other by name' 'hello from a container' \
	berth exec asker wget -q -O - http://web/

# ---- the way out, by the kernel's ip= -----------------------------------------------------------------
# A server that leads nowhere gives an address, and neither a route nor a name server.
if grep -q ' ip=dhcp' /proc/cmdline; then
	ok 'a lease is there' until_true 60 active uplink ready
	says 'and has given the link its address' 'inet 10.0.2.15/24' ip -4 addr show eth0
fi

# ---- limits ---------------------------------------------------------------------------------------
same 'MemoryMax is in force' 33554432 "$(cat /sys/fs/cgroup/berth/c/web/*/memory.max)"
same 'TasksMax too' 20 "$(cat /sys/fs/cgroup/berth/c/web/*/pids.max)"
berth start --no-block greedy >/dev/null 2>&1
ok 'one that takes more memory than it may have fails' until_true 30 active greedy failed
says 'why says it' memory berth why greedy

# ---- death ---------------------------------------------------------------------------------------
pid=$(pid_of web) where=$(address web)
kill -KILL "$pid"
another() { now=$(pid_of web) && [ "$now" != "$pid" ] && [ "${now:-0}" != 0 ] && active web ready; }
ok 'killed by SIGKILL, web comes back' until_true 30 another
same 'with its address' "$where" "$(address web)"
says 'and answers' 'hello from a container' berth exec asker wget -q -O - http://web/
# Twenty processes whose parent is gone become those of process 1, and die.
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sh -c 'sleep 0.3 &'; done
sleep 1
no_zombies() { ! grep -qs '^State:.Z' /proc/[0-9]*/status; }
ok 'orphans are reaped' until_true 10 no_zombies

# ---- another configuration ---------------------------------------------------------------------------
pid=$(pid_of web)
sed '/^\[Container\]/a Environment=NEW=1' /etc/berth/asker.container >/etc/berth/second.container
rm /etc/berth/greedy.container
says 'reload tells of the new unit' 'second: is new' berth reload
ok 'it becomes ready' until_true 60 active second ready
same 'process 1 goes on as it is, and so does web' "$pid" "$(pid_of web)"
never 'what is gone from the files is gone' berth is-active greedy

# ---- the watchdog, a disk ---------------------------------------------------------------------------
# Of the hardware where there is a driver, else softdog.
if [ -e /dev/watchdog ]; then
	ok 'the watchdog is armed with RuntimeWatchdogSec=' grep -qx 10 /sys/class/watchdog/watchdog0/timeout
	ok 'and active' grep -qx active /sys/class/watchdog/watchdog0/state
	# What is not fed bites after 10 s: the machine is alive long after.
	sleep 15
	say 'ok and fed'
else
	say 'not ok there is /dev/watchdog'
fi
modprobe ext4
ok 'a disk is mounted' mount -t ext4 /dev/vda /data
date >/data/written
# Held open for writing by something that does not end by itself.
setsid sh -c "trap '' TERM; exec 3>/data/held; while :; do sleep 1; done" &

# ---- the unit tests, where they were brought along -----------------------------------------------------
for program in /src/unit/test_*; do
	[ -e "$program" ] || continue
	cd /src && ok "${program##*/}" env -u NOTIFY_SOCKET "$program"
	sed -n 's/^\[  SKIPPED \] \([a-z_0-9]*\)$/@vm skip \1/p' /tmp/out | sort -u >/dev/console
done

signal=$(sed -n 's/.*vm\.signal=\([A-Z0-9]*\).*/\1/p' /proc/cmdline)
say 'done'
kill -"${signal:-USR2}" 1
