#!/usr/bin/env bats
# Bad input: an error that names file and line; nothing started, nothing lost.
# shellcheck disable=SC2030,SC2031 # bats runs a test in the shell that set its variables
load ../lib/system.bash

prepare() {
	need_root_fs busybox
	unit good.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sleep infinity
		Network=none
		StopSignal=SIGKILL
		[Install]
		WantedBy=default.target
	EOT
}

# refused FILE:LINE WORD…: check says so; supervise refuses the whole set and starts nothing.
refused() {
	local word
	run timeout 20 "$BERTH" check "$UNITS"
	echo "$output"
	[ "$status" -eq 1 ]
	for word in "$@"; do has "$word"; done
	run timeout 20 "$BERTH" --config "$UNITS" --run-dir "$RUNTIME" supervise
	[ "$status" -ne 0 ]
	[ "$status" -ne 124 ]
	[ ! -e "$RUNTIME/state/good" ]
}

bad_container() {
	unit bad.container <<-EOT
		[Container]
		Rootfs=$ROOTS/busybox
		Exec=sleep infinity
		$1
	EOT
}

@test "an unknown key, with a guess at what was meant" {
	bad_container "Enviroment=A=b"
	refused bad.container:4 Enviroment Environment
}

@test "a key in the wrong section" {
	bad_container "Restart=always"
	refused bad.container:4 Restart Service
}

@test "a value that cannot be parsed" {
	bad_container "PidsLimit=many"
	refused bad.container:4 PidsLimit many
}

@test "a root that is missing" {
	unit bad.container <<-EOT
		[Container]
		Rootfs=/no/such/root
		Exec=sleep infinity
	EOT
	refused bad.container:2 /no/such/root
}

@test "a cycle in the dependencies, printed" {
	for pair in ab bc ca; do
		unit "${pair:0:1}.container" <<-EOT
			[Unit]
			Requires=${pair:1}.service
			After=${pair:1}.service
			[Container]
			Rootfs=$ROOTS/busybox
			Exec=sleep infinity
			Network=none
		EOT
	done
	refused a. b. c. cycle
}

two_on_a_network() {
	unit n.network <<-EOT
		[Network]
		Subnet=10.88.6.0/24
	EOT
	for name in one two; do
		unit $name.container <<-EOT
			[Container]
			Rootfs=$ROOTS/busybox
			Exec=sleep infinity
			Network=n.network
			$1
		EOT
	done
}

@test "one address for two units" {
	two_on_a_network IP=10.88.6.7
	refused 10.88.6.7 one two .container:5
}

@test "one port for two units" {
	two_on_a_network PublishPort=8080:80
	refused 8080 one two .container:5
}

@test "subnets that overlap" {
	unit n1.network <<-EOT
		[Network]
		Subnet=10.88.0.0/16
	EOT
	unit n2.network <<-EOT
		[Network]
		Subnet=10.88.5.0/24
	EOT
	refused n1 n2 .network:2
}

@test "a name that is a path" {
	bad_container "ContainerName=../up"
	refused bad.container:4 ../up
}

@test "a .network of systemd-networkd is told apart" {
	unit lan.network <<-EOT
		[Match]
		Name=eth0
		[Network]
		DHCP=yes
	EOT
	refused lan.network: systemd-networkd
}

@test "a unit that is a directory" {
	mkdir "$UNITS/dir.container"
	refused dir.container directory
}

@test "a unit that is a FIFO does not block" {
	mkfifo "$UNITS/pipe.container"
	refused pipe.container
}

@test "a line of one MiB ends in a clear error or its value" {
	{
		printf '[Container]\nRootfs=%s\nExec=sleep infinity\nLabel=long=' "$ROOTS/busybox"
		head -c 1048576 /dev/zero | tr '\0' x
		printf '\nPidsLimit=many\n'
	} >"$UNITS/long.container"
	run timeout 20 "$BERTH" check "$UNITS"
	[ "$status" -eq 1 ]
	[ "${#output}" -lt 10000 ]
	has long.container
}

@test "NUL bytes are named with their line" {
	printf '[Container]\nRootfs=%s\nExec=sleep\0infinity\n' "$ROOTS/busybox" >"$UNITS/nul.container"
	refused nul.container:3 NUL
}

@test "PodmanArgs are refused with the line to write instead" {
	bad_container "PodmanArgs=--cpus=2"
	refused bad.container:4 CPUQuota=200%
}

@test "a config that is no directory" {
	run -1 "$BERTH" check "$UNITS/good.container"
	has "good.container is a file: units are checked as a set, so name the directory that it is in"
	run -1 "$BERTH" check "$UNITS/nowhere"
	has nowhere
}

@test "a good set passes, and check touches nothing" {
	run -0 "$BERTH" check "$UNITS"
	[ ! -e "$RUNTIME/state" ]
}
