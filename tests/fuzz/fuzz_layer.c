/*
 * A layer that somebody made to do harm, applied twice, the second time on top of the first: it writes
 * into its two directories and changes nothing beside them. Under libFuzzer the kernel holds it there
 * as well, and files stay small.
 */
#include <linux/landlock.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "images/worker/layer.h"
#include "supervisor/base/clock.h"
#include "tests/fuzz/scratch.h"

enum { FILES_MAX = 16 << 20 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void allow(int rules, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access };

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd >= 0)
		(void)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	(void)close(rule.parent_fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
				     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
				     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
				     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
				     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM |
				     LANDLOCK_ACCESS_FS_REFER
	};
	const struct rlimit small = { FILES_MAX, FILES_MAX };
	long rules = syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);

	(void)argc;
	(void)argv;
	(void)scratch();
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)setrlimit(RLIMIT_FSIZE, &small);
	if (rules < 0)
		return 0;
	allow((int)rules, scratch_path, attr.handled_access_fs);
	allow((int)rules, "build/fuzz", attr.handled_access_fs);
	allow((int)rules, "/dev", LANDLOCK_ACCESS_FS_WRITE_FILE);
	allow((int)rules, "/dev/shm", LANDLOCK_ACCESS_FS_REMOVE_DIR);
	allow((int)rules, "/tmp", LANDLOCK_ACCESS_FS_REMOVE_DIR);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		abort();
	return 0;
}

static struct stat canary(const char *name)
{
	struct stat st;

	if (fstatat(scratch(), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		__builtin_trap();
	return st;
}

static void apply_on(struct view *view, const char *name, int archive, size_t n)
{
	struct progress progress = { .told = clock_monotonic() };
	struct image_layer layer = { .blob = { .fd = archive, .size = n } };
	const struct layer_job job = {
		.view = view, .whiteouts = true, .window = 8 << 20, .progress = &progress
	};
	struct tree_count count;
	int fd;

	if (mkdirat(scratch(), name, 0700) < 0)
		abort();
	fd = openat(scratch(), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || view_add(view, fd, NULL) < 0)
		abort();
	(void)layer_apply(&job, &layer, &count, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct stat dir, secret;
	struct stat now[2];
	struct view view = { .n = 0 };
	int archive = memfd_create("layer", MFD_CLOEXEC);

	if (!dir.st_ino) {
		if (mkdirat(scratch(), "canary", 0700) < 0)
			abort();
		scratch_put("canary/secret", "untouched", 9);
		dir = canary("canary");
		secret = canary("canary/secret");
	}
	if (archive < 0 || write_full(archive, data, n) < 0)
		abort();
	apply_on(&view, "one", archive, n);
	apply_on(&view, "two", archive, n);
	now[0] = canary("canary");
	now[1] = canary("canary/secret");
	if (memcmp(&now[0].st_ctim, &dir.st_ctim, sizeof dir.st_ctim) != 0 ||
		memcmp(&now[1].st_ctim, &secret.st_ctim, sizeof secret.st_ctim) != 0 ||
		now[1].st_nlink != 1)
		__builtin_trap();
	for (size_t i = 0; i < view.n; i++)
		(void)close(view.layers[i]);
	(void)close(archive);
	if (path_remove_tree(scratch(), "one") < 0 || path_remove_tree(scratch(), "two") < 0)
		__builtin_trap();
	return 0;
}
