#include "config/types.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "supervisor/base/arena.h"
#include "supervisor/base/capability.h"
#include "supervisor/base/err.h"
#include "supervisor/base/num.h"
#include "supervisor/base/signals.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The bits of struct exit_set are numbered by codes of one byte, and by Linux' signals. */
enum { EXIT_CODE_MAX = 255 };

int value_bool(const char *text, bool *ret, struct err *err)
{
	int r = num_bool(text, ret);

	return r < 0 ? err_set(err, -r, "\"%.60s\" is neither yes nor no", text) : 0;
}

/* "25%", "12.5%": in hundredths of a percent. */
static int percent(const char *text, uint64_t *ret)
{
	char number[24];
	size_t n = strlen(text);
	size_t whole = strspn(text, "0123456789");
	uint64_t value;
	uint64_t part = 0;
	int r;

	if (n < 2 || n > sizeof number || text[n - 1] != '%')
		return -EINVAL;
	memcpy(number, text, n - 1);
	number[n - 1] = '\0';
	if (number[whole] == '.') {
		size_t digits = strlen(number + whole + 1);

		if (digits < 1 || digits > 2)
			return -EINVAL;
		r = num_u64(number + whole + 1, &part);
		if (r < 0)
			return r;
		part *= digits == 1 ? 10 : 1;
		number[whole] = '\0';
	}
	r = num_u64(number, &value);
	if (r < 0)
		return r;
	if (value > UINT32_MAX)
		return -ERANGE;
	*ret = value * 100 + part;
	return 0;
}

int value_bytes(const char *text, uint64_t *ret, struct err *err)
{
	uint64_t share;
	long pages;
	long page_size;
	int r;

	if (strchr(text, '%') && percent(text, &share) == 0 && share <= 10000) {
		pages = sysconf(_SC_PHYS_PAGES);
		page_size = sysconf(_SC_PAGESIZE);
		if (pages <= 0 || page_size <= 0)
			return err_set(err, EINVAL, "the size of the memory is not known here");
		*ret = (uint64_t)pages * (uint64_t)page_size / 10000 * share;
		return 0;
	}
	r = num_bytes(text, ret);
	return r < 0 ? err_set(err, -r, "\"%.60s\" is not a size: write 64M, 1.5G or infinity",
			       text)
		     : 0;
}

int value_time(const char *text, uint64_t *ret, struct err *err)
{
	int r = num_duration(text, ret);

	return r < 0 ? err_set(err, -r,
			       "\"%.60s\" is not a time: write 10s, 1min 30s, 500ms or infinity",
			       text)
		     : 0;
}

int value_signal(const char *text, int *ret, struct err *err)
{
	int number = signal_from_name(text);

	if (number < 0)
		return err_set(
			err, EINVAL, "\"%.60s\" is not a signal: write SIGTERM, SIGINT, …", text);
	*ret = number;
	return 0;
}

int value_tasks(const char *text, uint64_t *ret, struct err *err)
{
	if (strcmp(text, "infinity") == 0 || strcmp(text, "max") == 0 || strcmp(text, "-1") == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	if (strchr(text, '%'))
		return err_set(err, EINVAL, "a share is not served: write a number of tasks");
	return value_number(text, 1, UINT32_MAX, ret, err);
}

int value_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret, struct err *err)
{
	uint64_t value;
	int r = num_u64(text, &value);

	if (r == -EINVAL)
		return err_set(err, EINVAL, "\"%.60s\" is not a number", text);
	if (r < 0 || value < min || value > max)
		return err_set(err, ERANGE, "%.60s is not between %llu and %llu", text,
			(unsigned long long)min, (unsigned long long)max);
	*ret = value;
	return 0;
}

int value_integer(const char *text, int64_t min, int64_t max, int64_t *ret, struct err *err)
{
	int64_t value;
	int r = num_i64(*text == '+' ? text + 1 : text, &value);

	if (r == -EINVAL)
		return err_set(err, EINVAL, "\"%.60s\" is not a number", text);
	if (r < 0 || value < min || value > max)
		return err_set(err, ERANGE, "%.60s is not between %lld and %lld", text,
			(long long)min, (long long)max);
	*ret = value;
	return 0;
}

