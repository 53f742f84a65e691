#include "supervisor/runtime/seccomp_filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "supervisor/base/err.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/runtime/seccomp.h"
#include "supervisor/runtime/seccomp_table.h"

const uint32_t seccomp_compat_archs[] = {
#if defined(__x86_64__)
	SCMP_ARCH_X86,
	SCMP_ARCH_X32,
#elif defined(__aarch64__)
	SCMP_ARCH_ARM,
#endif
	0,
};

static bool is_open(uint32_t action)
{
	return action == SCMP_ACT_ALLOW || action == SCMP_ACT_LOG;
}

/* NNP 0: no_new_privs is the child's decision. OPTIMIZE 2: a binary tree instead of a chain of
 * comparisons, so that a call at the end of the list costs as little as one at its beginning. */
static int context_new(uint32_t fallback, uint32_t bad_arch, scmp_filter_ctx *ret, struct err *err)
{
	scmp_filter_ctx ctx = seccomp_init(fallback);
	int r;

	if (!ctx)
		return err_sys(err, ENOMEM, "make a seccomp filter");
	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, bad_arch);
	/* Before 2.5 there is no such attribute: slower, not wrong. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r < 0) {
		seccomp_release(ctx);
		return err_sys(err, -r, "set up a seccomp filter");
	}
	*ret = ctx;
	return 0;
}

int seccomp_filter_init(struct seccomp_filter *filter, uint32_t fallback, uint32_t bad_arch,
	const uint32_t *archs, size_t n, struct err *err)
{
	int r;

	*filter = (struct seccomp_filter){
		.fallback = fallback, .capset = is_open(fallback), .execve = is_open(fallback)
	};
	r = context_new(fallback, bad_arch, &filter->native, err);
	if (r < 0 || n == 0)
		return r;
	r = context_new(fallback, bad_arch, &filter->compat, err);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		r = seccomp_arch_add(filter->compat, archs[i]);
		if (r < 0 && r != -EEXIST)
			return err_sys(err, -r, "add an architecture to a seccomp filter");
		r = 0;
	}
	if (r == 0) {
		r = seccomp_arch_remove(filter->compat, SCMP_ARCH_NATIVE);
		if (r < 0)
			return err_sys(err, -r, "leave an architecture out of a seccomp filter");
	}
	return r;
}

/* A number of the native table (negative: a call only other architectures have), or -1. */
static int resolve(const char *name, bool *ret_newer)
{
	int number = seccomp_syscall_resolve_name(name);

	*ret_newer = false;
	for (size_t i = 0; number == __NR_SCMP_ERROR && i < seccomp_nnewers; i++) {
		if (strcmp(seccomp_newers[i].name, name) == 0) {
			*ret_newer = true;
			number = seccomp_newers[i].number;
		}
	}
	return number;
}

static int rule_add(scmp_filter_ctx ctx, uint32_t action, int number,
	const struct scmp_arg_cmp *args, unsigned nargs)
{
	int r = seccomp_rule_add_array(ctx, action, number, nargs, args);

	/* -EEXIST: said twice. -EDOM: not there on this architecture. */
	return r == -EEXIST || r == -EDOM ? 0 : r;
}

/* May the calls that a child makes after the filter is in place still be made? */
static void note_setup_calls(
	struct seccomp_filter *filter, uint32_t action, const char *name, unsigned nargs)
{
	bool *call = strcmp(name, "capset") == 0   ? &filter->capset
		     : strcmp(name, "execve") == 0 ? &filter->execve
						   : NULL;

	if (call && is_open(action) && nargs == 0)
		*call = true;
	else if (call && !is_open(action))
		*call = false;
}

int seccomp_filter_rule(struct seccomp_filter *filter, uint32_t action, const char *name,
	const struct scmp_arg_cmp *args, unsigned nargs, struct err *err)
{
	bool newer;
	int number = resolve(name, &newer);
	int r;

	/* libseccomp refuses a rule that says what is said already. */
	if (action == filter->fallback)
		return 0;
	if (number == __NR_SCMP_ERROR && is_open(filter->fallback) && !is_open(action))
		return err_set(err, EINVAL,
			"system call %s: not known to this build of berth, so it cannot be denied",
			name);
	if (number == __NR_SCMP_ERROR)
		return 0;
	note_setup_calls(filter, action, name, nargs);
	r = rule_add(filter->native, action, number, args, nargs);
	/* What libseccomp has no name for it cannot find on another architecture: ENOSYS there. */
	if (r == 0 && filter->compat && !newer)
		r = rule_add(filter->compat, action, number, args, nargs);
	return r < 0 ? err_sys(err, -r, "system call %s: add a seccomp rule", name) : 0;
}

static int read_prog(int fd, struct seccomp_prog *ret, struct err *err)
{
	struct sock_filter *filter;
	struct stat st;
	size_t size;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "export a seccomp filter");
	size = (size_t)st.st_size;
	if (size == 0 || size / sizeof *filter > BPF_MAXINSNS)
		return err_set(err, E2BIG, "the seccomp filter has more than %d instructions",
			BPF_MAXINSNS);
	filter = malloc(size);
	if (!filter)
		return err_sys(err, ENOMEM, "export a seccomp filter");
	if (lseek(fd, 0, SEEK_SET) < 0 || read_full(fd, filter, size) != (ssize_t)size) {
		free(filter);
		return err_set(err, EIO, "export a seccomp filter: short read");
	}
	ret->len = (unsigned short)(size / sizeof *filter);
	ret->filter = filter;
	return 0;
}

int seccomp_filter_export(struct seccomp_filter *filter, struct seccomp_prog *ret, struct err *err)
{
	own_fd fd = -1;
	int r = 0;

	if (filter->compat)
		r = seccomp_merge(filter->native, filter->compat);
	if (r < 0)
		return err_sys(err, -r, "merge the architectures of a seccomp filter");
	filter->compat = NULL;
	fd = memfd_create("berth-seccomp", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "memfd_create for a seccomp filter");
	r = seccomp_export_bpf(filter->native, fd);
	return r < 0 ? err_sys(err, -r, "export a seccomp filter") : read_prog(fd, ret, err);
}

void seccomp_filter_done(struct seccomp_filter *filter)
{
	if (filter->native)
		seccomp_release(filter->native);
	if (filter->compat)
		seccomp_release(filter->compat);
	filter->native = filter->compat = NULL;
}
