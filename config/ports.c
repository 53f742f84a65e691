/* PublishPort=: [IP:][HOST:]PORT[/tcp|udp], with ranges; no two units may ask for one host port.
 *
 * A line without an address means every address of the host, of each family that the container has;
 * one without a host port gets one from 61000 on: above what Linux gives to its own connections, by
 * hash, and kept in STATE_DIR/ports, so that it stays when other units come and go. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "config/build.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"

enum { CHOSEN_MIN = 61000, CHOSEN_END = 65536 };

/* Every port so far, and who asked for it. */
struct asked {
	struct net_port port;
	struct origin at;
	uint32_t unit;
};

struct all_asked {
	struct asked *v;
	size_t n;
	const char *stored; /* the text of STATE_DIR/ports */
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
	return net_addr_parse(addr, ret) == 0 && !strchr(addr, '/');
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

bool port_range_parse(struct build *b, const char *text, struct net_port *ret)
{
	uint32_t first;
	uint32_t count;

	if (!protocol_read(b, &text, &ret->protocol) || !range_read(b, text, &first, &count))
		return false;
	ret->port = (uint16_t)first;
	ret->count = (uint16_t)count;
	return true;
}

static bool port_read(struct build *b, const struct draft_item *item, struct net_port *port)
{
	const char *text = item->text;
	const char *host;
	uint32_t first[2] = { 0 };
	uint32_t count[2];

	if (!protocol_read(b, &text, &port->protocol) ||
		!host_address(b, &text, &port->host_addr)) {
		ERROR_AT(b, item->at, "PublishPort: \"%s\" is not [IP:][HOST:]PORT[/tcp|/udp]",
			item->text);
		return false;
	}
	host = build_field(b, &text, ':');
	/* "80", ":80" and "0:80": the host's port is for berth to choose. */
	port->chosen = !text || !*host || strcmp(host, "0") == 0;
	if (!range_read(b, text ? text : host, &first[1], &count[1]) ||
		(!port->chosen &&
			(!range_read(b, host, &first[0], &count[0]) || count[0] != count[1]))) {
		ERROR_AT(b, item->at,
			"PublishPort: \"%s\": ports are 1 to 65535, and two ranges equally long",
			item->text);
		return false;
	}
	port->host_port = (uint16_t)first[0];
	port->port = (uint16_t)first[1];
	port->count = (uint16_t)count[1];
	return true;
}

/* The container's address that a port leads to: of the first network that leads outside. */
static bool port_target(struct build *b, const struct part *part, int family, struct net_port *port)
{
	for (size_t i = 0; i < part->nnets; i++) {
		const struct attachment *net = &part->nets[i];
		const struct net_bridge *network = b->set->units[net->network].bridge;
		const struct net_addr *addr = net_addr_first(net->addrs, net->naddrs, family);

		if (!addr || network->internal || !net_is_ours(network))
			continue;
		port->addr = *addr;
		port->addr.prefix = family == AF_INET ? 32 : 128;
		return true;
	}
	return false;
}

static void no_target(struct build *b, const struct part *part, struct origin at, int family)
{
	bool internal = part->nnets > 0;
	bool ours = false;

	for (size_t i = 0; i < part->nnets; i++) {
		const struct net_bridge *network = b->set->units[part->nets[i].network].bridge;

		internal = internal && network->internal;
		ours = ours || net_is_ours(network);
	}
	if (!ours)
		return; /* pass_attach has told so */
	if (internal)
		ERROR_AT(b, at,
			"PublishPort: the container is on internal networks only, which nobody "
			"outside reaches: add a Network= that is not Internal=");
	else if (family == AF_INET6)
		ERROR_AT(b, at,
			"PublishPort: the container has no IPv6 address: add IPv6=yes to its "
			".network");
	else if (family == AF_INET)
		ERROR_AT(b, at,
			"PublishPort: the container has no IPv4 address: publish it on [::]");
}

/* Every address of the host: a zeroed one, or none. */
static bool is_any(const struct net_addr *addr)
{
	static const uint8_t zero[16];

	return !addr->family || memcmp(addr->bytes, zero, sizeof zero) == 0;
}

static bool ports_meet(const struct net_port *a, const struct net_port *c)
{
	bool same_addr = is_any(&a->host_addr) || is_any(&c->host_addr) ||
			 net_addr_equal(&a->host_addr, &c->host_addr);

	return a->protocol == c->protocol && a->addr.family == c->addr.family && same_addr &&
	       a->host_port < c->host_port + c->count && c->host_port < a->host_port + a->count;
}

static const struct asked *port_taken(const struct all_asked *all, const struct net_port *port)
{
	for (size_t i = 0; i < all->n; i++)
		if (ports_meet(&all->v[i].port, port))
			return &all->v[i];
	return NULL;
}

/* Said once more by the same unit, for every address too: "8080:80" and "[::]:8080:80". */
static bool is_repeated(const struct asked *a, const struct asked *c)
{
	return a->unit == c->unit && is_any(&a->port.host_addr) && is_any(&c->port.host_addr) &&
	       a->port.host_port == c->port.host_port && a->port.port == c->port.port &&
	       a->port.count == c->port.count;
}

/* False: it is not to be published (again). */
static bool port_compare(struct build *b, const struct all_asked *all, const struct asked *now)
{
	const struct asked *other = port_taken(all, &now->port);
	const char *protocol = now->port.protocol == IPPROTO_UDP ? "udp" : "tcp";
	uint16_t port;

	if (!other)
		return true;
	port = now->port.host_port > other->port.host_port ? now->port.host_port
							   : other->port.host_port;
	if (is_repeated(other, now))
		WARN_AT(b, now->at,
			"PublishPort: port %u/%s is published by line %u too: remove one", port,
			protocol, other->at.line);
	else
		ERROR_AT(b, now->at,
			"PublishPort: port %u/%s of the host is asked for by %s too (%s:%u): "
			"change "
			"one of them",
			port, protocol, b->set->units[other->unit].id, other->at.file,
			other->at.line);
	return false;
}

/* The line as one port for each family: where it leads, and whether somebody else has it. */
static void port_add(struct build *b, struct all_asked *all, const struct asked *line)
{
	static const int families[] = { AF_INET, AF_INET6 };
	const struct net_addr *host = &line->port.host_addr;
	bool found = false;

	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
		struct asked now = *line;

		if (host->family && host->family != families[i])
			continue;
		if (!port_target(b, &b->parts[line->unit], families[i], &now.port))
			continue;
		found = true;
		if (now.port.chosen || port_compare(b, all, &now))
			BUILD_PUSH(b, all->v, all->n, now);
	}
	if (!found)
		no_target(b, &b->parts[line->unit], line->at, host->family);
}

