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
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"

enum { HASH_LENGTH = 16 };

struct names {
	char tree[40]; /* PATH-CONTENT */
	char tmp[48];
	char lock[32];
};

/* ---- the worker --------------------------------------------------------------------------------- */

static _Noreturn void worker_exec(
	const char *worker, const char *archive, const char *dir, int words, pid_t parent)
{
	char *const argv[] = { (char *)(uintptr_t) "berth-worker", (char *)(uintptr_t) "unpack",
		(char *)(uintptr_t)archive, (char *)(uintptr_t)dir, NULL };
	char *const envp[] = { (char *)(uintptr_t) "LC_CTYPE=C.UTF-8", NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	/* The lock dies with the caller: so must the writer that it stands for. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(125);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (null >= 0) {
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
	}
	(void)dup2(words, STDERR_FILENO);
	(void)execve(worker, argv, envp);
	(void)dprintf(STDERR_FILENO, "exec %s: %s\n", worker, strerror(errno));
	_exit(127);
}

/* The last line that the worker said, without "berth-worker: ". */
static void worker_words(int fd, char *text, size_t size)
{
	ssize_t n = read_full(fd, text, size - 1);
	const char prefix[] = "berth-worker: ";
	const char *line;
	char rest[128];

	text[n > 0 ? n : 0] = '\0';
	/* What does not fit is read all the same: a writer must not die of a closed pipe. */
	while (read_full(fd, rest, sizeof rest) > 0)
		continue;
	text[strcspn(text, "\n")] = '\0';
	line = str_starts(text, prefix) ? text + strlen(prefix) : text;
	memmove(text, line, strlen(line) + 1);
}

static int worker_run(const char *worker, const char *archive, const char *dir, struct err *err)
{
	pid_t parent = getpid();
	char text[400];
	own_fd out = -1;
	own_fd in = -1;
	int pipefd[2];
	int status;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	in = pipefd[0];
	out = pipefd[1];
	pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "fork");
	if (pid == 0)
		worker_exec(worker, archive, dir, out, parent);
	fd_close(&out);
	worker_words(in, text, sizeof text);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "wait for %s", worker);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return err_set(err, EIO, "unpack %s: the worker was killed by signal %d", archive,
			WTERMSIG(status));
	return err_set(err, EINVAL, "%s", *text ? text : "the worker failed without a word");
}

/* ---- names -------------------------------------------------------------------------------------- */

static int archive_names(const char *path, struct names *ret, struct err *err)
{
	own_fd fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;
	char key[4300];
	unsigned long long of_path = str_hash(path);
	int n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "open the root archive %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL,
			"root archive %s: not a file (a directory is written as Rootfs=DIR)", path);
	n = snprintf(key, sizeof key, "%ju:%ju:%jd:%jd.%09ld:%s", (uintmax_t)st.st_dev,
		(uintmax_t)st.st_ino, (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
		st.st_mtim.tv_nsec, path);
	if (n < 0 || (size_t)n >= sizeof key)
		return err_sys(err, ENAMETOOLONG, "root archive %s", path);
	(void)snprintf(ret->tree, sizeof ret->tree, "%016llx-%016llx", of_path, str_hash(key));
	(void)snprintf(ret->tmp, sizeof ret->tmp, ".tmp-%s", ret->tree);
	(void)snprintf(ret->lock, sizeof ret->lock, ".lock-%016llx", of_path);
	return 0;
}

static int lock_take(int dir, const char *name, struct err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	own_fd fd = openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, errno, "open the lock %s", name);
	while (fcntl(fd, F_SETLKW, &lock) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "lock %s", name);
	return fd_take(&fd);
}

/* ---- trees of earlier contents ------------------------------------------------------------------ */

static bool mounted_for(const char *pid, const char *tree)
{
	own_mem char *line = NULL;
	char path[64];
	size_t size = 0;
	bool found = false;
	FILE *file;

	if ((size_t)snprintf(path, sizeof path, "/proc/%s/mountinfo", pid) >= sizeof path)
		return false;
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && getline(&line, &size, file) > 0)
		found = strstr(line, tree) != NULL;
	(void)fclose(file);
	return found;
}

/* Is the tree some container's root? Its name is in the mount table of whoever lives in it: as the
 * overlay's lowerdir, or as the root of a read-only bind. Asked only when an archive has changed. */
static bool tree_in_use(const char *tree)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool found = false;

	if (!proc)
		return true;
	while (!found && (entry = readdir(proc)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			found = mounted_for(entry->d_name, tree);
	(void)closedir(proc);
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
		const char *tree = tmp ? name + strlen(".tmp-") : name;

		if (strncmp(tree, names->tree, HASH_LENGTH + 1) != 0)
			continue;
		/* Under the lock, a tmp tree has no maker any more. */
		if (tmp || (strcmp(tree, names->tree) != 0 && !handed_out(dir, tree) &&
				   !tree_in_use(tree)))
			(void)path_remove_tree(dir, name);
	}
	(void)closedir(list);
}

/* ---- both together ------------------------------------------------------------------------------ */

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
	r = worker_run(worker, archive, tmp, err);
	if (r == 0 && renameat(dir, names->tmp, dir, names->tree) < 0)
		r = err_sys(err, errno, "rename %s", tmp);
	if (r < 0)
		(void)path_remove_tree(dir, names->tmp);
	return r;
}

static int prepare_tar(const struct root_spec *spec, const char *img_dir, const char *worker,
	char *ret, size_t size, struct err *err)
{
	struct names names;
	own_fd lock = -1;
	own_fd dir = -1;
	int r = archive_names(spec->path, &names, err);

	if (r < 0)
		return r;
	if (strlen(img_dir) + 1 + strlen(names.tree) >= size)
		return err_sys(err, ENAMETOOLONG, "%s/%s", img_dir, names.tree);
	/* Others may not pass: the trees have set-uid programs in them. */
	r = path_mkdirs(img_dir, 0700);
	dir = r < 0 ? r : open(img_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, r < 0 ? -r : errno, "make the directory %s", img_dir);
	if (faccessat(dir, names.tree, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
		lock = lock_take(dir, names.lock, err);
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

int rootfs_prepare(const struct root_spec *spec, const char *img_dir, const char *worker, char *ret,
	size_t size, struct err *err)
{
	switch (spec->kind) {
	case ROOT_DIR:
		return prepare_dir(spec->path, ret, size, err);
	case ROOT_TAR:
		return prepare_tar(spec, img_dir, worker, ret, size, err);
	case ROOT_NONE:
		break;
	}
	return err_set(err, EINVAL, "no root to prepare");
}
