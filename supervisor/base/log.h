/* The one sink for berth's own messages. Only floors 4 and 5 log. */
#ifndef BERTH_BASE_LOG_H
#define BERTH_BASE_LOG_H

#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

/* Where a line goes besides the ring: stderr, or /dev/kmsg with its priority prefix. -1: nowhere. */
void log_open(int fd, int is_kmsg, enum log_level level);
void log_level_set(enum log_level level);
/* error warning notice info debug (or err warn): 0 or -EINVAL. */
int log_level_parse(const char *text, enum log_level *ret);

/*
 * log_msg - one line "berth: TEXT"
 *
 * Never blocks (a full pipe drops the line and counts it), never fails, keeps errno. The line is
 * always put into a ring of LOG_RING_SIZE bytes, whatever the level of the sink.
 */
void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_msg(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_msg(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_msg(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_msg(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_msg(LOG_DEBUG, __VA_ARGS__)

enum { LOG_RING_SIZE = 16 * 1024 };

/* Copies the ring, oldest whole line first, into buf (NUL-terminated): the length. Each line is
 * "RFC3339 LEVEL TEXT\n". */
size_t log_ring(char *buf, size_t size);

#endif
