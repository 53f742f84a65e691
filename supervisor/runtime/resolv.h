/* /etc/resolv.conf of a container: what its unit says, and what the host says at that moment. */
#ifndef BERTH_RUNTIME_RESOLV_H
#define BERTH_RUNTIME_RESOLV_H

#include "config/spec.h"

/*
 * resolv_text - the whole of it, to be freed; NULL: no memory
 *
 * The host's name servers are those of its /etc/resolv.conf; where it names none that a container can
 * reach, those of the uplinks, or those behind systemd-resolved.
 * Blocks: on the disk.
 */
char *resolv_text(const char *run_dir, const struct container_spec *spec);

#endif