static void unit_ports(struct build *b, uint32_t unit, struct all_asked *all)
{
	struct part *part = &b->parts[unit];
	const struct draft_list *list = &part->draft->publish_port;

	if (DRAFT_SET(part->draft->publish_mode) && !list->n)
		WARN_AT(b, part->draft->publish_mode.at,
			"PublishMode: has no effect without PublishPort=: add that");

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
		if (port_read(b, &list->v[i], &now.port))
			port_add(b, all, &now);
	}
}

/* ---- ports that nobody wrote -------------------------------------------------------------------- */

static const char *stored_read(struct build *b)
{
	const char *path = build_text(b, "%s/ports", b->set->conf.state_dir);
	own_mem char *text = malloc(PORTS_FILE_MAX);
	ssize_t n = text ? file_read_at(AT_FDCWD, path, text, PORTS_FILE_MAX) : -ENOMEM;

	b->nomem |= n == -ENOMEM;
	if (n < 0 && n != -ENOENT && n != -ENOTDIR)
		WARN_AT(b, ((struct origin){ path, 0 }),
			"cannot be read: %s: chosen ports may change", strerror((int)-n));
	return n > 0 ? build_ntext(b, text, (size_t)n) : "";
}

/* The port of the line that begins "web tcp 80 ", or 0. */
static uint32_t stored_port(struct build *b, const char *stored, const struct asked *asked)
{
	const char *want = build_text(b, "%s %s %u ", b->set->units[asked->unit].stem,
		asked->port.protocol == IPPROTO_UDP ? "udp" : "tcp", asked->port.port);

	for (const char *line = stored; *line;) {
		size_t n = strcspn(line, "\n");
		uint32_t port;

		if (str_starts(line, want) &&
			num_u32(build_ntext(b, line + strlen(want), n - strlen(want)), &port) == 0)
			return port;
		line += n + (line[n] == '\n');
	}
	return 0;
}

