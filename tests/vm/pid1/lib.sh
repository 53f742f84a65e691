# For busybox's sh: results on the console, as tests/vm/guest/lib.sh has them.
# shellcheck shell=dash
export PATH=/bin:/sbin
for applet in $(busybox --list); do
	[ -e "/bin/$applet" ] || busybox ln -s busybox "/bin/$applet"
done
say() { echo "@vm $*" >/dev/console; }
show() { tail -n 20 | sed 's/^/@vm note   /' >/dev/console; }
ok() {
	text=$1
	shift
	if "$@" >/tmp/out 2>&1; then say "ok $text"; else
		say "not ok $text ($*)"
		show </tmp/out
	fi
}
never() {
	text=$1
	shift
	if "$@" >/tmp/out 2>&1; then
		say "not ok $text ($*)"
		show </tmp/out
	else say "ok $text"; fi
}
says() {
	text=$1 words=$2
	shift 2
	"$@" >/tmp/out 2>&1
	if grep -qE -- "$words" /tmp/out; then say "ok $text"; else
		say "not ok $text: no '$words' from $*"
		show </tmp/out
	fi
}
same() { if [ "$2" = "$3" ]; then say "ok $1"; else say "not ok $1: wanted '$2', got '$3'"; fi; }
until_true() {
	left=$(($1 * 5))
	shift
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		sleep 0.2
	done
}
active() { [ "$(berth is-active "$1" 2>/dev/null)" = "$2" ]; }
pid_of() { berth inspect "$1" | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' | head -n 1; }
address() { nsenter -t "$(pid_of "$1")" -n ip -4 addr show dev eth0 | sed -n 's/.*inet \([^ ]*\).*/\1/p'; }
