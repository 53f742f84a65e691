#include "supervisor/base/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"
#include "supervisor/base/unixsock.h"

#define UNIX "unix:"
#define TCP  "tcp:"

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* "127.0.0.1:80", "[::1]:80" */
static int tcp_address(const char *text, union address *ret)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;
	bool brackets = n > 2 && text[0] == '[' && text[n - 1] == ']';
	char host[INET6_ADDRSTRLEN];
	uint32_t port;

	if (n == 0 || n >= sizeof host || num_u32(colon + 1, &port) < 0 || port == 0 ||
		port > UINT16_MAX)
		return -EINVAL;
	*ret = (union address){ 0 };
	if (brackets) {
		memcpy(host, text + 1, n - 2);
		host[n - 2] = '\0';
		ret->in6.sin6_family = AF_INET6;
		ret->in6.sin6_port = htons((uint16_t)port);
		return inet_pton(AF_INET6, host, &ret->in6.sin6_addr) == 1 ? 0 : -EINVAL;
	}
	memcpy(host, text, n);
	host[n] = '\0';
	ret->in.sin_family = AF_INET;
	ret->in.sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &ret->in.sin_addr) == 1 ? 0 : -EINVAL;
}

bool endpoint_valid(const char *text)
{
	union address address;

	if (str_starts(text, UNIX))
		return text[strlen(UNIX)] == '/';
	return str_starts(text, TCP) && tcp_address(text + strlen(TCP), &address) == 0;
}

static int tcp_connect(const char *text, bool *ret_pending)
{
	union address to;
	own_fd sock = -1;

	if (tcp_address(text, &to) < 0)
		return -EINVAL;
	sock = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return -errno;
	if (connect(sock, &to.any, to.any.sa_family == AF_INET ? sizeof to.in : sizeof to.in6) <
		0) {
		if (errno != EINPROGRESS)
			return -errno;
		*ret_pending = true;
	}
	return fd_take(&sock);
}

int endpoint_connect(const char *text, bool *ret_pending)
{
	*ret_pending = false;
	if (!endpoint_valid(text))
		return -EINVAL;
	return text[0] == 'u' ? unix_connect(text + strlen(UNIX), SOCK_STREAM)
			      : tcp_connect(text + strlen(TCP), ret_pending);
}
