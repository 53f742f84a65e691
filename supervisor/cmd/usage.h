/* What a running unit uses, read by the verbs themselves: the loop of the supervisor need not be
 * bothered with it. */
#ifndef BERTH_CMD_USAGE_H
#define BERTH_CMD_USAGE_H

#include <jansson.h>

/*
 * usage_add - io_read_bytes, io_write_bytes, and net_{rx,tx}_{bytes,packets,dropped} of a unit
 *
 * Needs: an object as show_units gives it. Gives: members where there is something to count: a
 *        cgroup with the io controller; a network of its own. rx is what the container received.
 */
void usage_add(json_t *unit);

#endif
