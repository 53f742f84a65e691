#!/bin/sh
# quadlet.sh: prints a directory that holds Debian 13's podman-system-generator and quadlet, fetched
# once with the machine's own apt pointed at that suite in directories of its own (nothing is
# installed, the machine's lists are not touched). Exit 1 with the reason when it cannot be fetched.
set -eu
cd "$(dirname "$0")/../.."
suite=trixie
dir=$PWD/build/quadlet
[ -x "$dir/run" ] && {
	echo "$dir"
	exit 0
}
source=$(tests/lib/apt-source.sh "$suite")
[ -n "$source" ] || {
	echo "apt on this machine has no Debian source" >&2
	exit 1
}
new=$dir.new
rm -rf "$new" "$dir"
mkdir -p "$new/lists/partial" "$new/cache/archives/partial" "$new/deb" "$new/root"
trap 'rm -rf "$new"' EXIT
printf '%s\n' "$source" >"$new/sources.list"
: >"$new/status"
# The user _apt may not reach a build directory: it does not have to, we are no other user here.
apt_here() {
	apt-get -qq -o Dir::Etc::SourceList="$new/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State::Lists="$new/lists" -o Dir::State::status="$new/status" \
		-o Dir::Cache="$new/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}
apt_here update >"$new/log" 2>&1 || {
	tail -n 3 "$new/log" >&2
	exit 1
}
# quadlet links the C library alone; it comes from the same suite, so the machine's may be older.
(cd "$new/deb" && apt_here download podman libc6 >>"$new/log" 2>&1) || {
	tail -n 3 "$new/log" >&2
	exit 1
}
for deb in "$new"/deb/*.deb; do
	dpkg-deb -x "$deb" "$new/root"
done
[ -e "$new/root/usr/libexec/podman/quadlet" ] || {
	echo "the podman of $suite has no quadlet" >&2
	exit 1
}
cat >"$new/run" <<'RUN'
#!/bin/sh
# run DIR: what quadlet says about the units of DIR, and its exit code.
here=$(cd "$(dirname "$0")" && pwd)
root=$here/root
loader=$(find "$root" -name 'ld-linux*.so.*' -type f | head -n 1)
libs=$(find "$root" -name '*.so*' -printf '%h\n' | sort -u | tr '\n' ':')
QUADLET_UNIT_DIRS=$1 exec "$loader" --library-path "$libs" "$root/usr/libexec/podman/quadlet" -dryrun
RUN
chmod +x "$new/run"
rm -rf "$new/deb" "$new/lists" "$new/cache"
mv "$new" "$dir"
trap - EXIT
echo "$dir"
