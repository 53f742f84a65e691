#!/bin/bash
# sandbox.sh COMMAND…: runs it as root in namespaces of its own, with a cgroup of its own that it sees
# as the top of the cgroup2 hierarchy, and cleans up whatever it leaves.
#
# mount (private), network (lo up), uts, ipc, pid, cgroup. /run is an empty tmpfs. What the command
# starts and leaves dies with the pid namespace; the cgroup directories are removed. Exit code: the
# command's; 77 when this machine cannot do it (the reason is on stderr).
set -eu
no() {
	echo "sandbox: $1" >&2
	exit 77
}

if [ "${BERTH_SANDBOX:-}" = inside ]; then
	# Process 1 of the pid namespace, in all namespaces but the cgroup one.
	mount --make-rprivate /
	mount -t proc -o nosuid,nodev,noexec proc /proc
	mount -t tmpfs -o mode=755 tmpfs /run
	ip link set lo up
	if [ -n "$BERTH_SANDBOX_CGROUP2" ]; then
		# From inside the cgroup namespace the mount shows our directory as the top.
		umount -l "$BERTH_SANDBOX_CGROUP2"
		mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$BERTH_SANDBOX_CGROUP2"
		# A controller can be given to children only by a directory without processes.
		mkdir "$BERTH_SANDBOX_CGROUP2/tests"
		echo 0 >"$BERTH_SANDBOX_CGROUP2/tests/cgroup.procs"
	fi
	unset BERTH_SANDBOX
	# Not exec: process 1 stays a shell, which reaps what loses its parent.
	status=0
	"$@" || status=$?
	exit $status
fi

[ "$(id -u)" = 0 ] || no "needs root"
unshare --mount --net --uts --ipc --pid --cgroup --fork true 2>/dev/null ||
	no "this machine gives no namespaces to root"
cgroup2=$(awk '{ for (i = 7; i < NF; i++) if ($i == "-") { if ($(i + 1) == "cgroup2") print $5; break } }' \
	/proc/self/mountinfo | head -n 1)
own=
if [ -n "$cgroup2" ]; then
	for left in "$cgroup2"/berth-test.*; do
		if [ ! -e "/proc/${left##*.}" ] && grep -qs '^populated 0' "$left/cgroup.events"; then
			find "$left" -depth -type d -exec rmdir {} + || true
		fi
	done
	own=$cgroup2/berth-test.$$
	mkdir "$own"
	remove() {
		# The pid namespace is gone, so this is only about what a kill has not emptied yet.
		if [ -e "$own/cgroup.kill" ]; then
			echo 1 >"$own/cgroup.kill" 2>/dev/null || true
		fi
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			find "$own" -depth -type d -exec rmdir {} + 2>/dev/null && return
			sleep 0.2
		done
		echo "sandbox: $own could not be removed" >&2
	}
	trap remove EXIT
fi
export BERTH_SANDBOX=inside BERTH_SANDBOX_CGROUP2=$cgroup2
# The subshell enters the cgroup, so that the namespace which is made below has it as its root.
(
	[ -z "$own" ] || echo 0 >"$own/cgroup.procs" # 0: the writer, which is this subshell
	exec setpriv --pdeathsig KILL \
		unshare --mount --net --uts --ipc --pid --cgroup --fork --kill-child=SIGKILL "$0" "$@"
)
