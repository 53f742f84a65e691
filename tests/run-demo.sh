#!/bin/bash
# run-demo.sh BUILD_DIR: what `make run` shows. Two containers on one bridge, one of them killed, then
# berth itself killed, a limit, everything stopped, and the same out of one file: in namespaces of its own, so the machine it
# runs on is the same afterwards, and it shows that. Exit 0 when everything happened as it says.
set -u
cd "$(dirname "$0")/.." || exit 1
O=${1:-build/release}
BERTH=$PWD/$O/berth

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
say() { printf '   %s\n' "$*"; }
show() { sed 's/^/   | /'; }
give_up() {
	printf '\nThe demo went wrong: %s\n' "$1" >&2
	if [ -s "${demo:-}/supervise.log" ]; then
		echo "berth said:" >&2
		tail -n 20 "$demo/supervise.log" >&2
		kill -INT "${supervisor:-0}" 2>/dev/null && wait "$supervisor"
	fi
	exit 1
}

# ---- outside: packages, building, the machine before and after -------------------------------------

machine() {
	sysctl -a -r '^net\.(ipv4|ipv6|bridge|netfilter)\.' 2>/dev/null | grep -v -e '_count ' -e '\.stable_secret' |
		sed 's/^/sysctl /'
	nft list tables 2>/dev/null | sed 's/^/table /'
	ip -o link | awk -F': ' '{ print "link " $2 }'
	awk '{ print "mount " $5 }' /proc/self/mountinfo
}
count() { grep -c "^$1 " "$2"; }
counts() {
	echo "$(count sysctl "$1") network sysctls, $(count table "$1") nft tables," \
		"$(count link "$1") links, $(count mount "$1") mounts"
}

outside() {
	if [ "$(id -u)" != 0 ]; then
		echo "make run needs root: containers are made from namespaces, mounts and cgroups, which only" >&2
		echo "root may make. Try: sudo make run" >&2
		exit 1
	fi
	tests/lib/deps.sh run || exit 1
	# MODE= and CC= of the outer make come along in MAKEFLAGS.
	make --no-print-directory -s all || exit 1
	tests/lib/roots.sh busybox "$O" >/dev/null || exit 1

	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	begun=$SECONDS
	echo "berth: two containers on a bridge, in namespaces of their own: your machine is not touched."
	machine >"$scratch/before"
	say "your machine now: $(counts "$scratch/before")"
	tests/lib/sandbox.sh "$0" "$O" inside
	status=$?
	[ $status -ne 77 ] || exit 1
	[ $status -eq 0 ] || exit $status
	machine >"$scratch/after"
	step "Your machine afterwards"
	if ! cmp -s "$scratch/before" "$scratch/after"; then
		diff "$scratch/before" "$scratch/after" | grep '^[<>]' | show
		give_up "the machine is not as it was (see above; another program may have done it)"
	fi
	say "$(counts "$scratch/after"): each as it was before."
	printf '\nThat was the main job, in %s seconds. Next: README.md, "A first container".\n' \
		$((SECONDS - begun))
}

# ---- inside: the demo itself -----------------------------------------------------------------------

berth() { "$BERTH" --config "$demo/units" --run-dir "$demo/run" "$@"; }
# field NAME KEY: a number or word of one unit, from `berth ps -a --json`, without a JSON tool.
field() {
	berth ps -a --json 2>/dev/null | tr -d ' \n' | tr '{' '\n' | grep "\"name\":\"$1\"" |
		sed -n "s/.*\"$2\":\"\\{0,1\\}\\([^\",}]*\\).*/\\1/p" | head -n 1
}
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.02
	done
}
is() { [ "$(field "$1" state)" = "$2" ]; }
address() { nsenter -t "$(field "$1" pid)" -n ip -4 -o addr show scope global 2>/dev/null | awk '{ sub("/.*", "", $4); print $4; exit }'; }
ask() { berth exec asker timeout 5 wget -q -O - "http://web/" 2>"$demo/ask.err"; }
# A connection to a port, by the shell itself: nothing to start, so nothing is added to the time.
answers() { (exec 3<>"/dev/tcp/$1/80") 2>/dev/null; }

write_units() {
	mkdir -p "$demo/units" "$demo/state" "$demo/run"
	cat >"$demo/units/berth.conf" <<-EOT
		[Supervisor]
		StateDir=$demo/state
		RunDir=$demo/run
	EOT
	cat >"$demo/units/demo.network" <<-EOT
		[Network]
		Subnet=10.99.0.0/24
	EOT
	cat >"$demo/units/web.container" <<-EOT
		[Container]
		Rootfs=$root
		Exec=httpd -f -p 80 -h /www
		Network=demo.network
		RunInit=yes
		[Service]
		Restart=always
		[Install]
		WantedBy=default.target
	EOT
	cat >"$demo/units/asker.container" <<-EOT
		[Unit]
		After=web.service
		[Container]
		Rootfs=$root
		Exec=sleep infinity
		RunInit=yes
		Network=demo.network
		[Install]
		WantedBy=default.target
	EOT
	cat >"$demo/units/greedy.container" <<-EOT
		[Container]
		Rootfs=$root
		Exec=sh -c "x=0123456789; while :; do x=\$\$x\$\$x; done"
		Network=none
		[Service]
		MemoryMax=16M
	EOT
}

