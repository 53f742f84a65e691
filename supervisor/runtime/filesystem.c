#include "supervisor/runtime/filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "images/loop.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/runtime/mounts.h"

enum { BUSY_MAX = 100, BUSY_MS = 100 };
enum { OPTIONS_MAX = 64, MOUNTINFO_SIZE = 1 << 20, WORDS_MAX = 200 };

/* ---- options ------------------------------------------------------------------------------------ */

/* What the words of Options= come to. */
struct options {
	uint64_t attributes;  /* of the mount */
	uint64_t propagation; /* 0: as it is */
	bool bind, recursive;
	bool readonly;
	struct mount_option own[OPTIONS_MAX]; /* of the file system */
	size_t n;
	char keys[2048];
};

/* Of the mount and not of the file system; `clear` takes the attribute back. */
static const struct {
	const char *word;
	uint64_t attribute;
	bool clear;
} attribute_words[] = {
	{ "nosuid", MOUNT_ATTR_NOSUID, false },
	{ "suid", MOUNT_ATTR_NOSUID, true },
	{ "nodev", MOUNT_ATTR_NODEV, false },
	{ "dev", MOUNT_ATTR_NODEV, true },
	{ "noexec", MOUNT_ATTR_NOEXEC, false },
	{ "exec", MOUNT_ATTR_NOEXEC, true },
	{ "noatime", MOUNT_ATTR_NOATIME, false },
	{ "strictatime", MOUNT_ATTR_STRICTATIME, false },
	{ "nodiratime", MOUNT_ATTR_NODIRATIME, false },
	{ "relatime", 0, false },
	{ "atime", MOUNT_ATTR_NOATIME, true },
	{ "diratime", MOUNT_ATTR_NODIRATIME, true },
};

static const struct {
	const char *word;
	uint64_t propagation;
} propagation_words[] = {
	{ "shared", MS_SHARED },
	{ "rshared", MS_SHARED },
	{ "slave", MS_SLAVE },
	{ "rslave", MS_SLAVE },
	{ "private", MS_PRIVATE },
	{ "rprivate", MS_PRIVATE },
};

/* For mount(8), fstab and systemd; the kernel knows none of them. */
static const char *const other_words[] = { "defaults", "auto", "noauto", "nofail", "_netdev",
	"user", "users", "nouser", "owner", "group", "loop", "rw" };

static bool is_for_others(const char *word)
{
	for (size_t i = 0; i < sizeof other_words / sizeof other_words[0]; i++)
		if (strcmp(word, other_words[i]) == 0)
			return true;
	return strncmp(word, "x-", 2) == 0 || strncmp(word, "X-", 2) == 0 ||
	       strncmp(word, "comment=", 8) == 0;
}

/* True: it was about the mount. */
static bool read_mount_word(struct options *options, const char *word)
{
	for (size_t i = 0; i < sizeof attribute_words / sizeof attribute_words[0]; i++) {
		if (strcmp(word, attribute_words[i].word) != 0)
			continue;
		if (attribute_words[i].clear)
			options->attributes &= ~attribute_words[i].attribute;
		else
			options->attributes |= attribute_words[i].attribute;
		return true;
	}
	for (size_t i = 0; i < sizeof propagation_words / sizeof propagation_words[0]; i++) {
		if (strcmp(word, propagation_words[i].word) != 0)
			continue;
		options->propagation = propagation_words[i].propagation;
		return true;
	}
	if (strcmp(word, "bind") == 0 || strcmp(word, "rbind") == 0) {
		options->bind = true;
		options->recursive = word[0] == 'r';
		return true;
	}
	options->readonly |= strcmp(word, "ro") == 0;
	return strcmp(word, "ro") == 0 || is_for_others(word);
}

/* The rest is for the file system: "size=64m", "compress". Its keys point into `ret`. */
static int read_options(const struct filesystem_spec *fs, struct options *ret, struct err *err)
{
	size_t used = 0;

	for (size_t i = 0; i < fs->options.n; i++) {
		const char *word = fs->options.v[i];
		const char *equal = strchr(word, '=');
		size_t n = equal ? (size_t)(equal - word) : strlen(word);

		if (read_mount_word(ret, word))
			continue;
		/* One for the source, one for "ro". */
		if (ret->n + 2 == OPTIONS_MAX || used + n >= sizeof ret->keys)
			return err_set(err, E2BIG, "more than %d mount options", OPTIONS_MAX - 2);
		memcpy(ret->keys + used, word, n);
		ret->own[ret->n++] =
			(struct mount_option){ ret->keys + used, equal ? equal + 1 : NULL };
		used += n + 1;
	}
	return 0;
}

