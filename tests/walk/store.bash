# What the walks over a store share: small images of which every byte is known, and what is there: what
# each name means, whether all that has a name is whole, whether anything is left over. Sourced; needs
# $BERTH, and $D, with the store in $D/state; the images are in $MADE. With common.bash before it, where
# something can fail.
# shellcheck shell=bash disable=SC2034,SC2154 # for those who source it, and theirs

# ---- images -----------------------------------------------------------------------------------

# files DIR N WORD: N small files of a content that WORD decides, and their digests in sums/.
files() {
	local i
	mkdir -p "$1"
	for ((i = 0; i < $2; i++)); do
		mkdir -p "$1/$((i % 7))"
		seq -f "$3 $i %g" $((20 + i * 13 % 300)) >"$1/$((i % 7))/$3$i"
	done
	tar -C "$1" --sort=name -cf "$1.tar" .
	(cd "$1" && find . -type f -exec sha256sum {} +) >"$MADE/sums/$(sum_of "$1.tar")"
}
sum_of() { sha256sum "$1" | cut -c1-64; }
blob() { # LAYOUT FILE TYPE: its descriptor
	local sum
	sum=$(sum_of "$2")
	cp "$2" "$1/blobs/sha256/$sum"
	echo "{\"mediaType\":\"application/vnd.oci.image.$3\",\"digest\":\"sha256:$sum\",\"size\":$(stat -c %s "$2")}"
}
# layout DIR TAR…: an OCI layout of these layers.
layout() {
	local to=$1 arch tar ids='' blobs=''
	shift
	arch=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
	mkdir -p "$to/blobs/sha256"
	for tar; do
		ids+="${ids:+,}\"sha256:$(sum_of "$tar")\""
		blobs+="${blobs:+,}$(blob "$to" "$tar" layer.v1.tar)"
	done
	echo "{\"os\":\"linux\",\"architecture\":\"$arch\",\"config\":{\"Cmd\":[\"sh\"]},
		\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[$ids]}}" >"$to.config"
	echo "{\"schemaVersion\":2,\"config\":$(blob "$to" "$to.config" config.v1+json),\"layers\":[$blobs]}" >"$to.manifest"
	echo "{\"schemaVersion\":2,\"manifests\":[$(blob "$to" "$to.manifest" manifest.v1+json)]}" >"$to/index.json"
	echo '{"imageLayoutVersion":"1.0.0"}' >"$to/oci-layout"
	sum_of "$to.config" >"$to.id"
}

make_images() {
	mkdir -p "$MADE/sums"
	files "$MADE/base" 60 base
	files "$MADE/one" 40 one
	files "$MADE/two" 40 two
	layout "$MADE/a" "$MADE/base.tar" "$MADE/one.tar"
	layout "$MADE/b" "$MADE/base.tar" "$MADE/two.tar"
	layout "$MADE/c" "$MADE/two.tar"
}

# ---- a disk -----------------------------------------------------------------------------------

plug() { # FILE: its file system is where the store is
	mount -o loop "$1" "$D/state" || { fail "mount $1" true; finish_walk; }
}
unplug() { umount "$D/state"; }

# fail WORDS COMMAND…: what it prints is shown.
fail() {
	failed=$((failed + 1))
	echo "FAILED: $where: $1"
	shift
	"$@" 2>&1 | sed 's/^/	/'
	tail -n 12 "$D.log" | sed 's/^/	log: /'
}

# ---- what is there ----------------------------------------------------------------------------

img() { timeout "${IMG_SECONDS:-20}" "$BERTH" --config "$D/units" --run-dir "$D/run" image "$@" >>"$D.log" 2>&1; }

# All names, with what they mean and meant, as one line.
names() {
	local file
	for file in "$D"/state/store/names/[!.]*; do
		[ -e "$file" ] && echo "${file##*/}=$(tr '\n' ' ' <"$file")"
	done | tr '\n' ' '
}

# Every image that a name means or meant is whole, to the last byte.
whole() {
	local file id chain diff rest
	for file in "$D"/state/store/names/[!.]*; do
		[ -e "$file" ] || continue
		while read -r id; do
			id=${id#sha256:}
			[ "$(sum_of "$D/state/store/images/$id/config.json")" = "$id" ] ||
				{ echo "config of $id"; return 1; }
			while read -r chain diff rest; do
				[ -n "$rest" ] || { echo "layers of $id"; return 1; }
				(cd "$D/state/store/layers/$chain" && sha256sum --quiet -c "$MADE/sums/${diff#sha256:}") ||
					return 1
			done <"$D/state/store/images/$id/layers"
		done <"$file"
	done
}
# After gc nothing is there that no name needs.
tidy() {
	local images layers
	images=$(cat "$D"/state/store/names/[!.]* 2>/dev/null | sort -u | wc -l)
	layers=$(cat "$D"/state/store/images/*/layers 2>/dev/null | cut -d' ' -f1 | sort -u | wc -l)
	[ -z "$(find "$D/state/store/tmp" "$D/state/store/trash" -mindepth 1 -maxdepth 1 ! -name 'pull-*')" ] &&
		[ "$(find "$D/state/store/images" -mindepth 1 -maxdepth 1 | wc -l)" = "$images" ] &&
		[ "$(find "$D/state/store/layers" -mindepth 1 -maxdepth 1 | wc -l)" = "$layers" ]
}
show() {
	names
	find "$D/state" -maxdepth 3 | sort
}
