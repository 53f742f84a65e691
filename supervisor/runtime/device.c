/* What a file system is on: looked up by its label, and waited for. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/base/err.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"
#include "supervisor/runtime/filesystem.h"

enum { EXT_SUPER = 1024, EXT_SIZE = 136, EXT_MAGIC = 56, EXT_UUID = 104, EXT_LABEL = 120 };

static const struct tag {
	const char *prefix;
	const char *directory; /* of udev's links */
	const char *partition; /* in the partition's uevent; NULL: it is in the file system */
	bool is_uuid;
} tags[] = {
	{ "LABEL=", "/dev/disk/by-label", NULL, false },
	{ "UUID=", "/dev/disk/by-uuid", NULL, true },
	{ "PARTLABEL=", "/dev/disk/by-partlabel", "PARTNAME=", false },
	{ "PARTUUID=", "/dev/disk/by-partuuid", "PARTUUID=", true },
};

static const struct tag *tag_of(const char *what)
{
	for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
		if (str_starts(what, tags[i].prefix))
			return &tags[i];
	return NULL;
}

/* Label or UUID of an ext2, ext3 or ext4, as text; false: it is none of these. */
static bool read_ext(const char *device, bool uuid, char ret[static 40])
{
	own_fd fd = open(device, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	unsigned char super[EXT_SIZE];
	struct strbuf out = { ret, 40, 0, false };

	if (fd < 0 || pread(fd, super, sizeof super, EXT_SUPER) != (ssize_t)sizeof super ||
		super[EXT_MAGIC] != 0x53 || super[EXT_MAGIC + 1] != 0xef)
		return false;
	ret[0] = '\0';
	if (!uuid) {
		strbuf_add(&out, "%.16s", (const char *)super + EXT_LABEL);
		return true;
	}
	for (int i = 0; i < 16; i++)
		strbuf_add(&out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			super[EXT_UUID + i]);
	return true;
}

/* The value of "KEY=…" in a partition's uevent. */
static bool read_uevent(const char *name, const char *key, char *ret, size_t size)
{
	char path[300];
	char text[2048];
	const char *line;

	(void)snprintf(path, sizeof path, "/sys/class/block/%s/uevent", name);
	if (file_read_at(AT_FDCWD, path, text, sizeof text) < 0)
		return false;
	line = strstr(text, key);
	if (!line || (line != text && line[-1] != '\n'))
		return false;
	line += strlen(key);
	(void)snprintf(ret, size, "%.*s", (int)strcspn(line, "\n"), line);
	return true;
}

/* Without udev there are no links: each block device is asked. */
static bool scan(const struct tag *tag, const char *value, char *ret, size_t size)
{
	DIR *dir = opendir("/sys/class/block");
	const struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		char device[300];
		char text[256];

		(void)snprintf(device, sizeof device, "/dev/%s", entry->d_name);
		if (entry->d_name[0] == '.' ||
			!(tag->partition ? read_uevent(
						   entry->d_name, tag->partition, text, sizeof text)
					 : read_ext(device, tag->is_uuid, text)))
			continue;
		found = tag->is_uuid ? strcasecmp(text, value) == 0 : strcmp(text, value) == 0;
		if (found)
			(void)snprintf(ret, size, "%s", device);
	}
	if (dir)
		(void)closedir(dir);
	return found;
}

static bool find_tag(const struct tag *tag, const char *value, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s/%s", tag->directory, value);
	return access(ret, F_OK) == 0 || scan(tag, value, ret, size);
}

/* A tenth of a second at first, then slower: a stick that is put in an hour later has time. */
static void moment(unsigned turn)
{
	const struct timespec pause = { .tv_sec = turn < 50 ? 0 : 1, .tv_nsec = 100000000 };

	(void)nanosleep(&pause, NULL);
}

int filesystem_source(const struct filesystem_spec *fs, char *ret, size_t size, struct err *err)
{
	const struct tag *tag = tag_of(fs->what);
	const char *value = tag ? fs->what + strlen(tag->prefix) : NULL;

	if (strlen(fs->what) >= size)
		return err_set(err, ENAMETOOLONG, "path %s is too long", fs->what);
	if (tag) {
		for (unsigned turn = 0; !find_tag(tag, value, ret, size); turn++)
			moment(turn);
		return 0;
	}
	(void)snprintf(ret, size, "%s", fs->what);
	if (str_starts(fs->what, "/dev/"))
		for (unsigned turn = 0; access(ret, F_OK) < 0 && errno == ENOENT; turn++)
			moment(turn);
	return 0;
}
