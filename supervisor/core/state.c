#include "supervisor/core/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cgroups/cgroup.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"
#include "supervisor/base/sys.h"

/* One row a field: printed and parsed by the same table. */
enum field_kind { FIELD_TEXT, FIELD_U64, FIELD_U32, FIELD_INT, FIELD_BOOL };

struct field {
	const char *key;
	enum field_kind kind;
	size_t offset, size;
};

#define FIELD(kind, member)                                           \
	{                                                             \
#member, kind, offsetof(struct state_record, member), \
			sizeof(((struct state_record *)0)->member)    \
	}

static const struct field fields[] = {
	FIELD(FIELD_TEXT, unit),
	FIELD(FIELD_TEXT, boot_id),
	FIELD(FIELD_INT, state),
	FIELD(FIELD_INT, reason),
	FIELD(FIELD_BOOL, wanted),
	FIELD(FIELD_BOOL, by_hand),
	FIELD(FIELD_BOOL, arrived),
	FIELD(FIELD_BOOL, hold),
	FIELD(FIELD_U64, run),
	FIELD(FIELD_INT, pid),
	FIELD(FIELD_U64, starttime),
	FIELD(FIELD_TEXT, cgroup),
	FIELD(FIELD_U64, hash),
	FIELD(FIELD_U32, failures),
	FIELD(FIELD_U32, restarts),
	FIELD(FIELD_U64, ready_at),
	FIELD(FIELD_U64, since),
	FIELD(FIELD_U64, started),
	FIELD(FIELD_U64, ready_since),
	FIELD(FIELD_U64, times.prepare),
	FIELD(FIELD_U64, times.start),
	FIELD(FIELD_U64, times.ready),
	FIELD(FIELD_BOOL, last.known),
	FIELD(FIELD_BOOL, last.status),
	FIELD(FIELD_INT, last.code),
	FIELD(FIELD_INT, last.signal),
	FIELD(FIELD_BOOL, last.oom),
	FIELD(FIELD_U64, last.memory_peak),
	FIELD(FIELD_TEXT, failure),
	FIELD(FIELD_TEXT, dropped),
};

enum { NFIELDS = sizeof fields / sizeof fields[0] };

static const char first_line[] = "berth-state 1\n";
static const char last_line[] = "end\n";

static void print_text(struct strbuf *buf, const char *text)
{
	char line[300];
	size_t n = 0;

	for (; text[n] && n + 1 < sizeof line; n++)
		line[n] = text[n];
	line[n] = '\0';
	/* One line is one field, whatever a message carries. */
	for (char *c = line; *c; c++)
		if (*c == '\n')
			*c = ' ';
	strbuf_add(buf, "%s\n", line);
}

size_t state_print(const struct state_record *record, char buf[static STATE_TEXT_SIZE])
{
	struct strbuf out = { .text = buf, .size = STATE_TEXT_SIZE };

	strbuf_add(&out, "%s", first_line);
	for (size_t i = 0; i < NFIELDS; i++) {
		const struct field *field = &fields[i];
		const void *at = (const char *)record + field->offset;

		strbuf_add(&out, "%s=", field->key);
		switch (field->kind) {
		case FIELD_TEXT:
			print_text(&out, at);
			break;
		case FIELD_U64:
			strbuf_add(&out, "%llu\n", (unsigned long long)*(const uint64_t *)at);
			break;
		case FIELD_U32:
			strbuf_add(&out, "%u\n", *(const uint32_t *)at);
			break;
		case FIELD_INT:
			strbuf_add(&out, "%d\n", *(const int *)at);
			break;
		case FIELD_BOOL:
			strbuf_add(&out, "%d\n", *(const bool *)at);
			break;
		}
	}
	strbuf_add(&out, "%s", last_line);
	return out.used;
}

static int parse_field(const struct field *field, const char *value, struct state_record *record)
{
	void *at = (char *)record + field->offset;
	int64_t number;
	size_t n = strlen(value);

	switch (field->kind) {
	case FIELD_TEXT:
		if (n >= field->size)
			return -EBADMSG;
		memcpy(at, value, n + 1);
		return 0;
	case FIELD_U64:
		return num_u64(value, at);
	case FIELD_U32:
		return num_u32(value, at);
	case FIELD_INT:
		if (num_i64(value, &number) < 0 || number < INT32_MIN || number > INT32_MAX)
			return -EBADMSG;
		*(int *)at = (int)number;
		return 0;
	case FIELD_BOOL:
		*(bool *)at = *value == '1';
		return 0;
	}
	return -EBADMSG;
}

