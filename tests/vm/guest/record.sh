#!/bin/bash
# The scenes of tests/walk/day.bash on a disk that logs what is written to it, with a mark after each:
# /dev/vdc has what they need, /dev/vdd is the disk, /dev/vde the log. What a power cut leaves at any point
# of it is looked at on the host: tests/suite/48-replay.
# shellcheck disable=SC1091,SC2034,SC2154,SC2317 # they are there in the guest; for what is sourced
. /src/tests/vm/guest/lib.sh
early
modules_here
D=/run/power MADE=/run/power/made
mkdir -p $D/state $MADE
mount -o ro /dev/vdc $MADE
. /src/tests/walk/store.bash
. /src/tests/walk/day.bash
IMG_SECONDS=120
wait_until() { until_true "$@"; }
logged() { python3 /src/tests/lib/logwrites.py "$@"; }

modprobe -a overlay loop dm-log-writes
device=$(logged make day /dev/vdd /dev/vde) || bad 'there is no device that logs'
mount "$device" $D/state
day_begins
for scene in $scenes; do
	if play "$scene"; then
		logged mark day "$scene"
		good "recorded: $scene"
	else
		bad "recorded: $scene"
		show <$D.log
	fi
	: >$D.log
done
umount $D/state && logged remove day
finish
