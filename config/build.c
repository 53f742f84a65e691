#include "config/build.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *build_ntext(struct build *b, const char *text, size_t n)
{
	const char *copy = arena_strndup(b->arena, text, n);

	b->nomem |= !copy;
	return copy ? copy : "";
}

const char *build_text(struct build *b, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	text = n < 0 ? NULL : arena_alloc(b->arena, (size_t)n + 1);
	if (!text) {
		b->nomem = true;
		return "";
	}
	va_start(ap, fmt);
	(void)vsnprintf(text, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return text;
}

void build_add(struct build *b, struct strv *list, const char *text)
{
	b->nomem |= strv_add(list, b->arena, text) < 0;
}

/* No capacity is kept: an array is full whenever its length is a power of two. */
void *build_room(struct build *b, const void *array, size_t n, size_t size)
{
	void *grown;

	if (n & (n - 1))
		return (void *)(size_t)array;
	grown = arena_grow(b->arena, array, n, n ? 2 * n : 1, size);
	b->nomem |= !grown;
	return grown;
}

struct origin build_unit_at(const struct build *b, uint32_t unit)
{
	return (struct origin){ b->set->units[unit].file, 0 };
}

const char *build_field(struct build *b, const char **text, char mark)
{
	const char *start = *text;
	size_t n;

	if (!start)
		return NULL;
	n = strcspn(start, (const char[]){ mark, '\0' });
	*text = start[n] ? start + n + 1 : NULL;
	return build_ntext(b, start, n);
}

const char *build_path(struct build *b, const char *dir, const char *path)
{
	const char *sources[] = { path[0] == '/' ? "" : dir, path };
	size_t size = strlen(dir) + strlen(path) + 3;
	struct strbuf out = { .text = arena_alloc(b->arena, size), .size = size };

	if (!out.text) {
		b->nomem = true;
		return "/";
	}
	for (size_t i = 0; i < 2; i++) {
		const char *p = sources[i];

		while (*(p += strspn(p, "/"))) {
			size_t n = strcspn(p, "/");

			if (n != 1 || *p != '.')
				strbuf_add(&out, "/%.*s", (int)n, p);
			p += n;
		}
	}
	return out.used ? out.text : "/";
}
