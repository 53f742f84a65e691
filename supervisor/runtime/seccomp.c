#include "supervisor/runtime/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/err.h"
#include "supervisor/base/own.h"
#include "supervisor/runtime/seccomp_filter.h"
#include "supervisor/runtime/seccomp_json.h"
#include "supervisor/runtime/seccomp_table.h"

static uint32_t action_of(int denied)
{
	return denied ? SCMP_ACT_ERRNO((uint16_t)denied) : SCMP_ACT_ALLOW;
}

/* One rule for each name of a group. */
static int add_group(struct seccomp_filter *filter, uint32_t action,
	const struct seccomp_group *group, struct err *err)
{
	const char *rest = group->names;
	int r = 0;

	while (r == 0 && *rest) {
		size_t n = strcspn(rest, " ");
		char name[48];

		if (n >= sizeof name)
			return err_set(err, EINVAL, "system call %s: the name is too long", rest);
		memcpy(name, rest, n);
		name[n] = '\0';
		rest += n + (rest[n] == ' ');
		r = seccomp_filter_rule(filter, action, name, NULL, 0, err);
	}
	return r;
}

static int add_case(struct seccomp_filter *filter, const struct seccomp_case *row, struct err *err)
{
	struct scmp_arg_cmp args[2];

	for (size_t i = 0; i < row->nargs; i++)
		args[i] = (struct scmp_arg_cmp){ .arg = row->args[i].index,
			.op = SCMP_CMP_MASKED_EQ,
			.datum_a = row->args[i].mask,
			.datum_b = row->args[i].value };
	return seccomp_filter_rule(
		filter, action_of(row->denied), row->name, args, (unsigned)row->nargs, err);
}

/* The built-in profile. */
static int add_table(struct seccomp_filter *filter, uint64_t caps, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < seccomp_ngroups; i++) {
		const struct seccomp_group *group = &seccomp_groups[i];
		bool has = caps & group->with;

		if (!group->with || (!has && group->denied))
			r = add_group(filter, action_of(group->denied), group, err);
		else if (has)
			r = add_group(filter, SCMP_ACT_ALLOW, group, err);
	}
	for (size_t i = 0; r == 0 && i < seccomp_ncases; i++) {
		const struct seccomp_case *row = &seccomp_cases[i];

		if ((!row->with || (caps & row->with)) && !(caps & row->without))
			r = add_case(filter, row, err);
	}
	return r;
}

/*
 * Beside its own architecture a machine serves the 32-bit one of its family. x32 is left out: its
 * calls get ENOSYS. Nobody ships programs for it, Debian's kernels have it switched off, and with it
 * building the filter took 42 ms instead of 11.
 */
static int build_table(struct seccomp_filter *filter, uint64_t caps, struct err *err)
{
	const uint32_t unknown = SCMP_ACT_ERRNO(ENOSYS);
	size_t n = seccomp_compat_archs[0] ? 1 : 0;
	int r = seccomp_filter_init(filter, unknown, unknown, seccomp_compat_archs, n, err);

	return r < 0 ? r : add_table(filter, caps, err);
}

int seccomp_build(const char *profile_path, uint64_t caps, bool allow_setup,
	struct seccomp_prog *ret, struct err *err)
{
	struct seccomp_filter filter = { 0 };
	struct seccomp_prog prog = { 0 };
	int r = profile_path ? seccomp_json_build(profile_path, caps, &filter, &prog.flags, err)
			     : build_table(&filter, caps, err);

	if (r >= 0 && allow_setup && !(filter.capset && filter.execve))
		r = err_set(err, EINVAL,
			"with NoNewPrivileges=no the profile must allow capset and execve: allow "
			"them, "
			"or remove NoNewPrivileges=no");
	if (r >= 0)
		r = seccomp_filter_export(&filter, &prog, err);
	seccomp_filter_done(&filter);
	if (r < 0)
		return profile_path ? err_wrap(err, "seccomp profile %s", profile_path)
				    : err_wrap(err, "built-in seccomp profile");
	*ret = prog;
	return 0;
}

void seccomp_prog_done(struct seccomp_prog *prog)
{
	free(prog->filter);
	*prog = (struct seccomp_prog){ 0 };
}

int seccomp_apply(const struct seccomp_prog *prog)
{
	struct sock_fprog program = { .len = prog->len, .filter = prog->filter };

	if (!prog->len)
		return 0;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, prog->flags, &program) < 0 ? -errno
											: 0;
}

static void cached_done(struct seccomp_cached *entry)
{
	seccomp_prog_done(&entry->prog);
	free(entry->path);
	*entry = (struct seccomp_cached){ 0 };
}

/* What must be equal for a program to serve again. */
static int cached_key(const char *profile_path, uint64_t caps, bool allow_setup,
	struct seccomp_cached *ret, struct err *err)
{
	struct stat st;

	*ret = (struct seccomp_cached){ .allow_setup = allow_setup };
	if (!profile_path) {
		ret->caps = caps & seccomp_table_caps();
		return 0;
	}
	if (stat(profile_path, &st) < 0)
		return err_sys(err, errno, "seccomp profile %s", profile_path);
	ret->caps = caps;
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	ret->size = (uint64_t)st.st_size;
	ret->mtime = (uint64_t)st.st_mtim.tv_sec * NSEC_PER_SEC + (uint64_t)st.st_mtim.tv_nsec;
	return 0;
}

static bool cached_is(
	const struct seccomp_cached *entry, const struct seccomp_cached *key, const char *path)
{
	if (!entry->prog.len || !entry->path != !path || (path && strcmp(entry->path, path) != 0))
		return false;
	return entry->caps == key->caps && entry->allow_setup == key->allow_setup &&
	       entry->dev == key->dev && entry->ino == key->ino && entry->size == key->size &&
	       entry->mtime == key->mtime;
}

int seccomp_cache_get(struct seccomp_cache *cache, const char *profile_path, uint64_t caps,
	bool allow_setup, const struct seccomp_prog **ret, struct err *err)
{
	struct seccomp_cached key;
	struct seccomp_cached *oldest = &cache->entries[0];
	int r = cached_key(profile_path, caps, allow_setup, &key, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < SECCOMP_CACHE_SIZE; i++) {
		struct seccomp_cached *entry = &cache->entries[i];

		if (cached_is(entry, &key, profile_path)) {
			entry->used = ++cache->requests;
			*ret = &entry->prog;
			return 0;
		}
		if (entry->used < oldest->used)
			oldest = entry;
	}
	r = seccomp_build(profile_path, caps, allow_setup, &key.prog, err);
	if (r < 0)
		return r;
	key.path = profile_path ? strdup(profile_path) : NULL;
	if (profile_path && !key.path) {
		seccomp_prog_done(&key.prog);
		return err_sys(err, ENOMEM, "seccomp profile %s", profile_path);
	}
	key.used = ++cache->requests;
	cached_done(oldest);
	*oldest = key;
	*ret = &oldest->prog;
	return 0;
}

void seccomp_cache_done(struct seccomp_cache *cache)
{
	for (size_t i = 0; i < SECCOMP_CACHE_SIZE; i++)
		cached_done(&cache->entries[i]);
	cache->requests = 0;
}
