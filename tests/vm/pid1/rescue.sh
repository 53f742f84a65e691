#!/bin/sh
# Typed at the rescue shell on the serial console.
# shellcheck disable=SC1091 # it is there in the machine
. /etc/lib.sh
say 'ok a shell on the console runs what is typed'
same 'its parent is process 1' 1 "$(sed -n 's/^PPid:.//p' /proc/$PPID/status)"
ok 'it has a controlling terminal' sh -c 'exec 3<>/dev/tty'
case $(cat /proc/cmdline) in
*berth.rescue*)
	never 'nothing was started' test -e /run/berth/berth.sock
	signal=$(sed -n 's/.*vm\.signal=\([A-Z0-9]*\).*/\1/p' /proc/cmdline)
	say 'done'
	kill -"$signal" 1
	;;
*)
	rm /etc/broken/broken.container
	say 'note the configuration is mended'
	kill -HUP 1
	;;
esac
