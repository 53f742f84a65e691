/* Requests to the kernel's rtnetlink (and sock_diag), several in one send.
 *
 * A batch is written request by request and sent as one datagram; the kernel works it off inside
 * that send, so a process that dies leaves either all of it done or nothing, and a start costs few
 * round trips. A failed request does not stop those after it: order them so that none can hurt. */
#ifndef BERTH_NETNS_RTNL_H
#define BERTH_NETNS_RTNL_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/base/err.h"

struct nl_msg;
struct nl_sock;
struct nlattr;

enum { RTNL_BATCH = 64, RTNL_IN = 16384 };

typedef void rtnl_reply_fn(const struct nlmsghdr *header, void *data);

struct rtnl_request {
	struct nl_msg *msg;
	rtnl_reply_fn *reply;
	void *data;
	int allowed[2]; /* errno values that are no failure */
	int code;       /* the answer: a positive errno value or 0; -1 when there was none yet */
	char what[80];  /* "create bridge br-web" */
	char why[100];  /* the kernel's own words, if it had some */
};

struct rtnl {
	struct nl_sock *sock;
	struct rtnl_request requests[RTNL_BATCH];
	size_t n;
	bool sent;      /* the requests are those of the last commit */
	bool disturbed; /* a dump was interrupted by a change */
	int failed;     /* a message could not be written: a positive errno value */
	uint32_t seq;   /* of requests[0] */
	unsigned trips; /* sends since it was opened */
	_Alignas(struct nlmsghdr) uint8_t in[RTNL_IN];
};

/*
 * rtnl_open - a socket of a netlink protocol, in the namespace `netns_fd` or (-1) the caller's
 *
 * Gives: 0; rtnl_close() closes it, and does no harm to one that is zeroed. The caller's namespace
 *        is unchanged.
 */
int rtnl_open(struct rtnl *nl, int netns_fd, int protocol, struct err *err);
void rtnl_close(struct rtnl *nl);
#define own_rtnl __attribute__((cleanup(rtnl_close))) struct rtnl

/* Begins a request; the text says what it does, for the error. The header is that of the type. At
 * most RTNL_BATCH in a batch. Failures of this and the next are kept until rtnl_commit. */
void rtnl_begin(struct rtnl *nl, uint16_t type, uint16_t flags, const void *header, size_t size,
	const char *fmt, ...) __attribute__((format(printf, 6, 7)));
void rtnl_put(struct rtnl *nl, uint16_t type, const void *data, size_t size);
void rtnl_u32(struct rtnl *nl, uint16_t type, uint32_t value);
void rtnl_text(struct rtnl *nl, uint16_t type, const char *text);
struct nlattr *rtnl_nest(struct rtnl *nl, uint16_t type);
void rtnl_nest_end(struct rtnl *nl, struct nlattr *nest);
/* A header inside an attribute (the peer of a veth pair). */
void rtnl_raw(struct rtnl *nl, const void *data, size_t size);

/* For the request begun last: who reads the answers; an errno value that is no failure (up to 2). */
void rtnl_reply(struct rtnl *nl, rtnl_reply_fn *reply, void *data);
void rtnl_allow(struct rtnl *nl, int code);

/*
 * rtnl_commit - send the batch and read all answers
 *
 * Gives: 0 when each request succeeded or failed in an allowed way (rtnl_code tells which), else
 *        the first failure: what, errno text, the kernel's words. An empty batch is 0.
 *        A dump must be a batch of its own; one that a change disturbed is asked again, so its
 *        reader may see an entry twice.
 */
int rtnl_commit(struct rtnl *nl, struct err *err);
/* How the i-th request of the last batch ended: 0 or a positive errno value. */
int rtnl_code(const struct rtnl *nl, size_t i);

#endif
