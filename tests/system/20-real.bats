#!/usr/bin/env bats
# Real programs: Debian's nginx and redis, and a third container that fetches from both by name.
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash

prepare() {
	need_root_fs debian
	mkdir "$BATS_TEST_TMPDIR/data"
	unit real.network <<-EOT
		[Network]
		Subnet=10.88.9.0/24
	EOT
	unit nginx.container <<-EOT
		[Container]
		Rootfs=$ROOTS/debian
		Exec=nginx -g "daemon off;"
		Network=real.network
		NetworkAlias=www
		HealthCmd=curl -fsS -o /dev/null http://127.0.0.1/
		HealthInterval=1s
		Notify=healthy
		PidsLimit=64
		[Service]
		Restart=always
		MemoryMax=256M
		[X-Berth]
		LimitsPolicy=best-effort
		[Install]
		WantedBy=default.target
	EOT
	unit redis.container <<-EOT
		[Container]
		Rootfs=$ROOTS/debian
		Exec=redis-server --bind 0.0.0.0 --protected-mode no --dir /data
		User=redis
		Network=real.network
		Volume=$BATS_TEST_TMPDIR/data:/data:U
		HealthCmd=redis-cli ping
		HealthInterval=1s
		Notify=healthy
		[Service]
		Restart=always
		MemoryMax=128M
		TasksMax=32
		[X-Berth]
		LimitsPolicy=best-effort
		[Install]
		WantedBy=default.target
	EOT
	unit fetcher.container <<-EOT
		[Unit]
		Requires=nginx.service redis.service
		After=nginx.service redis.service
		[Container]
		Rootfs=$ROOTS/debian
		Exec=sh -c "while :; do curl -fsS http://www/ && redis-cli -h redis incr fetched; sleep 0.5; done"
		User=nobody
		Network=real.network
		DropCapability=all
		StopSignal=SIGKILL
		[Service]
		Restart=always
		MemoryMax=64M
		CPUQuota=50%
		[X-Berth]
		LimitsPolicy=best-effort
		[Install]
		WantedBy=default.target
	EOT
}

fetched() { berth logs -n 20 fetcher | grep -q "hello from nginx"; }

@test "a fetcher asks nginx and redis by name" {
	start_supervise
	wait_for ready nginx 20
	wait_for ready redis 20
	wait_for ready fetcher 20
	wait_until 10 fetched
	run -0 berth exec fetcher redis-cli -h redis get fetched
	ps_answers_at_once
}

@test "nginx killed with SIGKILL has its address again while a client holds a connection open" {
	start_supervise
	wait_for ready nginx 20
	wait_for ready fetcher 20
	where=$(address nginx)
	pid=$(pid_of nginx)
	# Keep-alive: half a request, and then waiting.
	exec 9<>"/dev/tcp/${where%/*}/80"
	printf 'GET / HTTP/1.1\r\nHost: www\r\n' >&9
	kill -KILL "$pid"
	wait_restarted nginx "$pid"
	wait_for ready nginx 20
	[ "$(address nginx)" = "$where" ]
	run curl -fsS --max-time 5 "http://${where%/*}/"
	has "hello from nginx"
	exec 9>&-
}

@test "redis stopped by SIGTERM writes its dump first, and has it again" {
	start_supervise
	wait_for ready redis 20
	berth exec redis redis-cli set kept yes
	rm -f "$BATS_TEST_TMPDIR/data/dump.rdb"
	berth stop redis
	[ -s "$BATS_TEST_TMPDIR/data/dump.rdb" ]
	berth start redis
	wait_for ready redis 20
	run berth exec redis redis-cli get kept
	has yes
}
