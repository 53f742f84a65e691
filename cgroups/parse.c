#include "cgroups/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cgroups/cgroup.h"
#include "supervisor/base/num.h"
#include "supervisor/base/str.h"

static const struct {
	const char *name;
	unsigned bit;
} controllers[] = {
	{ "cpu", CGROUP_CPU },
	{ "memory", CGROUP_MEMORY },
	{ "pids", CGROUP_PIDS },
};

static unsigned controller_bit(const char *name, size_t n)
{
	for (size_t i = 0; i < sizeof controllers / sizeof controllers[0]; i++)
		if (strlen(controllers[i].name) == n && memcmp(controllers[i].name, name, n) == 0)
			return controllers[i].bit;
	return 0;
}

/* mountinfo writes blank, tab, newline and backslash as \ooo (proc_pid_mountinfo(5)). */
static int unescape(const char *from, size_t n, char *to, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		char c = from[i];

		if (c == '\\' && n - i > 3) {
			unsigned value = 0;

			for (size_t k = 1; k <= 3; k++) {
				if (from[i + k] < '0' || from[i + k] > '7')
					return -EINVAL;
				value = value * 8 + (unsigned)(from[i + k] - '0');
			}
			c = (char)value;
			i += 3;
		}
		if (c == '\0' || used + 1 >= size)
			return -EINVAL;
		to[used++] = c;
	}
	to[used] = '\0';
	return 0;
}

/* The next word of a line, or NULL at its end. */
static const char *next_word(const char **pos, const char *end, size_t *ret_n)
{
	const char *start = *pos;

	while (start < end && *start == ' ')
		start++;
	if (start == end)
		return NULL;
	*pos = start;
	while (*pos < end && **pos != ' ')
		(*pos)++;
	*ret_n = (size_t)(*pos - start);
	return start;
}

int parse_mountinfo_line(const char *line, size_t n, struct cgroup_mount *ret)
{
	const char *end = line + n;
	const char *root = NULL;
	const char *point = NULL;
	const char *word;
	struct cgroup_mount found;
	size_t word_n;
	size_t root_n = 0;
	size_t point_n = 0;
	int r;

	/* id parent major:minor ROOT POINT options [optional…] - TYPE source options */
	for (int i = 0; (word = next_word(&line, end, &word_n)); i++) {
		if (i == 3) {
			root = word;
			root_n = word_n;
		} else if (i == 4) {
			point = word;
			point_n = word_n;
		} else if (i > 5 && word_n == 1 && *word == '-') {
			break;
		}
	}
	if (!word)
		return -EINVAL;
	word = next_word(&line, end, &word_n);
	if (!word || word_n != 7 || memcmp(word, "cgroup2", 7) != 0)
		return -ENOENT;
	r = unescape(root, root_n, found.root, sizeof found.root);
	if (r == 0)
		r = unescape(point, point_n, found.point, sizeof found.point);
	if (r == 0)
		*ret = found;
	return r;
}

int parse_self_cgroup(const char *text, char *ret, size_t size)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		if (n > 3 && memcmp(text, "0::", 3) == 0) {
			if (n - 3 >= size || text[3] != '/')
				return -EINVAL;
			memcpy(ret, text + 3, n - 3);
			ret[n - 3] = '\0';
			return 0;
		}
		text += n + (text[n] == '\n');
	}
	return -ENOENT;
}

int parse_own_dir(const struct cgroup_mount *mount, const char *own, char *ret, size_t size)
{
	char path[4096];
	const char *point = strcmp(mount->point, "/") == 0 ? "" : mount->point;
	const char *rest = own;
	size_t n;

	/* "/../x": a cgroup outside of our cgroup namespace. */
	if (str_starts(own, "/..") || str_starts(mount->root, "/.."))
		return -ENOENT;
	if (strcmp(mount->root, "/") != 0) {
		n = strlen(mount->root);
		if (!str_starts(own, mount->root) || (own[n] != '/' && own[n] != '\0'))
			return -ENOENT;
		rest = own + n;
	}
	if (strcmp(rest, "/") == 0)
		rest = "";
	n = (size_t)snprintf(path, sizeof path, "%s%s", point, rest);
	if (n >= sizeof path || n >= size)
		return -EINVAL;
	memcpy(ret, path, n + 1);
	return 0;
}

unsigned parse_controllers(const char *text)
{
	unsigned bits = 0;

	while (*(text += strspn(text, " \t\n"))) {
		size_t n = strcspn(text, " \t\n");

		bits |= controller_bit(text, n);
		text += n;
	}
	return bits;
}

void parse_proc_cgroups(const char *text, unsigned *ret_bound, bool *ret_any)
{
	unsigned bound = 0;
	bool any = false;

	while (*text) {
		size_t n = strcspn(text, "\n");
		size_t name_n = strcspn(text, " \t\n");
		const char *id = text + name_n + strspn(text + name_n, " \t");

		/* name, number of the v1 hierarchy (0: none), … */
		if (*text != '#' && name_n < n && *id >= '1' && *id <= '9') {
			bound |= controller_bit(text, name_n);
			any = true;
		}
		text += n + (text[n] == '\n');
	}
	*ret_bound = bound;
	*ret_any = any;
}

int parse_number(const char *text, uint64_t *ret)
{
	char word[24];
	size_t n = strcspn(text, "\n");

	if (n >= sizeof word)
		return -EINVAL;
	memcpy(word, text, n);
	word[n] = '\0';
	if (strcmp(word, "max") == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	return num_u64(word, ret) < 0 ? -EINVAL : 0;
}

int parse_key_value(const char *text, const char *key, uint64_t *ret)
{
	size_t key_n = strlen(key);

	while (*text) {
		size_t n = strcspn(text, "\n");

		if (n > key_n && text[key_n] == ' ' && memcmp(text, key, key_n) == 0)
			return parse_number(text + key_n + 1, ret);
		text += n + (text[n] == '\n');
	}
	return -ENOENT;
}
