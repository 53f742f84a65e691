#include "supervisor/runtime/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns/net.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"

/* The kernel has less where net.core.somaxconn says so. */
enum { BACKLOG = 4096 };

/* Seconds: a peer that is gone without a word does not keep its place for ever. */
enum { KEEP_IDLE = 300, KEEP_INTERVAL = 60, KEEP_COUNT = 5 };

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

static int option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

/* What an accepted socket inherits, and what udp needs to answer from the address that was asked. An
 * address that the host is yet to get may be bound. */
static int options(int fd, const struct net_port *port)
{
	bool six = port->addr.family == AF_INET6;
	int r = option(fd, IPPROTO_IP, IP_FREEBIND, 1);

	if (r == 0 && six)
		r = option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (port->protocol == IPPROTO_UDP)
		return r == 0 && six ? option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
		       : r == 0      ? option(fd, IPPROTO_IP, IP_PKTINFO, 1)
				     : r;
	(void)option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	(void)option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	(void)option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE);
	(void)option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL);
	(void)option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT);
	return r == 0 ? option(fd, SOL_SOCKET, SO_REUSEADDR, 1) : r;
}

static socklen_t address_of(const struct net_port *port, uint16_t number, union address *ret)
{
	*ret = (union address){ .any.sa_family = port->addr.family };
	if (port->addr.family == AF_INET) {
		ret->four.sin_port = htons(number);
		memcpy(&ret->four.sin_addr, port->host_addr.bytes, sizeof ret->four.sin_addr);
		return sizeof ret->four;
	}
	ret->six.sin6_port = htons(number);
	memcpy(&ret->six.sin6_addr, port->host_addr.bytes, sizeof ret->six.sin6_addr);
	return sizeof ret->six;
}

static void name_holder(const struct net_port *port, const struct net_holder *holder, void *data)
{
	struct net_holder *found = data;

	(void)port;
	if (!found->pid)
		*found = *holder;
}

static int taken(const struct net_port *port, uint16_t number, struct err *err)
{
	const char *protocol = port->protocol == IPPROTO_UDP ? "udp" : "tcp";
	struct net_holder holder = { 0 };
	struct net_port one = *port;

	one.host_port = number;
	one.count = 1;
	(void)net_port_holders(&one, 1, name_holder, &holder, NULL);
	if (holder.pid)
		return err_set(err, EADDRINUSE,
			"port %u/%s of the host is taken by %s (pid %d): end that, or publish "
			"another port",
			number, protocol, holder.comm, holder.pid);
	return err_set(err, EADDRINUSE,
		"port %u/%s of the host is taken: publish another port, or find who has it by "
		"ss -lnp",
		number, protocol);
}

static int open_one(const struct net_port *port, uint16_t number, struct err *err)
{
	const char *protocol = port->protocol == IPPROTO_UDP ? "udp" : "tcp";
	bool tcp = port->protocol == IPPROTO_TCP;
	own_fd fd = socket(port->addr.family,
		(tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	union address address;
	socklen_t size = address_of(port, number, &address);
	int r = fd < 0 ? -errno : options(fd, port);

	if (r == 0 && (bind(fd, &address.any, size) < 0 || (tcp && listen(fd, BACKLOG) < 0)))
		r = -errno;
	if (r == -EADDRINUSE)
		return taken(port, number, err);
	return r < 0 ? err_sys(err, -r, "listen on port %u/%s", number, protocol) : fd_take(&fd);
}

/* As berth-proxy reads it: FD PROTOCOL FAMILY PORT ADDRESS, the last in hex digits. */
static void describe(const struct net_port *port, uint16_t offset, int fd, char *ret, size_t size)
{
	struct strbuf text = { .text = ret, .size = size };

	strbuf_add(&text, "%d %d %d %u ", fd, port->protocol, port->addr.family,
		(unsigned)(port->port + offset));
	for (size_t i = 0; i < (port->addr.family == AF_INET ? 4U : 16U); i++)
		strbuf_add(&text, "%02x", port->addr.bytes[i]);
}

static int open_range(const struct net_port *port, struct listeners *to, struct err *err)
{
	for (uint16_t i = 0; i < port->count && to->n < PROXY_SOCKETS_MAX; i++) {
		int fd = open_one(port, (uint16_t)(port->host_port + i), err);

		if (fd < 0)
			return fd;
		to->fds[to->n] = fd;
		describe(port, i, fd, to->words[to->n], sizeof to->words[to->n]);
		to->n++;
	}
	return 0;
}

int listen_open(const struct proxy_spec *proxy, struct listeners *ret, struct err *err)
{
	static char name[] = "berth-proxy";
	int r = 0;

	for (size_t i = 0; r == 0 && i < proxy->net->nports; i++)
		r = open_range(&proxy->net->ports[i], ret, err);
	ret->argv[0] = name;
	for (size_t i = 0; i < ret->n; i++)
		ret->argv[i + 1] = ret->words[i];
	return r;
}

void listen_keep(const struct listeners *listeners)
{
	for (size_t i = 0; listeners && i < listeners->n; i++)
		(void)fcntl(listeners->fds[i], F_SETFD, 0);
}
