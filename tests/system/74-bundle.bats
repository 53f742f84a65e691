#!/usr/bin/env bats
# Runtimes that berth brings along, or finds: started, waited for by their socket, restarted, replaced.
# shellcheck disable=SC2030,SC2031,SC2119,SC2120 # bats runs a test in the shell that set its variables
load ../lib/system.bash

# listener NAME [TIMEOUT [PROBED]]: a unit that listens on /run/NAME.sock half a second after its start.
listener() {
	command -v socat >/dev/null || skip "socat is not installed"
	unit "$1.service" <<-EOT
		[Service]
		ExecStart=/bin/sh -c "sleep 0.5; rm -f /run/$1.sock; exec socat UNIX-LISTEN:/run/$1.sock,fork /dev/null"
		Restart=always
		TimeoutStartSec=${2:-20s}
		[X-Berth]
		Probe=unix:/run/${3:-$1}.sock
		ProbeInterval=200ms
		[Install]
		WantedBy=default.target
	EOT
}
health_of() { row "$1" | jq -r .health; }
has_health() { [ "$(health_of "$2")" = "$1" ]; }

@test "a service is ready when its socket answers, and unhealthy when it stops to" {
	listener echo
	start_supervise
	wait_for running echo
	wait_for ready echo
	[ -S /run/echo.sock ]
	pid=$(pid_of echo)
	# The process lives, its socket does not: the third failure in a row restarts it.
	rm /run/echo.sock
	wait_restarted echo "$pid"
	wait_for ready echo
	grep -q 'echo: unhealthy: 3 probes in a row failed, the last one: unix:/run/echo.sock: No such file' \
		"$BATS_TEST_TMPDIR/supervise.log"
	# Adopted, it is asked again.
	pid=$(pid_of echo)
	end_supervise
	start_supervise
	wait_until 5 has_health healthy echo
	[ "$(pid_of echo)" = "$pid" ]
	rm /run/echo.sock
	wait_restarted echo "$pid"
}

@test "a start that never answers names the socket" {
	listener deaf 1s nobody
	sed -i s/Restart=always/Restart=no/ "$UNITS/deaf.service"
	start_supervise
	wait_for failed deaf
	run berth why deaf
	has 'last probe: unix:/run/nobody.sock: No such file or directory'
}

@test "a TCP port will do as well" {
	command -v socat >/dev/null || skip "socat is not installed"
	unit web.service <<-EOT
		[Service]
		ExecStart=$(command -v socat) TCP-LISTEN:8081,bind=127.0.0.1,fork /dev/null
		[X-Berth]
		Probe=tcp:127.0.0.1:8081
		[Install]
		WantedBy=default.target
	EOT
	start_supervise
	wait_for ready web
}
