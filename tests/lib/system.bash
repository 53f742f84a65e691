# What every system test loads (bats). A test file runs in namespaces and a cgroup of its own:
# tests/lib/sandbox.sh, through tests/suite/40-system. Each test has fresh directories:
#
#   $UNITS   units of the test, written by `unit NAME <<EOT`
#   $STATE   StateDir=        $RUNTIME  RunDir=
#   $ROOTS   busybox, debian: directories, made once by roots.sh
#
# setup and teardown below are every file's: teardown stops what runs and fails the test when
# anything is left (mounts, links, tables, cgroups, processes, descriptors of the supervisor).
# shellcheck shell=bash disable=SC2034,SC2154 # variables for the tests, and those of bats

bats_require_minimum_version 1.5.0
REPO=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
O=${O:-build/release}
case $O in /*) ;; *) O=$REPO/$O ;; esac
BERTH=$O/berth
ROOTS=$REPO/build/roots
# The whole budget of a wait, in seconds: far above what is expected, for slow machines and the VM.
SLOW=${BERTH_TEST_SLOW:-1}

berth() {
	"$BERTH" --config "$UNITS" --run-dir "$RUNTIME" "$@"
}

# unit NAME <<EOT: a unit file of the test, from stdin. A drop-in: unit web.container.d/x.conf
unit() {
	mkdir -p "$(dirname "$UNITS/$1")"
	cat >"$UNITS/$1"
}

# ---- roots ------------------------------------------------------------------------------------

need_root_fs() {
	"$REPO/tests/lib/roots.sh" "$1" "$O" >/dev/null 2>"$BATS_TEST_TMPDIR/roots.why" ||
		skip "no $1 root on this machine: $(tail -n 1 "$BATS_TEST_TMPDIR/roots.why")"
}

# large_unit TREE: a root of 2.3 GB, and large.container of the image "large", which reads all of it.
large_unit() {
	local size=$((2300 << 20))
	[ -n "${BERTH_SOAK:-}" ] || skip "takes a minute and 8 GB of disk: make soak"
	cp -a "$ROOTS/busybox" "$1"
	openssl enc -aes-128-ctr -nosalt -pass pass:large </dev/zero 2>/dev/null | head -c $size >"$1/big" || true
	LARGE=$(sha256sum "$1/big" | cut -d' ' -f1)
	unit large.container <<-EOT
		[Container]
		Image=large
		Exec=sh -c "sha256sum /big >/run/sum && exec sleep 1000"
		Tmpfs=/run
		Network=none
		[Install]
		WantedBy=default.target
	EOT
}
large_is_whole() { berth exec large cat /run/sum 2>/dev/null | grep -qx "$LARGE  /big"; }

# need_controller memory|pids|cpu: limits are proven only where they can be enforced.
need_controller() {
	local top
	top=$(cgroup_top)
	grep -qsw "$1" "$top/cgroup.controllers" ||
		skip "no $1 controller on this machine; run in the VM"
}

# ---- the supervisor ---------------------------------------------------------------------------

# Does a supervisor answer? `ps` and others also read what a dead one left.
answers() { berth status 2>/dev/null | grep -q ', pid '; }

# Does not wait for anything. The descriptors of bats are not inherited: it would wait for them.
spawn_supervise() {
	"$BERTH" --config "$UNITS" --run-dir "$RUNTIME" supervise "$@" \
		2>>"$BATS_TEST_TMPDIR/supervise.log" >&2 3>&- 4>&- &
	SUPERVISOR=$!
}

start_supervise() {
	spawn_supervise "$@"
	wait_until 10 answers && return
	echo "berth supervise did not answer; it said:"
	cat "$BATS_TEST_TMPDIR/supervise.log"
	return 1
}

# Ends the supervisor and leaves the containers as they are: what a restart of the service does.
end_supervise() {
	local pid=${SUPERVISOR:-}
	[ -n "$pid" ] || return 0
	SUPERVISOR=
	kill -TERM "$pid" 2>/dev/null || return 0
	wait_until 10 gone "$pid" || {
		echo "berth supervise ($pid) does not end at SIGTERM"
		kill -KILL "$pid"
		return 1
	}
	wait "$pid" 2>/dev/null || true
}

kill_supervise() {
	kill -KILL "$SUPERVISOR" 2>/dev/null || true
	wait "$SUPERVISOR" 2>/dev/null || true
	SUPERVISOR=
}

# SIGINT: stops every container, removes what is on the machine, and ends.
stop_supervise() {
	local pid=${SUPERVISOR:-}
	[ -n "$pid" ] || return 0
	SUPERVISOR=
	gone "$pid" && return
	kill -INT "$pid"
	wait_until 30 gone "$pid" || {
		echo "berth supervise ($pid) does not end at SIGINT"
		berth ps -a || true
		kill -KILL "$pid"
		return 1
	}
	wait "$pid" 2>/dev/null || true
}

gone() {
	local state
	state=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -c1)
	[ -z "$state" ] || [ "$state" = Z ]
}

# ---- asking -----------------------------------------------------------------------------------

# wait_until SECONDS COMMAND…: until it succeeds.
wait_until() {
	local end=$((SECONDS + $1 * SLOW))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# row NAME: the object of `berth ps -a --json` for one unit. The list may be bare or in an object.
row() {
	berth ps -a --json | jq -c --arg name "$1" \
		'[.. | objects | select(.name? == $name and has("state"))] | first // empty'
}
# These are asked again and again, and jq takes longer to begin than berth to answer.
state_of() { berth is-active "$1" 2>/dev/null || true; }
number_of() { # NAME KEY
	local n
	n=$(berth status --json "$1" 2>/dev/null | sed -n "s/^    \"$2\": \([0-9]*\),*\$/\1/p")
	echo "${n:-0}"
}
pid_of() { number_of "$1" pid; }
run_of() { number_of "$1" run; }

in_state() { [ "$(state_of "$2")" = "$1" ]; }
in_one_of() { [[ " $1 " == *" $(state_of "$2") "* ]]; }

# wait_for STATE NAME [SECONDS]: what has a probe is healthy too, when that is to be had in this time.
wait_for() {
	local end=$((SECONDS + ${3:-10} * SLOW))
	# The supervisor tells it when it happens, and calls more than this ready: what is not needed, too.
	[ "$1" != ready ] || timeout $((end - SECONDS)) "$BERTH" --config "$UNITS" --run-dir "$RUNTIME" \
		wait --healthy "$2" >/dev/null 2>&1 || true
	until [ $SECONDS -gt $end ]; do
		in_state "$1" "$2" && return
		sleep 0.05
	done
	echo "$2: wanted state $1; it is:"
	row "$2" | jq . || true
	berth why "$2" || true
	tail -n 30 "$BATS_TEST_TMPDIR/supervise.log"
	return 1
}

other_pid() {
	local now
	now=$(pid_of "$1")
	[ "$now" != 0 ] && [ "$now" != "$2" ]
}
# wait_restarted NAME OLD_PID [SECONDS]
wait_restarted() {
	wait_until "${3:-10}" other_pid "$1" "$2" && return
	echo "$1: no new process after $2:"
	row "$1" | jq . || true
	return 1
}

# Fails unless `berth ps` answers within half a second: nothing may ever block the supervisor.
ps_answers_at_once() {
	local before after
	before=$(date +%s%N)
	timeout 5 "$BERTH" --config "$UNITS" --run-dir "$RUNTIME" ps -a >/dev/null
	after=$(date +%s%N)
	[ $(((after - before) / 1000000)) -lt $((500 * SLOW)) ] || {
		echo "berth ps took $(((after - before) / 1000000)) ms"
		return 1
	}
}

# address NAME: the first IPv4 address inside the container, read in its namespace.
address() {
	nsenter -t "$(pid_of "$1")" -n ip -4 -o addr show scope global | awk '{ print $4; exit }'
}
# inside NAME COMMAND…: in the container's network namespace, with the host's programs.
inside() {
	local pid
	pid=$(pid_of "$1")
	shift
	nsenter -t "$pid" -n "$@"
}

has() {
	[[ "$output" == *"$1"* ]] || {
		echo "expected: $1"
		echo "got: $output"
		return 1
	}
}

# ---- what is left -----------------------------------------------------------------------------

cgroup_top() {
	awk '{ for (i = 7; i < NF; i++) if ($i == "-") { if ($(i + 1) == "cgroup2") print $5; break } }' \
		/proc/self/mountinfo | tail -n 1
}

# Everything that berth could leave in these namespaces, a line each.
leaks_list() {
	CGROUP_TOP=${CGROUP_TOP-$(cgroup_top)}
	{
		awk 'FILENAME ~ /mountinfo/ { print "mount " $5 }
			FILENAME ~ /dev/ && FNR > 2 { sub(/:.*/, ""); print "link " $1 }' \
			/proc/self/mountinfo /proc/self/net/dev
		nft list tables 2>/dev/null | sed 's/^/nft /'
		[ -z "$CGROUP_TOP" ] || find "$CGROUP_TOP" -mindepth 1 -type d -printf 'cgroup %P\n'
		# Orphans (their parent is process 1 of the pid namespace), and programs of ours.
		ps -eo ppid=,stat=,pid=,args= | awk -v ours="$O/" '
			$2 !~ /^Z/ && ($1 <= 1 || index($4, ours) == 1) { $1 = $2 = ""; print "process" $0 }'
	} | sort
}

