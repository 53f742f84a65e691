/*
 * The search path is walked from the most special root (/run) to the most general (/usr), names in
 * order, files of a directory before its sub-directories; the first file of a name is the one. A
 * directory NAME.d is one of drop-ins and not walked into. Links to directories are followed, each
 * directory once.
 */
#include "config/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/problem.h"
#include "supervisor/base/err.h"
#include "supervisor/base/near.h"
#include "supervisor/base/own.h"

enum { DEPTH_MAX = 8 };

static const char *const search_path[] = { "/run/berth/units", "/etc/berth", "/usr/lib/berth" };

static const char *const suffixes[] = {
	[UNIT_CONTAINER] = "container",
	[UNIT_SERVICE] = "service",
	[UNIT_NETWORK] = "network",
	[UNIT_VOLUME] = "volume",
	[UNIT_TARGET] = "target",
	[UNIT_MOUNT] = "mount",
	[UNIT_IMAGE] = "image",
	[UNIT_PROXY] = "proxy",
	[UNIT_DHCP] = "dhcp",
};

/* The last two have no files. */
enum { NSUFFIXES = sizeof suffixes / sizeof suffixes[0] - 2 };
_Static_assert((int)NSUFFIXES == (int)UNIT_PROXY, "a kind with files stands behind one without");

/* Endings that somebody who comes from Quadlet or systemd may have put here. */
static const struct {
	const char *suffix;
	const char *advice;
} unserved[] = {
	{ "pod", "a shared network is Network=OTHER.container in each member" },
	{ "kube", "write one .container file for each container of it" },
	{ "build", "build the image elsewhere and put it into ImagePath=" },
	{ "artifact", "bind-mount the files with Volume=" },
	{ "timer", "run the job from a container that waits between its runs" },
	{ "automount", "write a .mount: it is mounted for whoever uses it" },
	{ "socket", "publish the port with PublishPort=, or let the service listen itself" },
	{ "path", "let the service watch the path itself" },
	{ "slice", "write the limits into each unit" },
	{ "swap", "switch swap on before berth starts" },
	{ "proxy", "a .container with PublishMode=proxy gets one of itself" },
	{ "dhcp", "a .container on a .network with IPAMDriver=dhcp gets one of itself" },
	{ "device", "name the device with AddDevice=" },
};

struct walk {
	struct unit_set *set;
	struct file_index *index;
	const char *root;
	struct stat *seen; /* directories walked, so that links cannot lead in circles */
	size_t nseen;
};

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static const char *suffix_of(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && dot != name ? dot + 1 : NULL;
}

int unit_kind_of(const char *name, size_t *ret_stem)
{
	const char *suffix = suffix_of(name);

	for (int i = 0; suffix && i < NSUFFIXES; i++) {
		if (strcmp(suffix, suffixes[i]) == 0) {
			*ret_stem = (size_t)(suffix - 1 - name);
			return i;
		}
	}
	return -1;
}

const char *unit_kind_suffix(enum unit_kind kind)
{
	return suffixes[kind];
}

const struct unit_file *files_find(const struct file_index *index, const char *name)
{
	for (size_t i = 0; i < index->nunits; i++)
		if (strcmp(index->units[i].name, name) == 0)
			return &index->units[i];
	return NULL;
}

/* Room for one more element; a list is full when its length is 0 or a power of two. */
static void *grow_one(struct unit_set *set, void *old, size_t n, size_t size)
{
	return (n & (n - 1)) ? old : arena_grow(&set->arena, old, n, n ? 2 * n : 1, size);
}

/* "web.contaner" would be passed over in silence, as README.md is. */
static int warn_misspelt(struct walk *walk, const char *name, const char *path)
{
	const char *suffix = suffix_of(name);
	unsigned best = suffix ? (unsigned)strlen(suffix) / 3 + 1 : 0;
	const char *meant = NULL;

	for (int i = 0; best && i < NSUFFIXES; i++) {
		unsigned d = near_distance(suffix, suffixes[i]);

		if (d < best) {
			best = d;
			meant = suffixes[i];
		}
	}
	/* "web.container~" and "web.container2" are an editor's and somebody's copies. */
	if (!meant || strspn(suffix, LETTERS) != strlen(suffix))
		return 0;
	return problem_add(walk->set, false, path, 0,
		"not read, for berth knows no .%s files; did you mean .%s?", suffix, meant);
}

