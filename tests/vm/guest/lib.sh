# lib.sh: what every script of the guest begins with (bash). It is process 1 of the machine, which is
# thrown away: nothing is undone, except where a test is about it.
#
# Results go to the console as lines that no kernel message can be taken for:
#   @vm ok TEXT / @vm not ok TEXT / @vm skip TEXT / @vm note TEXT, and "@vm done" at the end.
# shellcheck shell=bash disable=SC2034 # variables for the scripts
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C TERM=dumb
BERTH=/src/build/release/berth
UNITS=/etc/berth ROOT=/src/build/roots/busybox
export BERTH_TEST_SLOW=6

say() { echo "@vm $*" >/dev/console; }
good() { say "ok $*"; }
bad() { say "not ok $*"; }
skip() { say "skip $*"; }
# What a failure should show: not more than a screen of it.
show() { tail -n 25 | sed 's/^/@vm note   /' >/dev/console; }

# ok TEXT COMMAND…, and never TEXT COMMAND…: it must fail.
ok() {
	local text=$1 out
	shift
	if out=$("$@" 2>&1); then good "$text"; else
		bad "$text ($*)"
		[ -z "$out" ] || echo "$out" | show
		return 1
	fi
}
never() {
	local text=$1 out
	shift
	if out=$("$@" 2>&1); then
		bad "$text ($*)"
		[ -z "$out" ] || echo "$out" | show
		return 1
	else good "$text"; fi
}
# says TEXT WORDS COMMAND…: its output has the words (an extended expression), whatever its exit code.
says() {
	local text=$1 words=$2 out
	shift 2
	out=$("$@" 2>&1)
	if grep -qE -- "$words" <<<"$out"; then good "$text"; else
		bad "$text: no '$words' from $*"
		echo "$out" | show
		return 1
	fi
}
# same TEXT WANTED GOT
same() {
	if [ "$2" = "$3" ]; then good "$1"; else bad "$1: wanted '$2', got '$3'"; fi
}

# until_true SECONDS COMMAND…: emulation is slow, so these are generous.
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# early: what an init mounts. With "bare": no cgroup2.
early() {
	mount -t proc -o nosuid,nodev,noexec proc /proc
	mount -t sysfs -o nosuid,nodev,noexec sys /sys
	mountpoint -q /dev || mount -t devtmpfs dev /dev
	mkdir -p /dev/pts /dev/shm
	[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
	mount -t devpts devpts /dev/pts
	mount -t tmpfs tmpfs /dev/shm
	mount -t tmpfs -o mode=755 tmpfs /run
	mount -t tmpfs tmpfs /tmp
	[ "${1:-}" = bare ] || mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
	ip link set lo up
	hostname vm
	mkdir -p "$UNITS"
	exec </dev/null >/dev/console 2>&1
}
modules_here() { mkdir -p /lib/modules && mount --bind /src/modules/lib/modules /lib/modules; }

finish() {
	say "note the guest took $SECONDS s"
	say 'done'
	sync
	echo o >/proc/sysrq-trigger
	sleep 100
}

# quiet_systemd NAME COMMAND AFTER: nothing that costs time is started, and COMMAND as NAME.service.
quiet_systemd() {
	for unit in nginx redis-server systemd-timesyncd systemd-networkd systemd-logind e2scrub_reap \
		serial-getty@ttyS0 getty@tty1 systemd-udev-settle systemd-binfmt; do
		ln -sf /dev/null "/etc/systemd/system/$unit.service"
	done
	for timer in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim systemd-tmpfiles-clean \
		podman-auto-update; do
		ln -sf /dev/null "/etc/systemd/system/$timer.timer"
	done
	mkdir -p /etc/systemd/system/multi-user.target.wants
	ln -sf /lib/systemd/system/multi-user.target /etc/systemd/system/default.target
	printf '[Unit]\nAfter=%s\n[Service]\nType=exec\nExecStart=%s\n' "$3" "$2" \
		>"/etc/systemd/system/$1.service"
	ln -sf "/etc/systemd/system/$1.service" /etc/systemd/system/multi-user.target.wants/
}

# ---- berth ------------------------------------------------------------------------------------
berth() { "$BERTH" "$@"; }
unit() { mkdir -p "$(dirname "$UNITS/$1")" && cat >"$UNITS/$1"; }
supervise() {
	"$BERTH" supervise >>/run/supervise.log 2>&1 &
	SUPERVISOR=$!
	until_true 20 answers || {
		bad "berth supervise answers"
		show </run/supervise.log
	}
}
answers() { berth status 2>/dev/null | grep -q ', pid '; }
field() {
	berth ps -a --json | jq -r --arg name "$1" --arg key "$2" \
		'[.. | objects | select(.name? == $name and has("state"))] | first | .[$key]'
}
is() { [ "$(field "$1" state)" = "$2" ]; }
one_of() { case " $2 " in *" $(field "$1" state) "*) ;; *) return 1 ;; esac; }
# reach NAME STATE [SECONDS]
reach() {
	if until_true "${3:-20}" is "$1" "$2"; then good "$1 is $2"; else
		bad "$1 is not $2"
		berth why "$1" 2>&1 | show
		tail -n 15 /run/supervise.log 2>/dev/null | show
		return 1
	fi
}
pid_of() { field "$1" pid; }
# The leaf in which a unit runs.
leaf() {
	local where
	where=$(sed -n 's/^0:://p' "/proc/$(pid_of "$1")/cgroup")
	echo "/sys/fs/cgroup$where"
}
