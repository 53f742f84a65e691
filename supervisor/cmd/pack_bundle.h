/* Inside `berth pack`: the programs of bundles. */
#ifndef BERTH_CMD_PACK_BUNDLE_H
#define BERTH_CMD_PACK_BUNDLE_H

#include "config/unit.h"
#include "supervisor/base/err.h"

/* Of `--bundle NAME=PATH`: makes DIR/NAME/ with a link to the program; a PATH that is a directory is the
 * whole bundle. DIR is searched first when the units are read. */
int pack_bundle_link(const char *dir, const char *text, struct err *err);

/* Does a unit want what `--bundle NAME=PATH` brings? Else it was meant for nothing. */
int pack_bundle_check(const struct unit_set *set, const char *text, struct err *err);

/* Calls `add` for each program of each bundle that a unit wants, "NAME/PROGRAM", in the order of units
 * and names; until it fails. */
typedef int pack_bundle_fn(void *data, const char *name, const char *path, struct err *err);
int pack_bundles(const struct unit_set *set, pack_bundle_fn *add, void *data, struct err *err);

#endif