# `ps` also reads what a dead supervisor left; this only a living one says.
# The appliance has its configuration inside.
berth_of_site() { "$demo/site" "$@"; }

# What is left once everything is stopped.
stopped() {
	kill -INT "$supervisor"
	wait "$supervisor" || give_up "berth ended with exit code $?"
	left=$(ps -eo ppid=,stat=,args= | awk '$1 == 1 && $2 !~ /^Z/' | grep -c -v run-demo.sh)
	links=$(ip -o link | grep -c -v ': lo:')
	mounts=$(grep -c " $demo" /proc/self/mountinfo)
	say "left: $left processes, $links links, $mounts mounts, $(nft list tables | wc -l) nft tables."
	[ "$left $links $mounts $(nft list tables | wc -l)" = "0 0 0 0" ] || give_up "something is left"
}

one_file() {
	command -v mkfs.erofs >/dev/null || {
		say "not shown: mkfs.erofs is not installed (package erofs-utils)"
		return 1
	}
	rm "$demo/units/greedy.container"
	sed -i 's|^Rootfs=.*|Image=web|' "$demo"/units/*.container
	say "Rootfs= becomes Image=web, and: berth pack --image web=$root -o site"
	"$BERTH" --config "$demo/units" pack --image web="$root" -o "$demo/site" >"$demo/packed" ||
		give_up "nothing was packed"
	sed "s|$demo/|./|g" "$demo/packed" | show
	# From here on every verb is one of the file's.
	berth() { berth_of_site "$@"; }
	begun_file=${EPOCHREALTIME/[.,]/}
	"$demo/site" supervise 2>>"$demo/supervise.log" &
	supervisor=$!
	until_true 15 is web ready || give_up "web is not ready: $(berth why web 2>&1)"
	took=$((${EPOCHREALTIME/[.,]/} - begun_file))
	until_true 15 is asker ready || give_up "asker is not ready: $(berth why asker 2>&1)"
	say "./site supervise: web ready $((took / 1000)).$((took / 100 % 10)) ms later, its image mounted where it lies:"
	berth bundle ls | grep -e ^KIND -e ^image | show
	ask | show
}

speaks() { berth status 2>/dev/null | grep -q ', pid '; }
supervise() {
	"$BERTH" --config "$demo/units" --run-dir "$demo/run" supervise 2>>"$demo/supervise.log" &
	supervisor=$!
	until_true 10 speaks || give_up "berth supervise does not answer"
}

inside() {
	demo=$(mktemp -d)
	root=$PWD/build/roots/busybox
	trap 'rm -rf "$demo"' EXIT
	write_units

	step "1. A container is a file like this"
	show <"$demo/units/web.container"
	say "Beside it: asker.container, greedy.container and demo.network."

	step "2. berth reads the files and starts what they ask for"
	supervise
	until_true 15 is web ready || give_up "web is not ready: $(berth why web 2>&1)"
	until_true 15 is asker ready || give_up "asker is not ready: $(berth why asker 2>&1)"
	berth ps | show

	step "3. One container asks the other by its name"
	say "in asker: wget -O - http://web/"
	answer=$(ask) || give_up "asker got no answer from web: $(cat "$demo/ask.err")"
	echo "$answer" | show

	step "4. The web server is killed (SIGKILL) and comes back by itself"
	before_pid=$(field web pid) before_address=$(address web)
	started=${EPOCHREALTIME/[.,]/}
	kill -KILL "$before_pid"
	while answers "$before_address"; do :; done
	until_true 10 answers "$before_address" || give_up "web did not come back: $(berth why web 2>&1)"
	took=$((${EPOCHREALTIME/[.,]/} - started))
	until_true 5 is web ready || give_up "web is not ready again"
	[ "$(address web)" = "$before_address" ] || give_up "web came back with another address"
	[ "$(field web pid)" != "$before_pid" ] || give_up "web was not killed"
	say "process $before_pid is now process $(field web pid), the address is still $before_address;"
	say "it answered again $((took / 1000)).$((took / 100 % 10)) ms after the kill."

	step "5. berth itself is killed (SIGKILL); the containers do not notice"
	pids="$(field web pid) $(field asker pid)"
	kill -KILL "$supervisor"
	wait "$supervisor" 2>/dev/null
	answers "$before_address" || give_up "web does not answer while berth is dead"
	say "berth is dead; web still answers."
	supervise
	[ "$(field web pid) $(field asker pid)" = "$pids" ] || give_up "the containers were started anew"
	say "berth is back and has found them: the same processes, $pids."

	step "6. A limit: greedy may use 16 MB of memory, and wants all"
	if berth start greedy >"$demo/greedy" 2>&1; then
		until_true 15 is greedy failed || give_up "greedy was not stopped by its limit"
		berth why greedy 2>&1 | show
	else
		say "This machine cannot enforce it, so berth refuses instead of pretending:"
		head -n 3 "$demo/greedy" | show
	fi

	step "7. Everything is stopped (SIGINT to berth)"
	stopped

	step "8. The same as one file: berth, the units and the image"
	one_file && stopped
	true
}

if [ "${2:-}" = inside ]; then
	inside
else
	outside
fi
