/* The sockets of a proxy, bound while we may, and handed to berth-proxy. Internal to the runtime. */
#ifndef BERTH_RUNTIME_LISTEN_H
#define BERTH_RUNTIME_LISTEN_H

#include "config/spec.h"
#include "supervisor/base/err.h"

struct listeners {
	int fds[PROXY_SOCKETS_MAX];
	size_t n;
	char words[PROXY_SOCKETS_MAX][80]; /* what berth-proxy is told of each */
	char *argv[PROXY_SOCKETS_MAX + 2]; /* NULL-terminated */
};

/*
 * listen_open - a socket for each published port
 *
 * Needs:  the right to bind them. Gives: *ret, closed on exec until listen_keep.
 * Blocks: on /proc, when a port is taken, to name who has it.
 * Fails:  -EADDRINUSE and others, with the port; what was opened stays open: the caller ends.
 */
int listen_open(const struct proxy_spec *proxy, struct listeners *ret, struct err *err);
/* They live over the exec that follows. Makes system calls only. */
void listen_keep(const struct listeners *listeners);

#endif
