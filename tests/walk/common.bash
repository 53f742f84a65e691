# What the walks share: a host of three units, what is there while they are up and after they are
# down, and how to wait. Sourced inside tests/lib/sandbox.sh. Needs $O; makes $D.
# shellcheck shell=bash
REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
case $O in /*) ;; *) O=$REPO/$O ;; esac
BERTH=$O/berth
STEPPER=$O/tests/stepper
ROOT=$REPO/build/roots/busybox
D=$(mktemp -d /run/walk.XXXXXX)
SLOW=${BERTH_TEST_SLOW:-1}
passed=0 failed=0 skipped=0
# What is checked in decides which points are walked: the same everywhere, and others with every commit.
tree=$(git -C "$REPO" rev-parse 'HEAD^{tree}' 2>/dev/null) || tree=$(printf %x $$)
export SEED=${SEED:-$((16#${tree:0:4} % 32768))}
units='dying native web'

berth() { timeout 20 "$BERTH" --config "$D/units" --run-dir "$D/run" "$@"; }

unit() { cat >"$D/units/$1"; }

# What of the host a networked one stands on, made where it is missing: a link for a macvlan and a NIC to
# lend (a macvlan too: as real hardware it has one end and outlives a namespace). Without macvlan: nothing.
stage() {
	ip link show cable0 >/dev/null 2>&1 || {
		ip link add cable0 type veth peer name cable1
		ip link set cable0 up
		ip link set cable1 up
	}
	ip link show nic0 >/dev/null 2>&1 || ip link add link cable0 name nic0 type macvlan 2>/dev/null
}
# The lines of a unit that has both, beside its bridge.
staged_networks() {
	stage || return 0
	unit plant.network <<-EOT
		[Network]
		Driver=macvlan
		Options=parent=cable0
		Subnet=10.89.0.0/24
	EOT
	printf '[Container]\nNetwork=plant.network\n[X-Berth]\nDevice=nic0:lent0\n'
}

# A networked one behind our own init, one that is killed, one without a container.
write_units() {
	mkdir -p "$D/units"
	unit berth.conf <<-EOT
		[Supervisor]
		StateDir=$D/state
		RunDir=$D/run
	EOT
	unit site.network <<-EOT
		[Network]
		Subnet=10.88.0.0/24
		Subnet=10.90.0.0/24
	EOT
	unit web.container <<-EOT
		[Container]
		Rootfs=$ROOT
		Exec=httpd -f -p 80 -h /www
		RunInit=yes
		Network=site.network
		PublishPort=8080:80
		Volume=data:/data
		[Service]
		Restart=always
		[Install]
		WantedBy=default.target
	EOT
	staged_networks >>"$D/units/web.container"
	unit dying.container <<-EOT
		[Container]
		Rootfs=$ROOT
		Exec=sleep 10002
		Network=none
		StopSignal=SIGKILL
		[Service]
		Restart=always
		RestartSec=10ms
		[Install]
		WantedBy=default.target
	EOT
	unit native.service <<-EOT
		[Service]
		ExecStart=/bin/sleep 10003
		Restart=always
		[Install]
		WantedBy=default.target
	EOT
}

# wait_until SECONDS COMMAND…
wait_until() {
	local end=$((SECONDS + $1 * SLOW))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.03
	done
}

gone() {
	local state
	state=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -c1)
	[ -z "$state" ] || [ "$state" = Z ]
}

# recorded NAME KEY: of the state file; asks nobody.
recorded() { sed -n "s/^$2=//p" "$D/run/state/$1" 2>/dev/null; }
READY=4 # enum service_state

recorded_ready() {
	local u
	for u in $units; do
		[ "$(recorded "$u" state)" = $READY ] || return 1
	done
}
# All units are up, says one who lives.
all_ready() {
	local want
	want=$(wc -w <<<"$units")
	[ "$(berth ps 2>/dev/null | awk '$2 == "ready"' | wc -l)" = "$want" ] &&
		berth status 2>/dev/null | grep -q ', pid '
}
pids() {
	local u
	for u in $units; do echo "$u $(recorded "$u" pid)"; done
}
# The starttime: a pid that somebody else has got since is another process.
started() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# Units that are on record as running and do run: they must be taken up, not started again.
must_live() {
	local u pid
	for u in $units; do
		pid=$(recorded "$u" pid)
		[ "$(recorded "$u" state)" = $READY ] && ! gone "$pid" &&
			[ "$(started "$pid")" = "$(recorded "$u" starttime)" ] && echo "$u $pid"
	done
}

cgroup_top() {
	awk '{ for (i = 7; i < NF; i++) if ($i == "-") { if ($(i + 1) == "cgroup2") print $5; break } }' \
		/proc/self/mountinfo | tail -n 1
}

# All that berth has made on this host, a line each, with the numbers taken out that change.
snapshot() {
	local top pid
	top=$(cgroup_top)
	awk -v d="$D" 'index($5, d) == 1 { print "mount " $5 " " $4 }' /proc/self/mountinfo |
		sed 's/net:\[.*/net/'
	ip -o link | awk -F': ' '{ print "link " $2 }' | sed 's/@.*//'
	nsenter --net="$D/run/pin/web.net" ip -o link 2>/dev/null | awk -F': ' '{ print "inside " $2 }' | sed 's/@.*//'
	nft -s list ruleset | sed 's/^/nft /'
	[ -z "$top" ] || find "$top" -mindepth 1 -type d -printf 'cgroup %P\n' |
		sed 's|\(/c/.*\)/[0-9]*$|\1/N|; s|workers/[0-9a-f]\{6,\}|workers/HELPERS|'
	find "$D/run" "$D/state" -printf '%y %m %P\n' 2>/dev/null | grep -v -e '^f .* logs/' |
		sed 's/^/file /'
	for pid in /proc/[0-9]*; do
		# By name: what ran from this build or in a root of ours.
		tr '\0' ' ' <"$pid/cmdline" 2>/dev/null | grep -e '^[^ ]*/berth ' -e '^berth-init' -e httpd \
			-e 'sleep 1000' | grep -v -e ' ps $' -e ' status $' -e stepper | sed "s/^/process /"
	done
}
snapshot_to() { snapshot | sort >"$1"; }
# same_as REFERENCE: is everything as it was then?
same_as() {
	snapshot_to "$D.now"
	cmp -s "$1" "$D.now"
}

