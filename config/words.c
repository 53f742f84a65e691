/* Words: the quoting of systemd.syntax(7), and JSON arrays where podman takes them. */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "config/types.h"
#include "supervisor/base/arena.h"
#include "supervisor/base/err.h"

#define BLANKS " \t\n\r"

/* The escapes of one character, in pairs. */
static const char simple_escapes[] = "a\ab\bf\fn\nr\rt\tv\v\\\\\"\"''s ";

struct splitter {
	const char *next;
	char *out; /* where the word grows; the buffer has room for what is left of the text */
	struct err *err;
};

static int digit_of(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

	return found ? (int)(found - digits) : -1;
}

/* `n` digits of a base at text; -1: they are not there. */
static long digits_at(const char *text, size_t n, int base)
{
	long value = 0;

	for (size_t i = 0; i < n; i++) {
		int digit = digit_of(text[i]);

		if (digit < 0 || digit >= base)
			return -1;
		value = value * base + digit;
	}
	return value;
}

/* UTF-8 of a code point: never longer than the \u or \U that named it. */
static void put_utf8(struct splitter *split, unsigned long code)
{
	if (code < 0x80) {
		*split->out++ = (char)code;
		return;
	}
	if (code < 0x800) {
		*split->out++ = (char)(0xc0 | code >> 6);
	} else {
		if (code < 0x10000) {
			*split->out++ = (char)(0xe0 | code >> 12);
		} else {
			*split->out++ = (char)(0xf0 | code >> 18);
			*split->out++ = (char)(0x80 | (code >> 12 & 0x3f));
		}
		*split->out++ = (char)(0x80 | (code >> 6 & 0x3f));
	}
	*split->out++ = (char)(0x80 | (code & 0x3f));
}

/* What is after a backslash. */
static int take_escape(struct splitter *split)
{
	const char *p = split->next;
	long code;

	for (size_t i = 0; simple_escapes[i]; i += 2) {
		if (*p == simple_escapes[i]) {
			*split->out++ = simple_escapes[i + 1];
			split->next = p + 1;
			return 0;
		}
	}
	if (*p == 'u' || *p == 'U') {
		size_t n = *p == 'u' ? 4 : 8;

		code = digits_at(p + 1, n, 16);
		if (code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)) {
			put_utf8(split, (unsigned long)code);
			split->next = p + 1 + n;
			return 0;
		}
	} else if (*p == 'x') {
		code = digits_at(p + 1, 2, 16);
		if (code > 0) {
			*split->out++ = (char)code;
			split->next = p + 3;
			return 0;
		}
	} else {
		code = digits_at(p, 3, 8);
		if (code > 0 && code <= 0xff) {
			*split->out++ = (char)code;
			split->next = p + 3;
			return 0;
		}
	}
	return err_set(
		split->err, EINVAL, "\"\\%.10s\" is not an escape: write \\\\ for a backslash", p);
}

/* One word, from where it begins to the blank or the end after it. */
static int take_word(struct splitter *split)
{
	char quote = 0;
	char c;

	while ((c = *split->next)) {
		if (!quote && strchr(BLANKS, c))
			break;
		split->next++;
		if (c == '\\') {
			int r = take_escape(split);

			if (r < 0)
				return r;
		} else if (quote ? c == quote : (c == '"' || c == '\'')) {
			quote = quote ? 0 : c;
		} else {
			*split->out++ = c;
		}
	}
	if (quote)
		return err_set(split->err, EINVAL, "a %c is not closed", quote);
	*split->out = '\0';
	return 0;
}

int words_split(struct arena *arena, const char *text, struct strv *ret, struct err *err)
{
	struct splitter split = { .next = text + strspn(text, BLANKS), .err = err };
	struct strv words = *ret;
	char *buffer = *split.next ? arena_alloc(arena, strlen(split.next) + 1) : NULL;

	if (*split.next && !buffer)
		return err_sys(err, ENOMEM, "split the words");
	/* Words are never longer than their text, so they lie one after the other in one buffer; the
	 * blank after a word leaves room for its NUL. */
	while (*split.next) {
		int r;

		split.out = buffer;
		r = take_word(&split);
		if (r < 0)
			return r;
		if (strv_add(&words, arena, buffer) < 0)
			return err_sys(err, ENOMEM, "split the words");
		buffer = split.out + 1;
		split.next += strspn(split.next, BLANKS);
	}
	*ret = words;
	return 0;
}

int json_strings(struct arena *arena, const char *text, struct strv *ret, struct err *err)
{
	json_error_t where;
	json_t *array = json_loads(text, JSON_REJECT_DUPLICATES, &where);
	struct strv words = *ret;
	int r = 0;
	size_t i;
	json_t *item;

	if (!array || !json_is_array(array)) {
		json_decref(array);
		return err_set(err, EINVAL, "this is not a JSON array of strings");
	}
	json_array_foreach(array, i, item)
	{
		const char *word = json_string_value(item);
		char *copy;

		if (!word) {
			r = err_set(err, EINVAL, "this is not a JSON array of strings");
			break;
		}
		copy = arena_strdup(arena, word);
		if (!copy || strv_add(&words, arena, copy) < 0) {
			r = err_sys(err, ENOMEM, "split the words");
			break;
		}
	}
	json_decref(array);
	if (r == 0)
		*ret = words;
	return r;
}
