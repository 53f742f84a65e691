#include "supervisor/core/modules.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/log.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"

enum { COMPRESSED_FILE = 4, LIST_SIZE_MAX = 8 << 20 };

static const char *const wanted[] = {
	"overlay",
	"erofs",
	"squashfs",
	"loop",
	"veth",
	"bridge",
	"nf_tables",
	"nft_chain_nat",
	"nft_nat",
	"nft_masq",
	"nft_meta_bridge",
	"nft_ct",
	"nft_fib_inet",
	"nf_conntrack",
	"fuse",
	"inet_diag",
	"tcp_diag",
	"udp_diag",
	"raw_diag",
	"virtio_pci",
	"virtio_net",
	"virtio_blk",
	"virtio_rng",
	"i6300esb",
};

/* Does the path of a module file, up to `n`, name this module? "kernel/net/8021q.ko.xz" is 8021q. */
static bool is_file_of(const char *path, size_t n, const char *name)
{
	const char *file = path + n;

	while (file > path && file[-1] != '/')
		file--;
	for (; *name; name++, file++) {
		char a = *file == '-' ? '_' : *file;
		char b = *name == '-' ? '_' : *name;

		if (a != b)
			return false;
	}
	return strncmp(file, ".ko", 3) == 0;
}

/* The line of modules.dep for a module: "FILE: NEEDED…", nearest need first. NULL: none. */
static const char *find_line(const char *list, const char *name)
{
	while (*list) {
		size_t n = strcspn(list, ":\n");

		if (list[n] == ':' && is_file_of(list, n, name))
			return list;
		list += strcspn(list, "\n");
		list += *list == '\n';
	}
	return NULL;
}

