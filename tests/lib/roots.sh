#!/bin/sh
# roots.sh busybox|debian [BUILD_DIR]: makes the root file systems that the tests run, once, below
# build/roots/, and prints the directory. Beside each directory lies the same as a tar file.
#
#   busybox   Debian's static busybox, its applets, a web page, and our probe when it is built
#   debian    nginx, redis-server, curl, netcat: what the issue calls real input (1-2 minutes once)
#
# Nothing is started while they are made. A half-made root is never used: it is made under another
# name and renamed. Exit 1 with the reason when it cannot be made.
set -eu
cd "$(dirname "$0")/../.."
kind=${1:?busybox or debian}
O=${2:-build/release}
roots=$PWD/build/roots
mkdir -p "$roots"

busybox_binary() {
	for candidate in /bin/busybox /usr/bin/busybox; do
		# A dynamic busybox would find no libraries in a root of its own.
		if [ -x "$candidate" ] && ! ldd "$candidate" >/dev/null 2>&1; then
			echo "$candidate"
			return
		fi
	done
	echo "no static busybox here: install busybox-static" >&2
	return 1
}

make_busybox() {
	where=$1
	binary=$(busybox_binary)
	for name in bin dev etc proc root run srv sys tmp usr/bin var/log www; do
		mkdir -p "$where/$name"
	done
	chmod 1777 "$where/tmp"
	cp "$binary" "$where/bin/busybox"
	for applet in $("$binary" --list); do
		[ "$applet" = busybox ] || ln -s busybox "$where/bin/$applet"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000:web:/www:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' \
		>"$where/etc/passwd"
	printf 'root:x:0:\nweb:x:1000:\nlog:x:1001:web\nnogroup:x:65534:\n' >"$where/etc/group"
	echo 'hello from a container' >"$where/www/index.html"
	# Left as it comes: an image's own files, which berth must cover and never write.
	echo '192.0.2.1 from-the-image' >"$where/etc/hosts"
	echo 'nameserver 192.0.2.53' >"$where/etc/resolv.conf"
}

make_debian() {
	where=$1
	command -v mmdebstrap >/dev/null 2>&1 || {
		echo "no mmdebstrap here: install it" >&2
		return 1
	}
	sources=$(tests/lib/apt-source.sh)
	suite=$(printf '%s\n' "$sources" | awk 'NR == 1 { print $(NF - 1) }')
	log=$roots/debian.log
	# Documentation and locales are not what is tested.
	if ! printf '%s\n' "$sources" | mmdebstrap --quiet --variant=essential --mode=root \
		--include=nginx,redis-server,curl,netcat-openbsd,procps \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		"$suite" "$where" - >"$log" 2>&1; then
		tail -n 5 "$log" >&2
		return 1
	fi
	echo 'hello from nginx' >"$where/var/www/html/index.html"
}

dir=$roots/$kind
if [ ! -e "$dir/.made" ]; then
	new=$roots/.new-$kind-$$
	trap 'rm -rf "$new" "$new.tar"' EXIT
	rm -rf "$dir" "$dir.tar"
	mkdir -p "$new"
	case $kind in
	busybox) make_busybox "$new" ;;
	debian) make_debian "$new" ;;
	*)
		echo "roots.sh: $kind: busybox or debian" >&2
		exit 2
		;;
	esac
	tar -C "$new" --exclude=./dev/* -cf "$new.tar" .
	: >"$new/.made"
	mv "$new.tar" "$dir.tar"
	mv "$new" "$dir"
	trap - EXIT
fi
if [ "$kind" = busybox ] && [ -x "$O/tests/probe" ]; then
	cmp -s "$O/tests/probe" "$dir/bin/probe" || install -m755 "$O/tests/probe" "$dir/bin/probe"
fi
echo "$dir"
