/* Inside the control socket: what the files that answer its calls share. */
#ifndef BERTH_CORE_CONTROL_CALL_H
#define BERTH_CORE_CONTROL_CALL_H

#include "supervisor/core/supervisor.h"
#include "supervisor/core/varlink.h"

#define CONTROL_INTERFACE "org.berth.Supervisor"

struct session;

struct control {
	struct supervisor *sv;
	struct varlink_server *server;
	struct varlink_interface interface;
	struct session *sessions; /* of Exec */
	uint64_t next_id;
	char path[300];
	bool refused; /* a container, and it was logged */
};

/* control.c */
/* Ends the call with Failed and these words. */
void control_failed(struct varlink_call *call, const struct err *err);
/* The service that the call names, or NULL, after answering. */
struct service *control_named(struct control *control, struct varlink_call *call, const char *name);
/* A text among the parameters, or NULL. */
const char *control_text(const json_t *parameters, const char *key);

/* control_exec.c: Exec and ExecSignal */
void control_exec(struct varlink_call *call, const json_t *parameters, void *data);
void control_exec_signal(struct varlink_call *call, const json_t *parameters, void *data);

#endif
