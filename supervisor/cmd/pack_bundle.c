#include "supervisor/cmd/pack_bundle.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/path.h"

enum { PATH_SIZE = 4096 };

/* ---- --bundle ------------------------------------------------------------------------------------ */

static int make_link(const char *dir, const char *name, const char *target, struct err *err)
{
	char link[PATH_SIZE];
	int r = path_mkdirs(dir, 0700);

	if (r < 0)
		return err_sys(err, -r, "mkdir %s", dir);
	if ((size_t)snprintf(link, sizeof link, "%s/%s", dir, name) >= sizeof link)
		return err_sys(err, ENAMETOOLONG, "%s/%s", dir, name);
	return symlink(target, link) < 0 ? err_sys(err, errno, "link %s", link) : 0;
}

int pack_bundle_link(const char *dir, const char *text, struct err *err)
{
	const char *equals = strchr(text, '=');
	char whole[PATH_SIZE];
	char own[PATH_SIZE];
	char name[80];
	struct stat st;
	int r;

	if (!equals || equals == text || !realpath(equals + 1, whole) || stat(whole, &st) < 0)
		return err_set(err, EINVAL,
			"--bundle %s: NAME=PROGRAM is expected, and PROGRAM to exist", text);
	if ((size_t)snprintf(name, sizeof name, "%.*s", (int)(equals - text), text) >=
			sizeof name ||
		(size_t)snprintf(own, sizeof own, "%s/%s", dir, name) >= sizeof own)
		return err_sys(err, ENAMETOOLONG, "--bundle %s", text);
	r = S_ISDIR(st.st_mode) ? make_link(dir, name, whole, err)
				: make_link(own, strrchr(whole, '/') + 1, whole, err);
	return r < 0 ? err_wrap(err, "--bundle %s", text) : 0;
}

int pack_bundle_check(const struct unit_set *set, const char *text, struct err *err)
{
	size_t n = strcspn(text, "=");

	for (size_t i = 0; i < set->nunits; i++) {
		const struct container_spec *spec = set->units[i].spec;

		if (spec && spec->program.bundle && strlen(spec->program.bundle) == n &&
			memcmp(spec->program.bundle, text, n) == 0)
			return 0;
	}
	return err_set(err, EINVAL,
		"--bundle %s: no unit has [X-Berth] Bundle=%.*s: correct the name, or leave it out",
		text, (int)n, text);
}

/* ---- their programs --------------------------------------------------------------------------------- */

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int add_program(const struct program_spec *program, const char *file, pack_bundle_fn *add,
	void *data, struct err *err)
{
	char path[PATH_SIZE];
	char name[512];
	struct stat st;

	if ((size_t)snprintf(path, sizeof path, "%s/%s", program->dir, file) >= sizeof path)
		return err_sys(err, ENAMETOOLONG, "%s/%s", program->dir, file);
	(void)snprintf(name, sizeof name, "%s/%s", program->bundle, file);
	if (stat(path, &st) < 0)
		return err_sys(err, errno, "read %s", path);
	return S_ISREG(st.st_mode) ? add(data, name, path, err) : 0;
}

static int add_bundle(
	const struct program_spec *program, pack_bundle_fn *add, void *data, struct err *err)
{
	struct dirent **entries = NULL;
	int r = 0;
	int n;

	if (!program->dir)
		return err_set(err, EINVAL,
			"bundle %s: it lies in the payload of an appliance: give its programs with "
			"--bundle",
			program->bundle);
	n = scandir(program->dir, &entries, not_hidden, alphasort);
	if (n < 0)
		return err_sys(err, errno, "read the directory %s", program->dir);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = add_program(program, entries[i]->d_name, add, data, err);
		free(entries[i]);
	}
	free((void *)entries);
	return r;
}

static bool is_first(const struct unit_set *set, size_t unit)
{
	const char *bundle = set->units[unit].spec->program.bundle;

	for (size_t i = 0; i < unit; i++) {
		const struct container_spec *spec = set->units[i].spec;

		if (spec && spec->program.bundle && strcmp(spec->program.bundle, bundle) == 0)
			return false;
	}
	return true;
}

int pack_bundles(const struct unit_set *set, pack_bundle_fn *add, void *data, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < set->nunits && r == 0; i++) {
		const struct container_spec *spec = set->units[i].spec;

		if (spec && spec->program.bundle && is_first(set, i))
			r = add_bundle(&spec->program, add, data, err);
	}
	return r;
}
