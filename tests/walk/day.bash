# One day of a box on one disk, as scenes: each changes what is on it. Played in the machine, where the
# disk logs what is written, and once on the host, to learn how it is between the scenes. Sourced after
# store.bash; the disk is mounted at $D/state, and has `site` on it, an appliance.
# shellcheck shell=bash disable=SC2034,SC2154 # for those who source it, and theirs
SITE=$D/state/site
scenes='import replace tag rollback pull rm other forget gc volume extract install extract-next volume-rm'

# make_day: into $MADE, on the host, what the scenes need.
make_day() {
	local next unit blob
	make_images
	mkdir -p "$MADE/units" "$MADE/idle" "$MADE/kit" "$MADE/site-units" "$MADE/root"
	cp -a "$ROOT/." "$MADE/root/"
	cp -a "$MADE/one" "$MADE/root/srv"
	chown -R 70:80 "$MADE/root/srv"
	printf '[Supervisor]\nStateDir=%s/state\nRunDir=%s/run\n' "$D" "$D" |
		tee "$MADE/units/berth.conf" "$MADE/site-units/berth.conf" >"$MADE/idle/berth.conf"
	echo 'RegistryMirror=registry.invalid http://127.0.0.1:5555' >>"$MADE/units/berth.conf"
	printf '[Container]\nRootfs=%s/root\nNetwork=none\nVolume=data:/srv\nExec=busybox sleep 1000\nStopSignal=SIGKILL\n' \
		"$MADE" >"$MADE/units/keeper.container"
	printf '[Service]\nExecStart=tool\n[X-Berth]\nBundle=kit\n' >"$MADE/site-units/tool.service"
	for unit in "$MADE/units/keeper.container" "$MADE/site-units/tool.service"; do
		printf '[Install]\nWantedBy=default.target\n' >>"$unit"
	done
	cp "$(command -v sleep)" "$MADE/kit/nap"
	for next in site next; do
		# shellcheck disable=SC2016 # for the program
		printf '#!/bin/sh\n# of %s\nexec "${0%%/*}/nap" 1000\n' $next >"$MADE/kit/tool"
		chmod 755 "$MADE/kit/tool"
		(cd "$MADE/kit" && sha256sum nap tool) >"$MADE/$next.programs"
		"$BERTH" --config "$MADE/site-units" pack --bundle "kit=$MADE/kit" -o "$MADE/$next" || return 1
	done
	# A registry, as files.
	mkdir -p "$MADE/registry/v2/x/c/manifests"
	mkdir "$MADE/registry/v2/x/c/blobs"
	for blob in "$MADE"/c/blobs/sha256/*; do cp "$blob" "$MADE/registry/v2/x/c/blobs/sha256:${blob##*/}"; done
	cp "$MADE/c.manifest" "$MADE/registry/v2/x/c/manifests/latest"
	cat >"$MADE/nginx.conf" <<-EOT
		user root;
		worker_processes 1;
		pid $D/nginx.pid;
		error_log /dev/null;
		events {}
		http {
			access_log off;
			server {
				listen 127.0.0.1:5555;
				root $MADE/registry;
				location ~ /manifests/ { default_type application/vnd.oci.image.manifest.v1+json; }
			}
		}
	EOT
	rm -r "$MADE"/*.tar "$MADE/base" "$MADE/one" "$MADE/two"
}
# day_begins, day_ends: around all scenes.
day_begins() {
	mkdir -p "$D/run"
	ln -sfn "$MADE/units" "$D/units"
	nginx -c "$MADE/nginx.conf" >>"$D.log" 2>&1
}
day_ends() { kill "$(cat "$D/nginx.pid")"; }

# A boot: nothing is in /run.
boot() {
	rm -rf "${D:?}/run" /run/berth-appliance
	mkdir "$D/run"
}
# up_down UNIT COMMAND…: that supervisor comes up with UNIT, and goes down.
up_down() {
	local unit=$1 pid answer=1
	shift
	boot
	"$@" supervise >>"$D.log" 2>&1 &
	pid=$!
	if wait_until 30 is_up "$unit" "$@"; then answer=0; fi
	kill -INT $pid
	wait $pid
	return $answer
}
is_up() {
	local unit=$1
	shift
	if [ "$unit" = - ]; then
		"$@" status 2>/dev/null | grep -q ', pid ' && nothing_half
	else
		[ "$("$@" is-active "$unit" 2>/dev/null)" = ready ]
	fi
}
idle_start() { up_down - "$BERTH" --config "$MADE/idle" --run-dir "$D/run"; }

play() { # SCENE
	case $1 in
	import) img import --name web "$MADE/a" ;;
	replace) img import --name web "$MADE/b" ;;
	tag) img tag web new ;;
	rollback) img rollback web ;;
	pull) img pull registry.invalid/x/c ;;
	rm) img rm registry.invalid/x/c ;;
	other) img import --name other "$MADE/c" ;;
	forget) rm -f "$D/state/store/names/localhost+other:latest" && sync -f "$D/state" ;;
	gc) img gc ;;
	volume) up_down keeper "$BERTH" --config "$D/units" --run-dir "$D/run" ;;
	extract | extract-next) up_down tool "$SITE" ;;
	install) "$SITE" bundle install "$MADE/next" >>"$D.log" 2>&1 ;;
	volume-rm) "$BERTH" --config "$MADE/idle" volume rm --force data >>"$D.log" 2>&1 ;;
	esac
}
# What cannot be asked for again once it is done.
once() { case $1 in rollback | rm | volume-rm) ;; *) return 1 ;; esac; }

# How the disk is, as lines: what the names mean, each volume as a whole, which appliance it is.
state() {
	local volume
	echo "names $(names)"
	for volume in "$D"/state/volumes/[!.]*; do
		[ -d "$volume" ] && echo "volume ${volume##*/} $(tree_sum "$volume")"
	done
	echo "site $(sum_of "$SITE")"
}
tree_sum() {
	(
		cd "$1" || exit
		find . -printf '%P %y %m %U %G\n' | LC_ALL=C sort
		find . -type f -exec sha256sum {} + | LC_ALL=C sort
	) | sha256sum | cut -c1-16
}

# Programs are run as soon as they have their name.
programs_whole() {
	local file
	for file in "$D"/state/bundles/*/[!.]*; do
		[ -e "$file" ] || continue
		grep -q "^$(sum_of "$file")  ${file##*/}$" "$MADE/site.programs" "$MADE/next.programs" ||
			{ echo "${file#"$D"/}: $(stat -c '%s bytes' "$file")"; return 1; }
	done
}
programs_are() { # APPLIANCE
	(cd "$D"/state/bundles/kit-* && sha256sum --quiet -c "$MADE/$1.programs" && [ "$(find . -type f | wc -l)" = 2 ])
}
nothing_half() { [ -z "$(half)" ]; }
# What a pull has got is kept on purpose, for the next one; a power cut may bring it back.
# Not in the trees: an image that was looked into counts as handed out for a minute, and gc keeps it.
half() {
	find "$D/state" \( -path "$D/state/lost+found" -o -path "$D/state/store/images" -o -path "$D/state/store/layers" \) \
		-prune -o \( -name '.*.new' -o -name '.tmp*' -o -name '*.part' -o -name '.berth-copy*' \
		-o -name '.*.trash' \) -print
	[ ! -d "$D/state/store/tmp" ] || find "$D/state/store/tmp" "$D/state/store/trash" -mindepth 1 -maxdepth 1 ! -name 'pull-*'
}
