#!/bin/sh
# The floors of the house: an include may only point down, and a leaf never sees another leaf.
# config may see only the shapes of the leaves, and how an image is found by its name. Prints each breach as file:line; exit 1 if any.
set -eu
# shellcheck disable=SC2046 # a list of files
awk '
function room(p,  i) { for (i = 1; i <= n; i++) if (index(p, R[i] "/") == 1) return i; return 0 }
BEGIN {
	n = split("supervisor/base cgroups netns images config supervisor/runtime supervisor/core supervisor/cmd", R)
	split("0 1 1 1 2 3 4 5", L)
}
/^#include "/ {
	split($0, q, "\"")
	from = room(FILENAME); to = room(q[2])
	if (!from || from == to) next
	if (!to) why = "is not written from the root of the tree"
	else if (L[to] >= L[from]) why = "is not below " R[from]
	else if (R[from] == "config" && L[to] == 1 && q[2] !~ /(_spec|limits|net|reference|store_find)\.h$/) why = "is not the shape of a leaf"
	else next
	printf "%s:%d: %s %s\n", FILENAME, FNR, q[2], why
	bad = 1
}
END { exit bad }' $(git ls-files '*.c' '*.h')
