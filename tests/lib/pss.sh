#!/bin/bash
# pss.sh BUILD_DIR: what `berth supervise` with nothing to supervise takes of the memory, in namespaces
# of its own. Exit 77 with the reason when this machine gives none.
set -eu
cd "$(dirname "$0")/../.."
O=${1:-build/release}
if [ "${PSS_INSIDE:-}" != yes ]; then
	PSS_INSIDE=yes exec tests/lib/sandbox.sh "$0" "$O"
fi
mkdir /run/units
printf '[Supervisor]\nStateDir=/run/state\nLogDir=/run/logs\n' >/run/units/berth.conf
"$O/berth" --config /run/units --run-dir /run/berth supervise >/run/said 2>&1 &
pid=$!
for _ in {1..100}; do
	[ ! -S /run/berth/berth.sock ] || break
	sleep 0.1
done
if [ ! -S /run/berth/berth.sock ]; then
	cat /run/said >&2
	exit 1
fi
# What a start leaves to be done is done in the first second.
sleep 1
awk '/^(Rss|Pss|Private_Dirty):/ { printf "  %s %d KiB\n", $1, $2 }' "/proc/$pid/smaps_rollup"
kill -INT "$pid"
wait "$pid" || true
