/* Memory that lives and dies together: one arena per configuration generation. */
#ifndef BERTH_BASE_ARENA_H
#define BERTH_BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* newest first */
	size_t used;                /* bytes given out, for `doctor` and tests */
};

/* All of these give zeroed, suitably aligned memory, or NULL when the system has none. The zero
 * value of struct arena is an empty arena. */
void *arena_alloc(struct arena *arena, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t n);
char *arena_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A larger copy of an array: `n` elements of `size` bytes are copied, room for `cap` is given. */
void *arena_grow(struct arena *arena, const void *old, size_t n, size_t cap, size_t size);

/* Frees everything that was given out; the arena is empty and usable again. */
void arena_done(struct arena *arena);

#endif
