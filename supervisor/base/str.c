#include "supervisor/base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/base/arena.h"

int strv_add(struct strv *list, struct arena *arena, const char *text)
{
	/* Grows at 3, 7, 15, …: one slot is always kept for the NULL. */
	if (((list->n + 1) & list->n) == 0 && (list->n == 0 || list->n >= 3)) {
		size_t cap = list->n ? (list->n + 1) * 2 : 4;
		const char **grown = arena_grow(arena, list->v, list->n, cap, sizeof *grown);

		if (!grown)
			return -ENOMEM;
		list->v = grown;
	}
	list->v[list->n++] = text;
	list->v[list->n] = NULL;
	return 0;
}

bool strv_has(const struct strv *list, const char *text)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], text) == 0)
			return true;
	return false;
}

void strbuf_add(struct strbuf *buf, const char *fmt, ...)
{
	size_t room = buf->size - buf->used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf->text + buf->used, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room) {
		buf->cut = true;
		buf->used = buf->size - 1;
	} else {
		buf->used += (size_t)n;
	}
}

bool str_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *text, const char *suffix)
{
	size_t n = strlen(text);
	size_t m = strlen(suffix);

	return n >= m && strcmp(text + n - m, suffix) == 0;
}

unsigned long long mem_hash(const void *data, size_t n)
{
	const unsigned char *bytes = data;
	uint64_t hash = 0xcbf29ce484222325U;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3U;
	return hash;
}

unsigned long long str_hash(const char *text)
{
	return mem_hash(text, strlen(text));
}

bool name_valid(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.@-";
	size_t n = strlen(name);

	return n >= 1 && n <= 63 && name[0] != '.' && strspn(name, allowed) == n;
}
