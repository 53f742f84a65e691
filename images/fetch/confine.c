#include "images/fetch/confine.h"

#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "images/jail.h"
#include "supervisor/base/own.h"

#define MEMORY_MAX (512UL << 20)

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

/* No socket is bound or listens; ioctl is not needed: what asks for it does without. */
static const int calls[] = {
	SYS_readv,
	SYS_connect,
	SYS_getpeername,
	SYS_getsockname,
	SYS_getsockopt,
	SYS_setsockopt,
	SYS_sendto,
	SYS_sendmsg,
	SYS_sendmmsg,
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_shutdown,
	SYS_socketpair,
	SYS_pipe2,
	SYS_eventfd2,
	SYS_ppoll,
	SYS_pselect6,
	SYS_epoll_create1,
	SYS_epoll_ctl,
	SYS_epoll_pwait,
	SYS_getuid,
	SYS_getgid,
	SYS_getegid,
	SYS_nanosleep,
	SYS_gettimeofday,
	SYS_sysinfo,
	SYS_uname,
#ifdef SYS_poll
	SYS_poll,
	SYS_select,
	SYS_epoll_wait,
	SYS_pipe,
	SYS_stat,
	SYS_lstat,
	SYS_access,
	SYS_open,
	SYS_readlink,
#endif
#ifdef SYS_time
	SYS_time,
#endif
#ifdef SYS_fstat64
	SYS__newselect,
	SYS_send,
	SYS_recv,
#endif
#ifdef SYS_futex_time64
	SYS_ppoll_time64,
	SYS_pselect6_time64,
	SYS_recvmmsg_time64,
#endif
};

/* To the registry, and to those on this machine who know names (resolved, avahi, nscd). */
static const uint32_t families[] = { AF_UNIX, AF_INET, AF_INET6 };

/* Nothing can be loaded later. The C library knows files and DNS by itself; of other ways to find a
 * host, which nsswitch.conf(5) names, it has modules. */
static void resolvers_load(void)
{
	FILE *file = fopen("/etc/nsswitch.conf", "re");
	char line[512];
	char name[64];
	char *rest;

	while (file && fgets(line, sizeof line, file)) {
		if (strncmp(line, "hosts:", 6) != 0)
			continue;
		rest = line + 6;
		for (const char *word; (word = strsep(&rest, " \t\n"));) {
			size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_");

			if (n == 0 || word[n] || strcmp(word, "files") == 0 ||
				strcmp(word, "dns") == 0 ||
				(size_t)snprintf(name, sizeof name, "libnss_%s.so.2", word) >=
					sizeof name)
				continue;
			(void)dlopen(name, RTLD_NOW);
		}
	}
	if (file)
		(void)fclose(file);
}

int confine(int dir, struct err *err)
{
	const struct jail_calls left = { .any = calls,
		.nany = sizeof calls / sizeof calls[0],
		.families = families,
		.nfamilies = sizeof families / sizeof families[0],
		.common = true };
	int r;

	resolvers_load();
	r = user_change(err);
	if (r == 0)
		r = capabilities_drop(err);
	if (r == 0)
		r = limit(err);
	if (r == 0)
		jail_file_size(dir);
	if (r < 0 || SANITIZED)
		return r;
	r = landlock(dir, err);
	return r < 0 ? r : jail_calls(&left, err);
}
