#include "supervisor/runtime/seccomp_json.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/seccomp.h>
#include <string.h>

#include "supervisor/base/capability.h"
#include "supervisor/base/err.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"
#include "supervisor/runtime/seccomp_filter.h"

enum { PROFILE_MAX = 1 << 20, ARGS_MAX = 6, ERRNO_MAX = 4095 };

static void json_drop(json_t **json)
{
	json_decref(*json);
}
#define own_json __attribute__((cleanup(json_drop))) json_t

static const struct {
	const char *name;
	uint32_t action;
} actions[] = {
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
};

static const struct {
	const char *name;
	enum scmp_compare op;
} operators[] = {
	{ "SCMP_CMP_NE", SCMP_CMP_NE },
	{ "SCMP_CMP_LT", SCMP_CMP_LT },
	{ "SCMP_CMP_LE", SCMP_CMP_LE },
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ },
	{ "SCMP_CMP_GE", SCMP_CMP_GE },
	{ "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
};

static const struct {
	const char *name;
	uint32_t flag;
} flags[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", 0 }, /* there is one thread */
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
};

/* What "includes" and "excludes" call this machine. */
#if defined(__x86_64__)
static const char *const own_archs[] = { "amd64", "x86_64" };
#elif defined(__aarch64__)
static const char *const own_archs[] = { "arm64", "aarch64" };
#elif defined(__riscv)
static const char *const own_archs[] = { "riscv64", "riscv64" };
#else
static const char *const own_archs[] = { "arm", "arm" };
#endif

/* An action by name; `number` is its errno, absent: EPERM, as the OCI specification has it. */
static int action_read(const char *name, const json_t *number, uint32_t *ret, struct err *err)
{
	json_int_t error = number ? json_integer_value(number) : EPERM;

	if (!name)
		return err_set(err, EINVAL, "an action is missing");
	if (strcmp(name, "SCMP_ACT_ERRNO") == 0) {
		if (error < 0 || error > ERRNO_MAX)
			return err_set(err, EINVAL, "%s: an errno is 0 to %d", name, ERRNO_MAX);
		*ret = SCMP_ACT_ERRNO((uint16_t)error);
		return 0;
	}
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
		if (strcmp(actions[i].name, name) == 0) {
			*ret = actions[i].action;
			return 0;
		}
	}
	return err_set(err, EINVAL,
		"action %s is not served; use SCMP_ACT_ALLOW, _ERRNO, _LOG, _TRAP or _KILL_PROCESS",
		name);
}

/* "SCMP_ARCH_X86_64" as libseccomp knows it; 0: not at all. */
static uint32_t arch_read(const char *name)
{
	char lower[32];
	size_t n = 0;

	if (!name || !str_starts(name, "SCMP_ARCH_"))
		return 0;
	for (name += strlen("SCMP_ARCH_"); *name && n < sizeof lower - 1; name++)
		lower[n++] = (char)tolower((unsigned char)*name);
	lower[n] = '\0';
	return seccomp_arch_resolve_name(lower);
}

/* Adds an architecture that this kernel can run beside its own; others are for other machines. */
static void arch_take(const json_t *json, uint32_t *archs, size_t *n)
{
	uint32_t arch = arch_read(json_string_value(json));

	for (size_t i = 0; i < *n; i++)
		if (archs[i] == arch)
			return;
	for (size_t i = 0; arch && seccomp_compat_archs[i]; i++)
		if (seccomp_compat_archs[i] == arch && *n < SECCOMP_ARCHS_MAX)
			archs[(*n)++] = arch;
}

/* Docker's "archMap", or OCI's "architectures"; neither: the native one alone. */
static size_t archs_read(const json_t *root, uint32_t *archs)
{
	const json_t *list = json_object_get(root, "architectures");
	const json_t *map = json_object_get(root, "archMap");
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(list); i++)
		arch_take(json_array_get(list, i), archs, &n);
	for (size_t i = 0; i < json_array_size(map); i++) {
		const json_t *entry = json_array_get(map, i);
		const json_t *subs = json_object_get(entry, "subArchitectures");
		const char *name = json_string_value(json_object_get(entry, "architecture"));

		if (arch_read(name) != seccomp_arch_native())
			continue;
		for (size_t j = 0; j < json_array_size(subs); j++)
			arch_take(json_array_get(subs, j), archs, &n);
	}
	return n;
}

static bool list_has_own_arch(const json_t *list)
{
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		const char *name = json_string_value(entry);

		if (name && (strcmp(name, own_archs[0]) == 0 || strcmp(name, own_archs[1]) == 0))
			return true;
	}
	return false;
}

/* The capabilities of a list that the container has; *ret_all: it has each of them. */
static uint64_t list_caps(const json_t *list, uint64_t caps, bool *ret_all)
{
	json_t *entry;
	uint64_t found = 0;
	size_t i;

	*ret_all = true;
	json_array_foreach(list, i, entry)
	{
		const char *name = json_string_value(entry);
		int bit = name ? capability_from_name(name) : -1;

		if (bit >= 0 && caps & CAPABILITY_BIT(bit))
			found |= CAPABILITY_BIT(bit);
		else
			*ret_all = false;
	}
	return found;
}

/* Does an entry of "syscalls" count here: all its includes hold and none of its excludes. */
static bool entry_counts(const json_t *entry, uint64_t caps)
{
	const json_t *includes = json_object_get(entry, "includes");
	const json_t *excludes = json_object_get(entry, "excludes");
	const json_t *archs = json_object_get(includes, "arches");
	bool all;

	(void)list_caps(json_object_get(includes, "caps"), caps, &all);
	if (!all || (json_array_size(archs) && !list_has_own_arch(archs)))
		return false;
	return !list_caps(json_object_get(excludes, "caps"), caps, &all) &&
	       !list_has_own_arch(json_object_get(excludes, "arches"));
}

