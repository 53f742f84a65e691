/*
 * Our reader owns the line syntax; inih owns the walk over sections and names. inih as distributions
 * build it cuts lines at 200 bytes and values at " ;", takes an indented key for a continuation and
 * ":" for "=", so it is fed by ini_parse_stream with one short line per logical line:
 *
 *	[Container]        for a section header
 *	Exec=7             for the assignment that begins in line 7
 *
 * and when it calls back with "7", the value is looked up in the struct below, where the reader left
 * it. What would not survive inih's own limits (long section or key names, odd characters in them)
 * is complained about here and never handed on.
 */
#include "config/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "supervisor/base/err.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

enum {
	SECTION_MAX = 48, /* what inih keeps of a section name */
	KEY_MAX = 64,
};

#define BLANKS     " \t\r\n\v\f"
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

struct reader {
	const struct reader_sink *sink;
	char *next; /* the first byte not yet read */
	char *end;
	unsigned line;    /* of the physical line last read */
	unsigned started; /* of the logical line in hand */
	const char *value;
	bool in_section; /* the last header was good */
	bool saw_header;
	int r; /* what a callback gave */
};

static void complain(struct reader *reader, unsigned line, const char *text)
{
	if (reader->r == 0)
		reader->r = reader->sink->complain(reader->sink->user, line, text);
}

/* How many bytes the UTF-8 character at p has; 0: it is none. Overlong forms, surrogates and what
 * is past U+10FFFF are none. */
static size_t utf8_length(const unsigned char *p)
{
	unsigned low = 0x80;
	unsigned high = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : low;
	high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : high;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* What is wrong with the bytes of a physical line; NULL: nothing. p[n] is NUL. */
static const char *line_fault(const char *p, size_t n)
{
	if (memchr(p, '\0', n))
		return "a NUL byte in this line: is this a text file?";
	if (memchr(p, '\r', n))
		return "a carriage return inside this line: end lines with a newline";
	for (size_t i = 0, step; i < n; i += step) {
		step = utf8_length((const unsigned char *)p + i);
		if (!step)
			return "this line is not UTF-8";
	}
	return NULL;
}

/* The next physical line, without its end, NUL-terminated; NULL at the end of the text. */
static char *physical_line(struct reader *reader, size_t *ret_n)
{
	char *line = reader->next;
	char *newline;

	if (line >= reader->end)
		return NULL;
	newline = memchr(line, '\n', (size_t)(reader->end - line));
	if (!newline)
		newline = reader->end;
	reader->next = newline + 1;
	reader->line++;
	if (newline > line && newline[-1] == '\r')
		newline--;
	*newline = '\0';
	*ret_n = (size_t)(newline - line);
	return line;
}

static bool ends_escaped(const char *line, size_t n)
{
	size_t slashes = 0;

	while (slashes < n && line[n - 1 - slashes] == '\\')
		slashes++;
	return slashes % 2 == 1;
}

/*
 * The next logical line: continuations joined in place (the joined text is never longer than what
 * it is made of), comments and empty lines passed over. A comment between continued lines is
 * skipped and does not end them, as systemd.syntax(7) says. NULL: the end.
 */
static char *logical_line(struct reader *reader)
{
	char *joined = NULL;
	size_t used = 0;
	const char *fault = NULL;
	char *line;
	size_t n;

	while ((line = physical_line(reader, &n))) {
		size_t lead = strspn(line, BLANKS);
		bool more;

		/* A comment may be in any encoding, but a NUL means that this is no text. */
		if ((line[lead] == '#' || line[lead] == ';') && !memchr(line, '\0', n))
			continue;
		if (!fault)
			fault = line_fault(line, n);
		if (!joined) {
			reader->started = reader->line;
			joined = line;
		}
		more = ends_escaped(line, n);
		if (n > lead)
			memmove(joined + used, line + lead, n - lead);
		used += n > lead ? n - lead : 0;
		if (more)
			joined[used - 1] = ' ';
		if (!more)
			break;
	}
	if (!joined)
		return NULL;
	if (!fault && used > READER_LINE_MAX)
		fault = "this line is longer than 1 MiB";
	joined[used] = '\0';
	if (!fault)
		return joined;
	complain(reader, reader->started, fault);
	joined[0] = '\0'; /* read on with the next one */
	return joined;
}

static char *trim(char *text)
{
	size_t n;

	text += strspn(text, BLANKS);
	n = strlen(text);
	while (n && strchr(BLANKS, text[n - 1]))
		text[--n] = '\0';
	return text;
}

/* "[Container]": the token line for inih, or a complaint and false. */
static bool take_section(struct reader *reader, char *line, char *token, size_t size)
{
	size_t n = strlen(line);
	size_t name = strspn(line + 1, NAME_CHARS);

	reader->in_section = false;
	if (line[n - 1] != ']') {
		complain(reader, reader->started, "a section header must end with \"]\"");
	} else if (name == 0 || name != n - 2 || name > SECTION_MAX) {
		complain(reader, reader->started,
			"a section name is 1 to 48 letters, digits, \"-\" and \"_\"");
	} else {
		reader->in_section = true;
		(void)snprintf(token, size, "%s\n", line);
	}
	return reader->in_section;
}

/* "Exec=…": the token line for inih, or a complaint and false. */
static bool take_assignment(struct reader *reader, char *line, char *token, size_t size)
{
	char *equals = strchr(line, '=');
	const char *key;
	size_t n;

	if (!equals) {
		complain(reader, reader->started,
			"neither a [Section] nor KEY=VALUE; a comment begins with # or ;");
		return false;
	}
	*equals = '\0';
	key = trim(line);
	n = strlen(key);
	if (n == 0 || n > KEY_MAX || strspn(key, NAME_CHARS) != n) {
		complain(reader, reader->started,
			"the key before \"=\" must be 1 to 64 letters, digits, \"-\" and \"_\"");
		return false;
	}
	if (!reader->in_section) {
		/* After a bad header one complaint is enough. */
		if (!reader->saw_header)
			complain(reader, reader->started,
				"an assignment before any [Section] header");
		return false;
	}
	reader->value = trim(equals + 1);
	(void)snprintf(token, size, "%s=%u\n", key, reader->started);
	return true;
}

/* inih asks for its next line, as fgets would. */
static char *token_line(char *token, int size, void *user)
{
	struct reader *reader = user;
	char *line;

	while (reader->r == 0 && (line = logical_line(reader))) {
		bool good;

		line = trim(line);
		if (!*line)
			continue;
		if (*line == '[') {
			good = take_section(reader, line, token, (size_t)size);
			reader->saw_header = true;
		} else {
			good = take_assignment(reader, line, token, (size_t)size);
		}
		if (good)
			return token;
	}
	return NULL;
}

/* inih calls back: `number` is the token that token_line wrote. 1: go on. */
static int on_pair(void *user, const char *section, const char *name, const char *number)
{
	struct reader *reader = user;
	char expected[16];

	(void)snprintf(expected, sizeof expected, "%u", reader->started);
	if (strcmp(expected, number) != 0) {
		complain(reader, reader->started, "cannot read this line");
		return 1;
	}
	if (reader->r == 0)
		reader->r = reader->sink->assign(
			reader->sink->user, &(struct reader_line){ .section = section,
						    .key = name,
						    .value = reader->value,
						    .line = reader->started });
	return 1;
}

int reader_text(char *text, size_t n, const struct reader_sink *sink)
{
	struct reader reader = { .sink = sink, .next = text, .end = text + n };
	int bad;

	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		reader.next += 3;
	if (n >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0)) {
		complain(&reader, 1, "this file is in UTF-16: save it as UTF-8");
		return reader.r;
	}
	bad = ini_parse_stream(token_line, &reader, on_pair, &reader);
	if (bad != 0)
		complain(&reader, 0, "cannot read this file");
	return reader.r;
}