static int complain_ending(struct walk *walk, const char *name, const char *path)
{
	const char *suffix = suffix_of(name);

	for (size_t i = 0; suffix && i < sizeof unserved / sizeof unserved[0]; i++)
		if (strcmp(suffix, unserved[i].suffix) == 0)
			return problem_add(walk->set, true, path, 0, ".%s units are not served: %s",
				suffix, unserved[i].advice);
	return warn_misspelt(walk, name, path);
}

/* An escaped path: a backslash and ":" are in it, and its name with ".mount" must be one too. */
static bool mount_stem_valid(const char *stem)
{
	static const char allowed[] = LETTERS "0123456789_.@-:\\";
	size_t n = strlen(stem);

	return n >= 1 && n + strlen(".mount") <= 63 && stem[0] != '.' && strspn(stem, allowed) == n;
}

static int add_unit(struct walk *walk, const char *name, const char *path)
{
	struct file_index *index = walk->index;
	struct unit_file unit = { .name = name, .path = path };
	struct unit_file *grown;
	const struct unit_file *first = files_find(index, name);
	size_t stem;
	int kind = unit_kind_of(name, &stem);

	if (kind < 0)
		return complain_ending(walk, name, path);
	if (first) {
		/* Shadowing between roots is meant; within one it is a mistake. */
		size_t n = strlen(walk->root);

		if (strncmp(first->path, walk->root, n) == 0 && first->path[n] == '/')
			return problem_add(walk->set, false, path, 0,
				"ignored, %s has the same name and comes first", first->path);
		return 0;
	}
	unit.kind = (enum unit_kind)kind;
	unit.stem = arena_strndup(&walk->set->arena, name, stem);
	if (!unit.stem)
		return -ENOMEM;
	if (unit.kind == UNIT_MOUNT ? !mount_stem_valid(unit.stem)
				    : !name_valid(unit.stem) || unit.stem[0] == '-')
		return problem_add(walk->set, true, path, 0,
			"a unit's name is 1 to 63 letters, digits and _ . @ -, and does not begin "
			"with \".\" or \"-\": rename the file");
	grown = grow_one(walk->set, index->units, index->nunits, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	index->units = grown;
	grown[index->nunits++] = unit;
	return 0;
}

static int add_dropin_dir(struct walk *walk, const char *name, const char *path)
{
	struct file_index *index = walk->index;
	struct dropin_dir *grown = grow_one(walk->set, index->dirs, index->ndirs, sizeof *grown);

	if (!grown)
		return -ENOMEM;
	index->dirs = grown;
	grown[index->ndirs++] = (struct dropin_dir){ .name = name, .path = path };
	return 0;
}

/* Is it a directory (links followed), and one that was not walked yet? */
static bool is_dir(const char *path, struct stat *st)
{
	return stat(path, st) == 0 && S_ISDIR(st->st_mode);
}

static bool walked(struct walk *walk, const struct stat *st)
{
	struct stat *grown;

	for (size_t i = 0; i < walk->nseen; i++)
		if (walk->seen[i].st_dev == st->st_dev && walk->seen[i].st_ino == st->st_ino)
			return true;
	grown = grow_one(walk->set, walk->seen, walk->nseen, sizeof *grown);
	if (!grown)
		return true;
	walk->seen = grown;
	grown[walk->nseen++] = *st;
	return false;
}

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* One entry of a directory; with `dirs` only directories are looked at, else only files. */
static int walk_entry(
	struct walk *walk, const char *dir, const char *entry, bool dirs, const char **ret_subdir)
{
	const char *path = arena_printf(&walk->set->arena, "%s/%s", dir, entry);
	const char *name = path ? path + strlen(dir) + 1 : NULL;
	size_t stem;
	struct stat st;
	bool dir_here;

	*ret_subdir = NULL;
	if (!path)
		return -ENOMEM;
	dir_here = is_dir(path, &st);
	/* A directory named like a unit is a mistake, and said when it is read. */
	if (!dir_here || unit_kind_of(name, &stem) >= 0) {
		if (dirs)
			return 0;
		if (strcmp(name, "berth.conf") == 0) {
			if (!walk->index->conf && strcmp(dir, walk->root) == 0)
				walk->index->conf = path;
			return 0;
		}
		return add_unit(walk, name, path);
	}
	if (!dirs)
		return 0;
	if (str_ends(name, ".d"))
		return add_dropin_dir(walk, name, path);
	if (!walked(walk, &st))
		*ret_subdir = path;
	return 0;
}

static void free_entries(struct dirent **entries, int n)
{
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free((void *)entries);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* 0, or -errno when the directory cannot be read or memory is short. */
static int walk_dir(struct walk *walk, const char *dir, unsigned depth)
{
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, not_hidden, by_name);
	int r = n < 0 ? -errno : 0;

	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < n && r == 0; i++) {
			const char *subdir;

			r = walk_entry(walk, dir, entries[i]->d_name, pass == 1, &subdir);
			if (r < 0 || !subdir)
				continue;
			r = depth < DEPTH_MAX ? walk_dir(walk, subdir, depth + 1) : -ELOOP;
			if (r < 0 && r != -ENOMEM)
				r = problem_add(walk->set, true, subdir, 0,
					"cannot read this directory: %s", strerror(-r));
		}
	}
	if (n >= 0)
		free_entries(entries, n);
	return r;
}

