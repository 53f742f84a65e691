#!/usr/bin/env bats
# What a container sees, told by the probe from inside: the isolation baseline.
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash

prepare() {
	need_root_fs busybox
	[ -x "$ROOTS/busybox/bin/probe" ] || skip "the probe is not built (make tests)"
}

# look LINE…: runs the probe in a container with these further [Container] lines; what it reports is
# in $report.
look() {
	local line
	{
		printf '[Container]\nRootfs=%s\nNetwork=none\n' "$ROOTS/busybox"
		printf 'Exec=sh -c "probe report; sleep 1000"\nStopSignal=SIGKILL\n'
		for line in "$@"; do printf '%s\n' "$line"; done
		printf '[Install]\nWantedBy=default.target\n'
	} | unit seen.container
	start_supervise
	wait_for ready seen
	wait_until 5 reported
	report=$(berth logs seen)
}
# The environment comes last in a report.
reported() { berth logs seen | grep -q 'env\.PATH='; }

# is KEY VALUE: a line of the report. A log may put a time before it.
is() {
	grep -qE "(^|[ |])$1=$2\$" <<<"$report" || {
		echo "$1: wanted $2; it is:"
		grep -F "${1//\\/}=" <<<"$report" || echo "not reported"
		return 1
	}
}
no() {
	if grep -E "$1" <<<"$report"; then
		echo "is there, and should not be: $1"
		return 1
	fi
}
value() { sed -nE "s/^(.*[ |])?$1=//p" <<<"$report" | head -n 1; }

@test "namespaces are its own, all but the user's" {
	look
	local ns
	for ns in mnt pid net ipc uts cgroup; do
		[ -n "$(value "ns\\.$ns")" ]
		[ "$(value "ns\\.$ns")" != "$(readlink /proc/self/ns/$ns)" ] || {
			echo "$ns is the host's"
			return 1
		}
	done
	is cgroup "0::/"
	is hostname seen
	is umask 0022
	is cwd /
}

@test "root has podman's eleven capabilities, none inheritable or ambient, no new privileges" {
	look
	is 'cap\.effective' 00000000800405fb
	is 'cap\.bounding' 00000000800405fb
	is 'cap\.permitted' 00000000800405fb
	is 'cap\.inheritable' 0000000000000000
	is 'cap\.ambient' 0000000000000000
	is no_new_privs 1
	is seccomp 2
	# Not from a shell, which may have dispositions of its own.
	report=$(berth exec seen probe report)
	is 'signals\.blocked' 0000000000000000
	is 'signals\.ignored' 0000000000000000
}

@test "a user that is not root has no capability, and its groups" {
	look User=1000 GroupAdd=1001
	is uid "1000 1000 1000 1000"
	is 'cap\.effective' 0000000000000000
	is 'cap\.bounding' 0000000000000000
	value groups | grep -qw 1001
}

@test "AddCapability, DropCapability and NoNewPrivileges=false do what they say" {
	look AddCapability=NET_RAW DropCapability=CHOWN NoNewPrivileges=false
	is 'cap\.effective' 00000000800425fa
	is no_new_privs 0
	is seccomp 2
}

@test "nothing but 0, 1 and 2 is open" {
	look
	no '(^|[ |])fd\.([3-9]|[1-9][0-9]+)='
	grep -q 'fd\.0=' <<<"$report"
}

@test "devices are the default ones" {
	look
	[ "$(grep -oE 'dev\.[a-z0-9]+=[cb][0-9]+:' <<<"$report" | sort | cut -d. -f2 | cut -d= -f1 | xargs)" = \
		"full null random tty urandom zero" ]
	is 'dev\.null' "c1:3 666 0:0"
	is 'dev\.ptmx' "l pts/ptmx"
}

@test "kernel file systems have the options of the baseline, and nothing is shared" {
	look
	no '(^|[ |])mount=.* shared:'
	for where in /proc /sys /dev/mqueue /dev/shm /sys/fs/cgroup; do
		grep -E "mount=[0-9]+ [0-9]+ [0-9:]+ [^ ]+ $where [^ ]*nosuid,nodev,noexec" <<<"$report" >/dev/null || {
			echo "$where: not nosuid,nodev,noexec"
			grep " $where " <<<"$report" || true
			return 1
		}
	done
	for where in /sys /sys/fs/cgroup /proc/sys; do
		grep -qE "mount=[0-9]+ [0-9]+ [0-9:]+ [^ ]+ $where ro," <<<"$report"
	done
}

