#!/bin/sh
# box.sh BUILD_DIR OUT: the appliance that tests/vm/guest/media.sh starts: two containers of an erofs image,
# one of them with a root that cannot be written, one of a squashfs image, one with a volume.
set -eu
cd "$(dirname "$0")/../.."
O=$1 out=$2
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
root=$made/root
cp -a "$(tests/lib/roots.sh busybox "$O")" "$root"
# What is mounted on: on a kernel without overlay nothing can be made there.
mkdir -p "$root/var/tmp" "$root/etc"
touch "$root/etc/hosts" "$root/etc/hostname" "$root/etc/resolv.conf"
container() { # NAME IMAGE LINE
	printf '[Container]\nImage=%s\nNetwork=none\nExec=sleep infinity\nStopSignal=SIGKILL\n%s\n' "$2" "${3:-}" \
		>"$made/units/$1.container"
}
mkdir "$made/units"
container plain box
container frozen box ReadOnly=yes
container keeper box Volume=data:/www
set -- --image box="$root"
if command -v mksquashfs >/dev/null; then
	container squashed squash ReadOnly=yes
	mksquashfs "$root" "$made/squash.squashfs" -quiet -no-progress >/dev/null
	set -- "$@" --image squash="$made/squash.squashfs"
fi
"$O/berth" --config "$made/units" pack "$@" -o "$out" >&2
