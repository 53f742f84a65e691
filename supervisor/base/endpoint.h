/* Where a service answers, as text: "unix:/PATH" or "tcp:ADDRESS:PORT" ("tcp:[IPv6]:PORT"). */
#ifndef BERTH_BASE_ENDPOINT_H
#define BERTH_BASE_ENDPOINT_H

#include <stdbool.h>

/* Is it one of these? No name is looked up: ADDRESS is a number. */
bool endpoint_valid(const char *text);

/*
 * endpoint_connect - begin to connect, without waiting
 *
 * Gives: a non-blocking socket; with *ret_pending it is connected, or not, once it is writable
 *        (SO_ERROR says which). -errno: nobody answers (-ENOENT, -ECONNREFUSED), its queue is full
 *        (-EAGAIN), -EINVAL.
 */
int endpoint_connect(const char *text, bool *ret_pending);

#endif
