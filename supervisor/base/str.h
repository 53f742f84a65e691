/* Lists of strings, and text that grows in a buffer of fixed size. */
#ifndef BERTH_BASE_STR_H
#define BERTH_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* A list of strings that somebody else (an arena) owns. The zero value is the empty list. When n
 * is not 0, v[n] is NULL, so v can be handed to execve. */
struct strv {
	const char **v;
	size_t n;
};

/* strv_add - append `text` (not copied); 0 or -ENOMEM. */
int strv_add(struct strv *list, struct arena *arena, const char *text);
bool strv_has(const struct strv *list, const char *text);

/* Text in a buffer of the caller's; what does not fit is cut and `cut` is set. */
struct strbuf {
	char *text; /* always NUL-terminated */
	size_t size;
	size_t used; /* without the NUL */
	bool cut;
};

#define STRBUF(array) ((struct strbuf){ .text = (array), .size = sizeof(array) })

void strbuf_add(struct strbuf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);

/* str_hash, mem_hash - FNV-1a, 64 bits: for names that must be stable, never for security. */
unsigned long long str_hash(const char *text);
unsigned long long mem_hash(const void *data, size_t n);

/* name_valid - may this be a unit's or a container's name: [A-Za-z0-9_.@-]{1,63}, no dot first. */
bool name_valid(const char *name);

#endif
