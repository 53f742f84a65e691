#!/bin/bash
# Each line of `berth doctor`, with its feature taken away: it says missing, what that costs, and the
# cure. No module can be loaded here, and the kernel was started with cgroup_disable=memory.
# shellcheck disable=SC1091 # it is there in the guest
. /src/tests/vm/guest/lib.sh
early
seen=
# lacks NAME COMMAND…: a doctor run in that way says that NAME is missing, with two parts behind.
lacks() {
	local name=$1 out
	shift
	out=$("$@" "$BERTH" doctor 2>&1)
	seen="$seen|$name|"
	if grep -qE "^$name +missing \([^)]+\): [^:]{8,}: .{8,}" <<<"$out"; then good "doctor: $name"; else
		bad "doctor: no 'missing' at $name"
		grep -F "$name" <<<"$out" | show
	fi
}
inject() { local what=$1; shift; strace -f -qq -o /dev/null -e "inject=$what" "$@"; }
without() { # SYSCTL COMMAND…: user.max_X_namespaces=0 meanwhile
	local file=/proc/sys/user/max_$1_namespaces before
	before=$(cat "$file")
	shift
	echo 0 >"$file"
	"$@"
	echo "$before" >"$file"
}
no_ip6() { echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; "$@"; echo 0 >/proc/sys/net/ipv6/conf/default/disable_ipv6; }
no_forward() { unshare -m sh -c 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"' sh "$@"; }
no_cgroup2() { umount /sys/fs/cgroup; "$@"; mount -t cgroup2 cgroup2 /sys/fs/cgroup; }

for module in overlay erofs squashfs bridge veth nf_tables 'nf_tables bridge' tun 'loop devices' watchdog; do lacks "$module" env; done
lacks 'cgroup memory' env
lacks 'cgroup cpu' no_cgroup2
lacks 'cgroup pids' no_cgroup2
lacks cgroup2 no_cgroup2
lacks root setpriv --reuid 65534 --clear-groups
for capability in SYS_ADMIN NET_ADMIN SYS_RESOURCE; do
	lacks "CAP_$capability" setpriv --bounding-set "-${capability,,}" \
		--inh-caps "-${capability,,}"
done
lacks 'kernel 5.10' setarch x86_64 --uname-2.6
for namespace in mnt pid net ipc uts cgroup user; do
	name="$namespace namespace"
	case $namespace in mnt) name='mount namespace' ;; net) name='network namespace' ;; esac
	lacks "$name" without $namespace
done
lacks 'cgroup.kill' inject faccessat,faccessat2:error=ENOENT
lacks 'clone3 into a cgroup' inject clone3:error=ENOSYS
lacks 'clone3, pidfd' inject clone3:error=ENOSYS
lacks 'device filter' inject bpf:error=EPERM
lacks openat2 inject openat2:error=ENOSYS
lacks 'mount by descriptor' inject open_tree:error=ENOSYS
lacks mount_setattr inject mount_setattr:error=ENOSYS
lacks IPv6 no_ip6
lacks forwarding no_forward
lacks mqueue inject fsopen:error=ENODEV
lacks seccomp inject seccomp:error=EINVAL

# Every line has been seen missing; and what is there says ok.
berth doctor --json | jq -r '.. | objects | select(has("ok")) | .name' >/run/names
while read -r name; do
	case $seen in *"|$name|"*) ;; *) bad "doctor: no test takes away: $name" ;; esac
done </run/names
same 'doctor tells in its exit code that nothing essential is missing' 0 "$(berth doctor >/dev/null; echo $?)"
modules_here
modprobe -a overlay erofs squashfs bridge veth nf_tables tun loop softdog
out=$(berth doctor)
same 'with the modules, only the memory controller is missing' 'cgroup memory' \
	"$(grep missing <<<"$out" | sed 's/  *missing.*//')"

# ---- a written limit that cannot be enforced -------------------------------------------------------------
unit greedy.container <<U
[Container]
Rootfs=$ROOT
Network=none
Exec=sleep infinity
StopSignal=SIGKILL
[Service]
MemoryMax=16M
U
unit lenient.container <<U
[Container]
Rootfs=$ROOT
Network=none
Exec=sleep infinity
StopSignal=SIGKILL
[Service]
MemoryMax=16M
TasksMax=9
[X-Berth]
LimitsPolicy=best-effort
U
supervise
says 'the start is refused, and the cure named' 'cgroup_enable=memory' berth start greedy
never 'and nothing runs' berth is-active greedy
ok 'LimitsPolicy=best-effort starts it' berth start lenient
says 'and status says what is not enforced' 'memory' berth status lenient
same 'what can be is enforced' 9 "$(cat "$(leaf lenient)/pids.max")"
berth stop --all
finish
