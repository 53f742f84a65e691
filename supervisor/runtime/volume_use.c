/*
 * A bind mount of a directory is seen in mountinfo as the device of its file system and the path of
 * the directory in that ("root"). Both are read for each volume where we are, then looked for in the
 * mount namespaces of all others.
 */
#include "supervisor/runtime/volume_use.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/err.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"

enum { MOUNTINFO_SIZE = 1 << 20, SPACES_MAX = 1024, PATH_SIZE = 4096 };

/* One line of mountinfo, its fields still escaped (proc(5)). */
struct line {
	int id;
	char device[24];
	char root[PATH_SIZE];
	char point[PATH_SIZE];
};

static bool line_read(const char *text, struct line *ret)
{
	return sscanf(text, "%d %*d %23s %4095s %4095s", &ret->id, ret->device, ret->root,
		       ret->point) == 4;
}

/* What is looked for. */
struct wanted {
	struct volume_use *use;
	char device[24];
	char root[PATH_SIZE];
};

/* ---- where a volume is -------------------------------------------------------------------------- */

static void escape(const char *text, struct strbuf *out)
{
	for (; *text; text++)
		if (strchr(" \t\n\\", *text))
			strbuf_add(out, "\\%03o", (unsigned char)*text);
		else
			strbuf_add(out, "%c", *text);
}

/* Its device and its path on that: the mount's root, then what lies between mount point and volume. */
static void place(struct wanted *wanted, const char *mountinfo, int id, const char *real)
{
	struct strbuf root = STRBUF(wanted->root);
	char volume[PATH_SIZE] = "";
	struct strbuf escaped = STRBUF(volume);
	struct line line;

	escape(real, &escaped);
	for (const char *text = mountinfo; text && *text; text = strchr(text, '\n')) {
		const char *rest;
		size_t n;

		text += *text == '\n';
		if (!line_read(text, &line) || line.id != id)
			continue;
		n = strcmp(line.point, "/") == 0 ? 0 : strlen(line.point);
		rest = strncmp(volume, line.point, n) == 0 ? volume + n : "";
		wanted->use->mounted = !*rest;
		(void)snprintf(wanted->device, sizeof wanted->device, "%s", line.device);
		wanted->root[0] = '\0';
		strbuf_add(
			&root, "%s%s", strcmp(line.root, "/") == 0 && *rest ? "" : line.root, rest);
		return;
	}
}

static void look_at(struct wanted *wanted, const char *mountinfo)
{
	struct volume_use *use = wanted->use;
	own_fd fd = open(use->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	char real[PATH_SIZE];

	*use = (struct volume_use){ .path = use->path };
	if (fd < 0 || !realpath(use->path, real))
		return;
	place(wanted, mountinfo, fd_mount_id(fd), real);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		use->starting = errno == EWOULDBLOCK;
}

/* ---- who has it ---------------------------------------------------------------------------------- */

/* "0::/…/c/NAME/RUN" in its cgroup: a container of ours. Else the command. */
static void name_process(const char *pid, char *ret, size_t size)
{
	char path[64];
	char text[1024];
	const char *c;

	(void)snprintf(path, sizeof path, "/proc/%.16s/cgroup", pid);
	if (file_read_at(AT_FDCWD, path, text, sizeof text) >= 0 && (c = strstr(text, "/c/"))) {
		(void)snprintf(ret, size, "%.*s", (int)strcspn(c + 3, "/\n"), c + 3);
		return;
	}
	(void)snprintf(path, sizeof path, "/proc/%.16s/comm", pid);
	if (file_read_at(AT_FDCWD, path, text, sizeof text) < 0)
		text[0] = '\0';
	(void)snprintf(ret, size, "%.*s", (int)strcspn(text, "\n"), text);
}

static void search(
	struct wanted *wanted, size_t n, const char *pid, const char *mountinfo, uint32_t number)
{
	struct line line;

	for (const char *text = mountinfo; text && *text; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (!line_read(text, &line))
			continue;
		for (size_t i = 0; i < n; i++) {
			struct volume_use *use = wanted[i].use;

			if (use->pid || strcmp(wanted[i].device, line.device) != 0 ||
				strcmp(wanted[i].root, line.root) != 0)
				continue;
			use->pid = (pid_t)number;
			name_process(pid, use->name, sizeof use->name);
		}
	}
}

/* Of each mount namespace but ours one process is asked. */
static void search_all(struct wanted *wanted, size_t n, DIR *proc, char *text)
{
	static ino_t seen[SPACES_MAX];
	size_t nseen = 0;
	struct stat st;
	const struct dirent *entry;

	if (stat("/proc/self/ns/mnt", &st) == 0)
		seen[nseen++] = st.st_ino;
	while ((entry = readdir(proc))) {
		char path[64];
		uint32_t number;
		bool known = false;

		if (num_u32(entry->d_name, &number) < 0)
			continue;
		(void)snprintf(path, sizeof path, "/proc/%.16s/ns/mnt", entry->d_name);
		if (stat(path, &st) < 0)
			continue;
		for (size_t i = 0; i < nseen; i++)
			known |= seen[i] == st.st_ino;
		(void)snprintf(path, sizeof path, "/proc/%.16s/mountinfo", entry->d_name);
		if (known || file_read_at(AT_FDCWD, path, text, MOUNTINFO_SIZE) < 0)
			continue;
		if (nseen < SPACES_MAX)
			seen[nseen++] = st.st_ino;
		search(wanted, n, entry->d_name, text, number);
	}
}

int volume_uses(struct volume_use *uses, size_t n, struct err *err)
{
	static char text[MOUNTINFO_SIZE];
	DIR *proc = opendir("/proc");
	struct wanted *wanted;

	if (!proc || file_read_at(AT_FDCWD, "/proc/self/mountinfo", text, sizeof text) < 0) {
		if (proc)
			(void)closedir(proc);
		return err_set(err, EIO, "read /proc/self/mountinfo");
	}
	wanted = calloc(n + 1, sizeof *wanted);
	for (size_t i = 0; wanted && i < n; i++) {
		wanted[i].use = &uses[i];
		look_at(&wanted[i], text);
	}
	if (wanted)
		search_all(wanted, n, proc, text);
	(void)closedir(proc);
	free(wanted);
	return wanted ? 0 : err_sys(err, ENOMEM, "look who uses the volumes");
}
