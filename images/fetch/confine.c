#include "images/fetch/confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/base/own.h"

#define MEMORY_MAX (512UL << 20)

#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = 1 }; /* its shadow needs the address space, its leak check /proc */
#else
enum { SANITIZED = 0 };
#endif

/* In a user namespace that knows no such user, EINVAL, we stay its root: no root of anything. */
static int user_change(struct err *err)
{
	const gid_t gid = CONFINE_UID;
	const uid_t uid = CONFINE_UID;
	const pid_t parent = getppid();
	int death = 0;

	if (geteuid() != 0)
		return 0;
	(void)prctl(PR_GET_PDEATHSIG, &death);
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return err_sys(err, errno, "drop the groups");
	if ((setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) && errno != EINVAL)
		return err_sys(err, errno, "become user %d", CONFINE_UID);
	/* A change of user takes back what the caller asked for: that we die with it. */
	(void)prctl(PR_SET_PDEATHSIG, death);
	if (death && getppid() != parent)
		return err_set(err, ESRCH, "who asked for it is gone");
	return 0;
}

static int capabilities_drop(struct err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[2] = { { 0 }, { 0 } };

	if (syscall(SYS_capset, &head, none) < 0)
		return err_sys(err, errno, "drop capabilities");
	return 0;
}

static int limit(struct err *err)
{
	const struct rlimit memory = { MEMORY_MAX, MEMORY_MAX };
	const struct rlimit files = { 256, 256 };
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "no_new_privs");
	/* It knows passwords: nobody looks into it, also no other process of its user. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	if (!SANITIZED && setrlimit(RLIMIT_AS, &memory) < 0)
		return err_sys(err, errno, "limit the memory");
	return 0;
}

/* Version 1 (5.13). To read stays allowed: what its user may read, which the resolver does. */
static int landlock(int dir, struct err *err)
{
	const __u64 reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	const struct landlock_ruleset_attr attr = {
		.handled_access_fs = ((1U << 13) - 1) & ~reading,
	};
	const struct landlock_path_beneath_attr beneath = {
		.allowed_access = attr.handled_access_fs & ~(__u64)LANDLOCK_ACCESS_FS_EXECUTE,
		.parent_fd = dir,
	};
	own_fd rules = -1;

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1)
		return 0;
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	if (rules < 0 ||
		syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) <
			0 ||
		syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		return err_sys(err, errno, "landlock");
	return 0;
}

int confine(int dir, struct err *err)
{
	int r = user_change(err);

	if (r == 0)
		r = capabilities_drop(err);
	if (r == 0)
		r = limit(err);
	return r < 0 || SANITIZED ? r : landlock(dir, err);
}
