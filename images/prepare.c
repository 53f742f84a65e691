/*
 * Making the lower directory of a root available.
 *
 * An archive is unpacked once per content: the name of its tree is PATH-CONTENT, two hashes, of the
 * archive's path and of all that identifies its content without reading it. A tree appears by
 * rename, so one that is there is whole. Builders of several containers may want the same archive at
 * once: a lock per path, held while unpacking, makes the others wait and then find it. The lock dies
 * with its holder, and so does the worker, so a half-made tree is only ever met by the next holder.
 */
#include "images/rootfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "images/fsextract.h"
#include "images/fsimage.h"
#include "images/inuse.h"
#include "images/stamp.h"
#include "images/work.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"

enum { HASH_LENGTH = 16 };

struct names {
	char tree[40]; /* PATH-CONTENT */
	char made
		[48]; /* of an image in a file that had to be unpacked: its tree is no mount's place */
	char tmp[48];
	char stamp[56];
	char lock[32];
};

/* ---- names -------------------------------------------------------------------------------------- */

static void names_of_tree(struct names *names, unsigned long long of)
{
	(void)snprintf(names->made, sizeof names->made, "%s.made", names->tree);
	(void)snprintf(names->tmp, sizeof names->tmp, ".tmp-%s", names->tree);
	(void)snprintf(names->stamp, sizeof names->stamp, ".verified-%s", names->tree);
	(void)snprintf(names->lock, sizeof names->lock, ".lock-%016llx", of);
}

/* An image of an appliance is named by its content alone, whatever file it comes in. */
static void payload_names(const struct root_spec *spec, struct names *ret)
{
	unsigned long long of_image = str_hash(spec->image);

	(void)snprintf(ret->tree, sizeof ret->tree, "%016llx-%s", of_image, spec->tag);
	names_of_tree(ret, of_image);
}

static int file_names(const char *path, struct names *ret, struct err *err)
{
	own_fd fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;
	char key[4300];
	unsigned long long of_path = str_hash(path);
	int n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "open the root %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL,
			"root %s: not a file (a directory is written as Rootfs=DIR)", path);
	n = snprintf(key, sizeof key, "%ju:%ju:%jd:%jd.%09ld:%s", (uintmax_t)st.st_dev,
		(uintmax_t)st.st_ino, (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
		st.st_mtim.tv_nsec, path);
	if (n < 0 || (size_t)n >= sizeof key)
		return err_sys(err, ENAMETOOLONG, "root %s", path);
	(void)snprintf(ret->tree, sizeof ret->tree, "%016llx-%016llx", of_path, str_hash(key));
	names_of_tree(ret, of_path);
	return 0;
}

/* ---- trees of earlier contents ------------------------------------------------------------------ */

/* Is the tree some container's root? Its name is in the mount table of whoever lives in it: as the
 * overlay's lowerdir, or as the root of a read-only bind. Asked only when an archive has changed. */
static bool tree_in_use(const char *tree)
{
	struct inuse inuse = { 0 };
	bool found;

	inuse_read(&inuse);
	found = inuse_has(&inuse, tree);
	inuse_done(&inuse);
	return found;
}

/*
 * Between rootfs_prepare and rootfs_mount a tree is in no mount table yet. So handing it out is
 * noted as the access time of its top, which nobody else changes or looks at.
 */
enum { HANDED_OUT_SEC = 60 };

static void hand_out(int dir, const char *tree)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_OMIT } };

	(void)utimensat(dir, tree, times, AT_SYMLINK_NOFOLLOW);
}