/* A regular file, opened for reading, or /dev/null; never a wait for the other end of a FIFO. */
static int open_text(const char *path, struct stat *st, struct err *err)
{
	own_fd fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd == -1 && errno == ENOENT && lstat(path, st) == 0 && S_ISLNK(st->st_mode))
		return err_set(err, ENOENT,
			"this is a link to what is not there: correct it, or remove it");
	if (fd < 0)
		return err_sys(err, errno, "cannot read this file");
	if (fstat(fd, st) < 0)
		return err_sys(err, errno, "cannot read this file");
	if (S_ISDIR(st->st_mode))
		return err_set(err, EISDIR, "this is a directory, not a file: move it away");
	if (S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3))
		return fd_take(&fd);
	if (!S_ISREG(st->st_mode))
		return err_set(err, EINVAL, "this is %s, not a file: move it away",
			S_ISFIFO(st->st_mode)                          ? "a FIFO"
			: S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode) ? "a device"
								       : "a socket");
	if (st->st_size > READER_FILE_MAX)
		return err_set(err, EFBIG, "this file is larger than 8 MiB");
	return fd_take(&fd);
}

int reader_file(const char *path, const struct reader_sink *sink, bool *empty, struct err *err)
{
	struct stat st = { 0 };
	own_fd fd = open_text(path, &st, err);
	own_mem char *text = NULL;
	ssize_t n;

	if (fd < 0)
		return fd;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return err_sys(err, ENOMEM, "cannot read this file");
	n = read_full(fd, text, (size_t)st.st_size);
	if (n < 0)
		return err_sys(err, (int)-n, "cannot read this file");
	*empty = n == 0;
	return reader_text(text, (size_t)n, sink);
}