int value_cpu_quota(const char *text, uint64_t *ret, struct err *err)
{
	uint64_t share;

	if (percent(text, &share) < 0)
		return err_set(err, EINVAL,
			"\"%.60s\" is not a share of one CPU: write 50%% for half of one, 200%% "
			"for two",
			text);
	/* The kernel takes no quota below 1 ms. */
	if (share < 100)
		return err_set(err, ERANGE, "%.60s is less than 1%%", text);
	*ret = share * 10;
	return 0;
}

int value_capability(const char *word, uint64_t *mask, bool *all, struct err *err)
{
	int bit;

	if (strcasecmp(word, "all") == 0) {
		*mask = CAPABILITY_ALL;
		*all = true;
		return 0;
	}
	bit = capability_from_name(word);
	if (bit < 0)
		return err_set(err, EINVAL,
			"\"%.60s\" is not a capability: write CAP_NET_RAW, …, or all", word);
	*mask |= CAPABILITY_BIT(bit);
	return 0;
}

/* Exit statuses that have a name in systemd.exec(5). */
static const struct {
	const char *name;
	unsigned code;
} exit_names[] = {
	{ "SUCCESS", 0 },
	{ "FAILURE", 1 },
	{ "INVALIDARGUMENT", 2 },
	{ "NOTIMPLEMENTED", 3 },
	{ "NOPERMISSION", 4 },
	{ "NOTINSTALLED", 5 },
	{ "NOTCONFIGURED", 6 },
	{ "NOTRUNNING", 7 },
	{ "USAGE", 64 },
	{ "DATAERR", 65 },
	{ "NOINPUT", 66 },
	{ "NOUSER", 67 },
	{ "NOHOST", 68 },
	{ "UNAVAILABLE", 69 },
	{ "SOFTWARE", 70 },
	{ "OSERR", 71 },
	{ "OSFILE", 72 },
	{ "CANTCREAT", 73 },
	{ "IOERR", 74 },
	{ "TEMPFAIL", 75 },
	{ "PROTOCOL", 76 },
	{ "NOPERM", 77 },
	{ "CONFIG", 78 },
	{ "CHDIR", 200 },
	{ "NICE", 201 },
	{ "FDS", 202 },
	{ "EXEC", 203 },
	{ "MEMORY", 204 },
	{ "LIMITS", 205 },
	{ "OOM_ADJUST", 206 },
	{ "SIGNAL_MASK", 207 },
	{ "STDIN", 208 },
	{ "STDOUT", 209 },
	{ "CHROOT", 210 },
	{ "IOPRIO", 211 },
	{ "TIMERSLACK", 212 },
	{ "SECUREBITS", 213 },
	{ "SETSCHEDULER", 214 },
	{ "CPUAFFINITY", 215 },
	{ "GROUP", 216 },
	{ "USER", 217 },
	{ "CAPABILITIES", 218 },
	{ "CGROUP", 219 },
	{ "SETSID", 220 },
	{ "CONFIRM", 221 },
	{ "STDERR", 222 },
	{ "PAM", 224 },
	{ "NETWORK", 225 },
	{ "NAMESPACE", 226 },
	{ "NO_NEW_PRIVILEGES", 227 },
	{ "SECCOMP", 228 },
	{ "SELINUX_CONTEXT", 229 },
	{ "PERSONALITY", 230 },
	{ "APPARMOR_PROFILE", 231 },
	{ "ADDRESS_FAMILIES", 232 },
	{ "RUNTIME_DIRECTORY", 233 },
	{ "CHOWN", 235 },
	{ "SMACK_PROCESS_LABEL", 236 },
	{ "KEYRING", 237 },
	{ "STATE_DIRECTORY", 238 },
	{ "CACHE_DIRECTORY", 239 },
	{ "LOGS_DIRECTORY", 240 },
	{ "CONFIGURATION_DIRECTORY", 241 },
	{ "NUMA_POLICY", 242 },
	{ "CREDENTIALS", 243 },
	{ "BPF", 245 },
};

int value_exit(const char *word, struct exit_set *set, struct err *err)
{
	uint32_t code;
	int signal;

	for (size_t i = 0; i < COUNT(exit_names); i++) {
		if (strcmp(word, exit_names[i].name) == 0) {
			set->codes[exit_names[i].code / 64] |= UINT64_C(1)
							       << exit_names[i].code % 64;
			return 0;
		}
	}
	/* A bare number is a code here, though signal_from_name would take it. */
	if (num_u32(word, &code) == 0) {
		if (code > EXIT_CODE_MAX)
			return err_set(
				err, ERANGE, "%.60s is not an exit code: they end at 255", word);
		set->codes[code / 64] |= UINT64_C(1) << code % 64;
		return 0;
	}
	signal = signal_from_name(word);
	if (signal < 0 || signal >= 64)
		return err_set(err, EINVAL,
			"\"%.60s\" is neither an exit code nor a signal: write 143, SIGTERM, …",
			word);
	set->signals |= UINT64_C(1) << signal;
	return 0;
}

