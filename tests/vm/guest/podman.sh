#!/bin/bash
# The same files under podman's quadlet and under berth: four examples, unchanged, each asked the same
# questions; the answers must be equal. As process 1 it puts the files in their places and becomes
# systemd; started by that, it is the test.
# shellcheck disable=SC1091,SC2016 # it is there in the guest; for the shells of containers
. /src/tests/vm/guest/lib.sh
quadlets=/etc/containers/systemd

install_all() {
	modules_here
	# An alias of the package's own unit, which would stand against quadlet's.
	rm -f /etc/systemd/system/redis.service
	mkdir -p /srv/roots/debian /srv/roots/busybox /srv/www $quadlets "$UNITS/secrets"
	mount --bind / /srv/roots/debian
	cp -a "$ROOT/." /srv/roots/busybox/
	echo 'hello from nginx' >/srv/www/index.html
	printf 'SITE=alps\n' >"$UNITS/api.env"
	printf 'open sesame' >"$UNITS/secrets/api-key"
	# prepare is a job of its own in both; the rest of the examples is not needed here.
	for unit in web.container redis.container fetcher.container api.container prepare.container \
		site.network vault.network redis-data.volume site.target web.container.d; do
		cp -r /src/examples/$unit "$UNITS/"
		case $unit in *.target) to=/etc/systemd/system ;; *) to=$quadlets ;; esac
		cp -r /src/examples/$unit $to/
	done
	quiet_systemd vm-test "$0 test" ''
}

if [ $$ = 1 ]; then
	install_all
	exec /sbin/init
fi

# ---- the two engines ----------------------------------------------------------------------------------
engine=
name_in_podman() { case $1 in web) echo web ;; *) echo "systemd-$1" ;; esac; }
inside() { # UNIT COMMAND…
	local name=$1
	shift
	case $engine in
	podman) podman exec "$(name_in_podman "$name")" "$@" 2>&1 ;;
	berth) "$BERTH" exec "$name" "$@" 2>&1 ;;
	esac
}
stop() {
	case $engine in
	podman) systemctl stop "$1" ;;
	berth) "$BERTH" stop "$1" ;;
	esac
}
main_pid() {
	case $engine in
	podman) podman inspect -f '{{.State.Pid}}' "$(name_in_podman "$1")" ;;
	berth) pid_of "$1" ;;
	esac
}
volume() {
	case $engine in
	podman) podman volume inspect -f '{{.Mountpoint}}' redis-data ;;
	berth) echo /var/lib/berth/volumes/redis-data ;;
	esac
}

