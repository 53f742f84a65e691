#include "supervisor/cmd/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/unit.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"
#include "supervisor/base/unixsock.h"
#include "supervisor/cmd/appliance.h"
#include "supervisor/cmd/cmd.h"

#define INTERFACE "org.berth.Supervisor."

/* ---- places ------------------------------------------------------------------------------------ */

/* berth.conf may move the directories. */
static const struct supervisor_conf *conf(void)
{
	static struct unit_set set;
	const char *dir = NULL;

	if (!set.conf.run_dir &&
		(appliance_config(&dir, NULL) < 0 || unit_set_load_conf(&set, dir, NULL) < 0))
		set.conf = (struct supervisor_conf){ .run_dir = "/run/berth",
			.log_dir = "/var/lib/berth/logs",
			.store_dir = "/var/lib/berth/store",
			.image_memory = 8U << 20 };
	return &set.conf;
}

const char *client_run_dir(void)
{
	return cmd_globals.run_dir ? cmd_globals.run_dir : conf()->run_dir;
}

const char *client_log_dir(void)
{
	return conf()->log_dir;
}

const char *client_store_dir(void)
{
	return conf()->store_dir;
}

uint64_t client_image_memory(void)
{
	return conf()->image_memory;
}

const struct strv *client_registry_mirrors(void)
{
	return &conf()->registry_mirrors;
}

const char *client_image_path(void)
{
	static char text[2048];
	const struct strv *dirs = &conf()->image_path;
	struct strbuf buf = STRBUF(text);

	for (size_t i = 0; i < dirs->n; i++)
		strbuf_add(&buf, "%s%s", i ? ":" : "", dirs->v[i]);
	return text;
}

/* ---- the socket -------------------------------------------------------------------------------- */

int client_open(struct client *client, struct err *err)
{
	char path[4096];
	int sock;

	if ((size_t)snprintf(path, sizeof path, "%s/berth.sock", client_run_dir()) >= sizeof path)
		return err_sys(err, ENAMETOOLONG, "connect to %s/berth.sock", client_run_dir());
	sock = unix_connect(path, SOCK_STREAM);
	if (sock == -ENOENT || sock == -ECONNREFUSED)
		return err_set(err, -sock,
			"no supervisor answers on %s: is 'berth supervise' running?", path);
	if (sock == -EACCES)
		return err_set(
			err, EACCES, "no access to %s: only root may ask the supervisor", path);
	if (sock == -EAGAIN)
		return err_set(
			err, EAGAIN, "the supervisor on %s does not take connections now", path);
	if (sock < 0)
		return err_sys(err, -sock, "connect to %s", path);
	*client = (struct client){ .sock = sock };
	return 0;
}

void client_close(struct client *client)
{
	fd_close(&client->sock);
	free(client->in);
	json_decref(client->error_parameters);
	*client = CLIENT_NONE;
}

int client_send(struct client *client, const char *method, json_t *parameters, bool more,
	const int *fds, size_t nfds, struct err *err)
{
	json_t *message = json_pack("{s:o,s:o,s:b}", "method", json_sprintf(INTERFACE "%s", method),
		"parameters", parameters ? parameters : json_object(), "more", (int)more);
	own_mem char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	int r;

	json_decref(message);
	if (!text)
		return err_set(err, EINVAL, "ask the supervisor: an argument is not valid UTF-8");
	r = msg_send(client->sock, text, strlen(text) + 1, fds, nfds);
	return r < 0 ? err_sys(err, -r, "ask the supervisor") : 0;
}

bool client_has_more(const struct client *client)
{
	return client->nin && memchr(client->in, '\0', client->nin);
}

/* Reads until a whole message is there. */
static int fill(struct client *client, int *ret_fd, struct err *err)
{
	while (!client_has_more(client)) {
		int fds[FD_MAX];
		size_t nfds = FD_MAX;
		ssize_t n;

		if (client->nin == client->size) {
			size_t size = client->size ? client->size * 2 : 16384;
			char *in = realloc(client->in, size);

			if (!in)
				return err_sys(err, ENOMEM, "read the supervisor's answer");
			client->in = in;
			client->size = size;
		}
		n = msg_recv(client->sock, client->in + client->nin, client->size - client->nin,
			fds, &nfds);
		if (n <= 0)
			return err_set(err, ECONNRESET, "the supervisor hung up%s%s", n ? ": " : "",
				n ? strerror((int)-n) : "");
		client->nin += (size_t)n;
		while (nfds)
			if (ret_fd && *ret_fd < 0)
				*ret_fd = fds[--nfds];
			else
				fd_close(&fds[--nfds]);
	}
	return 0;
}

/* An error's words for people. */
static int remote_error(
	struct client *client, const json_t *message, const char *name, struct err *err)
{
	const json_t *parameters = json_object_get(message, "parameters");
	const char *text = json_string_value(json_object_get(parameters, "message"));
	const char *unit = json_string_value(json_object_get(parameters, "name"));
	const char *wrong = json_string_value(json_object_get(parameters, "parameter"));
	const char *last = strrchr(name, '.');

	(void)snprintf(client->error, sizeof client->error, "%s", last ? last + 1 : name);
	json_decref(client->error_parameters);
	client->error_parameters = json_deep_copy(parameters);
	if (strcmp(client->error, "NoSuchUnit") == 0)
		return err_set(err, EREMOTEIO, "%s: no such unit; 'berth ps -a' lists them",
			unit ? unit : "?");
	if (text)
		return err_set(err, EREMOTEIO, "%s", text);
	if (wrong)
		return err_set(err, EREMOTEIO, "the supervisor does not accept that '%s'", wrong);
	return err_set(err, EREMOTEIO, "the supervisor answers %s", name);
}

int client_receive(
	struct client *client, json_t **ret, bool *ret_continues, int *ret_fd, struct err *err)
{
	const char *error;
	json_t *message;
	size_t n;
	int r;

	if (ret_fd)
		*ret_fd = -1;
	r = fill(client, ret_fd, err);
	if (r < 0)
		return r;
	n = strlen(client->in) + 1;
	message = json_loadb(client->in, n - 1, 0, NULL);
	client->nin -= n;
	memmove(client->in, client->in + n, client->nin);
	if (!message)
		return err_set(err, EPROTO, "the supervisor's answer is no JSON");
	error = json_string_value(json_object_get(message, "error"));
	if (error) {
		r = remote_error(client, message, error, err);
		json_decref(message);
		return r;
	}
	if (ret_continues)
		*ret_continues = json_is_true(json_object_get(message, "continues"));
	*ret = json_incref(json_object_get(message, "parameters"));
	json_decref(message);
	return 0;
}

int client_call(struct client *client, const char *method, json_t *parameters, json_t **ret,
	struct err *err)
{
	json_t *answer = NULL;
	int r = client_send(client, method, parameters, false, NULL, 0, err);

	if (r == 0)
		r = client_receive(client, &answer, NULL, NULL, err);
	if (r < 0)
		return r;
	if (ret)
		*ret = answer;
	else
		json_decref(answer);
	return 0;
}

int client_fail(const struct client *client, const struct err *err)
{
	static const struct {
		const char *error;
		int code;
	} codes[] = {
		{ "NoSuchUnit", CMD_NO_UNIT },
		{ "NotRunning", CMD_NOT_RUNNING },
	};
	int code = CMD_FAILED;

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (err->code == EREMOTEIO && strcmp(client->error, codes[i].error) == 0)
			code = codes[i].code;
	return cmd_fail(code, "%s", err->text);
}
