#!/bin/bash
# The system tests that need what only a machine of one's own has (on the kernel command line:
# berth.bats=30-limits,80-network-attach:vm; of the second those tests alone that have the tag vm), as they
# are: with nginx and redis of this disk.
# shellcheck disable=SC1091 # it is there in the guest
. /src/tests/vm/guest/lib.sh
early
modules_here
export O=/src/build/release
# The disk itself is the Debian root: a bind mount shows it without what is mounted on it.
mkdir -p /roots
printf 'hello from nginx\n' >/var/www/html/index.html
: >/.made
mount --bind / /src/build/roots/debian
files=$(sed -n 's/.*berth\.bats=\([^ ]*\).*/\1/p' /proc/cmdline)
for file in ${files//,/ }; do
	tag=
	case $file in *:*) tag=${file#*:} file=${file%:*} ;; esac
	[ -e "/src/tests/system/$file.bats" ] || {
		skip "$file: there is no such test"
		continue
	}
	begun=$SECONDS
	timeout 1000 bats ${tag:+--filter-tags "$tag"} --timing --formatter tap "/src/tests/system/$file.bats" >/run/tap 2>&1
	status=$?
	while IFS= read -r line; do
		case $line in
		'ok '*'# skip'*) skip "$file: ${line#ok }" ;;
		'ok '*) good "$file: ${line#ok }" ;;
		'not ok '*) bad "$file: ${line#not ok }" ;;
		1..*) planned=${line#1..} ;;
		*) say note "  $line" ;;
		esac
	done </run/tap
	[ "$(grep -cE '^(not )?ok ' /run/tap)" = "${planned:-x}" ] || bad "$file: ended early (exit $status)"
	say note "$file: $((SECONDS - begun)) s"
done
finish