# ---- the questions ------------------------------------------------------------------------------------
fetched() { [ "$(inside redis redis-cli get fetched)" -ge 1 ] 2>/dev/null; }
served() { curl -fsS --max-time 5 http://127.0.0.1:8080/; }
back() { p=$(main_pid web) && [ "$p" != "$1" ] && [ "$p" != 0 ] && served >/dev/null 2>&1; }

ask_web() {
	echo "published: $(served)"
	echo "limits: $(inside web sh -c 'ulimit -Sn; ulimit -Hn; cat /sys/fs/cgroup/pids.max' | tr '\n' ' ')"
	echo "address: $(inside web sh -c "ip -4 -o addr show scope global | sed 's/.*inet \([^ ]*\).*/\1/'")"
	echo "mounts: $(inside web sh -c "grep -c ' /var/www/html .*[ ,]ro[ ,]' /proc/self/mountinfo; touch /var/www/html/x" | tr '\n' ' ')"
}
ask_redis() {
	echo "ping: $(inside redis redis-cli ping)"
	echo "user: $(inside redis id -u)"
	echo "alias: $(inside web curl -sS --max-time 5 telnet://store:6379 </dev/null >/dev/null 2>&1; echo $?)"
	echo "data: $(inside redis stat -c '%u %a' /data) $(inside redis ls -A /data | grep -x .prepared)"
}
ask_fetcher() {
	echo "by name: $(inside fetcher curl -fsS http://web/)"
	echo "status: $(inside fetcher grep -E '^(Uid|Cap(Inh|Prm|Eff|Bnd|Amb)|Seccomp):' /proc/self/status | tr '\n\t' '  ')"
	echo "root: $(inside fetcher sh -c 'touch /x; touch /tmp/x && echo tmp; df -k /tmp | tail -n 1 | tr -s " " | cut -d " " -f 2' | sed 's/^[^:]*: //' | tr '\n' ' ')"
}
ask_api() {
	echo "status: $(inside api grep -E '^(Uid|Gid|Groups|Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp):' /proc/self/status | tr '\n\t' '  ')"
	echo "environment: $(inside api sh -c 'echo "$MODE, $GREETING, $SITE"; pwd; hostname; date +%Z' | tr '\n' ' ')"
	echo "limits: $(inside api sh -c 'ulimit -c; cat /proc/sys/net/core/somaxconn /sys/fs/cgroup/pids.max; df -k /dev/shm | tail -n 1 | tr -s " " | cut -d " " -f 2' | tr '\n' ' ')"
	echo "secret: $(inside api sh -c 'cat /run/secrets/api-key; stat -c " %a %u" /run/secrets/api-key')"
	echo "printer: $(inside api sh -c 'grep printer /etc/hosts' | tr -s '\t ' ' ')"
	# podman's own name server stands before 9.9.9.9; berth's names are in the hosts file.
	echo "resolver: $(inside api grep -E '^search' /etc/resolv.conf)"
	echo "root: $(inside api sh -c 'touch /x' | sed 's/.*: //')"
	echo "process 1: $(inside api sh -c 'cat /proc/1/comm' | sed 's/.*init.*/an init/')"
	echo "networks: $(inside api sh -c "ip -o link | grep -c 'eth[0-9]'; sort -n /sys/class/net/eth[0-9]*/mtu" | tr '\n' ' ')"
}
ask_all() {
	local pid
	for unit in web redis fetcher api; do
		ask_$unit | sed "s/^/$unit /"
	done
	pid=$(main_pid web)
	kill -KILL "$pid"
	# podman takes a minute for that in an emulated machine.
	until_true 180 back "$pid" && echo "killed: it comes back: $(served)"
	until_true 180 fetched && echo 'fetched'
	stop redis
	echo "dump: $(ls "$(volume)"/dump.rdb >/dev/null 2>&1 && echo written)"
}

# ---- one after the other ------------------------------------------------------------------------------
say note "$(podman --version), $(systemctl --version | head -n 1), $(uname -r)"
until_true 60 sh -c 'systemctl is-system-running | grep -qE "running|degraded"'
engine=podman
begun=$SECONDS
podman secret create api-key "$UNITS/secrets/api-key" >/dev/null
for unit in web fetcher api; do
	ok "podman: $unit is started" timeout 200 systemctl start $unit ||
		{ journalctl -q -u $unit -o cat | show; }
done
ask_all >/run/podman.txt
say note "podman: $((SECONDS - begun)) s"
systemctl stop fetcher web redis api prepare site-network vault-network
podman network rm -f systemd-site systemd-vault >/dev/null 2>&1
# podman makes what it mounts on in the roots themselves: berth gets them as they were.
rm -rf /srv/roots/busybox
cp -a "$ROOT" /srv/roots/busybox
rmdir /data

engine=berth
begun=$SECONDS
supervise
for unit in web fetcher api; do
	ok "berth: $unit is started" timeout 200 "$BERTH" start $unit || berth why $unit 2>&1 | show
done
ask_all >/run/berth.txt
say note "berth: $((SECONDS - begun)) s"

while IFS= read -r line; do
	key=${line%%:*}:
	if grep -qxF -- "$line" /run/berth.txt; then good "the same under both: $line"; else
		bad "podman says \"$line\", berth says \"$(grep -F -- "$key" /run/berth.txt)\""
	fi
done </run/podman.txt
same 'and nothing more' "$(wc -l </run/podman.txt)" "$(wc -l </run/berth.txt)"
ok 'enough was asked' test "$(wc -l </run/podman.txt)" -ge 20
"$BERTH" stop --all >/dev/null 2>&1
finish