static int arg_read(const json_t *json, struct scmp_arg_cmp *ret, struct err *err)
{
	const char *name = json_string_value(json_object_get(json, "op"));
	json_int_t index = json_integer_value(json_object_get(json, "index"));
	json_int_t value = json_integer_value(json_object_get(json, "value"));
	json_int_t second = json_integer_value(json_object_get(json, "valueTwo"));

	if (index < 0 || index >= ARGS_MAX)
		return err_set(err, EINVAL, "an argument's index is 0 to %d", ARGS_MAX - 1);
	for (size_t i = 0; name && i < sizeof operators / sizeof operators[0]; i++) {
		if (strcmp(operators[i].name, name) != 0)
			continue;
		*ret = (struct scmp_arg_cmp){ .arg = (unsigned)index,
			.op = operators[i].op,
			.datum_a = (uint64_t)value,
			.datum_b = (uint64_t)second };
		return 0;
	}
	return err_set(err, EINVAL, "operator %s is not one of SCMP_CMP_*", name ? name : "(none)");
}

/*
 * The rules of one name. libseccomp takes no two comparisons of one argument in a rule: then each
 * becomes a rule of its own, which means "or", as the other runtimes read it.
 */
static int name_add(struct seccomp_filter *filter, uint32_t action, const char *name,
	const json_t *list, struct err *err)
{
	struct scmp_arg_cmp args[ARGS_MAX] = { 0 };
	size_t n = json_array_size(list);
	bool seen[ARGS_MAX] = { false };
	bool twice = false;
	int r = 0;

	if (!name || n > ARGS_MAX)
		return err_set(err, EINVAL, "an entry of \"names\" or \"args\" is wrong");
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = arg_read(json_array_get(list, i), &args[i], err);
		if (r == 0) {
			twice = twice || seen[args[i].arg];
			seen[args[i].arg] = true;
		}
	}
	if (r < 0)
		return err_wrap(err, "system call %s", name);
	if (!twice)
		return seccomp_filter_rule(filter, action, name, args, (unsigned)n, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = seccomp_filter_rule(filter, action, name, &args[i], 1, err);
	return r;
}

/* One entry of "syscalls": "names" (or an old profile's "name"), "action", "args". */
static int entry_add(struct seccomp_filter *filter, const json_t *entry, struct err *err)
{
	const json_t *names = json_object_get(entry, "names");
	const json_t *single = json_object_get(entry, "name");
	const json_t *args = json_object_get(entry, "args");
	uint32_t action = 0;
	int r = action_read(json_string_value(json_object_get(entry, "action")),
		json_object_get(entry, "errnoRet"), &action, err);

	if (r == 0 && !json_is_array(names) && !json_is_string(single))
		r = err_set(err, EINVAL, "an entry of \"syscalls\" has no \"names\"");
	if (r == 0 && json_is_string(single))
		r = name_add(filter, action, json_string_value(single), args, err);
	for (size_t i = 0; r == 0 && i < json_array_size(names); i++)
		r = name_add(
			filter, action, json_string_value(json_array_get(names, i)), args, err);
	return r;
}

static int flags_read(const json_t *root, uint32_t *ret, struct err *err)
{
	json_t *entry;
	size_t i;

	if (json_object_get(root, "listenerPath"))
		return err_set(err, EINVAL, "listenerPath is not served");
	json_array_foreach(json_object_get(root, "flags"), i, entry)
	{
		const char *name = json_string_value(entry);
		size_t k = 0;

		while (k < sizeof flags / sizeof flags[0] &&
			(!name || strcmp(flags[k].name, name) != 0))
			k++;
		if (k == sizeof flags / sizeof flags[0])
			return err_set(
				err, EINVAL, "flag %s is not served", name ? name : "(none)");
		*ret |= flags[k].flag;
	}
	return 0;
}

static int profile_load(const char *path, json_t **ret, struct err *err)
{
	own_mem char *text = malloc(PROFILE_MAX);
	json_error_t where;
	ssize_t n;

	if (!text)
		return err_sys(err, ENOMEM, "read");
	n = file_read_at(AT_FDCWD, path, text, PROFILE_MAX);
	if (n < 0)
		return err_sys(err, (int)-n, "read");
	*ret = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &where);
	if (!*ret)
		return err_set(err, EINVAL, "line %d: %s", where.line, where.text);
	return 0;
}

int seccomp_json_build(const char *path, uint64_t caps, struct seccomp_filter *filter,
	uint32_t *ret_flags, struct err *err)
{
	own_json *root = NULL;
	uint32_t archs[SECCOMP_ARCHS_MAX];
	uint32_t fallback = 0;
	const json_t *syscalls;
	int r = profile_load(path, &root, err);

	if (r < 0)
		return r;
	r = action_read(json_string_value(json_object_get(root, "defaultAction")),
		json_object_get(root, "defaultErrnoRet"), &fallback, err);
	if (r == 0)
		r = flags_read(root, ret_flags, err);
	if (r < 0)
		return r;
	syscalls = json_object_get(root, "syscalls");
	if (syscalls && !json_is_array(syscalls))
		return err_set(err, EINVAL, "\"syscalls\" is not a list");
	/* Programs of an architecture that the profile does not name get no call at all. */
	r = seccomp_filter_init(
		filter, fallback, SCMP_ACT_ERRNO(ENOSYS), archs, archs_read(root, archs), err);
	for (size_t i = 0; r == 0 && i < json_array_size(syscalls); i++) {
		const json_t *entry = json_array_get(syscalls, i);

		if (entry_counts(entry, caps))
			r = entry_add(filter, entry, err);
	}
	return r;
}
