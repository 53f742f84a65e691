#!/usr/bin/env bats
# The known ways out of a container, each tried: named by the CVE that made it known.
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash

prepare() {
	need_root_fs busybox
	[ -x "$ROOTS/busybox/bin/probe" ] || skip "the probe is not built (make tests)"
	BB=$ROOTS/busybox
	T=$BATS_TEST_TMPDIR
	before=$(sha256sum "$BERTH")
}
finish() {
	[ -z "${RACER:-}" ] || kill "$RACER" 2>/dev/null || true
	rm -rf "$T/root" "$T"/root-*
	[ "$(sha256sum "$BERTH")" = "$before" ] || {
		echo "the program file of berth was changed"
		return 1
	}
}

# container NAME LINE…: a unit that is started by hand, on busybox unless a line says Rootfs=.
container() {
	local name=$1 line
	shift
	{
		printf '[Container]\nStopSignal=SIGKILL\n'
		[[ "$*" == *Network=* ]] || printf 'Network=none\n'
		[[ "$*" == *Rootfs=* ]] || printf 'Rootfs=%s\n' "$BB"
		[[ "$*" == *Exec=* ]] || printf 'Exec=sleep 1000\n'
		for line in "$@"; do printf '%s\n' "$line"; done
	} | unit "$name.container"
}
once() { container "$@" '[Service]' Type=oneshot; }

# A root of the test's own, to be spoiled.
own_root() {
	rm -rf "$T/root"
	cp -a "$BB" "$T/root"
}

# fails NAME WORDS: it does not start, and says why.
fails() {
	run berth start "$1"
	[ "$status" -ne 0 ] || {
		echo "$1 was started"
		return 1
	}
	has "$2"
}

@test "CVE-2019-5736 and its kin: who enters cannot be robbed of program file, descriptors, root" {
	container den "Exec=probe hunt $UNITS/den.container"
	start_supervise
	berth start den
	for ((i = 0; i < 200; i++)); do berth exec den true; done
	run berth logs den
	has "seen 20"
	[[ "$output" != *robbed* ]] || {
		echo "$output" | grep robbed | sort | uniq -c | head
		return 1
	}
}

@test "CVE-2019-5736: an entrypoint that is #!/proc/self/exe" {
	own_root
	printf '#!/proc/self/exe\n' >"$T/root/bin/evil"
	chmod 755 "$T/root/bin/evil"
	once evil "Rootfs=$T/root" Exec=/bin/evil
	container good "Rootfs=$T/root"
	start_supervise
	run berth start evil
	[ "$status" -ne 0 ]
	berth start good
	if berth exec good /bin/evil; then false; fi
}

@test "CVE-2019-14271: nothing of the image is loaded to look up a user" {
	command -v cc >/dev/null || skip "no compiler on this machine"
	own_root
	printf '#include <fcntl.h>\n__attribute__((constructor)) static void f(void){creat("/run/robbed",0600);creat("/tmp/robbed",0600);}\n' >"$T/evil.c"
	mkdir -p "$T/root/lib/x86_64-linux-gnu" "$T/root/lib64"
	cc -shared -fPIC -o "$T/root/lib/x86_64-linux-gnu/libnss_files.so.2" "$T/evil.c"
	cp "$T/root/lib/x86_64-linux-gnu/libnss_files.so.2" "$T/root/lib/evil.so"
	echo /lib/evil.so >"$T/root/etc/ld.so.preload"
	echo 'passwd: files evil' >"$T/root/etc/nsswitch.conf"
	rm -f /run/robbed /tmp/robbed
	container victim "Rootfs=$T/root" User=web
	start_supervise
	berth start victim
	run -0 berth exec -u web victim id -u
	has 1000
	run berth exec victim ls /run/robbed /tmp/robbed
	[ "$status" -ne 0 ]
	[ ! -e /run/robbed ]
	[ ! -e /tmp/robbed ]
}

