#!/bin/bash
# Limits with every controller there: written before the payload exists, and enforced.
# shellcheck disable=SC1091 # it is there in the guest
. /src/tests/vm/guest/lib.sh
early
modules_here
say note "$(uname -r): $(cat /sys/fs/cgroup/cgroup.controllers)"

limited() { # NAME COMMAND, more keys on stdin: [Container] ones, then from a line [Service] on, others
	{
		printf '[Container]\nRootfs=%s\nExec=%s\nNetwork=none\nStopSignal=SIGKILL\n' "$ROOT" "$2"
		cat
	} >"$UNITS/$1.container"
}
wanted() { printf '[Install]\nWantedBy=default.target\n' >>"$UNITS/$1.container"; }

limited calm 'sleep infinity' <<'U'
[Service]
MemoryMax=64M
U
wanted calm
limited many 'sleep infinity' <<'U'
[Service]
Restart=always
RestartSec=1ms
RestartMaxDelaySec=1ms
MemoryMax=48M
MemoryHigh=40M
MemorySwapMax=8M
CPUQuota=25%
CPUWeight=250
TasksMax=33
U
wanted many
limited greedy 'probe alloc 100000000' <<'U'
[Service]
MemoryMax=16M
U
limited bomb 'probe forkbomb' <<'U'
PidsLimit=64
U
limited plain 'sleep infinity' </dev/null
wanted plain
# An image of the store, of 100 layers, as images/store_find.h has it: kernels before 6.8 take their
# names in one page.
store=/var/lib/berth/store
hex() { printf "%0$2d" "$1"; }
mkdir -p "$store"/{layers,images,names} "$store/images/$(hex 7 64)" "$store/layers/$(hex 1 32)"
mount --bind "$ROOT" "$store/layers/$(hex 1 32)"
for n in $(seq 2 100); do mkdir -p "$store/layers/$(hex "$n" 32)/l/$n"; done
for n in $(seq 100); do
	echo "$(hex "$n" 32) sha256:$(hex "$n" 64) 1 1 sha256:$(hex "$n" 64)"
done >"$store/images/$(hex 7 64)/layers"
echo "sha256:$(hex 7 64)" >"$store/names/localhost+layers:latest"
cat >"$UNITS/layers.container" <<'U'
[Container]
Image=layers
Exec=sleep infinity
Network=none
StopSignal=SIGKILL
[Install]
WantedBy=default.target
U
# Written before the start: the very first instruction of the payload sees them.
limited early 'sh -c "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; cat /proc/self/cgroup; ls /sys/fs/cgroup"' <<'U'
PidsLimit=19
[Service]
MemoryMax=20M
U

supervise
reach calm ready
reach many ready
reach plain ready
reach layers ready
same 'a root of 100 layers has them all' 99 "$(berth exec layers sh -c 'ls /l | wc -l')"

files_of() {
	local dir
	dir=$(leaf "$1")
	for f in memory.max memory.high memory.swap.max cpu.max cpu.weight pids.max; do
		printf '%s ' "$(cat "$dir/$f" 2>/dev/null || echo '?')"
	done
}
wanted_files='50331648 41943040 8388608 25000 100000 250 33 '
# A kernel without swap accounting has no memory.swap.max: it does here.
same 'the leaf of many has what its file says' "$wanted_files" "$(files_of many)"
first=$(leaf many)
for _ in $(seq 20); do
	pid=$(pid_of many)
	kill -KILL "$pid"
	other() { local p; p=$(pid_of many); [ "$p" != "$pid" ] && [ "$p" != 0 ] && is many ready; }
	until_true 20 other || bad "many did not come back"
done
same 'and after 20 restarts' "$wanted_files" "$(files_of many)"
gone() { [ ! -d "$1" ]; }
ok 'in a new leaf each time' until_true 10 gone "$first"
same 'a leaf without keys has the default PidsLimit alone' 'max max max max 100000 100 1024 ' "$(files_of plain)"

# ---- memory -------------------------------------------------------------------------------------
calm=$(pid_of calm)
berth start --no-block greedy >/dev/null 2>&1
ok 'one that takes more than MemoryMax fails' until_true 30 one_of greedy 'failed backoff'
says 'why says memory' 'memory' berth why greedy
says 'why names the peak' '1[56](\.[0-9]+)? ?M' berth why greedy
same 'the others did not notice' "$calm" "$(pid_of calm)"
says 'inspect says oom' '"oom": ?true' berth inspect greedy

