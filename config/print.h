/* What the configuration says, as text for people: bodies of `berth check` and `berth cat`. */
#ifndef BERTH_CONFIG_PRINT_H
#define BERTH_CONFIG_PRINT_H

#include <stdio.h>

#include "config/unit.h"

/* problems_print - every problem as "FILE:LINE: [warning: ]KEY: what is wrong, what to do", sorted
 * by file and line. */
void problems_print(const struct unit_set *set, FILE *out);

/*
 * check_print - the problems and one line that counts them
 *
 * Gives: 0: no errors (warnings are possible); 1: errors; -ENOMEM.
 */
int check_print(const struct unit_set *set, FILE *out);

/*
 * cat_print - the unit as it holds, drop-ins merged, each line with "# FILE:LINE" behind it
 *
 * Reads the files again: nothing of them is kept in memory for this.
 * Gives: 0; -ENOENT there is no such unit; else what reading a file gave. Blocks: on the disk.
 */
int cat_print(const struct unit_set *set, const char *name, FILE *out);

/* spec_print - every resolved field that decides how a unit is created, one "name: value" a line.
 * The unit's hash is the hash of this text: siblings' addresses are left out of it. */
void spec_print(const struct unit *unit, FILE *out);

/* service_print - how the unit is supervised, in the same form. */
void service_print(const struct unit *unit, FILE *out);

#endif
