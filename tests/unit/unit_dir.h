/* A directory of unit files that a test writes, loads and removes; "@" in expected text is the
 * directory. StateDir= and the rest lie inside it. */
#ifndef BERTH_TESTS_UNIT_DIR_H
#define BERTH_TESTS_UNIT_DIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/print.h"
#include "config/unit.h"

struct file {
	const char *name, *text; /* text NULL: a directory; "|": a FIFO */
};

struct unit_dir {
	char path[64];
	struct unit_set set;
	struct err err;
	char out[64 * 1024];
};

static inline void unit_dir_write(const struct unit_dir *dir, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/%s", dir->path, name);
	for (char *p = path + strlen(dir->path) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(path, 0755);
		*p = '/';
	}
	if (!text) {
		assert_int_equal(mkdir(path, 0755), 0);
		return;
	}
	if (strcmp(text, "|") == 0) {
		assert_int_equal(mkfifo(path, 0644), 0);
		return;
	}
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* Makes the directory with berth.conf and an empty root/, before the test's own files. */
static inline void unit_dir_open(struct unit_dir *dir)
{
	char conf[300];

	memset(dir, 0, sizeof *dir);
	(void)strcpy(dir->path, "/tmp/berth-unit-XXXXXX");
	assert_non_null(mkdtemp(dir->path));
	(void)snprintf(conf, sizeof conf,
		"[Supervisor]\nStateDir=%s/state\nRunDir=%s/run\nImagePath=%s/images\n", dir->path,
		dir->path, dir->path);
	unit_dir_write(dir, "berth.conf", conf);
	unit_dir_write(dir, "root", NULL);
}

static inline int unit_dir_load(struct unit_dir *dir)
{
	unit_set_done(&dir->set);
	return unit_set_load(&dir->set, dir->path, &dir->err);
}

static inline int unit_dir_unlink(
	const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

static inline void unit_dir_close(struct unit_dir *dir)
{
	unit_set_done(&dir->set);
	assert_int_equal(nftw(dir->path, unit_dir_unlink, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* What was printed to `file`, with the directory's name replaced by "@", in dir->out. */
static inline const char *unit_dir_text(struct unit_dir *dir, const char *text)
{
	size_t n = strlen(dir->path);
	size_t used = 0;

	while (*text && used < sizeof dir->out - 1) {
		if (strncmp(text, dir->path, n) == 0) {
			dir->out[used++] = '@';
			text += n;
		} else {
			dir->out[used++] = *text++;
		}
	}
	dir->out[used] = '\0';
	return dir->out;
}

static inline const char *unit_dir_problems(struct unit_dir *dir)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	problems_print(&dir->set, out);
	assert_int_equal(fclose(out), 0);
	(void)unit_dir_text(dir, text);
	free(text);
	return dir->out;
}

static inline const char *unit_dir_spec(struct unit_dir *dir, const char *name)
{
	const struct unit *unit = unit_find(&dir->set, name);
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(unit);
	assert_non_null(out);
	spec_print(unit, out);
	service_print(unit, out);
	assert_int_equal(fclose(out), 0);
	(void)unit_dir_text(dir, text);
	free(text);
	return dir->out;
}

#endif
