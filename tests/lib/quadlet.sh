#!/bin/sh
# quadlet.sh: prints a directory with `run DIR`, which judges the units of DIR by Debian 13's quadlet.
# Fetched once (suite-debs.sh); exit 1 with the reason when it cannot be.
set -eu
cd "$(dirname "$0")/../.."
dir=$PWD/build/quadlet
# quadlet links the C library alone; it comes from the same suite, so the machine's may be older.
tests/lib/suite-debs.sh trixie "$dir" podman libc6
cat >"$dir/run" <<'RUN'
#!/bin/sh
# run DIR: what quadlet says about the units of DIR, and its exit code.
here=$(cd "$(dirname "$0")" && pwd)
root=$here/root
loader=$(find "$root" -name 'ld-linux*.so.*' -type f | head -n 1)
libs=$(find "$root" -name '*.so*' -printf '%h\n' | sort -u | tr '\n' ':')
QUADLET_UNIT_DIRS=$1 exec "$loader" --library-path "$libs" "$root/usr/libexec/podman/quadlet" -dryrun
RUN
chmod +x "$dir/run"
echo "$dir"
