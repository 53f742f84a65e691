/* What can be told of the units when no supervisor answers: its records in RUN_DIR/state. */
#ifndef BERTH_CMD_OFFLINE_H
#define BERTH_CMD_OFFLINE_H

#include <jansson.h>

/* An array of the type Unit, of the caller's; a process that is gone by now is shown as inactive.
 * NULL: there is no such directory. */
json_t *offline_units(const char *run_dir);

#endif
