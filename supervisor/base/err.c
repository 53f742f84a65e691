#include "supervisor/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A code of 0 would turn a failure into a success for the caller. */
static int code_or_eio(int code)
{
	return code > 0 ? code : EIO;
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	code = code_or_eio(code);
	if (err) {
		err->code = code;
		err->stage = 0;
		va_start(ap, fmt);
		(void)vsnprintf(err->text, sizeof err->text, fmt, ap);
		va_end(ap);
	}
	return -code;
}

int err_sys(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	code = code_or_eio(code);
	if (err) {
		char text[ERR_TEXT_SIZE];

		va_start(ap, fmt);
		(void)vsnprintf(text, sizeof text, fmt, ap);
		va_end(ap);
		err_set(err, code, "%s: %s", text, strerror(code));
	}
	return -code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char old[ERR_TEXT_SIZE];
	va_list ap;
	size_t n;

	if (!err)
		return -EIO;
	memcpy(old, err->text, sizeof old);
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	(void)snprintf(err->text + n, sizeof err->text - n, ": %s", old);
	return -code_or_eio(err->code);
}

void err_keep(struct err *first, const struct err *next)
{
	if (first && !first->code)
		*first = *next;
}

#if defined(__SANITIZE_ADDRESS__)
/*
 * A verb that ends, and a child that was forked, give their memory back by ending, some of them with no
 * environment that could say so. ASAN_OPTIONS= has the last word: the unit tests look for leaks.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif
