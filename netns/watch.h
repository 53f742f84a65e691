/* Does somebody else take our rules away? The kernel tells of every change of nf_tables, and who made
 * it, over a netlink socket: nothing need be asked again and again. */
#ifndef BERTH_NETNS_WATCH_H
#define BERTH_NETNS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/base/err.h"

/* The zero value watches nothing; fd is -1 or the socket, to be polled. */
struct net_watch {
	int fd;
	char table[64];
	/* Something of ours was deleted since the table was last made: of family inet, of bridge. */
	bool hurt_inet, hurt_bridge;
	bool next_inet, next_bridge; /* the same, with what was told and is of nobody yet */
	char who[32];                /* the program that did it, "" when it is not known */
	uint32_t pid;                /* in the initial namespace */
};

/* net_watch_open - from now on, in the caller's network namespace. Fails: -errno of socket, setsockopt. */
int net_watch_open(struct net_watch *watch, const char *instance, struct err *err);
void net_watch_close(struct net_watch *watch);
/*
 * net_watch_read - take in what the kernel has told; never blocks
 *
 * Gives: 0; 1 when messages were lost, so that nobody knows.
 */
int net_watch_read(struct net_watch *watch);
/* What was told so far does not count. */
void net_watch_forget(struct net_watch *watch);

#endif
