/* Being in another network namespace for a moment. */
#ifndef BERTH_NETNS_NETNS_H
#define BERTH_NETNS_NETNS_H

#include "supervisor/base/err.h"

/*
 * netns_enter, netns_leave - the calling thread works in `netns_fd` in between
 *
 * With -1 both do nothing. Gives: 0 and in *back where to return to. netns_leave fails only when
 * the kernel has no memory; then the thread is still in the other namespace and must end.
 */
int netns_enter(int netns_fd, int *back, struct err *err);
int netns_leave(int *back, struct err *err);

/* One value of a sysctl below /proc/sys/net/ of the namespace the caller is in, written only when it
 * is another one. -ENOENT when there is no such sysctl. */
int netns_sysctl(const char *value, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Unmounts and removes the pin; 0 also when there is none. */
int netns_remove(const char *pin);

#endif