enum rlimit_unit { RLIMIT_COUNT, RLIMIT_BYTES, RLIMIT_SECONDS, RLIMIT_MICROSECONDS };

static const struct {
	const char *name;
	enum rlimit_unit unit;
} rlimits[RLIM_NLIMITS] = {
	[RLIMIT_CPU] = { "CPU", RLIMIT_SECONDS },
	[RLIMIT_FSIZE] = { "FSIZE", RLIMIT_BYTES },
	[RLIMIT_DATA] = { "DATA", RLIMIT_BYTES },
	[RLIMIT_STACK] = { "STACK", RLIMIT_BYTES },
	[RLIMIT_CORE] = { "CORE", RLIMIT_BYTES },
	[RLIMIT_RSS] = { "RSS", RLIMIT_BYTES },
	[RLIMIT_NPROC] = { "NPROC", RLIMIT_COUNT },
	[RLIMIT_NOFILE] = { "NOFILE", RLIMIT_COUNT },
	[RLIMIT_MEMLOCK] = { "MEMLOCK", RLIMIT_BYTES },
	[RLIMIT_AS] = { "AS", RLIMIT_BYTES },
	[RLIMIT_LOCKS] = { "LOCKS", RLIMIT_COUNT },
	[RLIMIT_SIGPENDING] = { "SIGPENDING", RLIMIT_COUNT },
	[RLIMIT_MSGQUEUE] = { "MSGQUEUE", RLIMIT_BYTES },
	[RLIMIT_NICE] = { "NICE", RLIMIT_COUNT },
	[RLIMIT_RTPRIO] = { "RTPRIO", RLIMIT_COUNT },
	[RLIMIT_RTTIME] = { "RTTIME", RLIMIT_MICROSECONDS },
};

int rlimit_from_name(const char *name)
{
	for (int i = 0; i < (int)RLIM_NLIMITS; i++)
		if (rlimits[i].name && strcasecmp(name, rlimits[i].name) == 0)
			return i;
	return -EINVAL;
}

const char *rlimit_name(int resource)
{
	return rlimits[resource].name;
}

static int rlimit_one(int resource, const char *text, uint64_t *ret)
{
	enum rlimit_unit unit = rlimits[resource].unit;
	uint64_t value;
	int r;

	if (strcasecmp(text, "infinity") == 0 || strcasecmp(text, "unlimited") == 0 ||
		strcmp(text, "-1") == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	switch (unit) {
	case RLIMIT_COUNT:
		return num_u64(text, ret);
	case RLIMIT_BYTES:
		return num_bytes(text, ret);
	case RLIMIT_SECONDS:
	case RLIMIT_MICROSECONDS:
		/* A bare number is in the limit's own unit. */
		if (num_u64(text, ret) == 0)
			return 0;
		r = num_duration(text, &value);
		if (r < 0)
			return r;
		*ret = value / (unit == RLIMIT_SECONDS ? 1000000000U : 1000U);
		return 0;
	}
	return -EINVAL;
}

int value_rlimit(int resource, const char *text, struct rlimit_spec *ret, struct err *err)
{
	const char *colon = strchr(text, ':');
	char soft[64];
	size_t n = colon ? (size_t)(colon - text) : strlen(text);
	struct rlimit_spec limit = { .set = true };
	int r = n < sizeof soft ? 0 : -EINVAL;

	if (r == 0) {
		memcpy(soft, text, n);
		soft[n] = '\0';
		r = rlimit_one(resource, soft, &limit.soft);
	}
	if (r == 0)
		r = rlimit_one(resource, colon ? colon + 1 : soft, &limit.hard);
	if (r < 0)
		return err_set(err, -r,
			"\"%.60s\" is not a limit: write SOFT:HARD, one for both, or infinity",
			text);
	if (limit.soft > limit.hard)
		return err_set(
			err, ERANGE, "the soft limit of \"%.60s\" is above the hard one", text);
	*ret = limit;
	return 0;
}
