#include "supervisor/base/num.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Digits in a base, from *text on; *text is left after them. */
static int digits(const char **text, unsigned base, uint64_t *ret)
{
	const char *p = *text;
	uint64_t value = 0;

	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	for (; isdigit((unsigned char)*p); p++) {
		unsigned digit = (unsigned)(*p - '0');

		if (digit >= base)
			return -EINVAL;
		if (__builtin_mul_overflow(value, base, &value) ||
			__builtin_add_overflow(value, digit, &value))
			return -ERANGE;
	}
	*text = p;
	*ret = value;
	return 0;
}

int num_u64(const char *text, uint64_t *ret)
{
	uint64_t value;
	int r = digits(&text, 10, &value);

	if (r < 0)
		return r;
	if (*text)
		return -EINVAL;
	*ret = value;
	return 0;
}

int num_u32(const char *text, uint32_t *ret)
{
	uint64_t value;
	int r = num_u64(text, &value);

	if (r < 0)
		return r;
	if (value > UINT32_MAX)
		return -ERANGE;
	*ret = (uint32_t)value;
	return 0;
}

int num_i64(const char *text, int64_t *ret)
{
	bool minus = *text == '-';
	uint64_t value;
	int r = num_u64(text + minus, &value);

	if (r < 0)
		return r;
	if (value > INT64_MAX)
		return -ERANGE;
	*ret = minus ? -(int64_t)value : (int64_t)value;
	return 0;
}

int num_mode(const char *text, uint32_t *ret)
{
	uint64_t value;
	int r = digits(&text, 8, &value);

	if (r < 0)
		return r;
	if (*text)
		return -EINVAL;
	if (value > 07777)
		return -ERANGE;
	*ret = (uint32_t)value;
	return 0;
}

int num_bool(const char *text, bool *ret)
{
	static const char *const yes[] = { "1", "yes", "y", "true", "t", "on" };
	static const char *const no[] = { "0", "no", "n", "false", "f", "off" };

	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
		bool is_yes = strcasecmp(text, yes[i]) == 0;

		if (is_yes || strcasecmp(text, no[i]) == 0) {
			*ret = is_yes;
			return 0;
		}
	}
	return -EINVAL;
}

/* "N" or "N.NNN" times unit, exactly as far as 64 bits go. */
static int scaled(uint64_t whole, const char *fraction, uint64_t unit, uint64_t *ret)
{
	uint64_t value;
	uint64_t part = unit;

	if (__builtin_mul_overflow(whole, unit, &value))
		return -ERANGE;
	for (const char *p = fraction; p && isdigit((unsigned char)*p); p++) {
		uint64_t step =
			part / 10 * (unsigned)(*p - '0') + part % 10 * (unsigned)(*p - '0') / 10;

		part /= 10;
		if (__builtin_add_overflow(value, step, &value))
			return -ERANGE;
	}
	*ret = value;
	return 0;
}

/* Reads "12" or "12.5" and gives the whole part and where the fraction's digits begin (or NULL). */
static int decimal(const char **text, uint64_t *whole, const char **fraction)
{
	int r = digits(text, 10, whole);

	*fraction = NULL;
	if (r < 0 || **text != '.')
		return r;
	*fraction = ++*text;
	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	while (isdigit((unsigned char)**text))
		++*text;
	return 0;
}

int num_bytes(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGTP";
	const char *fraction;
	const char *which;
	uint64_t unit = 1;
	uint64_t whole;
	int r;

	if (strcasecmp(text, "infinity") == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	r = decimal(&text, &whole, &fraction);
	if (r < 0)
		return r;
	text += strspn(text, " ");
	which = *text ? strchr(units, toupper((unsigned char)*text)) : NULL;
	if (which) {
		unit = (uint64_t)1024 << 10 * (which - units);
		text++;
		if (*text == 'i' && (text[1] == 'B' || text[1] == 'b'))
			text++;
	}
	if (*text == 'B' || *text == 'b')
		text++;
	if (*text)
		return -EINVAL;
	return scaled(whole, fraction, unit, ret);
}

#define NS_S 1000000000ULL

static const struct {
	const char *name;
	uint64_t ns;
} time_units[] = {
	{ "", NS_S },
	{ "ns", 1 },
	{ "nsec", 1 },
	{ "us", 1000 },
	{ "usec", 1000 },
	{ "ms", 1000000 },
	{ "msec", 1000000 },
	{ "s", NS_S },
	{ "sec", NS_S },
	{ "second", NS_S },
	{ "seconds", NS_S },
	{ "m", 60 * NS_S },
	{ "min", 60 * NS_S },
	{ "minute", 60 * NS_S },
	{ "minutes", 60 * NS_S },
	{ "h", 3600 * NS_S },
	{ "hr", 3600 * NS_S },
	{ "hour", 3600 * NS_S },
	{ "hours", 3600 * NS_S },
	{ "d", 86400 * NS_S },
	{ "day", 86400 * NS_S },
	{ "days", 86400 * NS_S },
	{ "w", 604800 * NS_S },
	{ "week", 604800 * NS_S },
	{ "weeks", 604800 * NS_S },
};

static uint64_t time_unit(const char *name, size_t n)
{
	for (size_t i = 0; i < sizeof time_units / sizeof time_units[0]; i++)
		if (strlen(time_units[i].name) == n && memcmp(time_units[i].name, name, n) == 0)
			return time_units[i].ns;
	return 0;
}

int num_duration(const char *text, uint64_t *ret)
{
	uint64_t sum = 0;

	if (strcasecmp(text, "infinity") == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	do {
		const char *fraction;
		uint64_t whole;
		uint64_t value;
		uint64_t unit;
		size_t n = 0;
		int r = decimal(&text, &whole, &fraction);

		if (r < 0)
			return r;
		text += strspn(text, " ");
		while (isalpha((unsigned char)text[n]))
			n++;
		unit = time_unit(text, n);
		if (!unit)
			return -EINVAL;
		text += n;
		r = scaled(whole, fraction, unit, &value);
		if (r < 0 || __builtin_add_overflow(sum, value, &sum))
			return -ERANGE;
		text += strspn(text, " ");
	} while (*text);
	*ret = sum;
	return 0;
}