@test "CVE-2021-30465, CVE-2018-15664, CVE-2024-45310: a mount target that is swapped for a link, 200 starts" {
	mkdir -p "$T/vol/x" "$T/outside" "$T/data"
	ln -s "$T/outside" "$T/vol/y"
	echo treasure >"$T/outside/treasure"
	once racy "Volume=$T/vol:/vol" "Volume=$T/data:/vol/x/sub/mnt" "Exec=sh -c \"! test -e /vol/x/treasure\""
	start_supervise
	"$BB/bin/probe" race "$T/vol/x" "$T/vol/y" 3>&- 4>&- &
	RACER=$!
	good=0
	for ((i = 0; i < 200; i++)); do
		if berth start racy >"$T/said" 2>&1; then good=$((good + 1)); fi
		if grep -q treasure "$T/said"; then cat "$T/said"; false; fi
	done
	kill "$RACER"
	wait "$RACER" 2>/dev/null || true
	RACER=
	echo "$good of 200 started"
	[ "$(ls "$T/outside")" = treasure ]
	[ "$good" -gt 0 ]
	if grep -e "$T/outside" -e "$T/data" /proc/self/mountinfo; then false; fi
}

@test "a mount target that is a link of the image stays inside the root" {
	own_root
	ln -s / "$T/root/to-root"
	ln -s ../../../../../../../../../../../etc "$T/root/to-etc"
	ln -s "$T/data" "$T/root/to-host"
	mkdir -p "$T/data" "$T/given"
	echo mine >"$T/given/file"
	container links "Rootfs=$T/root" "Volume=$T/given:/to-root/a" "Volume=$T/given:/to-etc/b" \
		"Volume=$T/given:$T/data/d"
	container dangling "Rootfs=$T/root" "Volume=$T/given:/to-host/c"
	start_supervise
	berth start links
	run -0 berth exec links cat /a/file /etc/b/file "$T/data/d/file"
	[ "$output" = "mine
mine
mine" ]
	[ ! -e /a ]
	[ ! -e /etc/b ]
	fails dangling "make the mount point"
	[ -z "$(ls "$T/data")" ]
}

@test "CVE-2019-19921, CVE-2026-41579: /proc, /sys or /dev that is a link of the image is refused" {
	mkdir "$T/outside"
	for where in proc sys dev; do
		cp -a "$BB" "$T/root-$where"
		rm -rf "$T/root-${where:?}/$where"
		ln -s "$T/outside" "$T/root-$where/$where"
		container "linked-$where" "Rootfs=$T/root-$where"
	done
	start_supervise
	for where in proc sys dev; do
		fails "linked-$where" "/$where of the root is a link"
	done
	[ -z "$(ls "$T/outside")" ]
}

@test "CVE-2022-0811: no sysctl is smuggled in by another" {
	core=$(cat /proc/sys/kernel/core_pattern)
	for line in 'kernel.core_pattern=|/x' 'net/../kernel/core_pattern=|/x' \
		'net.ipv4.../../kernel/core_pattern=|/x' 'kernel/core_pattern=|/x' 'net.=1' \
		'net.ipv4.ip_forward' 'vm.overcommit_memory=1' '/proc/sys/net/ipv4/ip_forward=1'; do
		container bad "Sysctl=\"$line\""
		run berth check
		[ "$status" -ne 0 ] || {
			echo "accepted: Sysctl=$line"
			return 1
		}
	done
	container bad 'Sysctl="kernel.shm_rmid_forced=1+kernel.core_pattern=|/x"'
	start_supervise
	fails bad shm_rmid_forced
	[ "$(cat /proc/sys/kernel/core_pattern)" = "$core" ]
}

@test "CVE-2024-21626, CVE-2022-29162: 40 inherited descriptors reach neither run, exec nor probe" {
	container watched 'Exec=sh -c "probe report /tmp/run; sleep 1000"' \
		'HealthCmd=probe report /tmp/health' HealthInterval=1s Notify=healthy
	echo 500 >/proc/self/oom_score_adj
	for ((fd = 20; fd < 60; fd++)); do eval "exec $fd</"; done
	start_supervise
	for ((fd = 20; fd < 60; fd++)); do eval "exec $fd<&-"; done
	berth start watched
	berth exec watched probe report /tmp/exec
	for who in run health exec; do
		report=$(berth exec watched cat "/tmp/$who")
		echo "$who:"
		! grep -E '^fd\.([3-9]|[1-9][0-9]+)=' <<<"$report"
		[ "$(grep -c '^fd\.[012]=' <<<"$report")" = 3 ]
		grep -x 'cap.inheritable=0000000000000000' <<<"$report"
		grep -x 'cap.ambient=0000000000000000' <<<"$report"
		grep -x 'seccomp=2' <<<"$report"
		grep -x 'no_new_privs=1' <<<"$report"
		grep -x 'oom_score_adj=0' <<<"$report"
	done
}

@test "the session keyring is its own" {
	# The default filter has no keyctl(2), so nothing could tell.
	container keys SeccompProfile=unconfined
	start_supervise
	berth start keys
	run -0 berth exec keys probe report
	grep -E '^keyring=keyring;.*;berth\.keys$' <<<"$output"
}

@test "CVE-2024-21626: a working directory that is a descriptor, 0 to 64, in run and exec" {
	for ((n = 0; n <= 64; n++)); do once "cwd$n" "WorkingDir=/proc/self/fd/$n" Exec=pwd; done
	container host
	start_supervise
	berth start host
	for ((n = 0; n <= 64; n++)); do
		run berth start "cwd$n"
		[ "$status" -ne 0 ] || { echo "WorkingDir=/proc/self/fd/$n was taken"; return 1; }
		run berth exec -w "/proc/self/fd/$n" host pwd
		[ "$status" -ne 0 ] || { echo "exec -w /proc/self/fd/$n gave $output"; return 1; }
	done
}

@test "CVE-2025-31133: /dev/null of the image is not what masks are made of" {
	core=$(cat /proc/sys/kernel/core_pattern)
	own_root
	ln -s /proc/sys/kernel/core_pattern "$T/root/dev/null"
	container masked "Rootfs=$T/root" Mask=/www/index.html
	mkdir "$T/dev"
	ln -s /proc/sys/kernel/core_pattern "$T/dev/null"
	container covered "Rootfs=$T/root" "Volume=$T/dev:/dev" Mask=/www/index.html
	start_supervise
	for who in masked covered; do
		# A volume over /dev may be refused; if it is not, masks hide all the same.
		if ! berth start $who; then
			[ $who = covered ]
			continue
		fi
		run -0 berth exec $who cat /www/index.html
		[ -z "$output" ]
		run berth exec $who sh -c 'echo robbed > /proc/sys/kernel/core_pattern'
		[ "$status" -ne 0 ]
		run berth exec $who sh -c 'echo robbed > /proc/kcore; cat /www/index.html'
		[[ "$output" != *robbed* ]]
	done
	[ "$(cat /proc/sys/kernel/core_pattern)" = "$core" ]
}

@test "CVE-2026-30892, CVE-2024-40635: a user is a number of 32 bits or a name, nothing else" {
	local bad=(-1 +1 -0 1x 0x0 01x 4294967295 4294967296 18446744073709551616 1:-1 1:4294967296
		:1x 1.0 1e0 root:4294967295 nobody-such)
	for ((i = 0; i < ${#bad[@]}; i++)); do once "u$i" "User=${bad[i]}" Exec=id; done
	container good
	# What check refuses is refused; it must not hide the rest.
	while ! berth check >"$T/said" 2>&1; do
		sed -n 's|.*/\(u[0-9]*\)\.container:.*|\1|p' "$T/said" | sort -u >"$T/refused"
		[ -s "$T/refused" ] || { cat "$T/said"; return 1; }
		while read -r name; do rm "$UNITS/$name.container"; done <"$T/refused"
	done
	start_supervise
	berth start good
	for ((i = 0; i < ${#bad[@]}; i++)); do
		if [ -e "$UNITS/u$i.container" ]; then
			run berth start "u$i"
			[ "$status" -ne 0 ] || { echo "User=${bad[i]} was taken"; return 1; }
		fi
		run berth exec -u "${bad[i]}" good id
		[ "$status" -ne 0 ] || { echo "exec -u ${bad[i]}: $output"; return 1; }
	done
	run -0 berth exec -u 4294967294 good id -u
	[ "$output" = 4294967294 ]
}

@test "CVE-2020-15257, CVE-2024-25621: sockets and directories of berth are for root alone" {
	rm -rf "$RUNTIME" "$STATE"
	container free "Rootfs=$BB.tar" Network=host Volume=data:/data
	start_supervise
	berth start free
	if grep -i '@.*berth' /proc/net/unix; then false; fi
	[ "$(stat -c %a "$RUNTIME/berth.sock")" = 600 ]
	for dir in "$RUNTIME" "$RUNTIME/state" "$RUNTIME/fifo" "$RUNTIME/pin" "$RUNTIME/img" "$STATE/store" \
		"$STATE/volumes"; do
		[ -e "$dir" ] || continue
		[ "$(stat -c %a "$dir")" = 700 ] || { stat -c '%a %n' "$dir"; return 1; }
	done
	run berth exec free ls "$RUNTIME" "$STATE"
	[ "$status" -ne 0 ]
	# The same network namespace, and still no way to it.
	if berth exec free sh -c "grep -i '@.*berth' /proc/net/unix"; then false; fi
}

@test "CVE-2023-25809: cgroups are read-only, and nothing above its own is seen" {
	container in
	start_supervise
	berth start in
	run berth exec in sh -c 'echo 0 > /sys/fs/cgroup/cgroup.procs'
	[ "$status" -ne 0 ]
	has "ead-only"
	run -0 berth exec in cat /proc/self/cgroup
	has "0::/"
	[[ "$output" != *berth* ]]
}

@test "Mask= hides, Unmask= shows, and ReadOnly= leaves no way to write" {
	container plain
	container shown Unmask=/proc/interrupts Mask=/www:/bin/probe ReadOnly=true
	start_supervise
	berth start plain shown
	run berth exec plain sh -c 'head -c 1 /proc/interrupts | wc -c'
	[ "$output" = 0 ]
	run berth exec shown sh -c 'head -c 1 /proc/interrupts | wc -c; ls /www | wc -l; wc -c </bin/probe'
	[ "$output" = "1
0
0" ]
	for where in / /etc /bin /var/log /root /www /sys /proc/sys/kernel; do
		run berth exec shown sh -c "echo x > $where/new"
		[ "$status" -ne 0 ] || { echo "$where can be written"; return 1; }
	done
	run berth exec shown mount -o remount,rw /
	[ "$status" -ne 0 ]
	run berth exec shown umount /proc/interrupts
	[ "$status" -ne 0 ]
	run berth exec shown hostname other
	[ "$status" -ne 0 ]
}

@test "a device that was not given is not opened, whoever makes its node" {
	container nodes AddCapability=MKNOD Tmpfs=/made:dev
	start_supervise
	berth start nodes || skip "this machine gives no tmpfs with devices"
	run berth exec nodes sh -c 'mknod /made/null c 1 3 && echo x > /made/null'
	[ "$status" -eq 0 ] || skip "nodes cannot be opened here at all: $output"
	run berth exec nodes sh -c 'mknod /made/kmsg c 1 11 && head -c 1 /made/kmsg'
	[ "$status" -ne 0 ]
	has "not permitted"
}
