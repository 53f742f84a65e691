/* Sockets in the file system, whatever the length of their path. */
#ifndef BERTH_BASE_UNIXSOCK_H
#define BERTH_BASE_UNIXSOCK_H

#include <sys/types.h>

struct err;

/*
 * unix_listen - a listening socket at `path`, mode 0600 from its first instant
 *
 * `type` is SOCK_STREAM or SOCK_SEQPACKET; the socket is non-blocking. What is at `path` is removed
 * first, so the caller holds a lock that says it may. Not for a process with a second thread (the
 * umask is changed around the bind).
 * Gives: the descriptor, or -errno with words.
 */
int unix_listen(const char *path, int type, int backlog, struct err *err);

/* unix_connect - a connected, blocking socket, or -errno (-ENOENT, -ECONNREFUSED: nobody is there;
 * -EAGAIN: its queue is full), without words. */
int unix_connect(const char *path, int type);

/* Who connected; 0 or -errno. */
struct unix_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};
int unix_peer(int sock, struct unix_peer *ret);

#endif
