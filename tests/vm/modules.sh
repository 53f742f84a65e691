#!/bin/sh
# modules.sh MODULES_DIR DEST NAME…: copies modules with all they depend on, and a modules.dep, into
# DEST/lib/modules/VERSION/; those that are built in are no error. Compressed ones are unpacked.
set -eu
from=$1 dest=$2
shift 2
version=${from##*/}
to=$dest/lib/modules/$version
mkdir -p "$to"
[ -e "$from/modules.dep" ] || depmod -b "${from%/lib/modules/*}" "$version" 2>/dev/null
for name; do
	awk -v name="$name" '{
		n = $1; sub(/:$/, "", n); base = n; sub(/.*\//, "", base); sub(/\.ko.*/, "", base); gsub("-", "_", base)
		if (base == name) { print n; for (i = NF; i > 1; i--) print $i }
	}' "$from/modules.dep"
done | sort -u | while read -r file; do
	mkdir -p "$to/${file%/*}"
	case "$file" in
	*.xz) xz -dc "$from/$file" >"$to/${file%.xz}" ;;
	*.zst) zstd -dqc "$from/$file" >"$to/${file%.zst}" ;;
	*) cp "$from/$file" "$to/$file" ;;
	esac
done
for list in modules.builtin modules.builtin.modinfo modules.order; do
	[ ! -e "$from/$list" ] || cp "$from/$list" "$to/"
done
depmod -b "$dest" "$version" 2>/dev/null
