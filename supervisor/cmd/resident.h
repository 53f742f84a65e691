/* What the verbs share that stay: supervise, init, run. */
#ifndef BERTH_CMD_RESIDENT_H
#define BERTH_CMD_RESIDENT_H

/* berth's program file becomes unreachable for the containers that its processes enter: seal.h. The
 * process begins anew, once. What cannot be sealed is logged: an old kernel is no reason not to run. */
void resident_seal(void);

/* To systemd, when we are its Type=notify service: "READY=1", "STOPPING=1". Harmless otherwise. */
void resident_notify(const char *text);

#endif
