#include "images/worker/members.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/worker/apply.h"
#include "images/worker/entries.h"
#include "supervisor/base/str.h"

enum { READ_SIZE = 16 * 1024, LINKS_MAX = 8 };

void members_done(struct members *members)
{
	for (size_t i = 0; i < members->n; i++) {
		free(members->v[i].name);
		free(members->v[i].link);
	}
	free(members->v);
	*members = (struct members){ .n = 0 };
}

/* Where a symbolic link in the directory of `name` leads to, in `ret`; "" when out of the archive. */
static void link_resolve(const char *name, const char *link, char ret[static APPLY_PATH_SIZE])
{
	const char *slash = strrchr(name, '/');
	size_t used = slash && *link != '/' ? (size_t)(slash - name) : 0;

	memcpy(ret, name, used);
	while (str_starts(link, "../") && used) {
		while (used && ret[--used] != '/')
			continue;
		link += 3;
	}
	if (used + strlen(link) + 2 > APPLY_PATH_SIZE) {
		*ret = '\0';
		return;
	}
	if (used)
		ret[used++] = '/';
	memcpy(ret + used, link, strlen(link) + 1);
}

static int member_add(struct members *members, struct archive *archive, struct archive_entry *entry,
	const char *name)
{
	const char *hard = archive_entry_hardlink(entry);
	const char *soft = archive_entry_symlink(entry);
	char target[APPLY_PATH_SIZE] = "";
	char clean[APPLY_PATH_SIZE];
	struct member *member;

	if (members->n == members->room) {
		size_t room = members->room ? members->room * 2 : 64;
		struct member *grown = realloc(members->v, room * sizeof *grown);

		if (!grown)
			return -ENOMEM;
		members->v = grown;
		members->room = room;
	}
	if (hard && strlen(hard) < sizeof target)
		memcpy(target, hard, strlen(hard) + 1);
	else if (soft)
		link_resolve(name, soft, target);
	member = &members->v[members->n];
	*member = (struct member){ .name = strdup(name) };
	if ((hard || soft) && apply_path(target, clean, sizeof clean) == 0)
		member->link = strdup(clean);
	if (!member->name || ((hard || soft) && !member->link)) {
		free(member->name);
		return -ENOMEM;
	}
	member->offset = (uint64_t)archive_filter_bytes(archive, 0);
	member->size = (uint64_t)archive_entry_size(entry);
	members->n++;
	return 0;
}

/* Gives 1 to go on, 0 at the end. */
static int member_next(struct members *members, struct archive *archive, struct err *err)
{
	struct archive_entry *entry;
	char name[APPLY_PATH_SIZE];
	const char *path;
	int r = archive_read_next_header(archive, &entry);

	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
		return entries_err(archive, err);
	path = archive_entry_pathname(entry);
	if (members->n == MEMBERS_MAX || !path || apply_path(path, name, sizeof name) < 0) {
		members->more = true;
		return 0;
	}
	if (archive_entry_filetype(entry) == S_IFDIR)
		return 1;
	return member_add(members, archive, entry, name) < 0
		       ? err_sys(err, ENOMEM, "remember what is in it")
		       : 1;
}

int members_read(int file, struct members *ret, struct err *err)
{
	struct archive *archive = archive_read_new();
	int r = 1;

	*ret = (struct members){ .n = 0 };
	if (!archive)
		return err_sys(err, ENOMEM, "libarchive");
	(void)archive_read_support_format_tar(archive);
	if (lseek(file, 0, SEEK_SET) < 0)
		r = err_sys(err, errno, "go to its beginning");
	else if (archive_read_open_fd(archive, file, READ_SIZE) != ARCHIVE_OK)
		r = entries_format_err(archive, err);
	while (r == 1)
		r = member_next(ret, archive, err);
	(void)archive_read_free(archive);
	if (r < 0)
		members_done(ret);
	return r;
}

static const struct member *find_once(const struct members *members, const char *name)
{
	for (size_t i = members->n; i-- > 0;)
		if (strcmp(members->v[i].name, name) == 0)
			return &members->v[i];
	return NULL;
}

const struct member *members_find(const struct members *members, const char *name)
{
	const struct member *member = find_once(members, name);

	for (int i = 0; member && member->link && i < LINKS_MAX; i++)
		member = find_once(members, member->link);
	return member && !member->link ? member : NULL;
}
