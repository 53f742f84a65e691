#include "images/worker/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "images/jail.h"
#include "supervisor/base/own.h"
#include "supervisor/base/priority.h"

/* ---- capabilities ------------------------------------------------------------------------------- */

static const int for_writing[] = {
	CAP_CHOWN,
	CAP_DAC_OVERRIDE,
	CAP_FOWNER,
	CAP_FSETID,
	CAP_SETFCAP,
};

/* Trees belong to many users; and reading leaves no access times. */
static const int for_reading[] = { CAP_DAC_READ_SEARCH, CAP_FOWNER };

static int capabilities_drop(const struct confinement *how, struct err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	uint64_t keep = 0;

	if (syscall(SYS_capget, &head, data) < 0)
		return err_sys(err, errno, "read the capabilities");
	for (size_t i = 0; how->write >= 0 && i < sizeof for_writing / sizeof for_writing[0]; i++)
		keep |= 1ULL << for_writing[i];
	for (size_t i = 0; how->reads[0] >= 0 && i < sizeof for_reading / sizeof for_reading[0];
		i++)
		keep |= 1ULL << for_reading[i];
	if (how->opaque)
		keep |= 1ULL << CAP_SYS_ADMIN;
	for (int half = 0; half < 2; half++) {
		data[half].effective = data[half].permitted &= (uint32_t)(keep >> 32 * half);
		data[half].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, data) < 0)
		return err_sys(err, errno, "drop capabilities");
	return 0;
}

/* ---- the file system ---------------------------------------------------------------------------- */

static int allow_below(int rules, int dir, uint64_t rights)
{
	const struct landlock_path_beneath_attr below = {
		.allowed_access = rights,
		.parent_fd = dir,
	};

	if (dir < 0)
		return 0;
	return (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0);
}

static int landlock(const struct confinement *how, struct err *err)
{
	/* All rights of version 2, the 14 lowest bits, but to execute, which nobody needs. */
	const struct landlock_ruleset_attr attr = { .handled_access_fs = (1U << 14) - 1 };
	const uint64_t all = attr.handled_access_fs & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE;
	const uint64_t read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	own_fd rules = -1;
	int r;

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 2)
		return 0;
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	r = rules < 0 ? -1 : allow_below(rules, how->write, all);
	for (int i = 0; i < CONFINE_READS && r == 0; i++)
		r = allow_below(rules, how->reads[i], read);
	if (r < 0 || syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		return err_sys(err, errno, "landlock");
	return 0;
}

/* ---- system calls ------------------------------------------------------------------------------- */

static const int calls[] = {
	SYS_openat2,
	SYS_dup3,
	SYS_syncfs,
	SYS_mkdirat,
	SYS_mknodat,
	SYS_symlinkat,
	SYS_linkat,
	SYS_fchown,
	SYS_fchownat,
	SYS_fchmodat,
	SYS_utimensat,
	SYS_fsetxattr,
	SYS_fgetxattr,
	SYS_flistxattr,
#ifdef SYS_fadvise64
	SYS_fadvise64,
#endif
#ifdef SYS_arm_fadvise64_64
	SYS_arm_fadvise64_64,
#endif
#ifdef SYS_futex_time64
	SYS_utimensat_time64,
#endif
};

static int calls_limit(struct err *err)
{
	const struct jail_calls left = {
		.any = calls, .nany = sizeof calls / sizeof calls[0], .common = true
	};

	return jail_calls(&left, err);
}

/* ---- limits ------------------------------------------------------------------------------------- */

static void priority_lower(void)
{
	(void)setpriority(PRIO_PROCESS, 0, 10);
	priority_disk_idle();
}

static int limits_set(const struct confinement *how, struct err *err)
{
	const struct rlimit memory = { how->memory, how->memory };
	const struct rlimit none = { 0, 0 };
	struct rlimit files;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "no_new_privs");
	(void)setrlimit(RLIMIT_CORE, &none);
	/* A descriptor for each layer, twice while one looks through them. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 4096) {
		files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : 4096;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	/* What is written to, not what is only set aside: each thread's heap sets much aside. */
	(void)mallopt(M_ARENA_MAX, 1);
	if (!SANITIZED && setrlimit(RLIMIT_DATA, &memory) < 0)
		return err_sys(err, errno, "limit the memory");
	if (how->files)
		jail_file_size(how->write);
	if (how->background)
		priority_lower();
	return 0;
}

int confine(const struct confinement *how, struct err *err)
{
	int r = limits_set(how, err);

	if (r == 0 && how->files && !SANITIZED)
		r = landlock(how, err);
	if (r == 0 && how->files)
		r = capabilities_drop(how, err);
	if (r == 0 && how->files && !SANITIZED)
		r = calls_limit(err);
	return r;
}
