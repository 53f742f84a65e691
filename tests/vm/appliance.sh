#!/bin/sh
# appliance.sh BERTH ROOT BUSYBOX OUT [OPTION…]: the example's units and those of tests/vm/appliance, packed
# by BERTH with ROOT as their image into an initramfs; OPTIONs are `berth pack`'s. A shell to judge by is a
# second archive behind it, which the kernel unpacks over the first.
set -eu
cd "$(dirname "$0")/../.."
berth=$1 root=$2 busybox=$3 out=$4
shift 4
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/behind/bin" "$tree/behind/sbin"
cp -r examples/appliance/units "$tree/"
cp tests/vm/appliance/*.service "$tree/units/"
cp tests/vm/appliance/judge.sh tests/vm/pid1/lib.sh "$tree/behind/"
cp "$busybox" "$tree/behind/bin/busybox"
ln -s busybox "$tree/behind/bin/sh"
ln -s /init "$tree/behind/sbin/berth"
"$berth" --config "$tree/units" pack --initramfs --image page="$root" --bundle kit="$busybox" -o "$out" "$@"
(cd "$tree/behind" && find . | cpio --quiet -o -H newc) >>"$out"