static int insert(const char *dir, const char *file, size_t n, struct err *err)
{
	char path[512];
	own_fd fd = -1;
	int flags = 0;

	(void)snprintf(path, sizeof path, "%s/%.*s", dir, (int)n, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
	if (!str_ends(path, ".ko"))
		flags = COMPRESSED_FILE;
	if (syscall(SYS_finit_module, fd, "", flags) < 0 && errno != EEXIST)
		return err_sys(err, errno, "load %s", path);
	return 0;
}

/* What is needed stands to the right: from the last to the first. */
static int insert_line(const char *dir, const char *line, struct err *err)
{
	size_t end = strcspn(line, "\n");

	while (end > 0) {
		size_t start = end;
		int r;

		while (start > 0 && line[start - 1] != ' ')
			start--;
		if (end > start) {
			size_t n = end - start - (line[end - 1] == ':');

			r = insert(dir, line + start, n, err);
			if (r < 0)
				return r;
		}
		end = start > 0 ? start - 1 : 0;
	}
	return 0;
}

/* The whole of modules.dep, to be freed; NULL with words. */
static char *read_list(const char *dir, struct err *err)
{
	char path[320];
	char *list = malloc(LIST_SIZE_MAX);
	ssize_t n;

	if (!list) {
		(void)err_sys(err, ENOMEM, "read modules.dep");
		return NULL;
	}
	(void)snprintf(path, sizeof path, "%s/modules.dep", dir);
	n = file_read_at(AT_FDCWD, path, list, LIST_SIZE_MAX);
	if (n < 0) {
		free(list);
		(void)err_sys(err, (int)-n, "read %s", path);
		return NULL;
	}
	return list;
}

static void modules_dir(char ret[static 300])
{
	struct utsname name;

	(void)uname(&name);
	(void)snprintf(ret, 300, "/lib/modules/%s", name.release);
}

static int load(const char *dir, const char *list, const char *name, struct err *err)
{
	const char *line = find_line(list, name);

	if (!line)
		return err_sys(err, ENOENT, "find the module %s in %s/modules.dep", name, dir);
	return insert_line(dir, line, err);
}

int modules_load(const char *name, struct err *err)
{
	own_mem char *list = NULL;
	char dir[300];

	modules_dir(dir);
	list = read_list(dir, err);
	return list ? load(dir, list, name, err) : -err->code;
}

/* ---- what is loaded at boot ------------------------------------------------------------------------- */

static void load_or_say(const char *dir, const char *list, const char *name)
{
	struct err err = { 0 };

	if (load(dir, list, name, &err) < 0)
		log_debug("%s (it may be built in)", err.text);
}

/* A name a line; a line that begins with # or ; is a comment: modules-load.d(5). */
static void load_named(const char *dir, const char *list, const char *path)
{
	FILE *file = fopen(path, "re");
	char line[256];

	while (file && fgets(line, sizeof line, file)) {
		char *name = line + strspn(line, " \t");

		name[strcspn(name, " \t\n")] = '\0';
		if (*name && *name != '#' && *name != ';')
			load_or_say(dir, list, name);
	}
	if (file)
		(void)fclose(file);
}

static int is_conf(const struct dirent *entry)
{
	return str_ends(entry->d_name, ".conf");
}

void modules_load_all(void)
{
	struct dirent **files = NULL;
	struct err err = { 0 };
	own_mem char *list = NULL;
	char dir[300];
	int n;

	modules_dir(dir);
	list = read_list(dir, &err);
	if (!list) {
		log_info("no modules to load: %s", err.text);
		return;
	}
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
		load_or_say(dir, list, wanted[i]);
	n = scandir(MODULES_LOAD_DIR, &files, is_conf, alphasort);
	for (int i = 0; i < n; i++) {
		char path[300];

		(void)snprintf(path, sizeof path, MODULES_LOAD_DIR "/%s", files[i]->d_name);
		load_named(dir, list, path);
		free(files[i]);
	}
	free((void *)files);
}

/* ---- what has to be there for that ------------------------------------------------------------------ */

static int take_line(const char *line, struct arena *arena, struct strv *ret)
{
	size_t end = strcspn(line, "\n");

	for (size_t at = 0; at < end; at++) {
		size_t n = strcspn(line + at, ": \n");
		const char *file = n > 0 ? arena_strndup(arena, line + at, n) : "";

		if (!file || (n > 0 && !strv_has(ret, file) && strv_add(ret, arena, file) < 0))
			return -ENOMEM;
		at += n;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int modules_closure(const char *dir, const struct strv *more, struct arena *arena, struct strv *ret,
	struct err *err)
{
	own_mem char *list = read_list(dir, err);
	const size_t n = sizeof wanted / sizeof wanted[0];

	if (!list)
		return err->code == ENOENT
			       ? err_wrap(err, "no list of the modules (depmod -b makes it)")
			       : -err->code;
	for (size_t i = 0; i < n + more->n; i++) {
		const char *name = i < n ? wanted[i] : more->v[i - n];
		const char *line = find_line(list, name);

		if (!line && i >= n)
			return err_set(
				err, ENOENT, "there is no module %s in %s/modules.dep", name, dir);
		if (line && take_line(line, arena, ret) < 0)
			return err_sys(err, ENOMEM, "read modules.dep");
	}
	if (ret->n)
		qsort((void *)ret->v, ret->n, sizeof *ret->v, compare);
	return 0;
}

static void put_name(FILE *out, const char *file, size_t n)
{
	const char *end = memmem(file, n, ".ko", 3);

	(void)fprintf(out, "%.*s.ko", (int)(end ? (size_t)(end - file) : n), file);
}

int modules_write_dep(const char *dir, const struct strv *files, FILE *out, struct err *err)
{
	own_mem char *list = read_list(dir, err);

	if (!list)
		return -err->code;
	for (const char *line = list; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		char name[512];
		size_t n = strcspn(line, ":\n");

		(void)snprintf(name, sizeof name, "%.*s", (int)n, line);
		if (line[n] != ':' || !strv_has(files, name))
			continue;
		put_name(out, line, n);
		(void)fputc(':', out);
		for (const char *need = line + n + 1; *need == ' '; need += n) {
			n = strcspn(++need, " \n");
			(void)fputc(' ', out);
			put_name(out, need, n);
		}
		(void)fputc('\n', out);
	}
	return 0;
}
