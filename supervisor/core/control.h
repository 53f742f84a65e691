/* The control socket RUN_DIR/berth.sock: the methods of org.berth.Supervisor over supervisor.h. */
#ifndef BERTH_CORE_CONTROL_H
#define BERTH_CORE_CONTROL_H

#include "supervisor/base/err.h"
#include "supervisor/core/supervisor.h"

struct control;

/*
 * control_open - answer on RUN_DIR/berth.sock, from the loop of `sv`
 *
 * Needs: the lock of RUN_DIR held. Blocks: never. Fails: the socket cannot be made.
 */
int control_open(struct control **ret, struct supervisor *sv, const char *run_dir, struct err *err);
/* Drops every connection and removes the socket. Before supervisor_close. NULL is fine. */
void control_close(struct control *control);

#endif
