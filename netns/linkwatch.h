/* Seeing what others do to the links of a network namespace. */
#ifndef BERTH_NETNS_LINKWATCH_H
#define BERTH_NETNS_LINKWATCH_H

#include "supervisor/base/err.h"

enum link_event {
	LINK_GONE,  /* it was deleted */
	LINK_LOOSE, /* it is a port of nothing (any more) */
	LINKS_LOST, /* too much happened at once to be told: everything is to be looked at */
};
/* `ifname` is "" of LINKS_LOST. */
typedef void link_event_fn(enum link_event event, const char *ifname, void *data);

/* A socket, to be polled and closed by the caller: of the namespace of the caller, from now on. -errno
 * with words. */
int link_watch_open(struct err *err);
/* What there is to read, at most a fair amount. Never blocks. */
void link_watch_read(int fd, link_event_fn *fn, void *data);

#endif
