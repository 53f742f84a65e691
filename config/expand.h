/* `%` specifiers and `$` variables. */
#ifndef BERTH_CONFIG_EXPAND_H
#define BERTH_CONFIG_EXPAND_H

#include "config/draft.h"

/*
 * specifiers_expand - %n, %i, %h, … in one word or value
 *
 * Gives: *ret, `text` itself when there is none in it. Fails: -EINVAL for an unknown one, -ENOMEM.
 */
int specifiers_expand(struct arena *arena, const struct unit_draft *unit, const char *text,
	const char **ret, struct err *err);

/*
 * variables_expand - Exec=, HealthCmd= and ExecStart= from [Service] Environment=
 *
 * As systemd does it: `$$` is `$`; `${X}` is X's value; a word that is `$X` becomes X's words; any
 * other `$` stays as it is (a shell inside may mean it). A variable that is not set becomes nothing
 * and a warning, a value that cannot be split an error of the set. Fails: -ENOMEM.
 */
int variables_expand(struct unit_set *set, struct unit_draft *unit, struct err *err);

/*
 * text_expand - specifiers, `${X}` and `$$` in a text that is not a value of the unit
 *
 * Gives: *ret; a variable that is not set is a warning at `at`. Fails: -EINVAL for an unknown
 * specifier, -ENOMEM.
 */
int text_expand(struct unit_set *set, const struct unit_draft *unit, const char *key,
	struct origin at, const char *text, const char **ret, struct err *err);

#endif