int files_scan(
	struct unit_set *set, const char *config_dir, struct file_index *ret, struct err *err)
{
	struct file_index index = { 0 };
	struct walk walk = { .set = set, .index = &index };
	size_t nroots = config_dir ? 1 : sizeof search_path / sizeof search_path[0];

	for (size_t i = 0; i < nroots; i++) {
		struct stat st;
		int r;

		walk.root = config_dir ? config_dir : search_path[i];
		if (is_dir(walk.root, &st))
			(void)walked(&walk, &st);
		r = walk_dir(&walk, walk.root, 0);
		if (r == -ENOENT && !config_dir)
			continue;
		if (r < 0)
			return err_sys(err, -r, "read the directory %s", walk.root);
	}
	*ret = index;
	return 0;
}

/* The names of the directories that may hold drop-ins of a unit, most special first. */
static int dropin_names(struct unit_set *set, const char *name, struct strv *ret)
{
	size_t stem = strlen(name);
	int kind = unit_kind_of(name, &stem);
	const char *suffix = name + stem;
	const char *at = memchr(name, '@', stem);
	const char *dir = arena_printf(&set->arena, "%s.d", name);
	int r = dir ? strv_add(ret, &set->arena, dir) : -ENOMEM;

	if (r == 0 && at && at + 1 < suffix) {
		dir = arena_printf(&set->arena, "%.*s%s.d", (int)(at + 1 - name), name, suffix);
		r = dir ? strv_add(ret, &set->arena, dir) : -ENOMEM;
	}
	for (size_t i = at ? (size_t)(at - name) : stem; r == 0 && i > 1; i--) {
		/* "foo-bar-baz": "foo-bar-", then "foo-"; the whole name was the first. */
		if (name[i - 1] != '-')
			continue;
		dir = arena_printf(&set->arena, "%.*s%s.d", (int)i, name, suffix);
		r = dir ? strv_add(ret, &set->arena, dir) : -ENOMEM;
	}
	dir = kind < 0 ? NULL : arena_printf(&set->arena, "%s.d", suffix + 1);
	if (r == 0 && kind >= 0)
		r = dir ? strv_add(ret, &set->arena, dir) : -ENOMEM;
	return r;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int by_base_name(const void *a, const void *b)
{
	return strcmp(base_name(*(const char *const *)a), base_name(*(const char *const *)b));
}

/* The *.conf of one directory, unless a file of that name is there already. */
static int add_dropins(struct unit_set *set, const char *dir, struct strv *ret)
{
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, not_hidden, by_name);
	int r = 0;

	if (n < 0)
		return problem_add(
			set, true, dir, 0, "cannot read this directory: %s", strerror(errno));
	for (int i = 0; i < n && r == 0; i++) {
		const char *name = entries[i]->d_name;
		const char *path;
		bool shadowed = false;

		if (!str_ends(name, ".conf"))
			continue;
		for (size_t k = 0; k < ret->n; k++)
			shadowed |= strcmp(base_name(ret->v[k]), name) == 0;
		if (shadowed)
			continue;
		path = arena_printf(&set->arena, "%s/%s", dir, name);
		r = path ? strv_add(ret, &set->arena, path) : -ENOMEM;
	}
	free_entries(entries, n);
	return r;
}

int files_dropins(
	struct unit_set *set, const struct file_index *index, const char *name, struct strv *ret)
{
	struct strv names = { 0 };
	struct strv paths = { 0 };
	int r = dropin_names(set, name, &names);

	for (size_t i = 0; i < names.n && r == 0; i++)
		for (size_t k = 0; k < index->ndirs && r == 0; k++)
			if (strcmp(index->dirs[k].name, names.v[i]) == 0)
				r = add_dropins(set, index->dirs[k].path, &paths);
	if (r < 0)
		return r;
	if (paths.n)
		qsort((void *)paths.v, paths.n, sizeof *paths.v, by_base_name);
	*ret = paths;
	return 0;
}
