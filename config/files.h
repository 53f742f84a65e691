/* Which files make up the configuration. */
#ifndef BERTH_CONFIG_FILES_H
#define BERTH_CONFIG_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "config/unit.h"
#include "supervisor/base/str.h"

struct err;

/* A file that is named like a unit. Of files with the same name only the first is kept. */
struct unit_file {
	const char *name; /* "web.container", "web@.container" */
	const char *path;
	const char *stem; /* "web", "web@", "web@blue" */
	enum unit_kind kind;
};

/* A directory that is named like one of drop-ins: "web.container.d". */
struct dropin_dir {
	const char *name;
	const char *path;
};

struct file_index {
	struct unit_file *units;
	size_t nunits;
	struct dropin_dir *dirs; /* earlier search roots first */
	size_t ndirs;
	const char *conf; /* berth.conf; NULL: there is none */
};

/* The kind a file name's ending says, and the length of the stem; -1: not a unit's. */
int unit_kind_of(const char *name, size_t *ret_stem);

/*
 * files_scan - walk the search path, or `config_dir` alone
 *
 * Gives: the index, sorted within each directory. Everything lives in set->arena. Endings of
 *        Quadlet or systemd that berth does not serve, and names that cannot be a unit's, become
 *        problems of the set.
 * Blocks: on the disk. Fails: -ENOMEM, or `config_dir` cannot be read.
 */
int files_scan(
	struct unit_set *set, const char *config_dir, struct file_index *ret, struct err *err);

/*
 * files_dropins - the drop-ins of a unit, in the order to read them
 *
 * `name` is "foo-web.container" or "foo-web@blue.container". Searched: foo-web@blue.container.d,
 * foo-web@.container.d, foo-.container.d, container.d; of files with the same name the most special
 * wins; the order is that of the names.
 */
int files_dropins(
	struct unit_set *set, const struct file_index *index, const char *name, struct strv *ret);

/* The unit file of that name, or NULL. */
const struct unit_file *files_find(const struct file_index *index, const char *name);

#endif
