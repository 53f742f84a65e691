/* /etc/resolv.conf and /etc/hosts of a container: what its unit says, and what the host and DHCP servers
 * say at that moment. */
#ifndef BERTH_RUNTIME_RESOLV_H
#define BERTH_RUNTIME_RESOLV_H

#include "config/spec.h"
#include "supervisor/base/err.h"

/*
 * resolv_text - the whole of it in *ret, to be freed; NULL where spec->resolv_conf is
 *
 * The host's name servers are those of its /etc/resolv.conf; where it names none that a container can
 * reach, those of the uplinks, or those behind systemd-resolved. Before all of these come those of the
 * container's own leases. For a name server: whom it asks, as it wants to read that.
 * Blocks: on the disk.
 * Fails: a file of the host's name servers is there and cannot be read; no memory.
 */
int resolv_text(
	const char *run_dir, const struct container_spec *spec, char **ret, struct err *err);
/* As resolv_text: the names of spec->hosts, and of those whose addresses are leased. */
int hosts_text(const char *run_dir, const struct container_spec *spec, char **ret, struct err *err);

#endif
