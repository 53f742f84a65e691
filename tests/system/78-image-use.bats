#!/usr/bin/env bats
# Containers that name an image by its file: it is imported into the store by a unit of its own, once
# for its content, and what it says of itself is what runs. And Pull=, in 77-pull. Cost: 9 s.
load ../lib/system

prepare() {
	need_root_fs busybox
	MADE=$BATS_TEST_TMPDIR/made
	mkdir "$MADE"
}

# docker FILE PAGE: a docker-archive of busybox with a page, which says all that an image can say.
docker() {
	python3 - "$ROOTS/busybox" "$1" "$2" "$(uname -m)" <<-'EOT'
		import hashlib, io, json, sys, tarfile
		root, to, page, machine = sys.argv[1:]
		arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
		def archive(*members):
		    out = io.BytesIO()
		    with tarfile.open(fileobj=out, mode="w") as tar:
		        for name, data in members:
		            if data is None:
		                tar.add(root, name)
		                continue
		            info = tarfile.TarInfo(name)
		            info.size, info.mode = len(data), 0o644
		            tar.addfile(info, io.BytesIO(data))
		    return out.getvalue()
		layer = archive((".", None), ("site/index.html", page.encode()))
		config = json.dumps({"os": "linux", "architecture": arch,
		    "config": {"Entrypoint": ["httpd", "-f"], "Cmd": ["-h", "/site"], "Env": ["SAYS=" + page],
		        "WorkingDir": "/site", "User": "7:8", "StopSignal": "SIGKILL",
		        "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/kept": {}}, "Labels": {"page": page},
		        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1000000000}},
		    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}
		    ).encode()
		name = hashlib.sha256(config).hexdigest() + ".json"
		manifest = json.dumps([{"Config": name, "RepoTags": ["web:" + page], "Layers": ["l.tar"]}])
		open(to, "wb").write(archive(("manifest.json", manifest.encode()), (name, config),
		    ("l.tar", layer)))
	EOT
}

