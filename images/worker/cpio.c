/*
 * libarchive writes this form too. But the forty lines below are all of it, need no names of users,
 * hold nothing back and read from nothing but the list.
 */
#include "images/worker/cpio.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/worker/list.h"
#include "images/worker/plain.h"
#include "supervisor/base/arena.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"

enum { BLOCK = 1 << 20, NAME_SIZE = 1024 };

struct archive_out {
	int out;
	uint64_t at;     /* bytes written: names and contents begin at multiples of four */
	unsigned number; /* of the entry: nothing here has two names */
	struct arena arena;
	struct strv dirs; /* that are in it */
};

struct node {
	const char *name;
	mode_t mode;
	uint64_t size;
	unsigned major, minor;
};

static int put(struct archive_out *a, const void *data, size_t n, struct err *err)
{
	int r = write_full(a->out, data, n);

	a->at += n;
	return r < 0 ? err_sys(err, -r, "write") : 0;
}

static int pad(struct archive_out *a, struct err *err)
{
	return put(a, "\0\0\0", (size_t)(-a->at & 3), err);
}

/* No times: what is made twice is the same, and the kernel does not keep them. */
static int put_head(struct archive_out *a, const struct node *node, struct err *err)
{
	size_t n = strlen(node->name) + 1;
	char head[128];
	int r;

	if (node->size > UINT32_MAX)
		return err_set(err, EFBIG,
			"it has 4 GiB or more, which an initramfs cannot hold: boot from a disk");
	(void)snprintf(head, sizeof head,
		"070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ++a->number,
		(unsigned)node->mode, 0, 0, S_ISDIR(node->mode) ? 2 : 1, 0, (unsigned)node->size, 0,
		0, node->major, node->minor, (unsigned)n, 0);
	r = put(a, head, strlen(head), err);
	if (r == 0)
		r = put(a, node->name, n, err);
	return r < 0 ? r : pad(a, err);
}

static int put_dir(struct archive_out *a, const char *name, struct err *err)
{
	const char *copy;

	if (strv_has(&a->dirs, name))
		return 0;
	copy = arena_strdup(&a->arena, name);
	if (!copy || strv_add(&a->dirs, &a->arena, copy) < 0)
		return err_sys(err, ENOMEM, "keep the directory %s", name);
	return put_head(a, &(const struct node){ .name = name, .mode = S_IFDIR | 0755 }, err);
}

static int put_parents(struct archive_out *a, const char *name, struct err *err)
{
	char dir[NAME_SIZE];
	int r = 0;

	for (const char *slash = strchr(name, '/'); slash && r == 0;
		slash = strchr(slash + 1, '/')) {
		(void)snprintf(dir, sizeof dir, "%.*s", (int)(slash - name), name);
		r = put_dir(a, dir, err);
	}
	return r;
}

static int put_file(
	struct archive_out *a, const char *name, const char *path, mode_t mode, struct err *err)
{
	static uint8_t block[BLOCK];
	own_fd from = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t left;
	struct stat st;
	int r;

	if (from < 0 || fstat(from, &st) < 0)
		return err_sys(err, errno, "open");
	left = (uint64_t)st.st_size;
	r = put_head(
		a, &(const struct node){ .name = name, .mode = S_IFREG | mode, .size = left }, err);
	while (left > 0 && r == 0) {
		ssize_t n = read_full(from, block, left < BLOCK ? (size_t)left : BLOCK);

		if (n <= 0)
			return err_sys(err, n < 0 ? (int)-n : EIO, "read");
		r = put(a, block, (size_t)n, err);
		left -= (uint64_t)n;
	}
	return r < 0 ? r : pad(a, err);
}

/* A kernel need not know how its own modules were compressed. */
static int put_module(struct archive_out *a, const char *name, const char *path, struct err *err)
{
	own_mem char *bytes = NULL;
	size_t n;
	int r = plain_read(path, &bytes, &n, err);

	if (r == 0)
		r = put_head(a,
			&(const struct node){ .name = name, .mode = S_IFREG | 0644, .size = n },
			err);
	if (r == 0)
		r = put(a, bytes, n, err);
	return r < 0 ? r : pad(a, err);
}

static int put_char(struct archive_out *a, const char *name, const char *numbers, struct err *err)
{
	struct node node = { .name = name, .mode = S_IFCHR | 0600 };
	char major[16];
	size_t n = strcspn(numbers, ":");

	(void)snprintf(major, sizeof major, "%.*s", (int)n, numbers);
	if (numbers[n] != ':' || num_u32(major, &node.major) < 0 ||
		num_u32(numbers + n + 1, &node.minor) < 0)
		return err_set(err, EINVAL, "MAJOR:MINOR is expected");
	return put_head(a, &node, err);
}

static int put_line(
	void *data, const char *kind, const char *name, const char *path, struct err *err)
{
	struct archive_out *a = data;
	int r = put_parents(a, name, err);

	if (r < 0)
		return r;
	if (strcmp(kind, "dir") == 0)
		return put_dir(a, name, err);
	if (strcmp(kind, "file") == 0)
		return put_file(a, name, path, 0644, err);
	if (strcmp(kind, "program") == 0)
		return put_file(a, name, path, 0755, err);
	if (strcmp(kind, "module") == 0)
		return put_module(a, name, path, err);
	if (strcmp(kind, "char") == 0)
		return put_char(a, name, path, err);
	return err_set(err, EINVAL, "of a kind that is not known");
}

int cpio(FILE *list, int out, struct err *err)
{
	struct archive_out a = { .out = out };
	int r = list_each(list, put_line, &a, err);

	if (r == 0)
		r = put_head(&a, &(const struct node){ .name = "TRAILER!!!" }, err);
	arena_done(&a.arena);
	if (r == 0 && (fchmod(out, 0644) < 0 || fsync(out) < 0))
		r = err_sys(err, errno, "write it out");
	return r;
}
