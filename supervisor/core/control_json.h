/* What the control socket tells of a unit, as JSON. */
#ifndef BERTH_CORE_CONTROL_JSON_H
#define BERTH_CORE_CONTROL_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "supervisor/core/supervisor.h"

/* The type Unit of org.berth.Supervisor; with `full` also what it runs, mounts and may. NULL: no
 * memory. */
json_t *control_unit_json(const struct service *service, bool full);
/* One address that a DHCP server leases; without one: the interface alone. Blocks: on RUN_DIR. */
json_t *control_lease_json(const char *run_dir, const struct lease_spec *lease);

#endif
