/*
 * The connection is the unit of everything: it has one input buffer, one queue of answers and at
 * most one open call. While a call is open no further request is read; its end of file still is, so
 * that a stream ends when its reader does.
 */
#include "supervisor/core/varlink.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"

enum { SECONDS_MESSAGE = 5, SECONDS_IDLE = 60, SECONDS_READER = 10 };

/* One answer on its way out. */
struct answer {
	struct answer *next;
	size_t size, sent;
	int fd; /* goes with the first byte; -1: none */
	char text[];
};

struct varlink_call {
	struct connection *connection;
	const struct varlink_method *method;
	bool more, oneway;
	int fds[VARLINK_FDS];
	size_t nfds;
	void (*gone)(struct varlink_call *call, void *data);
	void *gone_data;
};

struct connection {
	struct varlink_server *server;
	struct connection *next;
	int sock; /* -1: hung up; freed at the end of the turn that saw it */
	loop_id watch;
	struct loop_timer deadline;
	struct unix_peer peer;
	char *in; /* VARLINK_MESSAGE bytes while something is being received, else NULL */
	size_t nin;
	int fds[VARLINK_FDS]; /* of the message that begins at in[fds_at] */
	size_t nfds, fds_at;
	struct answer *first, *last;
	size_t queued;
	unsigned allowed; /* seconds that `deadline` gives now; 0: disarmed */
	bool broken;      /* shut down; the hang-up event ends it */
	bool busy;        /* a callback of ours is above us on the stack: do not free */
	struct varlink_call *call;
};

struct varlink_server {
	struct loop *loop;
	loop_id watch;
	int sock;
	const struct varlink_interface *interface;
	struct connection *connections;
	size_t n;
};

static void connection_event(struct loop *loop, uint32_t events, void *data);

/* ---- endings --------------------------------------------------------------------------------- */

static void call_end(struct varlink_call *call)
{
	while (call->nfds)
		fd_close(&call->fds[--call->nfds]);
	call->connection->call = NULL;
	free(call);
}

static void drop_fds(struct connection *c)
{
	while (c->nfds)
		fd_close(&c->fds[--c->nfds]);
}

static void input_free(struct connection *c)
{
	free(c->in);
	c->in = NULL;
	c->nin = 0;
}

/* Closes everything; the memory goes when nobody above us on the stack uses it. */
static void hang_up(struct connection *c)
{
	loop_timer_cancel(c->server->loop, &c->deadline);
	loop_remove(c->server->loop, &c->watch);
	fd_close(&c->sock);
	drop_fds(c);
	input_free(c);
	while (c->first) {
		struct answer *next = c->first->next;

		fd_close(&c->first->fd);
		free(c->first);
		c->first = next;
	}
	c->last = NULL;
	c->queued = 0;
	if (c->call) {
		struct varlink_call *call = c->call;

		if (call->gone)
			call->gone(call, call->gone_data);
		call_end(call);
	}
}

