/* Assignments into drafts, by the key table. */
#ifndef BERTH_CONFIG_PARSE_H
#define BERTH_CONFIG_PARSE_H

#include "config/draft.h"
#include "config/keys.h"

struct reader_line;

/* Where the assignments of one file go. */
struct parse {
	struct unit_set *set;
	struct arena *arena;     /* of the drafts: for lists */
	struct unit_draft *unit; /* NULL: this is berth.conf */
	struct conf_draft *conf;
	const char *file;    /* lives in set->arena */
	char complained[64]; /* the section that was complained about last: once is enough */
};

/*
 * parse_assign - one assignment
 *
 * Gives: the field set, emptied (an empty value), or a problem of the set. Fails: -ENOMEM.
 */
int parse_assign(struct parse *parse, const struct reader_line *line);

#endif