static int parse_line(const char *line, size_t n, struct state_record *record)
{
	char text[400];
	char *equals;

	if (n >= sizeof text)
		return -EBADMSG;
	memcpy(text, line, n);
	text[n] = '\0';
	equals = strchr(text, '=');
	if (!equals)
		return -EBADMSG;
	*equals = '\0';
	for (size_t i = 0; i < NFIELDS; i++)
		if (strcmp(fields[i].key, text) == 0)
			return parse_field(&fields[i], equals + 1, record) < 0 ? -EBADMSG : 0;
	return 0;
}

int state_parse(const char *text, struct state_record *ret)
{
	struct state_record record = { 0 };

	if (!str_starts(text, first_line))
		return -EBADMSG;
	text += sizeof first_line - 1;
	while (strcmp(text, last_line) != 0) {
		const char *end = strchr(text, '\n');

		if (!end || parse_line(text, (size_t)(end - text), &record) < 0)
			return -EBADMSG;
		text = end + 1;
	}
	if ((unsigned)record.state >= SERVICE_STATE_COUNT ||
		(unsigned)record.reason >= END_REASON_COUNT || !*record.unit || record.pid < 0)
		return -EBADMSG;
	*ret = record;
	return 0;
}

int state_read(const struct sys *sys, int dirfd, const char *name, struct state_record *ret)
{
	char buf[STATE_TEXT_SIZE + 1];
	ssize_t n = sys->read_at(dirfd, name, buf, sizeof buf);

	if (n < 0)
		return (int)n;
	if ((size_t)n != strlen(buf))
		return -EBADMSG;
	return state_parse(buf, ret);
}

int state_write(
	const struct sys *sys, int dirfd, const char *name, const struct state_record *record)
{
	char buf[STATE_TEXT_SIZE];
	size_t n = state_print(record, buf);

	return sys->replace_at(dirfd, name, buf, n);
}

/* ---- /proc ---------------------------------------------------------------------------------- */

uint64_t stat_starttime(const char *text)
{
	/* The name, field 2, is in parentheses and may contain anything: the last one counts. */
	const char *p = strrchr(text, ')');
	char digits[24];
	uint64_t value;
	size_t n;

	for (int field = 2; p && field < 22; field++) {
		p = strchr(p, ' ');
		if (p)
			p++;
	}
	if (!p)
		return 0;
	n = strspn(p, "0123456789");
	if (n == 0 || n >= sizeof digits)
		return 0;
	memcpy(digits, p, n);
	digits[n] = '\0';
	return num_u64(digits, &value) < 0 ? 0 : value;
}

int proc_starttime(pid_t pid, uint64_t *ret)
{
	char path[40], buf[1024];
	ssize_t n;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
	n = file_read_at(AT_FDCWD, path, buf, sizeof buf);
	if (n < 0)
		return (int)n;
	*ret = stat_starttime(buf);
	return *ret ? 0 : -EBADMSG;
}

bool proc_in_cgroup(pid_t pid, const char *tail)
{
	char path[40], buf[4096];
	char *line, *save = NULL;

	(void)snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
	if (file_read_at(AT_FDCWD, path, buf, sizeof buf) < 0)
		return false;
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (str_starts(line, "0::") && str_ends(line, tail))
			return true;
	return false;
}

int cgroup_container_of(
	const struct cgroup_tree *tree, const char *text, char *ret_name, size_t size)
{
	const char *line = str_starts(text, "0::") ? text : strstr(text, "\n0::");
	char path[1024];

	if (tree->fd < 0 || !line)
		return 0;
	line += *line == '\n';
	if (snprintf(path, sizeof path, "%.*s", (int)strcspn(line, "\n"), line) >= (int)sizeof path)
		return -ENAMETOOLONG;
	/* Where the hierarchy begins differs between namespaces; what is below our tree does not. */
	for (const char *at = strstr(path, "/c/"); at; at = strstr(at + 1, "/c/")) {
		own_fd fd = cgroup_open(tree, at + 1);

		if (fd < 0)
			continue;
		(void)snprintf(ret_name, size, "%.*s", (int)strcspn(at + 3, "/"), at + 3);
		return 1;
	}
	return 0;
}

int proc_container_of(const struct cgroup_tree *tree, pid_t pid, char *ret_name, size_t size)
{
	char path[40], text[4096];
	ssize_t n;

	(void)snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
	n = file_read_at(AT_FDCWD, path, text, sizeof text);
	return n < 0 ? (int)n : cgroup_container_of(tree, text, ret_name, size);
}
