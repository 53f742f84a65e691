#!/bin/sh
# shape.sh: functions of at most 100 lines and files of at most 800, no notes to oneself left in the
# text, no paths of the machine that it was written on. Prints each breach as file:line; exit 1 if any.
#
# Exempt from length: the files that are the tables of keys.
set -eu
list=$(mktemp)
trap 'rm -f "$list"' EXIT
git ls-files >"$list"
bad=0

# A function's body lies between a brace in the first column and the next such brace; a table's opens
# elsewhere.
grep '\.[ch]$' "$list" | grep -v -x 'config/keys.*\.c' |
	xargs awk '
	FNR == 1 { start = 0 }
	/^{/ { start = FNR }
	/^}/ && start {
		if (FNR - start - 1 > 100) {
			printf "%s:%d: a function of %d lines: at most 100\n", FILENAME, start, FNR - start - 1
			bad = 1
		}
		start = 0
	}
	FNR == 801 { printf "%s:801: more than 800 lines: part it\n", FILENAME; bad = 1 }
	END { exit bad }' || bad=1

# Written apart, so that this file does not find itself. The corpora are input, not text of ours.
notes='TO''DO|FIX''ME|X''XX|HA''CK'
places='/wo''rk/|/tmp/w''t/|/ho''me/[a-z]+/'
grep -v -e '^tests/fuzz/corpus/' -e '^LICENSE' "$list" >"$list.text"
xargs grep -nwIE -e "$notes" /dev/null <"$list.text" && bad=1
xargs grep -nIE -e "$places" /dev/null <"$list.text" && bad=1
rm -f "$list.text"
exit $bad
