/* Text to numbers, in the value syntax of systemd.syntax(7): the one place that reads digits. All
 * give 0, or -EINVAL (not a number of that kind), or -ERANGE; *ret is untouched on failure. */
#ifndef BERTH_BASE_NUM_H
#define BERTH_BASE_NUM_H

#include <stdbool.h>
#include <stdint.h>

/* Decimal digits only: no sign, no blanks, nothing after them. */
int num_u64(const char *text, uint64_t *ret);
int num_u32(const char *text, uint32_t *ret);
/* As num_u64 with an optional minus. */
int num_i64(const char *text, int64_t *ret);
/* Octal digits, at most 07777: a file mode. */
int num_mode(const char *text, uint32_t *ret);
/* 1 yes y true t on / 0 no n false f off, in any case. */
int num_bool(const char *text, bool *ret);
/* Bytes: a number with an optional fraction and one of B K M G T P (powers of 1024, also "KiB",
 * "kb"); "infinity" is UINT64_MAX. */
int num_bytes(const char *text, uint64_t *ret);
/* Time in nanoseconds: "5min 20s", "1.5s", "100ms", "2h"; a bare number is seconds; "infinity" is
 * UINT64_MAX. Units: ns us ms s sec m min h hr d w and their long forms. */
int num_duration(const char *text, uint64_t *ret);

#endif
