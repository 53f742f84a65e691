/* Values of keys, one parser per type. All give 0, or -EINVAL/-ERANGE with words that say what is
 * wrong and what to write, or -ENOMEM; *ret is untouched on failure. */
#ifndef BERTH_CONFIG_TYPES_H
#define BERTH_CONFIG_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "config/spec.h"
#include "config/unit.h"
#include "supervisor/base/str.h"

struct arena;
struct err;

int value_bool(const char *text, bool *ret, struct err *err);
/* "64M", "infinity", and "25%": of the machine's memory. */
int value_bytes(const char *text, uint64_t *ret, struct err *err);
int value_time(const char *text, uint64_t *ret, struct err *err);
int value_signal(const char *text, int *ret, struct err *err);
/* A number of tasks; "infinity", "max" and "-1" are UINT64_MAX. */
int value_tasks(const char *text, uint64_t *ret, struct err *err);
int value_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret, struct err *err);
int value_integer(const char *text, int64_t min, int64_t max, int64_t *ret, struct err *err);
/* "150%": microseconds of CPU time in each 100 ms; at least 1 %. */
int value_cpu_quota(const char *text, uint64_t *ret, struct err *err);
/* One capability, or "all": added to *mask. */
int value_capability(const char *word, uint64_t *mask, bool *all, struct err *err);
/* One exit code, its name (systemd.exec(5)), or a signal: added to *set. */
int value_exit(const char *word, struct exit_set *set, struct err *err);

/* RLIMIT_NOFILE for "nofile" or "NOFILE"; -EINVAL. */
int rlimit_from_name(const char *name);
/* "NOFILE", as in LimitNOFILE=. */
const char *rlimit_name(int resource);
/* "soft:hard" or one for both. Sizes take K, M, G; CPU and RTTIME take times. */
int value_rlimit(int resource, const char *text, struct rlimit_spec *ret, struct err *err);

/*
 * words_split - a command line's or list's words, as systemd.syntax(7)
 *
 * Blanks separate; "…" and '…' keep them; a backslash escapes as in C (\x20, \t, \u00e9, \s).
 * Words are added to *ret.
 */
int words_split(struct arena *arena, const char *text, struct strv *ret, struct err *err);

/* `["a", "b"]`: the strings of a JSON array, added to *ret. */
int json_strings(struct arena *arena, const char *text, struct strv *ret, struct err *err);

#endif
