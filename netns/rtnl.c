#include "netns/rtnl.h"

#include <errno.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "netns/netns.h"

enum { MESSAGE_SIZE = 1024, DUMP_TRIES = 5 };

static int socket_open(struct rtnl *nl, int protocol, struct err *err)
{
	const int on = 1;
	int fd;

	nl->sock = nl_socket_alloc();
	if (!nl->sock)
		return err_sys(err, ENOMEM, "open a netlink socket");
	nl_socket_set_local_port(nl->sock, 0);
	errno = 0;
	if (nl_connect(nl->sock, protocol) < 0)
		return err_sys(err, errno, "open a netlink socket");
	fd = nl_socket_get_fd(nl->sock);
	/* Old kernels lack these; then there are fewer words, or answers are longer. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
	return 0;
}

int rtnl_open(struct rtnl *nl, int netns_fd, int protocol, struct err *err)
{
	int back = -1;
	int left;
	int r;

	nl->sock = NULL;
	nl->n = 0;
	nl->sent = false;
	nl->failed = 0;
	nl->seq = 1;
	nl->trips = 0;
	r = netns_enter(netns_fd, &back, err);
	if (r < 0)
		return r;
	r = socket_open(nl, protocol, err);
	left = netns_leave(&back, r < 0 ? NULL : err);
	if (r < 0 || left < 0)
		rtnl_close(nl);
	return r < 0 ? r : left;
}

static void requests_free(struct rtnl *nl)
{
	for (size_t i = 0; i < nl->n; i++)
		nlmsg_free(nl->requests[i].msg);
	nl->n = 0;
}

void rtnl_close(struct rtnl *nl)
{
	if (!nl->sock)
		return;
	requests_free(nl);
	nl_socket_free(nl->sock);
	nl->sock = NULL;
}

static struct nl_msg *current(struct rtnl *nl)
{
	return nl->n && !nl->failed ? nl->requests[nl->n - 1].msg : NULL;
}

static void check(struct rtnl *nl, int r)
{
	if (r < 0 && !nl->failed)
		nl->failed = EMSGSIZE;
}

void rtnl_begin(struct rtnl *nl, uint16_t type, uint16_t flags, const void *header, size_t size,
	const char *fmt, ...)
{
	struct rtnl_request *request;
	struct nlmsghdr *h;
	va_list ap;

	if (nl->sent) {
		requests_free(nl);
		nl->sent = false;
	}
	if (nl->failed || nl->n == RTNL_BATCH) {
		check(nl, -1);
		return;
	}
	request = &nl->requests[nl->n];
	*request = (struct rtnl_request){ .msg = nlmsg_alloc_size(MESSAGE_SIZE), .code = -1 };
	if (!request->msg) {
		nl->failed = ENOMEM;
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(request->what, sizeof request->what, fmt, ap);
	va_end(ap);
	h = nlmsg_put(request->msg, NL_AUTO_PORT, 0, type, 0, NLM_F_REQUEST | NLM_F_ACK | flags);
	nl->n++;
	check(nl, h ? nlmsg_append(request->msg, (void *)(uintptr_t)header, size, NLMSG_ALIGNTO)
		    : -1);
}

void rtnl_put(struct rtnl *nl, uint16_t type, const void *data, size_t size)
{
	if (current(nl))
		check(nl, nla_put(current(nl), type, (int)size, data));
}

void rtnl_u32(struct rtnl *nl, uint16_t type, uint32_t value)
{
	rtnl_put(nl, type, &value, sizeof value);
}

void rtnl_text(struct rtnl *nl, uint16_t type, const char *text)
{
	rtnl_put(nl, type, text, strlen(text) + 1);
}

struct nlattr *rtnl_nest(struct rtnl *nl, uint16_t type)
{
	struct nlattr *nest = current(nl) ? nla_nest_start(current(nl), type) : NULL;

	check(nl, nest ? 0 : -1);
	return nest;
}

void rtnl_nest_end(struct rtnl *nl, struct nlattr *nest)
{
	if (current(nl) && nest)
		(void)nla_nest_end(current(nl), nest);
}

void rtnl_raw(struct rtnl *nl, const void *data, size_t size)
{
	if (current(nl))
		check(nl, nlmsg_append(current(nl), (void *)(uintptr_t)data, size, NLMSG_ALIGNTO));
}

void rtnl_reply(struct rtnl *nl, rtnl_reply_fn *reply, void *data)
{
	if (!current(nl))
		return;
	nl->requests[nl->n - 1].reply = reply;
	nl->requests[nl->n - 1].data = data;
}

void rtnl_allow(struct rtnl *nl, int code)
{
	struct rtnl_request *request;

	if (!current(nl))
		return;
	request = &nl->requests[nl->n - 1];
	request->allowed[request->allowed[0] != 0] = code;
}

static int batch_send(struct rtnl *nl)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct iovec parts[RTNL_BATCH];
	struct msghdr msg = {
		.msg_name = &kernel,
		.msg_namelen = sizeof kernel,
		.msg_iov = parts,
		.msg_iovlen = nl->n,
	};

	for (size_t i = 0; i < nl->n; i++) {
		struct nlmsghdr *h = nlmsg_hdr(nl->requests[i].msg);

		h->nlmsg_seq = nl->seq + (uint32_t)i;
		/* In order: who hears of the last has heard of every failure before. */
		if (i + 1 < nl->n)
			h->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
		parts[i] = (struct iovec){ h, NLMSG_ALIGN(h->nlmsg_len) };
		nl->requests[i].code = -1;
	}
	nl->trips++;
	while (sendmsg(nl_socket_get_fd(nl->sock), &msg, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* The words that the kernel adds to a refusal (NLMSGERR_ATTR_MSG). */
static void error_words(struct rtnl_request *request, const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = nlmsg_data(h);
	size_t skip = sizeof *e;
	const struct nlattr *words;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		skip += NLMSG_ALIGN(e->msg.nlmsg_len) - sizeof e->msg;
	if (h->nlmsg_len < NLMSG_HDRLEN + skip)
		return;
	words = nla_find((const struct nlattr *)((const uint8_t *)e + skip),
		(int)(h->nlmsg_len - NLMSG_HDRLEN - skip), NLMSGERR_ATTR_MSG);
	if (words)
		(void)snprintf(request->why, sizeof request->why, "%.*s", nla_len(words),
			(const char *)nla_data(words));
}

/* One message of an answer. */
static void answer_take(struct rtnl *nl, const struct nlmsghdr *h)
{
	size_t i = h->nlmsg_seq - nl->seq;
	struct rtnl_request *request;

	/* A seq of an older batch: its end was lost in an overrun. */
	if (h->nlmsg_seq < nl->seq || i >= nl->n)
		return;
	request = &nl->requests[i];
	if (request->code >= 0)
		return;
	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		nl->disturbed = true;
	if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
		int code = 0;

		if (nlmsg_datalen(h) >= (int)sizeof code)
			memcpy(&code, nlmsg_data(h), sizeof code);
		request->code = code < 0 ? -code : 0;
		if (h->nlmsg_type == NLMSG_ERROR &&
			nlmsg_datalen(h) >= (int)sizeof(struct nlmsgerr))
			error_words(request, h);
		return;
	}
	if (h->nlmsg_type >= NLMSG_MIN_TYPE && request->reply)
		request->reply(h, request->data);
}

static int batch_receive(struct rtnl *nl)
{
	while (nl->requests[nl->n - 1].code < 0) {
		struct iovec part = { nl->in, sizeof nl->in };
		struct sockaddr_nl from = { 0 };
		struct msghdr msg = {
			.msg_name = &from,
			.msg_namelen = sizeof from,
			.msg_iov = &part,
			.msg_iovlen = 1,
		};
		ssize_t got = recvmsg(nl_socket_get_fd(nl->sock), &msg, 0);
		int left;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (msg.msg_flags & MSG_TRUNC)
			return -EMSGSIZE;
		if (from.nl_pid != 0) /* not the kernel: anybody may send us a datagram */
			continue;
		left = (int)got;
		for (struct nlmsghdr *h = (struct nlmsghdr *)nl->in; nlmsg_ok(h, left);
			h = nlmsg_next(h, &left))
			answer_take(nl, h);
	}
	for (size_t i = 0; i + 1 < nl->n; i++)
		if (nl->requests[i].code < 0)
			nl->requests[i].code = 0;
	return 0;
}

static bool is_allowed(const struct rtnl_request *request)
{
	return request->code == 0 || request->code == request->allowed[0] ||
	       request->code == request->allowed[1];
}

int rtnl_commit(struct rtnl *nl, struct err *err)
{
	int failed = nl->failed;

	nl->failed = 0;
	if (nl->sent || (!nl->n && !failed))
		return 0;
	nl->sent = true;
	if (failed)
		return err_sys(err, failed, "write a netlink message");
	for (int tries = 0; tries < DUMP_TRIES; tries++) {
		int r;

		nl->disturbed = false;
		r = batch_send(nl);
		if (r == 0)
			r = batch_receive(nl);
		/* Answers that are still to come must not be taken for those of the next batch. */
		nl->seq += (uint32_t)nl->n;
		if (r < 0)
			return err_sys(err, -r, "%s: speak netlink", nl->requests[0].what);
		if (!nl->disturbed)
			break;
	}
	for (size_t i = 0; i < nl->n; i++) {
		const struct rtnl_request *request = &nl->requests[i];

		if (!is_allowed(request))
			return err_set(err, request->code, "%s: %s%s%s%s", request->what,
				strerror(request->code), *request->why ? " (" : "", request->why,
				*request->why ? ")" : "");
	}
	return 0;
}

int rtnl_code(const struct rtnl *nl, size_t i)
{
	return nl->requests[i].code;
}
