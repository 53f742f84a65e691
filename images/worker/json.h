/* JSON that somebody else wrote: strict, small, shallow. */
#ifndef BERTH_IMAGES_WORKER_JSON_H
#define BERTH_IMAGES_WORKER_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "images/platform.h"
#include "supervisor/base/err.h"

/* What registries take as a manifest; and brackets in brackets. */
enum { JSON_SIZE_MAX = 4 << 20, JSON_NESTING_MAX = 64 };

/*
 * json_read - one document, an object or an array
 *
 * Fails: -EINVAL, saying where, for what is no JSON, a key that stands twice in an object, NUL in a
 *        text, text that is not UTF-8, anything after the document, too deep.
 */
int json_read(const char *text, size_t n, json_t **ret, struct err *err);

/* A member's text, or NULL where there is none, it is null or something else. Any object may be NULL. */
const char *json_text(const json_t *object, const char *key);
/* A member that is an object or an array, else NULL. */
const json_t *json_member(const json_t *object, const char *key);
/* A member that is a number of at least 0: 0, or -EINVAL. */
int json_size(const json_t *object, const char *key, uint64_t *ret);

/* "os", "architecture" and "variant" of an object. False: one of the first two is not there. */
bool json_platform(const json_t *object, struct platform *ret);

#endif