supervise() {
	"$BERTH" --config "$D/units" --run-dir "$D/run" supervise >>"$D.log" 2>&1 &
	SUPERVISOR=$!
}
answers_http() { (exec 3<>/dev/tcp/127.0.0.1/8080) 2>/dev/null; }

# The supervisor is told to stop everything, and to end.
stop_all() {
	kill -INT "$SUPERVISOR"
	wait_until 20 gone "$SUPERVISOR" || return 1
	wait "$SUPERVISOR" 2>/dev/null
	SUPERVISOR=
}
wipe() {
	if mountpoint -q "$D/run"; then umount -l "$D/run"; fi
	rm -rf "$D/run" "$D/state" "$D/out"
	: >"$D.log"
}
finish_walk() {
	ip link del cable0 2>/dev/null
	rm -rf "$D" "$D".*
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
	exit
}
# Outside: enters the sandbox with the same words, or says why not.
enter_sandbox() {
	local all=$1
	shift
	[ "$(id -u)" = 0 ] || skip_walk "$all" "needs root"
	[ -x "$STEPPER" ] || skip_walk "$all" "$STEPPER is not built"
	"$REPO/tests/lib/roots.sh" busybox "$O" >/dev/null || skip_walk "$all" "no busybox root"
	# A walk that hangs must not hang the suite.
	WALK_INSIDE=yes timeout --foreground "${WALK_SECONDS:-280}" "$REPO/tests/lib/sandbox.sh" "$@"
	status=$?
	rm -rf "$D"
	[ $status -ne 77 ] || skip_walk "$all" "no sandbox on this machine"
	exit $status
}
skip_walk() {
	rm -rf "$D"
	echo "skipped: $2"
	echo "0 passed, 0 failed, $1 skipped"
	exit 0
}
