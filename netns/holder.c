/* Who listens on a port: the kernel's list of sockets has the inode, and /proc whose it is. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netns/net.h"
#include "netns/rtnl.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

struct search {
	const struct net_port *ports;
	size_t nports;
	uint8_t protocol;
	void (*tell)(const struct net_port *port, const struct net_holder *holder, void *data);
	void *data;
};

static bool is_zero(const void *bytes, size_t n)
{
	static const uint8_t zero[16];

	return memcmp(bytes, zero, n) == 0;
}

/* Would a socket of `port` and this one be in each other's way? One on every address of IPv6 may take
 * IPv4 too: for those that do not, one of IPv4 would be seen beside it. */
static bool meets(const struct net_port *port, const struct inet_diag_msg *socket)
{
	size_t size = socket->idiag_family == AF_INET ? 4 : 16;
	uint16_t number = ntohs(socket->id.idiag_sport);
	bool any = is_zero(socket->id.idiag_src, size);

	if (number < port->host_port || number >= port->host_port + port->count)
		return false;
	if (socket->idiag_family != port->addr.family)
		return any && socket->idiag_family == AF_INET6;
	return any || is_zero(port->host_addr.bytes, size) ||
	       memcmp(socket->id.idiag_src, port->host_addr.bytes, size) == 0;
}

static bool has_socket(int proc, const char *pid, const char *link)
{
	char path[300];
	bool found = false;
	DIR *dir;
	int fd;

	(void)snprintf(path, sizeof path, "%.20s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fd_close(&fd);
		return false;
	}
	for (const struct dirent *entry = readdir(dir); entry && !found; entry = readdir(dir)) {
		char target[64] = "";

		found = readlinkat(fd, entry->d_name, target, sizeof target - 1) > 0 &&
			strcmp(target, link) == 0;
	}
	(void)closedir(dir);
	return found;
}

static void name_holder(uint32_t inode, struct net_holder *ret)
{
	char link[32];
	char path[300];
	DIR *dir = opendir("/proc");

	(void)snprintf(link, sizeof link, "socket:[%u]", inode);
	if (!dir)
		return;
	for (const struct dirent *entry = readdir(dir); entry && !ret->pid; entry = readdir(dir)) {
		ssize_t n;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
			!has_socket(dirfd(dir), entry->d_name, link))
			continue;
		ret->pid = atoi(entry->d_name);
		(void)snprintf(path, sizeof path, "%.20s/comm", entry->d_name);
		n = file_read_at(dirfd(dir), path, ret->comm, sizeof ret->comm);
		ret->comm[n > 0 ? strcspn(ret->comm, "\n") : 0] = '\0';
	}
	(void)closedir(dir);
}

static void reply_socket(const struct nlmsghdr *header, void *data)
{
	const struct inet_diag_msg *socket = nlmsg_data(header);
	const struct search *search = data;

	for (size_t i = 0; i < search->nports; i++) {
		const struct net_port *port = &search->ports[i];
		struct net_holder holder = { .port = ntohs(socket->id.idiag_sport) };

		if (port->protocol != search->protocol || !meets(port, socket))
			continue;
		name_holder(socket->idiag_inode, &holder);
		search->tell(port, &holder, search->data);
		return;
	}
}

int net_port_holders(const struct net_port *ports, size_t n,
	void (*tell)(const struct net_port *port, const struct net_holder *holder, void *data),
	void *data, struct err *err)
{
	static const struct {
		uint8_t family, protocol, state;
	} kinds[] = {
		{ AF_INET, IPPROTO_TCP, TCP_LISTEN },
		{ AF_INET6, IPPROTO_TCP, TCP_LISTEN },
		{ AF_INET, IPPROTO_UDP, TCP_CLOSE },
		{ AF_INET6, IPPROTO_UDP, TCP_CLOSE },
	};
	own_rtnl nl = { 0 };
	int r = n ? rtnl_open(&nl, -1, NETLINK_SOCK_DIAG, err) : 0;

	for (size_t i = 0; n && r == 0 && i < sizeof kinds / sizeof kinds[0]; i++) {
		const struct inet_diag_req_v2 request = {
			.sdiag_family = kinds[i].family,
			.sdiag_protocol = kinds[i].protocol,
			.idiag_states = 1U << kinds[i].state,
		};
		struct search search = { ports, n, kinds[i].protocol, tell, data };

		rtnl_begin(&nl, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &request, sizeof request,
			"list the sockets");
		rtnl_reply(&nl, reply_socket, &search);
		rtnl_allow(&nl, ENOENT);
		rtnl_allow(&nl, EOPNOTSUPP);
		r = rtnl_commit(&nl, err);
	}
	return r;
}