/* ---- what kind of file system ------------------------------------------------------------------- */

static const struct {
	const char *type;
	off_t offset;
	const char *magic;
	size_t n;
} magics[] = {
	{ "ext4", 0x438, "\x53\xef", 2 },
	{ "xfs", 0, "XFSB", 4 },
	{ "btrfs", 0x10040, "_BHRfS_M", 8 },
	{ "f2fs", 0x400, "\x10\x20\xf5\xf2", 4 },
	{ "erofs", 0x400, "\xe2\xe1\xf5\xe0", 4 },
	{ "squashfs", 0, "hsqs", 4 },
	{ "iso9660", 0x8001, "CD001", 5 },
	{ "exfat", 3, "EXFAT   ", 8 },
	{ "ntfs3", 3, "NTFS    ", 8 },
	{ "vfat", 0x52, "FAT32   ", 8 },
	{ "vfat", 0x36, "FAT", 3 },
};

static const char *type_of(const char *source)
{
	own_fd fd = open(source, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char bytes[8];

	for (size_t i = 0; fd >= 0 && i < sizeof magics / sizeof magics[0]; i++)
		if (pread(fd, bytes, magics[i].n, magics[i].offset) == (ssize_t)magics[i].n &&
			memcmp(bytes, magics[i].magic, magics[i].n) == 0)
			return magics[i].type;
	return NULL;
}

/* ---- the place ---------------------------------------------------------------------------------- */

/* No part of it may be a link: what is above `where` may belong to somebody else. */
static int open_where(const struct filesystem_spec *fs, struct err *err)
{
	own_fd root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd =
		root < 0 ? -errno : path_open_beneath(root, fs->where + 1, O_PATH | O_DIRECTORY, 0);

	if (fd == -ENOENT) {
		mode_t saved = umask(0);
		int r = path_mkdirs(fs->where, (mode_t)fs->directory_mode);

		(void)umask(saved);
		if (r < 0)
			return err_sys(err, -r, "make the directory %s", fs->where);
		fd = path_open_beneath(root, fs->where + 1, O_PATH | O_DIRECTORY, 0);
	}
	if (fd == -ELOOP)
		return err_set(err, ELOOP,
			"open %s: a part of the path is a link: write the path that it leads to",
			fs->where);
	return fd < 0 ? err_sys(err, -fd, "open %s", fs->where) : fd;
}

/* A line of mountinfo: "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS … - TYPE SOURCE OPTIONS". */
struct mounted {
	dev_t device;
	char type[64];
	char source[1024];
};

static int read_mounted(int id, struct mounted *ret)
{
	own_mem char *text = malloc(MOUNTINFO_SIZE);
	unsigned major_number;
	unsigned minor_number;
	char *save = NULL;
	int number;

	if (!text || file_read_at(AT_FDCWD, "/proc/self/mountinfo", text, MOUNTINFO_SIZE) < 0)
		return -EIO;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *rest = strstr(line, " - ");

		if (sscanf(line, "%d %*d %u:%u", &number, &major_number, &minor_number) != 3 ||
			number != id || !rest ||
			sscanf(rest, " - %63s %1023s", ret->type, ret->source) != 2)
			continue;
		ret->device = makedev(major_number, minor_number);
		return 0;
	}
	return -ENOENT;
}

static bool is_loop_of(const char *device, const char *file)
{
	char path[80];
	char backing[4096];
	char real[4096];

	(void)snprintf(path, sizeof path, "/sys/block/%.20s/loop/backing_file",
		strncmp(device, "/dev/", 5) == 0 ? device + 5 : device);
	if (file_read_at(AT_FDCWD, path, backing, sizeof backing) < 0 || !realpath(file, real))
		return false;
	backing[strcspn(backing, "\n")] = '\0';
	return strcmp(backing, real) == 0;
}

/* Is what is mounted there what we would mount? */
static bool is_the_same(const struct filesystem_spec *fs, const char *source,
	const struct options *options, const struct mounted *mounted, int where)
{
	struct stat st;
	struct stat there;

	if (fs->type && strncmp(mounted->type, fs->type, strlen(fs->type)) != 0)
		return false;
	if (source[0] != '/' || stat(source, &st) < 0)
		return strcmp(mounted->source, source) == 0 || strcmp(mounted->type, source) == 0;
	if (options->bind)
		return fstat(where, &there) == 0 && st.st_dev == there.st_dev &&
		       st.st_ino == there.st_ino;
	if (S_ISREG(st.st_mode))
		return is_loop_of(mounted->source, source);
	if (!S_ISBLK(st.st_mode))
		return strcmp(mounted->source, source) == 0;
	return st.st_rdev == mounted->device ||
	       (stat(mounted->source, &there) == 0 && there.st_rdev == st.st_rdev);
}