/* After any callback: the memory of one that hung up. True: it is gone. */
static bool reap(struct connection *c)
{
	if (c->sock >= 0 || c->busy)
		return false;
	for (struct connection **at = &c->server->connections; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	c->server->n--;
	free(c);
#ifdef __GLIBC__
	/* An answer about a hundred units is half a megabyte on its way: not to be kept for the next. */
	(void)malloc_trim(0);
#endif
	return true;
}

/* A deadline is for the whole of what is waited for: more bytes of one message do not move it. */
static void deadline_set(struct connection *c, bool progress)
{
	unsigned seconds = c->first  ? SECONDS_READER
			   : c->call ? 0
			   : c->nin  ? SECONDS_MESSAGE
				     : SECONDS_IDLE;

	if (seconds == c->allowed && !progress)
		return;
	c->allowed = seconds;
	(void)loop_timer_set(c->server->loop, &c->deadline,
		seconds ? clock_monotonic() + seconds * NSEC_PER_SEC : NSEC_NEVER);
}

static void deadline_due(struct loop *loop, void *data)
{
	struct connection *c = data;

	(void)loop;
	hang_up(c);
	(void)reap(c);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Found unusable in the middle of something else: the event of the shutdown ends it, so no method
 * is told from inside a call of its own. */
static void give_up(struct connection *c)
{
	c->broken = true;
	(void)shutdown(c->sock, SHUT_RDWR);
}

/* One sendmsg: the bytes sent, or -errno. */
static ssize_t send_some(const struct connection *c, struct answer *a)
{
	struct iovec iov = { .iov_base = a->text + a->sent, .iov_len = a->size - a->sent };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (a->fd >= 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof control.bytes;
		control.align = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(&control.align), &a->fd, sizeof(int));
	}
	n = sendmsg(c->sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

/* Sends what the peer takes now. */
static void flush(struct connection *c)
{
	bool progress = false;

	while (c->first && !c->broken) {
		struct answer *a = c->first;
		ssize_t n = send_some(c, a);

		if (n == -EAGAIN || n == -EINTR)
			break;
		if (n < 0) {
			give_up(c);
			return;
		}
		progress = true;
		fd_close(&a->fd);
		a->sent += (size_t)n;
		if (a->sent < a->size)
			continue;
		c->queued -= a->size;
		c->first = a->next;
		if (!c->first)
			c->last = NULL;
		free(a);
	}
	(void)loop_modify(c->server->loop, c->watch,
		(c->first ? EPOLLOUT : 0U) | (c->call ? EPOLLRDHUP : EPOLLIN));
	deadline_set(c, progress);
}

/* Puts one message into the queue; `message` and `fd` are taken. */
static void enqueue(struct connection *c, json_t *message, int fd)
{
	own_fd owned = fd;
	own_mem char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	size_t size = text ? strlen(text) + 1 : 0;
	struct answer *a = NULL;

	json_decref(message);
	if (c->sock < 0 || c->broken)
		return;
	if (text && c->queued + size <= VARLINK_QUEUE)
		a = malloc(sizeof *a + size);
	if (!a) {
		/* no memory, or a reader that is too slow: only this connection is lost */
		give_up(c);
		return;
	}
	*a = (struct answer){ .size = size, .fd = fd_take(&owned) };
	memcpy(a->text, text, size);
	if (c->last)
		c->last->next = a;
	else
		c->first = a;
	c->last = a;
	c->queued += size;
	flush(c);
}

static json_t *or_empty(json_t *parameters)
{
	return parameters ? parameters : json_object();
}

/* The last answer to the call; without `error` it is a reply. */
static void answer(struct varlink_call *call, const char *error, json_t *parameters)
{
	struct connection *c = call->connection;
	bool oneway = call->oneway;

	call->gone = NULL;
	call_end(call);
	if (oneway)
		json_decref(parameters);
	else
		enqueue(c,
			json_pack("{s:s*,s:o}", "error", error, "parameters", or_empty(parameters)),
			-1);
	if (!c->busy) /* answered later: the next request may be waiting */
		connection_event(c->server->loop, 0, c);
}

void varlink_reply(struct varlink_call *call, json_t *parameters)
{
	answer(call, NULL, parameters);
}

void varlink_error(struct varlink_call *call, const char *error, json_t *parameters)
{
	answer(call, error, parameters);
}

void varlink_stream(struct varlink_call *call, json_t *parameters, int fd)
{
	struct connection *c = call->connection;

	if (call->oneway) {
		fd_close(&fd);
		json_decref(parameters);
	} else {
		enqueue(c,
			json_pack("{s:o,s:b}", "parameters", or_empty(parameters), "continues", 1),
			fd);
	}
}

void varlink_on_gone(
	struct varlink_call *call, void (*gone)(struct varlink_call *call, void *data), void *data)
{
	call->gone = gone;
	call->gone_data = data;
}

void varlink_bad_parameter(struct varlink_call *call, const char *parameter)
{
	varlink_error(call, "org.varlink.service.InvalidParameter",
		json_pack("{s:s}", "parameter", parameter));
}

size_t varlink_fds(const struct varlink_call *call, const int **ret)
{
	*ret = call->fds;
	return call->nfds;
}

struct unix_peer varlink_peer(const struct varlink_call *call)
{
	return call->connection->peer;
}

/* ---- org.varlink.service ----------------------------------------------------------------------- */

static void service_info_reply(struct varlink_call *call)
{
	varlink_reply(
		call, json_pack("{s:s,s:s,s:s,s:s,s:[s,s]}", "vendor", "berth", "product", "berth",
			      "version", BERTH_VERSION, "url", "", "interfaces",
			      "org.varlink.service", call->connection->server->interface->name));
}

static const char service_description[] =
	"# What every varlink service answers\n"
	"interface org.varlink.service\n\n"
	"method GetInfo() -> (vendor: string, product: string, version: string, url: string, "
	"interfaces: []string)\n"
	"method GetInterfaceDescription(interface: string) -> (description: string)\n\n"
	"error InterfaceNotFound (interface: string)\n"
	"error MethodNotFound (method: string)\n"
	"error MethodNotImplemented (method: string)\n"
	"error InvalidParameter (parameter: string)\n"
	"error PermissionDenied ()\n"
	"error ExpectedMore ()\n";

static void service_describe(struct varlink_call *call, const json_t *parameters)
{
	const struct varlink_interface *interface = call->connection->server->interface;
	const char *name = json_string_value(json_object_get(parameters, "interface"));

	if (!name)
		varlink_bad_parameter(call, "interface");
	else if (strcmp(name, interface->name) == 0)
		varlink_reply(call, json_pack("{s:s}", "description", interface->description));
	else if (strcmp(name, "org.varlink.service") == 0)
		varlink_reply(call, json_pack("{s:s}", "description", service_description));
	else
		varlink_error(call, "org.varlink.service.InterfaceNotFound",
			json_pack("{s:s}", "interface", name));
}

/* ---- requests ---------------------------------------------------------------------------------- */

static const struct varlink_method *method_find(
	const struct varlink_interface *interface, const char *name)
{
	size_t n = strlen(interface->name);

	if (!str_starts(name, interface->name) || name[n] != '.')
		return NULL;
	for (size_t i = 0; i < interface->nmethods; i++)
		if (strcmp(interface->methods[i].name, name + n + 1) == 0)
			return &interface->methods[i];
	return NULL;
}

static void call_dispatch(struct varlink_call *call, const char *name, const json_t *parameters)
{
	const struct varlink_interface *interface = call->connection->server->interface;

	call->method = method_find(interface, name);
	if (!call->method || !call->method->fds)
		while (call->nfds)
			fd_close(&call->fds[--call->nfds]);
	if (strcmp(name, "org.varlink.service.GetInfo") == 0)
		service_info_reply(call);
	else if (strcmp(name, "org.varlink.service.GetInterfaceDescription") == 0)
		service_describe(call, parameters);
	else if (!call->method)
		varlink_error(call, "org.varlink.service.MethodNotFound",
			json_pack("{s:s}", "method", name));
	else if (call->method->more && !call->more)
		varlink_error(call, "org.varlink.service.ExpectedMore", NULL);
	else
		call->method->run(call, parameters, interface->data);
}

/* One whole message, taken. What is no call at all costs the connection. */
static void request(struct connection *c, json_t *message, bool with_fds)
{
	const json_t *parameters = json_object_get(message, "parameters");
	const char *name = json_string_value(json_object_get(message, "method"));
	struct varlink_call *call = NULL;

	if (name && (!parameters || json_is_object(parameters)))
		call = calloc(1, sizeof *call);
	if (!call) {
		hang_up(c);
	} else {
		call->connection = c;
		call->more = json_is_true(json_object_get(message, "more"));
		call->oneway = json_is_true(json_object_get(message, "oneway"));
		if (with_fds) {
			memcpy(call->fds, c->fds, sizeof call->fds);
			call->nfds = c->nfds;
			c->nfds = 0;
		}
		c->call = call;
		call_dispatch(call, name, parameters);
	}
	json_decref(message);
}

/* Takes whole messages out of the buffer for as long as no call stays open. */
static void requests(struct connection *c)
{
	const char *end;

	while (c->sock >= 0 && !c->broken && !c->call && c->nin &&
		(end = memchr(c->in, '\0', c->nin))) {
		size_t n = (size_t)(end - c->in) + 1;
		bool with_fds = c->nfds && c->fds_at < n;
		json_t *message = json_loadb(c->in, n - 1, JSON_REJECT_DUPLICATES, NULL);

		c->nin -= n;
		memmove(c->in, c->in + n, c->nin);
		if (!with_fds && c->nfds)
			c->fds_at -= n;
		request(c, message, with_fds);
	}
	if (c->sock >= 0 && !c->nin)
		input_free(c);
}

/*
 * Which message do descriptors belong to? The kernel ends a read after the part that carries them,
 * and they ride on the first byte of their message: the last one that begins in this read.
 */
static int fds_place(struct connection *c, size_t from)
{
	size_t at = from;
	bool begins = from == 0 || c->in[from - 1] == '\0';

	for (size_t i = from; i + 1 < c->nin; i++)
		if (c->in[i] == '\0') {
			at = i + 1;
			begins = true;
		}
	c->fds_at = at;
	return begins ? 0 : -EPROTO;
}

/* One read. Negative: the connection is to end. */
static int receive(struct connection *c)
{
	int fds[VARLINK_FDS];
	size_t nfds = VARLINK_FDS;
	size_t from = c->nin;
	ssize_t n;

	if (!c->in)
		c->in = malloc(VARLINK_MESSAGE);
	if (!c->in)
		return -ENOMEM;
	if (c->nin == VARLINK_MESSAGE) /* full, and no whole message in it */
		return -EMSGSIZE;
	n = msg_recv(c->sock, c->in + c->nin, VARLINK_MESSAGE - c->nin, fds, &nfds);
	if (n == -EAGAIN)
		return 0;
	if (n <= 0)
		return n < 0 ? (int)n : -ECONNRESET;
	c->nin += (size_t)n;
	if (nfds && (c->nfds || fds_place(c, from) < 0)) {
		while (nfds)
			fd_close(&fds[--nfds]);
		return -EPROTO;
	}
	if (nfds) {
		memcpy(c->fds, fds, sizeof fds);
		c->nfds = nfds;
	}
	return 0;
}

/* `events` 0: called by ourselves, to go on with what was received already. */
static void connection_event(struct loop *loop, uint32_t events, void *data)
{
	struct connection *c = data;

	(void)loop;
	c->busy = true;
	if (events & EPOLLOUT)
		flush(c);
	if (c->sock >= 0 && c->call && events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		hang_up(c);
	else if (c->sock >= 0 && !c->call && events & (EPOLLIN | EPOLLHUP | EPOLLERR) &&
		 receive(c) < 0)
		hang_up(c);
	if (c->sock >= 0)
		requests(c);
	if (c->sock >= 0)
		flush(c);
	c->busy = false;
	(void)reap(c);
}

/* ---- the server -------------------------------------------------------------------------------- */

static void listener_event(struct loop *loop, uint32_t events, void *data)
{
	struct varlink_server *server = data;
	own_fd sock = accept4(server->sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct connection *c;
	struct unix_peer peer;

	(void)events;
	if (sock < 0 || server->n >= VARLINK_CONNECTIONS || unix_peer(sock, &peer) < 0 ||
		(peer.uid != 0 && peer.uid != geteuid()) ||
		(server->interface->admit &&
			!server->interface->admit(&peer, server->interface->data)))
		return;
	c = calloc(1, sizeof *c);
	if (!c)
		return;
	c->server = server;
	c->sock = sock;
	c->peer = peer;
	c->deadline = (struct loop_timer){ .fn = deadline_due, .data = c };
	if (loop_add(loop, sock, EPOLLIN, LOOP_CONTROL, connection_event, c, &c->watch) < 0) {
		free(c);
		return;
	}
	(void)fd_take(&sock);
	c->next = server->connections;
	server->connections = c;
	server->n++;
	deadline_set(c, false);
}

int varlink_server_open(struct varlink_server **ret, struct loop *loop, const char *path,
	const struct varlink_interface *interface, struct err *err)
{
	struct varlink_server *server = calloc(1, sizeof *server);
	int r;

	if (!server)
		return err_sys(err, ENOMEM, "listen on %s", path);
	server->loop = loop;
	server->interface = interface;
	server->sock = unix_listen(path, SOCK_STREAM, 64, err);
	if (server->sock < 0) {
		r = server->sock;
		free(server);
		return r;
	}
	r = loop_add(
		loop, server->sock, EPOLLIN, LOOP_CONTROL, listener_event, server, &server->watch);
	if (r < 0) {
		fd_close(&server->sock);
		free(server);
		return err_sys(err, -r, "watch %s", path);
	}
	*ret = server;
	return 0;
}

void varlink_server_close(struct varlink_server *server)
{
	if (!server)
		return;
	loop_remove(server->loop, &server->watch);
	fd_close(&server->sock);
	for (struct connection *c; (c = server->connections);) {
		server->connections = c->next;
		hang_up(c);
		free(c);
	}
	free(server);
}
