/*
 * A varlink server on the loop: JSON messages that end in NUL, over SOCK_STREAM, one call at a time
 * on a connection, descriptors as SCM_RIGHTS on the first byte of their message.
 *
 * Nobody can make it wait or grow: at most VARLINK_CONNECTIONS peers, a message of at most
 * VARLINK_MESSAGE bytes that must be whole within seconds, a bounded queue of answers that must be
 * read within seconds. Who breaks a bound loses the connection. Peers are root, or the supervisor's
 * own user; anybody else is hung up on.
 */
#ifndef BERTH_CORE_VARLINK_H
#define BERTH_CORE_VARLINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/base/err.h"
#include "supervisor/base/unixsock.h"
#include "supervisor/core/loop.h"

enum {
	VARLINK_CONNECTIONS = 64,
	VARLINK_MESSAGE = 64 * 1024,     /* of a request, with its NUL */
	VARLINK_QUEUE = 4 * 1024 * 1024, /* of answers that were not read yet */
	VARLINK_FDS = 4,                 /* with one request */
};

struct varlink_server;
struct varlink_call; /* ends with its last reply, or with its connection */

typedef void varlink_method_fn(struct varlink_call *call, const json_t *parameters, void *data);

struct varlink_method {
	const char *name; /* without the interface */
	varlink_method_fn *run;
	bool fds;  /* may come with descriptors; else they are closed unseen */
	bool more; /* answers with a stream: a call that does not ask for `more` is refused */
};

struct varlink_interface {
	const char *name;        /* "org.berth.Supervisor" */
	const char *description; /* the text of its .varlink file */
	const struct varlink_method *methods;
	size_t nmethods;
	void *data; /* for the methods, and for: */
	/* Asked of each that connects and is of the right user; NULL: all may. False hangs up. */
	bool (*admit)(const struct unix_peer *peer, void *data);
};

/* The interface must outlive the server. Fails: the socket, with words. */
int varlink_server_open(struct varlink_server **ret, struct loop *loop, const char *path,
	const struct varlink_interface *interface, struct err *err);
/* Calls that are open end (their `gone` is called). The socket's file is left to the caller. */
void varlink_server_close(struct varlink_server *server);

/*
 * Every method ends its call with varlink_reply or varlink_error, at once or later; varlink_stream
 * says something before that. `parameters` is taken, NULL is an empty object. A method that answers
 * later says by varlink_on_gone what is to be done when the peer hangs up first; after that, and
 * after the last reply, the call is no more.
 */
void varlink_reply(struct varlink_call *call, json_t *parameters);
void varlink_error(struct varlink_call *call, const char *error, json_t *parameters);
/* `fd`: goes with the message, is taken and closed; -1: none. */
void varlink_stream(struct varlink_call *call, json_t *parameters, int fd);
void varlink_on_gone(
	struct varlink_call *call, void (*gone)(struct varlink_call *call, void *data), void *data);

/* InvalidParameter, naming it. */
void varlink_bad_parameter(struct varlink_call *call, const char *parameter);

/* The descriptors that came with the call: how many. They are closed when the call ends. */
size_t varlink_fds(const struct varlink_call *call, const int **ret);
struct unix_peer varlink_peer(const struct varlink_call *call);

#endif
