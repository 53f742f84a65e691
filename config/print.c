#include "config/print.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/build.h"
#include "config/keys.h"
#include "config/reader.h"

/* ---- problems ----------------------------------------------------------------------------------- */

static int problem_order(const void *left, const void *right)
{
	const struct problem *a = left;
	const struct problem *c = right;
	int r = strcmp(a->file ? a->file : "", c->file ? c->file : "");

	if (r == 0 && a->line != c->line)
		r = a->line > c->line ? 1 : -1;
	return r ? r : strcmp(a->text, c->text);
}

static void problem_print(const struct problem *problem, FILE *out)
{
	(void)fprintf(out, "%s%s%s\n", problem_place(problem).text,
		problem->is_error ? "" : "warning: ", problem->text);
}

void problems_print(const struct unit_set *set, FILE *out)
{
	struct problem *sorted = calloc(set->nproblems + 1, sizeof *sorted);

	for (size_t i = 0; sorted && i < set->nproblems; i++)
		sorted[i] = set->problems[i];
	if (sorted)
		qsort(sorted, set->nproblems, sizeof *sorted, problem_order);
	/* Without memory for the order they are still said. */
	for (size_t i = 0; i < set->nproblems; i++)
		problem_print(sorted ? &sorted[i] : &set->problems[i], out);
	free(sorted);
}

int check_print(const struct unit_set *set, FILE *out)
{
	size_t warnings = set->nproblems - set->nerrors;
	size_t units = 0;

	problems_print(set, out);
	for (size_t i = 0; i < set->nunits; i++)
		units += set->units[i].file[0] != '(';
	(void)fprintf(out, "%zu unit%s, %zu error%s, %zu warning%s\n", units, units == 1 ? "" : "s",
		set->nerrors, set->nerrors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s");
	return set->nerrors > 0;
}

/* ---- cat ---------------------------------------------------------------------------------------- */

struct cat_line {
	const char *section, *key, *value, *file;
	unsigned line;
	bool dead; /* reset, or replaced by a later one */
};

struct cat {
	struct arena arena;
	struct cat_line *v;
	size_t n;
	const char *file;
};

/* Keys that gather their assignments; of the others the last one counts. */
static bool key_gathers(const char *section, const char *name)
{
	const struct key *key = key_find(section, name);

	if (!key)
		return true;
	switch (key->type) {
	case TYPE_lines:
	case TYPE_words:
	case TYPE_env:
	case TYPE_pairs:
	case TYPE_caps:
	case TYPE_exits:
	case TYPE_ulimits:
		return true;
	case TYPE_str:
	case TYPE_name:
	case TYPE_argv:
	case TYPE_entry:
	case TYPE_shell:
	case TYPE_flag:
	case TYPE_bytes:
	case TYPE_time:
	case TYPE_timeout:
	case TYPE_interval:
	case TYPE_signal:
	case TYPE_tasks:
	case TYPE_number:
	case TYPE_integer:
	case TYPE_quota:
	case TYPE_choice:
	case TYPE_rlimit:
		break;
	}
	return false;
}

static int cat_assign(void *user, const struct reader_line *line)
{
	struct cat *cat = user;
	struct cat_line now = { .section = arena_strdup(&cat->arena, line->section),
		.key = arena_strdup(&cat->arena, line->key),
		.value = arena_strdup(&cat->arena, line->value),
		.file = cat->file,
		.line = line->line };

	if (!now.section || !now.key || !now.value)
		return -ENOMEM;
	now.dead = !*now.value;
	if (now.dead || !key_gathers(now.section, now.key))
		for (size_t i = 0; i < cat->n; i++)
			if (strcmp(cat->v[i].section, now.section) == 0 &&
				strcmp(cat->v[i].key, now.key) == 0)
				cat->v[i].dead = true;
	if ((cat->n & (cat->n - 1)) == 0) {
		struct cat_line *grown = arena_grow(
			&cat->arena, cat->v, cat->n, cat->n ? 2 * cat->n : 1, sizeof *grown);

		if (!grown)
			return -ENOMEM;
		cat->v = grown;
	}
	cat->v[cat->n++] = now;
	return 0;
}

/* What is wrong in a file is said by check; cat shows the rest. */
static int cat_complain(void *user, unsigned line, const char *text)
{
	(void)user;
	(void)line;
	(void)text;
	return 0;
}

static int cat_read(struct cat *cat, const char *path)
{
	const struct reader_sink sink = { cat_assign, cat_complain, cat };
	struct err err = { 0 };
	bool empty;

	cat->file = path;
	return reader_file(path, &sink, &empty, &err);
}

static void cat_section(const struct cat *cat, const char *section, FILE *out)
{
	bool begun = false;

	for (size_t i = 0; i < cat->n; i++) {
		const struct cat_line *line = &cat->v[i];

		if (line->dead || strcmp(line->section, section) != 0)
			continue;
		if (!begun)
			(void)fprintf(out, "\n[%s]\n", section);
		begun = true;
		(void)fprintf(
			out, "%s=%s  # %s:%u\n", line->key, line->value, line->file, line->line);
	}
}

static void cat_sections(const struct cat *cat, FILE *out)
{
	for (size_t i = 0; i < cat->n; i++) {
		bool seen = false;

		for (size_t k = 0; k < i && !seen; k++)
			seen = strcmp(cat->v[k].section, cat->v[i].section) == 0;
		if (!seen)
			cat_section(cat, cat->v[i].section, out);
	}
}

int cat_print(const struct unit_set *set, const char *name, FILE *out)
{
	const struct unit *unit = unit_find(set, name);
	struct cat cat = { 0 };
	int r = 0;

	if (!unit)
		return -ENOENT;
	(void)fprintf(out, "# %s: %s\n", unit->id, unit->file);
	for (size_t i = 0; i < unit->dropins.n; i++)
		(void)fprintf(out, "# and %s\n", unit->dropins.v[i]);
	if (unit->file[0] == '/' || unit->file[0] == '.')
		r = cat_read(&cat, unit->file);
	for (size_t i = 0; r == 0 && i < unit->dropins.n; i++)
		r = cat_read(&cat, unit->dropins.v[i]);
	if (r == 0)
		cat_sections(&cat, out);
	arena_done(&cat.arena);
	return r;
}
