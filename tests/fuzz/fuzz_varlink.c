/* Any bytes at the control socket, in pieces: the server answers, or hangs up, and keeps nothing. The
 * first byte chooses the size of the pieces; 0xff in the data sends a descriptor along. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/unixsock.h"
#include "supervisor/core/loop.h"
#include "supervisor/core/varlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void echo(struct varlink_call *call, const json_t *parameters, void *data)
{
	(void)data;
	varlink_reply(call, json_deep_copy(parameters));
}

static void hold(struct varlink_call *call, const json_t *parameters, void *data)
{
	(void)call;
	(void)parameters;
	(void)data;
}

static void stream(struct varlink_call *call, const json_t *parameters, void *data)
{
	(void)data;
	varlink_stream(call, json_deep_copy(parameters), dup(0));
	varlink_bad_parameter(call, "x");
}

static const struct varlink_method methods[] = {
	{ .name = "E", .run = echo, .fds = true },
	{ .name = "H", .run = hold },
	{ .name = "S", .run = stream, .more = true },
};
static const struct varlink_interface interface = {
	.name = "a.b",
	.description = "interface a.b\n",
	.methods = methods,
	.nmethods = sizeof methods / sizeof methods[0],
};

static struct loop *loop;
static char path[64];

static void leave(void)
{
	(void)unlink(path);
}

static void begin(void)
{
	struct varlink_server *server;

	(void)snprintf(path, sizeof path, "/tmp/berth-fuzz-%d", (int)getpid());
	if (loop_new(&loop, NULL) < 0 ||
		varlink_server_open(&server, loop, path, &interface, NULL) < 0)
		abort();
	(void)atexit(leave);
}

static void turn(void)
{
	for (int i = 0; i < 3; i++)
		if (loop_turn(loop, true) < 0)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	own_fd sock = -1;
	size_t step;

	if (!loop)
		begin();
	if (size < 2)
		return 0;
	step = data[0] % 64U + 1;
	sock = unix_connect(path, SOCK_STREAM);
	if (sock < 0)
		abort();
	(void)fcntl(sock, F_SETFL, O_NONBLOCK);
	turn();
	for (size_t at = 1; at < size; at += step) {
		size_t n = size - at < step ? size - at : step;
		int fd = STDIN_FILENO;
		char answer[4096];

		(void)msg_send(sock, data + at, n, &fd, data[at] == 0xff ? 1 : 0);
		turn();
		while (recv(sock, answer, sizeof answer, 0) > 0)
			continue;
	}
	fd_close(&sock);
	turn();
	return 0;
}
