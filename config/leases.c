/* The addresses and ports that were given out, kept for the next start. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "config/build.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

enum { LEASE_FILE_MAX = 256 * 1024 };

/* All addresses of everybody on one network. */
static size_t leases_of(
	const struct unit_set *set, const struct net_bridge *bridge, struct net_lease *leases)
{
	size_t n = 0;

	for (size_t i = 0; i < set->nunits; i++) {
		const struct unit *unit = &set->units[i];

		for (size_t k = 0; unit->spec && k < unit->spec->net.nifaces; k++) {
			const struct net_iface *iface = &unit->spec->net.ifaces[k];

			if (iface->bridge != bridge)
				continue;
			for (size_t j = 0; j < iface->naddrs; j++)
				leases[n++] = (struct net_lease){ .unit = unit->stem,
					.addr = iface->addrs[j] };
		}
	}
	return n;
}

static size_t addrs_count(const struct unit_set *set)
{
	size_t n = 0;

	for (size_t i = 0; i < set->nunits; i++) {
		const struct container_spec *spec = set->units[i].spec;

		for (size_t k = 0; spec && k < spec->net.nifaces; k++)
			n += spec->net.ifaces[k].naddrs;
	}
	return n;
}

static int network_store(
	const struct unit_set *set, const struct net_bridge *bridge, int dirfd, struct arena *tmp)
{
	struct net_lease *leases = arena_alloc(tmp, (addrs_count(set) + 1) * sizeof *leases);
	char *text = arena_alloc(tmp, LEASE_FILE_MAX);
	char *old = arena_alloc(tmp, LEASE_FILE_MAX);
	ssize_t n;

	if (!leases || !text || !old)
		return -ENOMEM;
	n = net_lease_print(leases, leases_of(set, bridge, leases), text, LEASE_FILE_MAX);
	if (n < 0)
		return (int)n;
	/* Flash wears: what is the same is not written again. */
	if (file_read_at(dirfd, bridge->name, old, LEASE_FILE_MAX) == n && strcmp(old, text) == 0)
		return 0;
	return file_replace_at(dirfd, bridge->name, text, (size_t)n, 0644, 1);
}

/* A line has one port for both families: it is written once. */
static void ports_text(const struct unit_set *set, struct strbuf *text)
{
	for (size_t i = 0; i < set->nunits; i++) {
		const struct unit *unit = &set->units[i];

		for (size_t k = 0; unit->spec && k < unit->spec->net.nports; k++) {
			const struct net_port *port = &unit->spec->net.ports[k];
			const struct net_port *last = k ? port - 1 : NULL;

			if (!port->chosen || (last && last->host_port == port->host_port &&
						     last->protocol == port->protocol))
				continue;
			strbuf_add(text, "%s %s %u %u\n", unit->stem,
				port->protocol == IPPROTO_UDP ? "udp" : "tcp", port->port,
				port->host_port);
		}
	}
}

static int ports_store(const struct unit_set *set, struct err *err)
{
	struct arena tmp = { 0 };
	struct strbuf text = { arena_alloc(&tmp, PORTS_FILE_MAX), PORTS_FILE_MAX, 0, false };
	char *old = arena_alloc(&tmp, PORTS_FILE_MAX);
	own_fd dir = open(set->conf.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 ? -errno : text.text && old ? 0 : -ENOMEM;

	if (r == 0) {
		ports_text(set, &text);
		if (file_read_at(dir, "ports", old, PORTS_FILE_MAX) < 0)
			old[0] = '\0';
		if (text.cut)
			r = -ENOSPC;
		else if (strcmp(old, text.text) != 0)
			r = file_replace_at(dir, "ports", text.text, text.used, 0644, 1);
	}
	arena_done(&tmp);
	return r < 0 ? err_sys(err, -r, "write %s/ports", set->conf.state_dir) : 0;
}

int unit_set_store_leases(const struct unit_set *set, struct err *err)
{
	char path[4096];
	own_fd dir = -1;
	int r;

	if (set->nbridges == 0)
		return 0;
	(void)snprintf(path, sizeof path, "%s/leases", set->conf.state_dir);
	r = path_mkdirs(path, 0755);
	if (r < 0)
		return err_sys(err, -r, "mkdir %s", path);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, errno, "open %s", path);
	for (size_t i = 0; i < set->nbridges; i++) {
		struct arena tmp = { 0 };

		r = network_store(set, set->bridges[i], dir, &tmp);
		arena_done(&tmp);
		if (r < 0)
			return err_sys(err, -r, "write %s/%s", path, set->bridges[i]->name);
	}
	return ports_store(set, err);
}
