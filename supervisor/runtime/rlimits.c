#include "supervisor/runtime/rlimits.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/resource.h>

#include "config/types.h"
#include "supervisor/base/capability.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/str.h"
#include "supervisor/runtime/caps.h"

/* What the kernel is built with (fs/file.c). */
enum { NR_OPEN_DEFAULT_MAX = 1024 * 1024 };

static uint64_t files_max(void)
{
	char text[32];
	uint64_t n;

	if (file_read_at(AT_FDCWD, "/proc/sys/fs/nr_open", text, sizeof text) < 0)
		return NR_OPEN_DEFAULT_MAX;
	text[strcspn(text, "\n")] = '\0';
	return num_u64(text, &n) == 0 ? n : NR_OPEN_DEFAULT_MAX;
}

/* The hard limit that this process can set at most. */
static uint64_t limit_max(int which)
{
	uint64_t most = which == RLIMIT_NOFILE ? files_max() : UINT64_MAX;
	struct rlimit now;
	uint64_t caps;

	if (caps_permitted(&caps) == 0 && caps & CAPABILITY_BIT(CAP_SYS_RESOURCE))
		return most;
	if (getrlimit((__rlimit_resource_t)which, &now) == 0 && now.rlim_max < most)
		return now.rlim_max;
	return most;
}

/* The kernel knows no infinite number of files: all that can be had is meant. */
static struct rlimit limit_of(int which, const struct rlimit_spec *want)
{
	struct rlimit limit = { .rlim_cur = want->soft, .rlim_max = want->hard };

	if (which != RLIMIT_NOFILE)
		return limit;
	if (limit.rlim_cur == RLIM_INFINITY)
		limit.rlim_cur = limit_max(which);
	if (limit.rlim_max == RLIM_INFINITY)
		limit.rlim_max = limit_max(which);
	return limit;
}

static int limit_check(int which, const struct rlimit_spec *want, struct err *err)
{
	uint64_t most;

	if (!want->set || want->builtin)
		return 0;
	most = limit_max(which);
	if (limit_of(which, want).rlim_max <= most)
		return 0;
	if (which == RLIMIT_NOFILE && most == files_max())
		return err_set(err, ENOTSUP,
			"Limit%s=: no process can have more than %llu here: lower it, or raise the "
			"sysctl fs.nr_open",
			rlimit_name(which), (unsigned long long)most);
	return err_set(err, ENOTSUP,
		"Limit%s=: berth itself may not have more than %llu: lower it, or raise the limit "
		"that berth is started with, or give it CAP_SYS_RESOURCE",
		rlimit_name(which), (unsigned long long)most);
}

int rlimits_check(const struct container_spec *spec, char *dropped, size_t size, struct err *err)
{
	struct strbuf words = { dropped, size, strlen(dropped), false };

	for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
		struct err why = { 0 };
		int r = limit_check(i, &spec->process.rlimits[i], &why);

		if (r < 0 && !spec->limits.best_effort) {
			*err = why;
			return r;
		}
		if (r < 0)
			strbuf_add(&words, "%sLimit%s= is %llu only", words.used ? "; " : "",
				rlimit_name(i), (unsigned long long)limit_max(i));
	}
	return 0;
}

static int limit_set(int which, const struct rlimit_spec *want, bool clamp, struct err *err)
{
	struct rlimit limit = limit_of(which, want);
	uint64_t most;

	if (setrlimit((__rlimit_resource_t)which, &limit) == 0)
		return 0;
	if (errno != EPERM || !clamp)
		return err_sys(err, errno, "set Limit%s=%llu:%llu", rlimit_name(which),
			(unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
	most = limit_max(which);
	if (limit.rlim_max > most)
		limit.rlim_max = most;
	if (limit.rlim_cur > most)
		limit.rlim_cur = most;
	return setrlimit((__rlimit_resource_t)which, &limit) < 0
		       ? err_sys(err, errno, "set Limit%s=", rlimit_name(which))
		       : 0;
}

int rlimits_set(
	const struct container_spec *spec, const struct process_spec *process, struct err *err)
{
	int r = 0;

	for (int i = 0; r >= 0 && i < (int)RLIM_NLIMITS; i++) {
		const struct rlimit_spec *want = &process->rlimits[i];

		if (want->set)
			r = limit_set(i, want, want->builtin || spec->limits.best_effort, err);
	}
	return r;
}
