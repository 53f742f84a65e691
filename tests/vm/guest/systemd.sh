#!/bin/bash
# As process 1 it installs berth as a service and becomes systemd; started by that, it is the test.
# shellcheck disable=SC1091 # it is there in the guest
. /src/tests/vm/guest/lib.sh

install_all() {
	modules_here
	mkdir -p /usr/local/sbin /usr/local/libexec
	cp "$BERTH" /usr/local/sbin/
	cp "$BERTH-worker" /usr/local/libexec/
	cp /src/packaging/*.service /etc/systemd/system/
	mkdir -p /etc/systemd/system/multi-user.target.wants
	ln -sf /etc/systemd/system/berth.service /etc/systemd/system/multi-user.target.wants/
	quiet_systemd vm-test "$0 test" berth.service
	mkdir -p "$UNITS"
	unit site.network <<-U
		[Network]
		Subnet=10.88.5.0/24
	U
	for name in web asker; do
		unit $name.container <<-U
			[Container]
			Rootfs=$ROOT
			Exec=httpd -f -p 80 -h /www
			Network=site.network
			StopSignal=SIGKILL
			[Service]
			Restart=always
			MemoryMax=32M
			TasksMax=20
			[Install]
			WantedBy=default.target
		U
	done
}

if [ $$ = 1 ]; then
	install_all
	exec /sbin/init
fi

BERTH=/usr/local/sbin/berth
service=/sys/fs/cgroup/system.slice/berth-containers.service
main_pid() { systemctl show -P MainPID berth; }
active() { [ "$(systemctl is-active berth)" = active ]; }
journal() { until_true 5 sh -c "journalctl -q -u berth -o cat | grep -qE '$1'"; }

say note "$(systemctl --version | head -n 1), $(uname -r)"
ok 'berth.service is active' until_true 60 active
ok 'it answers' until_true 60 answers
reach web ready 60 || journalctl -q -u berth -u berth-containers -o cat | show
reach asker ready 60
ok 'one asks the other by name' berth exec asker wget -q -O /dev/null http://web/
leaf=$(leaf web)
ok "containers run in the delegated subtree ($leaf)" test "${leaf#"$service"/}" != "$leaf"
same 'with their limits' '33554432 20' "$(cat "$leaf/memory.max" "$leaf/pids.max" | tr '\n' ' ' | sed 's/ $//')"
same 'berth itself stays in its own' "0::/system.slice/berth.service" "$(cat "/proc/$(main_pid)/cgroup")"
never 'and it has no cgroup outside' test -e /sys/fs/cgroup/berth

pids="$(pid_of web) $(pid_of asker)" main=$(main_pid)
ok 'systemctl restart' timeout 60 systemctl restart berth || journalctl -q -u berth -o cat | show
ok 'it answers again' until_true 30 answers
never 'it is another process' [ "$(main_pid)" = "$main" ]
same 'the containers are the same processes' "$pids" "$(pid_of web) $(pid_of asker)"
ok 'their limits too' grep -qx 33554432 "$(leaf web)/memory.max"
pid=$(pid_of web)
kill -KILL "$pid"
another() { local p; p=$(pid_of web); [ "$p" != "$pid" ] && [ "$p" != 0 ]; }
ok 'one that dies is started again' until_true 20 another
ok 'which the journal tells' journal 'web: (next try|the main process ended)' || journalctl -q -u berth -o cat | show
reach web ready
ok 'and reaches the other, which was there before' berth exec web wget -q -O /dev/null http://asker/

pids="$(pid_of web) $(pid_of asker)" main=$(main_pid)
sed 's/^MemoryMax=.*/MemoryMax=31M/' "$UNITS/web.container" >"$UNITS/another.container"
ok 'systemctl reload' timeout 60 systemctl reload berth || journalctl -q -u berth -o cat | show
reach another ready
same 'the others are the same processes, and so is berth' "$pids $main" \
	"$(pid_of web) $(pid_of asker) $(main_pid)"

kill -KILL "$main"
ok 'killed, it is started again by systemd' until_true 30 sh -c "p=\$(systemctl show -P MainPID berth); [ \$p != 0 ] && [ \$p != $main ]"
ok 'and answers' until_true 30 answers
same 'the containers are the same processes' "$pids" "$(pid_of web) $(pid_of asker)"

ok 'systemctl stop' timeout 60 systemctl stop berth
# shellcheck disable=SC2086 # two words
ok 'leaves the containers running' kill -0 $pids
ok 'systemctl start' timeout 60 systemctl start berth
ok 'takes them up' until_true 30 answers
same 'as they were' "$pids" "$(pid_of web) $(pid_of asker)"
ok 'berth stop --all stops them' timeout 60 "$BERTH" stop --all
never 'the processes are gone' kill -0 "${pids% *}"
ok 'systemctl stop' timeout 60 systemctl stop berth
sleep 1
same 'only the one that holds the cgroup is left' 1 "$(find $service -name cgroup.procs -exec cat {} + | wc -l)"
finish