/* 1: mounted already, as it should be; 0: nothing is mounted there. */
static int look_at(const struct filesystem_spec *fs, const char *source,
	const struct options *options, int where, struct err *err)
{
	struct mounted mounted;
	struct statx stx;

	if (statx(where, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &stx) < 0)
		return err_sys(err, errno, "look at %s", fs->where);
	if (!(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return 0;
	if (read_mounted(fd_mount_id(where), &mounted) < 0)
		return err_set(err, EIO, "find %s in /proc/self/mountinfo", fs->where);
	if (is_the_same(fs, source, options, &mounted, where))
		return 1;
	return err_set(err, EBUSY,
		"%s is mounted on %s (%s), and not %s: unmount it, or correct What=",
		mounted.source, fs->where, mounted.type, source);
}

/* ---- by mount.TYPE ------------------------------------------------------------------------------ */

/* As mount(8): /sbin/mount.fuse.sshfs, then /sbin/mount.fuse. */
static bool find_helper(const char *type, char ret[static 80])
{
	static const char *const places[] = { "/sbin", "/usr/sbin", "/usr/local/sbin" };
	size_t family = strcspn(type, ".");

	for (size_t i = 0; i < 2 * sizeof places / sizeof places[0]; i++) {
		size_t n = i % 2 ? family : strlen(type);

		(void)snprintf(ret, 80, "%s/mount.%.*s", places[i / 2], n < 40 ? (int)n : 40, type);
		if (access(ret, X_OK) == 0)
			return true;
	}
	return false;
}

/* All options as they were written, but for those that mount(8) would keep for itself. */
static void helper_options(const struct filesystem_spec *fs, char *ret, size_t size)
{
	struct strbuf out = { ret, size, 0, false };

	strbuf_add(&out, "%s", strv_has(&fs->options, "ro") ? "ro" : "rw");
	for (size_t i = 0; i < fs->options.n; i++)
		if (strcmp(fs->options.v[i], "ro") != 0 && !is_for_others(fs->options.v[i]))
			strbuf_add(&out, ",%s", fs->options.v[i]);
}

static void __attribute__((noreturn)) helper_exec(const struct filesystem_spec *fs,
	const char *program, const char *source, const char *options, int words)
{
	const char *argv[10] = { program, source, fs->where };
	const char *env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		NULL };
	size_t n = 3;

	if (fs->sloppy)
		argv[n++] = "-s";
	argv[n++] = "-o";
	argv[n++] = options;
	if (strchr(fs->type, '.') && !strstr(program, fs->type)) {
		argv[n++] = "-t";
		argv[n++] = fs->type;
	}
	if (dup2(words, STDERR_FILENO) >= 0)
		(void)execve(program, (char *const *)(size_t)argv, (char *const *)(size_t)env);
	_exit(127);
}

/* What it says is the reason. A server of FUSE that it leaves behind stays in our cgroup, and becomes our
 * child, so that berth-mount learns of its death. */
static int mount_by_helper(
	const struct filesystem_spec *fs, const char *program, const char *source, struct err *err)
{
	own_fd words = memfd_create("words", MFD_CLOEXEC);
	char options[2048];
	char text[WORDS_MAX + 1] = "";
	int status = 0;
	ssize_t n;
	pid_t pid;

	helper_options(fs, options, sizeof options);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	pid = words < 0 ? -1 : fork();
	if (pid < 0)
		return err_sys(err, errno, "run %s", program);
	if (pid == 0)
		helper_exec(fs, program, source, options, words);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "wait for %s", program);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	n = pread(words, text, WORDS_MAX, 0);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return err_set(err, EIO, "%s failed: %s", program, *text ? text : "it does not say why");
}

/* ---- by the kernel ------------------------------------------------------------------------------ */

static int attach(const struct filesystem_spec *fs, int mnt, int where,
	const struct options *options, struct err *err)
{
	int r = options->propagation ? mount_set(mnt, 0, options->propagation, options->recursive)
				     : 0;

	if (r == 0)
		r = mount_attach(mnt, where);
	return r < 0 ? err_sys(err, -r, "mount on %s", fs->where) : 0;
}

