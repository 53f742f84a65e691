/* The verbs' end of the control socket, and where things are when nobody answers there. */
#ifndef BERTH_CMD_CLIENT_H
#define BERTH_CMD_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/base/err.h"
#include "supervisor/base/str.h"

struct client {
	int sock;
	char *in;
	size_t nin, size;
	char error[96]; /* the name of the last error that was answered, without the interface */
	json_t *error_parameters;
};
#define CLIENT_NONE ((struct client){ .sock = -1 })

/* Of --run-dir, else of berth.conf, else /run/berth; the same for the logs and the store. Never NULL. */
const char *client_run_dir(void);
const char *client_log_dir(void);
const char *client_store_dir(void);
/* ImageMemory=, bytes. */
uint64_t client_image_memory(void);
/* RegistryMirror=: "REGISTRY URL" each. */
const struct strv *client_registry_mirrors(void);
/* ImagePath=, with ":" between the directories. */
const char *client_image_path(void);

/* Fails with a sentence for the user: "no supervisor answers on …: is 'berth supervise' running?". */
int client_open(struct client *client, struct err *err);
void client_close(struct client *client);

/* Sends one call; `method` without the interface, `parameters` taken, `fds` borrowed. */
int client_send(struct client *client, const char *method, json_t *parameters, bool more,
	const int *fds, size_t nfds, struct err *err);
/*
 * client_receive - one answer
 *
 * Gives: *ret (the parameters; the caller's), whether more follows, a descriptor that came with it
 *        (or -1). Blocks until it comes.
 * Fails: -EREMOTEIO: an error was answered, see client->error; -ECONNRESET: the supervisor is gone.
 */
int client_receive(
	struct client *client, json_t **ret, bool *ret_continues, int *ret_fd, struct err *err);
/* An answer came along with the last one: the socket will not say so. */
bool client_has_more(const struct client *client);
/* Both. */
int client_call(struct client *client, const char *method, json_t *parameters, json_t **ret,
	struct err *err);

/* Says the error on stderr; gives the exit code it stands for. */
int client_fail(const struct client *client, const struct err *err);

#endif