static bool handed_out(int dir, const char *tree)
{
	struct timespec now;
	struct stat st;

	if (fstatat(dir, tree, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		clock_gettime(CLOCK_REALTIME, &now) < 0)
		return true;
	/* Far in the future: the clock was set back since; then it does not hold it. */
	return st.st_atim.tv_sec > now.tv_sec - HANDED_OUT_SEC &&
	       st.st_atim.tv_sec <= now.tv_sec + HANDED_OUT_SEC;
}

/* Is it a mount? Then it goes, and its directory. */
static bool mount_remove(int dir, const char *name)
{
	const struct fd_path path = fd_path(dir);
	char where[320];

	(void)snprintf(where, sizeof where, "%s/%s", path.text, name);
	if (!fsimage_mounted(where))
		return false;
	if (umount2(where, MNT_DETACH) == 0)
		(void)unlinkat(dir, name, AT_REMOVEDIR);
	return true;
}

/* Removes what earlier contents of this path left, unless a container still runs on it. */
static void stale_remove(int dir, const struct names *names)
{
	own_fd copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *list = copy < 0 ? NULL : fdopendir(copy);

	if (!list)
		return;
	(void)fd_take(&copy); /* list has it */
	while ((entry = readdir(list))) {
		const char *name = entry->d_name;
		bool tmp = str_starts(name, ".tmp-");
		bool stamp = str_starts(name, ".verified-");
		const char *tree = name + (tmp            ? strlen(".tmp-")
						  : stamp ? strlen(".verified-")
							  : 0);

		if (strncmp(tree, names->tree, HASH_LENGTH + 1) != 0)
			continue;
		/* Under the lock, a tmp tree has no maker any more. */
		if (!tmp && (strcmp(tree, names->tree) == 0 || strcmp(tree, names->made) == 0))
			continue;
		if (stamp) {
			(void)unlinkat(dir, name, 0);
			continue;
		}
		/* Whoever runs on a mount has one of his own. */
		if (mount_remove(dir, name))
			continue;
		if (tmp || (!handed_out(dir, tree) && !tree_in_use(tree)))
			(void)path_remove_tree(dir, name);
	}
	(void)closedir(list);
}

/* ---- an archive ------------------------------------------------------------------------------ */

static int unpack_locked(const char *archive, int dir, const char *img_dir, const char *worker,
	const struct names *names, struct err *err)
{
	char tmp[4096];
	int r;

	/* Somebody else may have made it while we waited for the lock. */
	if (faccessat(dir, names->tree, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	stale_remove(dir, names);
	if ((size_t)snprintf(tmp, sizeof tmp, "%s/%s", img_dir, names->tmp) >= sizeof tmp)
		return err_sys(err, ENAMETOOLONG, "%s/%s", img_dir, names->tmp);
	if (mkdirat(dir, names->tmp, 0755) < 0)
		return err_sys(err, errno, "mkdir %s", tmp);
	r = work_run(
		&(const struct work){
			.program = worker, .words = { "unpack", archive, tmp }, .in = -1 },
		err);
	if (r == 0 && renameat(dir, names->tmp, dir, names->tree) < 0)
		r = err_sys(err, errno, "rename %s", tmp);
	if (r < 0)
		(void)path_remove_tree(dir, names->tmp);
	return r;
}

/* Others may not pass: the trees have set-uid programs in them. */
static int img_open(const char *img_dir, struct err *err)
{
	int r = path_mkdirs(img_dir, 0700);
	int dir = r < 0 ? r : open(img_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return dir < 0 ? err_sys(err, r < 0 ? -r : errno, "make the directory %s", img_dir) : dir;
}

static int prepare_tar(const struct root_spec *spec, const char *img_dir, const char *worker,
	char *ret, size_t size, struct err *err)
{
	struct names names = { 0 };
	own_fd lock = -1;
	own_fd dir = -1;
	int r = file_names(spec->path, &names, err);

	if (r < 0)
		return r;
	if (strlen(img_dir) + 1 + strlen(names.tree) >= size)
		return err_sys(err, ENAMETOOLONG, "%s/%s", img_dir, names.tree);
	dir = img_open(img_dir, err);
	if (dir < 0)
		return dir;
	if (faccessat(dir, names.tree, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
		lock = file_lock(dir, names.lock, err);
		if (lock < 0)
			return lock;
		r = unpack_locked(spec->path, dir, img_dir, worker, &names, err);
		if (r < 0)
			return r;
	}
	hand_out(dir, names.tree);
	(void)snprintf(ret, size, "%s/%s", img_dir, names.tree);
	return 0;
}

/* ---- an image in a file --------------------------------------------------------------------------- */

/* Once for a content and a boot, also when the supervisor is started anew, unless each time was asked. */
static int verify_locked(const struct root_spec *spec, int file, int dir, const char *worker,
	const struct names *names, struct err *err)
{
	const struct work verify = {
		.program = worker, .words = { "verify", "image", spec->image }, .in = file
	};
	int r;

	if (!spec->tag || spec->verify == VERIFY_NEVER ||
		(spec->verify == VERIFY_ONCE && stamp_holds(dir, names->stamp, file)))
		return 0;
	r = work_run(&verify, err);
	if (r == 0)
		stamp_set(dir, names->stamp, file);
	return r;
}

/* Neither out of the file nor through a loop device: what mounting said comes first in the message. */
static int extract_locked(const struct root_spec *spec, int file, int dir, const char *img_dir,
	const struct names *names, struct err *err)
{
	const struct err mounting = *err;
	struct err why = { 0 };
	char tmp[4096];
	int r;

	if (fsimage_type(file, spec->offset) == NULL)
		return -err->code;
	if ((size_t)snprintf(tmp, sizeof tmp, "%s/%s", img_dir, names->tmp) >= sizeof tmp)
		return err_sys(err, ENAMETOOLONG, "%s/%s", img_dir, names->tmp);
	r = fsextract(file, spec->offset, spec->length, tmp, &why);
	if (r == 0 && renameat(dir, names->tmp, dir, names->made) < 0)
		r = err_sys(&why, errno, "rename %s", tmp);
	if (r == 0)
		return 0;
	(void)path_remove_tree(dir, names->tmp);
	return err_set(
		err, mounting.code, "%s; nor can it be unpacked: %s", mounting.text, why.text);
}

/* Gives the name below img_dir that the root is at. */
static int mount_locked(const struct root_spec *spec, int file, int dir, const char *img_dir,
	const char *worker, const struct names *names, const char **ret, struct err *err)
{
	char where[4096];
	int r = verify_locked(spec, file, dir, worker, names, err);

	if (r < 0)
		return r;
	*ret = names->made;
	if (faccessat(dir, names->made, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	*ret = names->tree;
	(void)snprintf(where, sizeof where, "%s/%s", img_dir, names->tree);
	/* Somebody else may have mounted it while we waited for the lock. */
	if (fsimage_mounted(where))
		return 0;
	stale_remove(dir, names);
	if (mkdirat(dir, names->tree, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "mkdir %s", where);
	r = fsimage_mount(file, spec->offset, spec->length, where, NULL, err);
	if (r == 0)
		return 0;
	(void)unlinkat(dir, names->tree, AT_REMOVEDIR);
	(void)err_wrap(err, "mount the image %s", spec->image ? spec->image : spec->path);
	*ret = names->made;
	return extract_locked(spec, file, dir, img_dir, names, err);
}

static int prepare_file(const struct root_spec *spec, const char *img_dir, const char *worker,
	char *ret, size_t size, struct err *err)
{
	struct names names = { 0 };
	const char *name;
	own_fd file = -1;
	own_fd lock = -1;
	own_fd dir = -1;
	int r = 0;

	if (spec->tag)
		payload_names(spec, &names);
	else
		r = file_names(spec->path, &names, err);
	if (r < 0)
		return r;
	if (strlen(img_dir) + 1 + strlen(names.made) >= size)
		return err_sys(err, ENAMETOOLONG, "%s/%s", img_dir, names.made);
	file = open(spec->path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return err_sys(err, errno, "open the root %s", spec->path);
	dir = img_open(img_dir, err);
	if (dir < 0)
		return dir;
	lock = file_lock(dir, names.lock, err);
	if (lock < 0)
		return lock;
	r = mount_locked(spec, file, dir, img_dir, worker, &names, &name, err);
	if (r == 0)
		(void)snprintf(ret, size, "%s/%s", img_dir, name);
	if (r == 0 && name == names.made)
		hand_out(dir, names.made);
	return r;
}

/* ---- what is written ---------------------------------------------------------------------------------- */

/* Is something mounted there? Its device is another one than its parent's. */
static bool mounted_at(const char *path)
{
	char parent[4096];
	struct stat st, above;

	return (size_t)snprintf(parent, sizeof parent, "%s/..", path) < sizeof parent &&
	       stat(path, &st) == 0 && stat(parent, &above) == 0 && st.st_dev != above.st_dev;
}

/* ---- the kinds ------------------------------------------------------------------------------------ */

static int prepare_dir(const char *path, char *ret, size_t size, struct err *err)
{
	own_fd fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "open the root %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_sys(err, ENOTDIR, "open the root %s", path);
	if (strlen(path) >= size)
		return err_sys(err, ENAMETOOLONG, "open the root %s", path);
	memcpy(ret, path, strlen(path) + 1);
	return 0;
}

/* The memory for what is written until the next boot, in the host's namespace: it outlives a run. */
static int prepare_upper(const struct root_spec *spec, struct err *err)
{
	int r;

	if (spec->persist != PERSIST_BOOT || spec->readonly || mounted_at(spec->upper_dir))
		return 0;
	r = path_mkdirs(spec->upper_dir, 0700);
	if (r < 0)
		return err_sys(err, -r, "make %s for what it writes", spec->upper_dir);
	return rootfs_upper_mount(spec->upper_size, spec->upper_dir, err);
}

static int prepare_lower(const struct root_spec *spec, const char *img_dir, const char *worker,
	char *ret, size_t size, struct err *err)
{
	switch (spec->kind) {
	case ROOT_DIR:
	case ROOT_LAYERS:
		return prepare_dir(spec->path, ret, size, err);
	case ROOT_TAR:
		return prepare_tar(spec, img_dir, worker, ret, size, err);
	case ROOT_FILE:
		return prepare_file(spec, img_dir, worker, ret, size, err);
	case ROOT_NONE:
		break;
	}
	return err_set(err, EINVAL,
		"%s was not there when the configuration was read: berth reload reads it again",
		spec->image ? spec->image : "a root");
}

int rootfs_prepare(const struct root_spec *spec, const char *img_dir, const char *worker, char *ret,
	size_t size, struct err *err)
{
	int r = prepare_upper(spec, err);

	return r < 0 ? r : prepare_lower(spec, img_dir, worker, ret, size, err);
}

bool rootfs_ready(const struct root_spec *spec, const char *img_dir, char *ret, size_t size)
{
	struct names names = { 0 };

	if (spec->persist == PERSIST_BOOT && !spec->readonly && !mounted_at(spec->upper_dir))
		return false;
	switch (spec->kind) {
	case ROOT_DIR:
	case ROOT_LAYERS:
		return (size_t)snprintf(ret, size, "%s", spec->path) < size;
	case ROOT_FILE:
		if (!spec->tag || spec->verify == VERIFY_ALWAYS)
			return false;
		payload_names(spec, &names);
		if ((size_t)snprintf(ret, size, "%s/%s", img_dir, names.made) < size &&
			access(ret, F_OK) == 0)
			return true;
		return (size_t)snprintf(ret, size, "%s/%s", img_dir, names.tree) < size &&
		       fsimage_mounted(ret);
	case ROOT_TAR:
	case ROOT_NONE:
		break;
	}
	return false;
}