# A worker that has gone mad: the real one holds itself by resource limits long before.
mkdir -p /tmp/mad /var/lib/berth/store
cp "$BERTH" /tmp/mad/berth
# shellcheck disable=SC2016 # for that shell
printf '#!/bin/sh\nd=/sys/fs/cgroup$(sed s/^0::// /proc/self/cgroup)\ncat "$d/memory.max" "$d/pids.max" >/tmp/mad/limits\n[ "$1" = import ] && exec tail /dev/zero\n' \
	>/tmp/mad/berth-worker
chmod +x /tmp/mad/berth-worker
says 'an import that takes all memory is ended, and says so' 'more memory than 264' \
	timeout 100 /tmp/mad/berth image import --name mad "$ROOT"
same 'its limits were there before it' '276824064 16' "$(xargs </tmp/mad/limits)"
same 'nobody else noticed' "$calm" "$(pid_of calm)"
same 'and its leaf is gone' '' "$(find /sys/fs/cgroup/berth/workers -name 'import-*')"
same 'nothing of it is in the store' '' "$(ls /var/lib/berth/store/tmp)"

# ---- tasks --------------------------------------------------------------------------------------
berth start --no-block bomb >/dev/null 2>&1
ok 'the bomb runs' until_true 20 is bomb ready
most=0
for _ in 1 2 3 4 5 6 7 8 9 10; do
	n=$(cat "$(leaf bomb)/pids.current")
	[ "$n" -gt "$most" ] && most=$n
	sleep 0.2
done
ok "a fork bomb under PidsLimit=64 never has more than 64 (it had $most)" [ "$most" -le 64 ]
ok 'and reached its limit' grep -q 'max [1-9]' "$(leaf bomb)/pids.events"
ok 'ps answers meanwhile' timeout 10 "$BERTH" ps
ok 'the bomb is stopped whole' timeout 60 "$BERTH" stop bomb
same 'nothing of it is left' '' "$(find /sys/fs/cgroup/berth/c/bomb -name cgroup.procs -exec cat {} + 2>/dev/null)"

# ---- what the payload sees ------------------------------------------------------------------------
berth start early >/dev/null 2>&1
until_true 20 one_of early 'done failed inactive'
logs=$(berth logs early)
says 'its first instruction has the limits' '^20971520' echo "$logs"
says 'both' '^19$' echo "$logs"
says 'its cgroup is the root of its namespace' '^0::/$' echo "$logs"
ok 'and its leaf is the top of /sys/fs/cgroup' grep -q cgroup.events <<<"$logs"

# ---- devices --------------------------------------------------------------------------------------
unit devices.container <<U
[Container]
Rootfs=$ROOT
Network=none
Exec=sleep infinity
StopSignal=SIGKILL
AddCapability=MKNOD
AddDevice=/dev/vdb:/dev/disk:r
[Install]
WantedBy=default.target
U
ok 'a set of units is read anew by the next supervisor' sh -c "kill -TERM $SUPERVISOR; while kill -0 $SUPERVISOR; do sleep 0.1; done 2>/dev/null"
supervise
reach devices ready
same 'adopted on the way' "$calm" "$(pid_of calm)"
ok '/dev/zero can be read' berth exec devices sh -c 'head -c 4 /dev/zero | wc -c'
ok 'the device that was added too' berth exec devices sh -c 'exec 3</dev/disk'
never 'but not written to' berth exec devices sh -c 'exec 3>/dev/disk'
ok 'a disk can be named, with CAP_MKNOD' berth exec devices mknod /dev/some-disk b 254 0
says 'and not opened' 'Operation not permitted' berth exec devices sh -c 'exec 3</dev/some-disk'
ok 'the console can be named' berth exec devices mknod /dev/ttyS0 c 4 64
says 'and not opened either' 'Operation not permitted' berth exec devices sh -c 'exec 3<>/dev/ttyS0'
ok 'a native service is not filtered' sh -c 'head -c 1 /dev/vda | wc -c'

# ---- the end -----------------------------------------------------------------------------------------
leaves() { find /sys/fs/cgroup/berth/c -mindepth 2 -type d 2>/dev/null; }
no_leaf() { [ -z "$(leaves)" ]; }
ok 'everything stops' timeout 100 "$BERTH" stop --all
# A leaf with pages is emptied by a worker, after its container is gone.
until_true 10 no_leaf
kill -TERM "$SUPERVISOR"
wait "$SUPERVISOR"
same 'no leaf is left' '' "$(leaves)"
finish
