/* A native service with a network of its own and a view of the host in which nothing can be written:
 * see container_spec.secluded. */
#ifndef BERTH_RUNTIME_SECLUDE_H
#define BERTH_RUNTIME_SECLUDE_H

#include "supervisor/runtime/plan.h"

/* Where it finds spec->hosts and spec->resolv_conf. Nothing else is in its /run: no socket of the host. */
#define SECLUDE_HOSTS  "/run/hosts"
#define SECLUDE_RESOLV "/run/servers"
/* A DHCP client's: the one directory in which it may write, its socket of sd_notify(3), and its program
 * where that is packed. */
#define SECLUDE_LEASE  "/run/lease"
#define SECLUDE_NOTIFY "/run/notify"
#define SECLUDE_CLIENT "/run/udhcpc"

/* STAGE_ROOT: mounts of its own; the program is opened while every path to it can be walked. */
int seclude_open(struct plan *plan, struct err *err);
/* STAGE_VIEW: what step_volumes has opened is put in its place, and the rest becomes read-only. */
int seclude_view(struct plan *plan, struct err *err);

#endif
