/* PublishMode=proxy: the ports of NAME.container are carried by a process that is a unit of its own,
 * NAME.proxy, which no file is written for. So it is supervised, adopted, limited and explained as every
 * other unit, and outlives the runs of the container. */
#include <stdio.h>
#include <string.h>

#include "config/build.h"
#include "supervisor/base/clock.h"

/* Descriptors: for 2048 connections, and udp beside them (supervisor/init/proxy.c). */
enum { FILES = 16384 };

bool proxy_wanted(const struct build *b, const struct unit_draft *draft)
{
	enum publish_mode mode = DRAFT_SET(draft->publish_mode)
					 ? (enum publish_mode)draft->publish_mode.v
					 : b->set->conf.publish_mode;

	return draft->kind == UNIT_CONTAINER && draft->publish_port.n && mode == PUBLISH_PROXY;
}

/* As if somebody had written a file for it: it lives as long as the container is defined. */
const struct unit_draft *proxy_draft(struct build *b, const struct unit_draft *container)
{
	const struct origin at = container->publish_port.v[0].at;
	struct unit_draft *draft =
		draft_beside(b, container, UNIT_PROXY, build_text(b, "%s.proxy", container->stem),
			build_text(b, "the published ports of %s", container->id), at);

	if (!draft)
		return NULL;
	draft->user.v = "65534:65534";
	draft->user.at = at;
	draft->restart.v = RESTART_ALWAYS;
	draft->restart.at = at;
	draft->restart_max_delay.v = 5 * NSEC_PER_SEC;
	draft->restart_max_delay.at = at;
	return draft;
}

void pass_proxy(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	struct proxy_spec *proxy = arena_alloc(b->arena, sizeof *proxy);

	if (!proxy) {
		b->nomem = true;
		return;
	}
	proxy->container = b->set->units[part->proxy].id;
	part->spec->proxy = proxy;
	build_add(b, &part->spec->process.argv, "berth-proxy");
	build_add(b, &part->spec->process.argv, proxy->container);
}

/* Without a port, which then has been told of, there is nothing to run. */
void proxy_ports(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	const struct part *container = &b->parts[part->proxy];
	struct proxy_spec *proxy = (struct proxy_spec *)(size_t)part->spec->proxy;
	size_t sockets = 0;

	if (!container->nports) {
		part->spec = b->set->units[unit].spec = NULL;
		return;
	}
	proxy->net = &container->spec->net;
	for (size_t i = 0; i < container->nports; i++)
		sockets += container->ports[i].count;
	if (sockets > PROXY_SOCKETS_MAX)
		ERROR_AT(b, container->draft->publish_port.v[0].at,
			"PublishPort: a proxy carries at most %d ports, and these are %zu (each "
			"family counts): publish fewer, or write PublishMode=nftables",
			PROXY_SOCKETS_MAX, sockets);
	part->spec->process.no_new_privs = true;
	part->spec->process.rlimits[RLIMIT_NOFILE] =
		(struct rlimit_spec){ .set = true, .builtin = true, .soft = FILES, .hard = FILES };
}
