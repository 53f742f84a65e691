/* The steps of a start that may wait: see the table in child.c for their order. */
#ifndef BERTH_RUNTIME_BUILD_H
#define BERTH_RUNTIME_BUILD_H

#include "supervisor/runtime/plan.h"

int step_resolve(struct plan *plan, struct err *err);
int step_join_network(struct plan *plan, struct err *err);
int step_root(struct plan *plan, struct err *err);
int step_users(struct plan *plan, struct err *err);
int step_volumes(struct plan *plan, struct err *err);
int step_source(struct plan *plan, struct err *err);
int step_filesystem(struct plan *plan, struct err *err);
int step_listen(struct plan *plan, struct err *err);

/* The parts that an exec session needs too. */
int build_open_null(struct plan *plan, struct err *err);
int build_process(struct plan *plan, struct err *err);

#endif