# refuses COMMAND…: in the container it fails.
refuses() {
	run berth exec seen sh -c "$1"
	[ "$status" -ne 0 ] || {
		echo "was allowed: $1"
		return 1
	}
}

@test "what a container has no business with is refused" {
	look
	refuses 'echo x > /proc/sys/kernel/core_pattern'
	refuses 'echo c > /proc/sysrq-trigger'
	refuses 'echo 1 > /sys/fs/cgroup/cgroup.procs'
	refuses 'mkdir /sys/fs/cgroup/mine'
	refuses 'mount -t tmpfs tmpfs /tmp'
	refuses 'mknod /tmp/sda b 8 0'
	refuses 'hostname other'
	refuses 'unshare -n true'
	refuses 'head -c 1 /proc/kcore | grep -q .'
	refuses 'cat /proc/keys | grep -q .'
}

@test "the image is never written, and hosts and resolv.conf are berth's" {
	look AddHost=printer:10.0.0.7
	grep -q 'hosts=10.0.0.7.*printer' <<<"$report"
	no from-the-image
	no 192.0.2.53
	berth exec seen sh -c 'echo mine > /etc/new; rm /www/index.html; echo x >> /etc/hosts || true'
	[ ! -e "$ROOTS/busybox/etc/new" ]
	[ -e "$ROOTS/busybox/www/index.html" ]
	[ "$(cat "$ROOTS/busybox/etc/hosts")" = "192.0.2.1 from-the-image" ]
}

@test "ReadOnly=true: the root cannot be written, /run, /tmp and /var/tmp can" {
	look ReadOnly=true
	refuses 'echo x > /etc/new'
	refuses 'echo x > /new'
	run -0 berth exec seen sh -c 'echo x > /tmp/x && echo x > /run/x && echo x > /var/tmp/x'
}

@test "limits of processes, the time zone of nobody, the environment" {
	look Ulimit=nofile=100:200 'Environment=A=b "C=d e"' ShmSize=1m
	is 'rlimit\.nofile' 100:200
	is 'env\.A' b
	is 'env\.C' "d e"
	run -0 berth exec seen sh -c 'df -k /dev/shm | tail -n 1'
	has 1024
}

@test "exec joins everything: namespaces, cgroup, capabilities, seccomp" {
	look User=1000
	local first=$report ns
	report=$(berth exec seen probe report)
	for ns in mnt pid net ipc uts cgroup; do
		grep -q "ns\\.$ns=$(value "ns\\.$ns" | sed 's/[][]/\\&/g')" <<<"$first"
	done
	is 'cap\.effective' 0000000000000000
	is uid "1000 1000 1000 1000"
	is seccomp 2
	is no_new_privs 1
	is cgroup "0::/"
	no '(^|[ |])fd\.([3-9]|[1-9][0-9]+)='
}

@test "sd_notify: ready at READY=1, through its own socket" {
	unit told.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sh -c "sleep 1; exec probe notify"
		Notify=yes
		Network=none
		StopSignal=SIGKILL
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_until 5 in_state running told
	wait_for ready told
}

@test "RunInit: process 1 passes SIGTERM on and reaps" {
	unit inited.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=probe wait-term
		RunInit=true
		Network=none
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_for ready inited
	run -0 berth exec inited cat /proc/1/comm
	has berth-init
	run -0 berth exec inited probe orphans 20
	has "zombies=0"
	berth stop inited
	run berth logs inited
	has terminated
}

@test "a tar as the root, and an unpacked one is used again" {
	unit tarred.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox.tar
		Exec=sleep infinity
		Network=none
		StopSignal=SIGKILL
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_for ready tarred 20
	run berth exec tarred cat /www/index.html
	has "hello from a container"
	berth restart tarred
	wait_for ready tarred
}
