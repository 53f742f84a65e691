/* PublishPort=: [IP:][HOST:]PORT[/tcp|udp], with ranges; no two units may ask for one host port. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "config/build.h"
#include "supervisor/base/num.h"

/* Every port so far, and who asked for it. */
struct asked {
	struct net_port port;
	struct origin at;
	uint32_t unit;
};

struct all_asked {
	struct asked *v;
	size_t n;
};

static bool range_read(struct build *b, const char *text, uint32_t *first, uint32_t *count)
{
	const char *rest = text;
	const char *low = build_field(b, &rest, '-');
	uint32_t last;

	if (num_u32(low, first) < 0 || *first == 0 || *first > 65535)
		return false;
	last = *first;
	if (rest && (num_u32(rest, &last) < 0 || last < *first || last > 65535))
		return false;
	*count = last - *first + 1;
	return true;
}

/* Cuts "IP:" or "[IP6]:" off the front. */
static bool host_address(struct build *b, const char **text, struct net_addr *ret)
{
	const char *p = *text;
	const char *end;
	const char *addr;

	if (*p == '[') {
		end = strchr(p, ']');
		if (!end || end[1] != ':')
			return false;
		addr = build_ntext(b, p + 1, (size_t)(end - p - 1));
		*text = end + 2;
	} else {
		end = strrchr(p, ':');
		if (!end || strchr(p, ':') == end)
			return true; /* HOST:PORT or PORT */
		while (end[-1] != ':')
			end--;
		addr = build_ntext(b, p, (size_t)(end - p - 1));
		*text = end;
	}
	if (net_addr_parse(addr, ret) < 0)
		return false;
	/* Every address is the absence of one. */
	if (strcmp(addr, "0.0.0.0") == 0)
		*ret = (struct net_addr){ 0 };
	return true;
}

static bool protocol_read(struct build *b, const char **text, uint8_t *ret)
{
	const char *slash = strchr(*text, '/');

	*ret = IPPROTO_TCP;
	if (!slash)
		return true;
	if (strcmp(slash, "/udp") == 0)
		*ret = IPPROTO_UDP;
	else if (strcmp(slash, "/tcp") != 0)
		return false;
	*text = build_ntext(b, *text, (size_t)(slash - *text));
	return true;
}

static bool port_read(struct build *b, const struct draft_item *item, struct net_port *port)
{
	const char *text = item->text;
	const char *host;
	uint32_t first[2];
	uint32_t count[2];

	if (!protocol_read(b, &text, &port->protocol) ||
		!host_address(b, &text, &port->host_addr)) {
		ERROR_AT(b, item->at, "PublishPort: \"%s\" is not [IP:]HOST:PORT[/tcp|/udp]",
			item->text);
		return false;
	}
	host = build_field(b, &text, ':');
	if (!text || !*host) {
		ERROR_AT(b, item->at,
			"PublishPort: \"%s\" leaves the host's port to chance: write %s:%s",
			item->text, text ? text : host, text ? text : host);
		return false;
	}
	if (!range_read(b, host, &first[0], &count[0]) ||
		!range_read(b, text, &first[1], &count[1]) || count[0] != count[1]) {
		ERROR_AT(b, item->at,
			"PublishPort: \"%s\": ports are 1 to 65535, and two ranges equally long",
			item->text);
		return false;
	}
	port->host_port = (uint16_t)first[0];
	port->port = (uint16_t)first[1];
	port->count = (uint16_t)count[0];
	return true;
}

/* The container's address that a port leads to: of the first network that leads outside. */
static bool port_target(
	struct build *b, const struct part *part, struct origin at, struct net_port *port)
{
	bool v6 = port->host_addr.family == AF_INET6;
	const struct attachment *found = NULL;

	for (size_t i = 0; i < part->nnets; i++) {
		const struct attachment *net = &part->nets[i];
		const struct net_addr *addr = v6 ? &net->addr6 : &net->addr4;
		bool internal = b->set->units[net->network].bridge->internal;

		if (addr->family && (!found || !internal)) {
			found = net;
			if (!internal)
				break;
		}
	}
	if (!found) {
		if (v6)
			ERROR_AT(b, at,
				"PublishPort: the container has no IPv6 address: add IPv6=yes to "
				"its "
				".network");
		return false;
	}
	port->addr = v6 ? found->addr6 : found->addr4;
	port->addr.prefix = v6 ? 128 : 32;
	return true;
}

static bool ports_meet(const struct net_port *a, const struct net_port *c)
{
	bool same_addr = !a->host_addr.family || !c->host_addr.family ||
			 net_addr_equal(&a->host_addr, &c->host_addr);

	return a->protocol == c->protocol && same_addr && a->host_port < c->host_port + c->count &&
	       c->host_port < a->host_port + a->count;
}

static void port_compare(struct build *b, const struct all_asked *all, const struct asked *now)
{
	const struct net_port *port = &now->port;

	for (size_t i = 0; i < all->n; i++) {
		const struct asked *other = &all->v[i];

		if (!ports_meet(&other->port, port))
			continue;
		ERROR_AT(b, now->at,
			"PublishPort: port %u/%s of the host is asked for by %s too (%s:%u): "
			"change "
			"one of them",
			port->host_port > other->port.host_port ? port->host_port
								: other->port.host_port,
			port->protocol == IPPROTO_UDP ? "udp" : "tcp",
			b->set->units[other->unit].id, other->at.file, other->at.line);
	}
}

static void unit_ports(struct build *b, uint32_t unit, struct all_asked *all)
{
	struct part *part = &b->parts[unit];
	const struct draft_list *list = &part->draft->publish_port;

	for (size_t i = 0; i < list->n; i++) {
		struct asked now = { .at = list->v[i].at, .unit = unit };

		if (part->spec->net.mode == NET_HOST) {
			WARN_AT(b, now.at,
				"PublishPort: has no effect with Network=host: the container's "
				"ports "
				"are the host's");
			continue;
		}
		if (part->spec->net.mode != NET_PRIVATE) {
			ERROR_AT(b, now.at,
				"PublishPort: this container has no network of its own: "
				"%s",
				part->spec->net.mode == NET_NONE
					? "remove it, or Network=none"
					: "publish it in the unit whose network it shares");
			continue;
		}
		if (!port_read(b, &list->v[i], &now.port) ||
			!port_target(b, part, now.at, &now.port))
			continue;
		port_compare(b, all, &now);
		BUILD_PUSH(b, all->v, all->n, now);
		BUILD_PUSH(b, b->set->ports, b->set->nports, now.port);
		BUILD_PUSH(b, part->ports, part->nports, now.port);
	}
	part->spec->net.ports = part->ports;
	part->spec->net.nports = part->nports;
}

void pass_ports(struct build *b)
{
	struct all_asked all = { 0 };

	for (uint32_t i = 0; i < b->set->nunits; i++)
		if (b->parts[i].spec && !b->parts[i].spec->native)
			unit_ports(b, i, &all);
}