/* One port for both families of a line, free in both. */
static bool choice_free(const struct all_asked *all, size_t first, size_t n, uint32_t port)
{
	for (size_t i = first; i < first + n; i++) {
		struct net_port wish = all->v[i].port;

		wish.host_port = (uint16_t)port;
		if (port < CHOSEN_MIN || port + wish.count > CHOSEN_END || port_taken(all, &wish))
			return false;
	}
	return true;
}

/* The port on record, else the first free one from where the hash points. */
static void line_choose(struct build *b, struct all_asked *all, size_t first, size_t n, bool stored)
{
	const struct asked *asked = &all->v[first];
	const uint32_t span = CHOSEN_END - CHOSEN_MIN;
	const char *seed = build_text(b, "%s/%s/%u/%u", b->set->instance,
		b->set->units[asked->unit].stem, asked->port.protocol, asked->port.port);
	uint32_t start = (uint32_t)(str_hash(seed) % span);
	uint32_t port = stored ? stored_port(b, all->stored, asked) : CHOSEN_MIN + start;

	for (uint32_t i = 0; !choice_free(all, first, n, port); i++) {
		if (stored)
			return;
		if (i == span) {
			ERROR_AT(b, asked->at,
				"PublishPort: no port is left to choose: write HOST:PORT");
			return;
		}
		port = CHOSEN_MIN + (start + i) % span;
	}
	for (size_t i = first; i < first + n; i++)
		all->v[i].port.host_port = (uint16_t)port;
}

/* Who has one already keeps it, so these come first. A port not chosen yet is 0 and meets nobody's. */
static void ports_choose(struct build *b, struct all_asked *all, bool stored)
{
	size_t n;

	for (size_t i = 0; i < all->n && !b->nomem; i += n) {
		const struct asked *line = &all->v[i];

		for (n = 1; i + n < all->n && line[n].unit == line->unit &&
			    line[n].at.line == line->at.line && line[n].at.file == line->at.file;)
			n++;
		if (line->port.chosen && !line->port.host_port)
			line_choose(b, all, i, n, stored);
	}
}

void pass_ports(struct build *b)
{
	struct all_asked all = { 0 };

	for (uint32_t i = 0; i < b->set->nunits; i++)
		if (b->parts[i].spec && !b->parts[i].spec->native)
			unit_ports(b, i, &all);
	all.stored = stored_read(b);
	ports_choose(b, &all, true);
	ports_choose(b, &all, false);
	for (size_t i = 0; i < all.n; i++) {
		struct part *part = &b->parts[all.v[i].unit];

		all.v[i].port.proxied = part->proxy != UNIT_NONE;
		BUILD_PUSH(b, b->set->ports, b->set->nports, all.v[i].port);
		BUILD_PUSH(b, part->ports, part->nports, all.v[i].port);
		part->spec->net.ports = part->ports;
		part->spec->net.nports = part->nports;
	}
	for (uint32_t i = 0; i < b->set->nunits; i++)
		if (b->set->units[i].kind == UNIT_PROXY)
			proxy_ports(b, i);
}
