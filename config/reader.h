/* The line syntax of unit files, as systemd.syntax(7) has it. */
#ifndef BERTH_CONFIG_READER_H
#define BERTH_CONFIG_READER_H

#include <stdbool.h>
#include <stddef.h>

struct err;

enum {
	READER_LINE_MAX = 1 << 20, /* bytes of a logical line, continuations joined */
	READER_FILE_MAX = 8 << 20,
};

/* One assignment. The strings live until the callback returns. */
struct reader_line {
	const char *section;
	const char *key;
	const char *value; /* without blanks around it; "" resets */
	unsigned line;     /* where the logical line begins, from 1 */
};

/* Whom the reader tells. Both give 0, or -errno to stop the reading. */
struct reader_sink {
	int (*assign)(void *user, const struct reader_line *line);
	int (*complain)(void *user, unsigned line, const char *text);
	void *user;
};

/*
 * reader_text - read `n` bytes of text
 *
 * Needs: text[n] to be writable; the text is cut up in place.
 * Gives: each assignment in order, and a complaint for each line that is none; a line that was
 *        complained about assigns nothing, and neither do those of a section with a bad header.
 * Fails: with what a callback gave.
 */
int reader_text(char *text, size_t n, const struct reader_sink *sink);

/*
 * reader_file - the same for a file
 *
 * Gives: *empty: the file has no bytes, or is /dev/null (both mask a unit).
 * Blocks: on the disk, never on a FIFO or a device.
 * Fails: -EISDIR, -EINVAL (neither a file nor /dev/null), -EFBIG, errors of open(2), read(2).
 */
int reader_file(const char *path, const struct reader_sink *sink, bool *empty, struct err *err);

#endif