leaks_before() {
	leaks_list >"$BATS_TEST_TMPDIR/leaks.before"
}
no_leaks() {
	leaks_list >"$BATS_TEST_TMPDIR/leaks.after"
	cmp -s "$BATS_TEST_TMPDIR/leaks.before" "$BATS_TEST_TMPDIR/leaks.after"
}
# Things that end by themselves (a worker removing a link) get a moment.
leaks_after() {
	wait_until 3 no_leaks && return
	echo "left behind:"
	diff "$BATS_TEST_TMPDIR/leaks.before" "$BATS_TEST_TMPDIR/leaks.after" | grep '^[<>]'
	return 1
}

# How many descriptors the supervisor has open.
supervisor_fds() {
	find "/proc/$SUPERVISOR/fd" -mindepth 1 2>/dev/null | wc -l
}

# What a test has in the background ends with it: bats waits for whoever holds a descriptor of its, and
# a shell that runs a function there holds them all, whatever the function's redirections say.
end_jobs() {
	local pid
	for pid in $(jobs -rp); do
		pkill -KILL -P "$pid" || true
		kill -KILL "$pid" 2>/dev/null || true
	done
}

# A file system at $DEAD whose server never answers: who opens $DEAD/data waits. dead_ends: the server is
# gone, and who waits is told.
dead_begins() {
	[ -x "$O/tests/hang" ] || skip "no libfuse3 here when the tests were built"
	[ -e /dev/fuse ] || skip "no /dev/fuse on this machine"
	DEAD=$BATS_TEST_TMPDIR/dead
	mkdir "$DEAD"
	"$O/tests/hang" "$DEAD" >"$BATS_TEST_TMPDIR/hang.log" 2>&1 3>&- 4>&- &
	DEAD_SERVER=$!
	wait_until 5 grep -q mounted "$BATS_TEST_TMPDIR/hang.log" || skip "FUSE cannot be mounted here"
}
dead_ends() {
	kill -KILL "$DEAD_SERVER"
	wait "$DEAD_SERVER" 2>/dev/null || true
	DEAD_SERVER=
	umount "$DEAD" 2>/dev/null || umount -l "$DEAD"
}