static int mount_bind(const struct filesystem_spec *fs, const char *source,
	const struct options *options, int where, struct err *err)
{
	own_fd from = open(source, O_PATH | O_DIRECTORY | O_CLOEXEC);
	own_fd tree = from < 0 ? -errno : mount_clone(from, options->recursive);
	uint64_t attributes = options->attributes | (options->readonly ? MOUNT_ATTR_RDONLY : 0);
	int r;

	if (tree < 0)
		return err_sys(err, -tree, "bind %s", source);
	r = mount_set(tree, attributes, 0, options->recursive);
	if (r < 0)
		return err_sys(err, -r, "bind %s: set its options", source);
	return attach(fs, tree, where, options, err);
}

static int mount_type(const struct filesystem_spec *fs, const char *type, const char *source,
	const struct options *options, bool readonly, struct err *err)
{
	struct mount_option own[OPTIONS_MAX];
	uint64_t attributes = options->attributes | (readonly ? MOUNT_ATTR_RDONLY : 0);
	size_t n = options->n;

	if (n)
		memcpy(own, options->own, n * sizeof *own);
	own[n++] = (struct mount_option){ "source", source };
	if (readonly)
		own[n++] = (struct mount_option){ "ro", NULL };
	return fs->sloppy ? mount_new_sloppy(type, own, n, attributes, err)
			  : mount_new(type, own, n, attributes, err);
}

/* A loop device for a file; -1 for anything else. */
static int bind_loop(const char *source, bool *readonly, char *ret, size_t size, struct err *err)
{
	own_fd file = -1;
	struct stat st;
	int loop;

	if (source[0] != '/' || stat(source, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	file = open(source, (*readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (file < 0 && (errno == EROFS || errno == EACCES)) {
		*readonly = true;
		file = open(source, O_RDONLY | O_CLOEXEC);
	}
	if (file < 0)
		return err_sys(err, errno, "open %s", source);
	loop = loop_find(file, *readonly, ret, size);
	if (loop >= 0)
		return loop;
	return loop_bind(file, 0, 0, *readonly, ret, size, err);
}

static int mount_by_kernel(const struct filesystem_spec *fs, const char *source,
	const struct options *options, int where, struct err *err)
{
	const char *type = fs->type ? fs->type : type_of(source);
	bool readonly = options->readonly;
	char device[32];
	own_fd loop = -1;
	own_fd mnt = -1;

	if (!type)
		return err_set(err, EINVAL,
			"%s: no file system that is known is on it: make one, or write Type=",
			source);
	loop = bind_loop(source, &readonly, device, sizeof device, err);
	if (loop < -1)
		return loop;
	if (readonly && !options->readonly && fs->write_only)
		return err_set(err, EROFS, "%s cannot be written", source);
	/* Who still has it mounted otherwise, in a container that is stopping, will be gone soon. */
	for (int i = 0; i < BUSY_MAX; i++) {
		mnt = mount_type(fs, type, loop < 0 ? source : device, options, readonly, err);
		if (mnt != -EBUSY)
			break;
		(void)poll(NULL, 0, BUSY_MS);
	}
	/* Write-protected: read-only is more than nothing, unless somebody said otherwise. */
	if ((mnt == -EROFS || mnt == -EACCES) && !readonly && !fs->write_only)
		mnt = mount_type(fs, type, loop < 0 ? source : device, options, true, err);
	if (mnt < 0)
		return err_wrap(err, "%s", source);
	return attach(fs, mnt, where, options, err);
}

/* ---- all of it ---------------------------------------------------------------------------------- */

static int mount_any(const struct filesystem_spec *fs, const char *source,
	const struct options *options, int where, struct err *err)
{
	char program[80];

	if (options->bind)
		return mount_bind(fs, source, options, where, err);
	if (fs->type && find_helper(fs->type, program))
		return mount_by_helper(fs, program, source, err);
	return mount_by_kernel(fs, source, options, where, err);
}

int filesystem_mount(const struct filesystem_spec *fs, const char *source, struct err *err)
{
	struct options options = { 0 };
	own_fd where = open_where(fs, err);
	int r = where < 0 ? where : read_options(fs, &options, err);

	if (r >= 0)
		r = look_at(fs, source, &options, where, err);
	if (r < 0)
		return r;
	if (r == 0) {
		r = mount_any(fs, source, &options, where, err);
		fd_close(&where);
		if (r >= 0)
			where = r = open_where(fs, err);
		if (r >= 0 && fs->owned && fchownat(where, "", fs->uid, fs->gid, AT_EMPTY_PATH) < 0)
			r = err_sys(err, errno, "chown %s", fs->where);
		if (r < 0)
			return r;
	}
	r = fd_mount_id(where);
	return r < 0 ? err_sys(err, -r, "find %s among the mounts", fs->where) : r;
}
