/* For tests of good sets of units: files that are loaded without any problem, and what they give. */
#ifndef BERTH_TESTS_UNIT_GOOD_H
#define BERTH_TESTS_UNIT_GOOD_H

#include "tests/unit/unit_dir.h"

#define WEB "[Container]\nRootfs=./root\nExec=httpd -f\n"

/* Loads files that must be without any problem. */
static inline void load(struct unit_dir *dir, const struct file *files, size_t n)
{
	unit_dir_open(dir);
	for (size_t i = 0; i < n; i++)
		unit_dir_write(dir, files[i].name, files[i].text);
	assert_int_equal(unit_dir_load(dir), 0);
	assert_string_equal(unit_dir_problems(dir), "");
}

#define LOAD(dir, ...)                                    \
	load((dir), (const struct file[]){ __VA_ARGS__ }, \
		sizeof((const struct file[]){ __VA_ARGS__ }) / sizeof(struct file))

#define HAS(text, line)                                                \
	do {                                                           \
		if (!strstr((text), (line)))                           \
			fail_msg("no \"%s\" in:\n%s", (line), (text)); \
	} while (0)

static inline struct unit *find(const struct unit_dir *dir, const char *name)
{
	struct unit *unit = unit_find(&dir->set, name);

	assert_non_null(unit);
	return unit;
}

#endif