# ---- every test -------------------------------------------------------------------------------

setup() {
	[ "$(id -u)" = 0 ] || skip "needs root"
	[ -x "$BERTH" ] || skip "$BERTH is not built"
	UNITS=$BATS_TEST_TMPDIR/units STATE=$BATS_TEST_TMPDIR/state RUNTIME=$BATS_TEST_TMPDIR/run
	SUPERVISOR=
	mkdir -p "$UNITS" "$STATE" "$RUNTIME"
	printf '[Supervisor]\nStateDir=%s\nRunDir=%s\n' "$STATE" "$RUNTIME" >"$UNITS/berth.conf"
	leaks_before
	if declare -F prepare >/dev/null; then prepare; fi
}

teardown() {
	[ -n "${BATS_TEST_SKIPPED:-}" ] && [ -z "${SUPERVISOR:-}" ] && return 0
	local bad=0
	if declare -F finish >/dev/null; then finish; fi
	[ -z "${DEAD_SERVER:-}" ] || dead_ends
	stop_supervise || bad=1
	end_jobs
	leaks_after || bad=1
	if [ "$bad" != 0 ]; then
		echo "the supervisor said:"
		tail -n 40 "$BATS_TEST_TMPDIR/supervise.log" 2>/dev/null
	fi
	return $bad
}
