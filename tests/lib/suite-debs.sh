#!/bin/sh
# suite-debs.sh [-a ARCH] [-d] SUITE DIR PACKAGE…: fetches packages of another Debian suite, or for
# another architecture (-a), with the machine's own apt, in directories of its own, and unpacks them
# into DIR/root. -d: with all they depend on. Nothing is installed and the machine's lists are not
# touched. A PACKAGE that begins with ^ is an expression: the newest match.
# Done once: DIR is only there when it is whole. Exit 1 with the reason when they cannot be had.
set -eu
cd "$(dirname "$0")/../.."
arch=$(dpkg --print-architecture) depends=
while getopts a:d option; do
	case $option in
	a) arch=$OPTARG ;;
	d) depends=yes ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
suite=$1
dir=$2
shift 2
[ -d "$dir" ] && exit 0
source=$(tests/lib/apt-source.sh "$suite")
[ -n "$source" ] || {
	echo "apt on this machine has no Debian source" >&2
	exit 1
}
mkdir -p "$(dirname "$dir")"
new=$(cd "$(dirname "$dir")" && pwd)/$(basename "$dir").new
rm -rf "$new"
mkdir -p "$new/lists/partial" "$new/cache/archives/partial" "$new/deb" "$new/root"
trap 'rm -rf "$new"' EXIT
printf '%s\n' "$source" >"$new/sources.list"
: >"$new/status"
# The user _apt may not reach a build directory: it does not have to, we are no other user here.
here() {
	tool=$1
	shift
	"$tool" -qq -o Dir::Etc::SourceList="$new/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State::Lists="$new/lists" -o Dir::State::status="$new/status" \
		-o Dir::Cache="$new/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none \
		-o APT::Architecture="$arch" -o APT::Architectures="$arch" "$@"
}
failed() {
	tail -n 3 "$new/log" >&2
	exit 1
}
here apt-get update >"$new/log" 2>&1 || failed
for package; do
	case "$package" in
	^*) package=$(here apt-cache search --names-only "$package" | sed 's/ .*//' | sort -V | tail -n 1) ;;
	esac
	shift
	set -- "$@" "$package"
done
if [ -n "$depends" ]; then
	here apt-get -y --no-install-recommends --download-only -o Debug::NoLocking=1 \
		-o Dir::State::extended_states="$new/extended" install "$@" >>"$new/log" 2>&1 || failed
	mv "$new"/cache/archives/*.deb "$new/deb/"
else
	(cd "$new/deb" && here apt-get download "$@" >>"$new/log" 2>&1) || failed
fi
for deb in "$new"/deb/*.deb; do
	dpkg-deb -x "$deb" "$new/root"
done
rm -rf "$new/deb" "$new/lists" "$new/cache"
mv "$new" "$dir"
trap - EXIT