# web KEY=VALUE: a container of that image alone.
web() {
	unit web.container <<-EOT
		[Container]
		$1
		Network=none
		AddCapability=NET_BIND_SERVICE
		Sysctl=net.ipv4.ip_unprivileged_port_start=0
		[Install]
		WantedBy=default.target
	EOT
}
page() { inside web busybox wget -q -O - http://127.0.0.1/; }
page_is() { [ "$(page)" = "$1" ]; }
names() { berth image ls --json | jq -r '.[].name'; }
names_are() { [ "$(names | wc -l)" = "$1" ]; }

@test "docker-archive: it is imported, and all that it says of itself is so" {
	docker "$MADE/web.tar" one
	web "Image=docker-archive:$MADE/web.tar"
	run -0 berth check
	start_supervise
	wait_for ready web 20
	wait_for inactive web.image
	[ "$(row web.image | jq -r .last_exit.code)" = 0 ]
	wait_until 5 page_is one
	pid=$(pid_of web)
	[ "$(awk '/^Uid/ { print $2 } /^Gid/ { print $2 }' "/proc/$pid/status" | xargs)" = "7 8" ]
	[ "$(readlink "/proc/$pid/cwd")" = /site ]
	tr '\0' '\n' <"/proc/$pid/environ" | grep -qx SAYS=one
	tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qx 'httpd -f -h /site '
	run -0 berth inspect web
	[ "$(jq -c '[.image_labels.page, .image_ports, .stop_signal]' <<<"$output")" = \
		'["one",["80/tcp"],"SIGKILL"]' ]
	grep -q " /kept " "/proc/$pid/mountinfo"
	run -0 names
	[[ "$output" =~ ^localhost/archive/web:[0-9a-f]{16}-[0-9a-f]{16}$ ]]
	stop_supervise
	# The second time there is nothing to do: no unit that imports is run.
	start_supervise
	wait_for ready web
	in_state inactive web.image
}

@test "OCI archives and layouts, compressed ones, by ImagePath= and by Rootfs=" {
	docker "$MADE/docker.tar" one
	gzip -1 -k "$MADE/docker.tar"
	images=("Image=$MADE/docker.tar.gz" Image=site:1 "Rootfs=$MADE/docker.tar")
	if command -v skopeo >/dev/null; then
		skopeo copy -q "docker-archive:$MADE/docker.tar" "oci-archive:$MADE/oci.tar:one"
		skopeo copy -q "docker-archive:$MADE/docker.tar" "oci:$MADE/layout:one"
		skopeo copy -q "docker-archive:$MADE/docker.tar" "dir:$MADE/flat"
		images+=("Image=oci-archive:$MADE/oci.tar" "Image=oci:$MADE/layout:one" "Image=$MADE/layout" "Image=dir:$MADE/flat")
	fi
	mkdir "$MADE/path"
	cp "$MADE/docker.tar" "$MADE/path/site:1.tar"
	echo "ImagePath=$MADE/path" >>"$UNITS/berth.conf"
	for image in "${images[@]}"; do
		web "$image"
		start_supervise
		wait_for ready web 20
		wait_until 5 page_is one
		stop_supervise
	done
	# Each start has forgotten the name of the one before; they are one image.
	names_are 1
}

@test "a container waits for it without a timeout, and berth does not" {
	mkfifo "$MADE/gate"
	docker "$MADE/web.tar" one
	mkdir "$BATS_TEST_TMPDIR/bin"
	cp "$O/berth" "$BATS_TEST_TMPDIR/bin/berth"
	ln -s "$O/berth-worker" "$BATS_TEST_TMPDIR/bin/real"
	# A worker that begins when it is told to.
	# shellcheck disable=SC2016 # for that shell
	printf '#!/bin/sh\n[ "$1" != import ] || read -r _ <%s\nexec %s "$@"\n' "$MADE/gate" \
		"$O/berth-worker" >"$BATS_TEST_TMPDIR/bin/berth-worker"
	chmod +x "$BATS_TEST_TMPDIR/bin/berth-worker"
	# shellcheck disable=SC2030 # for this test
	BERTH=$BATS_TEST_TMPDIR/bin/berth
	web "Image=$MADE/web.tar"
	printf '[Service]\nTimeoutStartSec=1\n' >>"$UNITS/web.container"
	start_supervise
	wait_for running web.image
	in_state waiting web
	ps_answers_at_once
	run berth why web
	has web.image
	echo >"$MADE/gate"
	wait_for ready web 20
	wait_until 5 page_is one
}

@test "an import under a supervisor has a cgroup of its own, which a reload leaves alone" {
	mkfifo "$MADE/gate"
	mkdir "$BATS_TEST_TMPDIR/bin"
	cp "$O/berth" "$BATS_TEST_TMPDIR/bin/berth"
	# shellcheck disable=SC2016 # for that shell
	printf '#!/bin/sh\ncat /proc/self/cgroup >%s\nread -r _ <%s\nexec %s "$@"\n' "$MADE/cgroup" \
		"$MADE/gate" "$O/berth-worker" >"$BATS_TEST_TMPDIR/bin/berth-worker"
	chmod +x "$BATS_TEST_TMPDIR/bin/berth-worker"
	printf '[Container]\nRootfs=%s\nExec=true\n' "$ROOTS/busybox" >"$UNITS/web.container"
	start_supervise
	"$BATS_TEST_TMPDIR/bin/berth" --config "$UNITS" --run-dir "$RUNTIME" image import --name box \
		"$ROOTS/busybox" 3>&- 4>&- &
	verb=$!
	in_leaf() { grep -qE '^0::.*/workers/import-[0-9]+$' "$MADE/cgroup"; }
	wait_until 10 in_leaf
	leaf=$(find "$(cgroup_top)" -type d -name "import-$verb")
	grep -q . "$leaf/cgroup.procs"
	echo "Label=a=b" >>"$UNITS/web.container"
	run -0 berth reload
	grep -q . "$leaf/cgroup.procs"
	echo >"$MADE/gate"
	wait "$verb"
	[ ! -e "$leaf" ]
	run -0 berth image verify box
	# Without a supervisor there is none, and nothing is missing.
	stop_supervise
	run -0 berth image import --name two "$ROOTS/busybox"
}

@test "a new content: the old one runs until it is there, and then goes" {
	docker "$MADE/web.tar" one
	web "Image=$MADE/web.tar"
	start_supervise
	wait_for ready web 20
	wait_until 5 page_is one
	pid=$(pid_of web)
	docker "$MADE/new" two
	mv "$MADE/new" "$MADE/web.tar"
	run -0 berth reload
	wait_restarted web "$pid" 20
	wait_for ready web
	wait_until 5 page_is two
	wait_until 10 names_are 1
	# One that is broken changes nothing.
	pid=$(pid_of web)
	head -c 100000 "$MADE/web.tar" >"$MADE/new"
	mv "$MADE/new" "$MADE/web.tar"
	run -0 berth reload
	wait_for backoff web.image 20
	page_is two
	[ "$(pid_of web)" = "$pid" ]
	run -0 berth logs web.image
	has "image import $MADE/web.tar"
}

@test "a .image of an archive, under a name of its own too" {
	docker "$MADE/web.tar" one
	web Image=web.image
	unit web.image <<-EOT
		[Image]
		Image=docker-archive:$MADE/web.tar
		ImageTag=web:one
	EOT
	start_supervise
	wait_for ready web 20
	wait_until 5 page_is one
	names | grep -qx localhost/web:one
	names | grep -q '^localhost/archive/web:'
	stop_supervise
	start_supervise
	wait_for ready web
	names_are 2
	sed -i s/web:one/web:none/ "$UNITS/web.image"
	run -0 berth reload
	wait_for backoff web.image
	run berth logs web.image
	has "web:none"
}

@test "what no unit names any more is forgotten, and what somebody named is not" {
	docker "$MADE/web.tar" one
	web "Image=$MADE/web.tar"
	start_supervise
	wait_for ready web 20
	berth image tag "$(names)" archive/mine
	rm "$UNITS/web.container"
	run -0 berth reload
	wait_until 10 names_are 1
	[ "$(names)" = archive/mine:latest ]
}

@test "run takes an archive in, once" {
	docker "$MADE/docker.tar" one
	# Its entrypoint is httpd, which has words for what it does not know.
	for _ in first second; do
		run -1 berth run --network none "$MADE/docker.tar" --nosuch
		has 'Usage: httpd'
		names_are 1
	done
	head -c 20000 "$MADE/docker.tar" >"$MADE/cut.tar"
	run -125 berth run --network none "$MADE/cut.tar" true
	names_are 1
}

@test "what cannot be is told" {
	docker "$MADE/web.tar" one
	web "Image=$MADE/none.tar"
	run -1 berth check
	has "web.container:2: Image: $MADE/none.tar: No such file or directory"
	web "Image=$UNITS/berth.conf"
	run -1 berth check
	has "is neither a directory nor a .tar archive"
	web "Image=$MADE/web.tar"
	printf '[Image]\nImage=a.b/c\n' >"$UNITS/web.image"
	run -1 berth check
	has "would be called web.image, which is $UNITS/web.image: rename"
	rm "$UNITS/web.image"
	# shellcheck disable=SC2031
	run -1 "$BERTH" pack --config "$UNITS" -o "$MADE/box"
	has "an appliance file has images by their names"
	# A packed one that is a root by its key is seen when it is unpacked.
	gzip -1 "$MADE/web.tar"
	web "Rootfs=$MADE/web.tar.gz"
	printf '[Container]\nExec=true\n' >>"$UNITS/web.container"
	run -0 berth check
	start_supervise
	wait_for failed web
	run berth why web
	has "it has an image in it"
}
