/* The texts of /etc/hosts and /etc/resolv.conf in a container: who is called what. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "config/build.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

enum { HOST_FILE_MAX = 64 * 1024 };

#define HOSTS_HEAD "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"

/* Text that grows on the heap; the end goes into the arena. */
struct page {
	FILE *file;
	char *text;
	size_t n;
};

static bool page_open(struct build *b, struct page *page)
{
	*page = (struct page){ 0 };
	page->file = open_memstream(&page->text, &page->n);
	b->nomem |= !page->file;
	return page->file;
}

static const char *page_close(struct build *b, struct page *page)
{
	const char *kept;

	if (fclose(page->file) != 0) {
		b->nomem = true;
		return "";
	}
	kept = build_ntext(b, page->text, page->n);
	free(page->text);
	return kept;
}

/* ---- hosts -------------------------------------------------------------------------------------- */

static bool hostname_valid(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._";

	return *name && strlen(name) <= 64 && strspn(name, letters) == strlen(name) &&
	       name[0] != '-' && name[0] != '.';
}

/* Everything that the siblings may call this unit on one network. */
static struct strv names_of(struct build *b, uint32_t unit, const struct attachment *net)
{
	const struct part *part = &b->parts[unit];
	const struct unit_draft *draft = part->draft;
	const char *fixed[] = { part->spec->name, part->spec->hostname, b->set->units[unit].stem };
	struct strv names = { 0 };

	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		if (!strv_has(&names, fixed[i]))
			build_add(b, &names, fixed[i]);
	for (size_t i = 0; i < draft->network_alias.n; i++)
		if (!strv_has(&names, draft->network_alias.v[i].text))
			build_add(b, &names, draft->network_alias.v[i].text);
	for (size_t i = 0; i < net->aliases.n; i++)
		if (!strv_has(&names, net->aliases.v[i]))
			build_add(b, &names, net->aliases.v[i]);
	return names;
}

static void host_line(
	FILE *file, const struct net_addr *addr, const struct strv *names, bool in_domain)
{
	(void)fprintf(file, "%s\t", net_addr_print(addr, false).text);
	for (size_t i = 0; i < names->n; i++)
		(void)fprintf(file, "%s%s", i ? " " : "", names->v[i]);
	for (size_t i = 0; in_domain && i < names->n; i++)
		(void)fprintf(file, " %s." RESOLV_DOMAIN, names->v[i]);
	(void)fputc('\n', file);
}

/* The siblings of one network. */
static void members_text(struct build *b, uint32_t network, bool in_domain, FILE *file)
{
	for (uint32_t i = 0; i < b->set->nunits; i++)
		for (size_t k = 0; k < b->parts[i].nnets; k++) {
			const struct attachment *net = &b->parts[i].nets[k];
			struct strv names;

			if (net->network != network || b->parts[i].spec->native)
				continue;
			names = names_of(b, i, net);
			for (size_t n = 0; n < net->naddrs; n++)
				host_line(file, &net->addrs[n], &names, in_domain);
		}
}

/* The same text for all of them. */
static const char *network_text(struct build *b, uint32_t network)
{
	struct page page;

	if (!page_open(b, &page))
		return "";
	members_text(b, network, false, page.file);
	return page_close(b, &page);
}

static void dotted_put(
	struct build *b, uint32_t unit, const struct attachment *net, uint32_t network, FILE *file)
{
	struct strv names = { 0 };

	if (net->network == network && !b->parts[unit].spec->native)
		names = names_of(b, unit, net);
	for (size_t i = 0; i < names.n; i++)
		if (strchr(names.v[i], '.') && hostname_valid(names.v[i]))
			(void)fprintf(file, "server=/%s/\n", names.v[i]);
}

/* host-gateway: the address under which this container reaches the host. */
static bool added_address(
	const struct build *b, const struct part *part, const char *text, struct net_addr *ret)
{
	const struct net_bridge *bridge;

	if (strcmp(text, "host-gateway") != 0)
		return net_addr_parse(text, ret) == 0 && !strchr(text, '/');
	if (part->spec->net.mode == NET_HOST)
		return net_addr_parse("127.0.0.1", ret) == 0;
	if (!part->nnets)
		return false;
	bridge = b->set->units[part->nets[0].network].bridge;
	if (!bridge->nsubnets)
		return false;
	*ret = bridge->subnets[0].gateway;
	return true;
}

static void added_hosts(struct build *b, const struct part *part, FILE *file)
{
	const struct draft_list *list = &part->draft->add_host;

	for (size_t i = 0; i < list->n; i++) {
		const char *rest = list->v[i].text;
		const char *names = build_field(b, &rest, ':');
		struct net_addr addr;
		const char *name;

		if (!rest || !added_address(b, part, rest, &addr)) {
			ERROR_AT(b, list->v[i].at,
				"AddHost: \"%s\" is not NAME:ADDRESS (or NAME:host-gateway on a "
				"network)",
				list->v[i].text);
			continue;
		}
		while ((name = build_field(b, &names, ';'))) {
			if (hostname_valid(name))
				(void)fprintf(
					file, "%s\t%s\n", net_addr_print(&addr, false).text, name);
			else
				ERROR_AT(b, list->v[i].at, "AddHost: \"%s\" is not a host's name",
					name);
		}
	}
}

static const char *host_file(struct build *b, const char *path)
{
	own_mem char *text = malloc(HOST_FILE_MAX);
	ssize_t n = text ? file_read_at(AT_FDCWD, path, text, HOST_FILE_MAX) : -ENOMEM;

	b->nomem |= n == -ENOMEM;
	return n > 0 ? build_ntext(b, text, (size_t)n) : "";
}

/* A file goes by what its text is made of, which a member that comes or goes does not change: all who
 * have the same networks share it, and it changes in place. Who says something of his own (AddHost=,
 * DNS=) has one of his own. */
static const char *file_name(struct build *b, uint32_t unit, const char *what, bool own)
{
	const struct part *part = &b->parts[unit];
	const char *words = build_text(b, "%s|%d|%s", own ? b->set->units[unit].id : "",
		part->spec->net.mode, part->nnets ? "" : part->spec->hostname);

	for (size_t i = 0; i < part->nnets; i++)
		words = build_text(
			b, "%s|%s", words, b->set->units[part->nets[i].network].bridge->name);
	return build_text(b, "%s-%016llx", what, str_hash(words));
}

static const char *added_text(struct build *b, const struct part *part)
{
	struct page page;

	if (!page_open(b, &page))
		return "";
	added_hosts(b, part, page.file);
	return page_close(b, &page);
}

static const char *hosts_text(
	struct build *b, const struct part *part, const char *added, const char *const *networks)
{
	struct page page;

	if (!page_open(b, &page))
		return "";
	/* What the user wrote wins over what a sibling is called: the first line counts. */
	(void)fputs(added, page.file);
	if (part->spec->net.mode == NET_HOST) {
		(void)fputs(host_file(b, "/etc/hosts"), page.file);
	} else {
		(void)fputs(HOSTS_HEAD, page.file);
		if (part->nnets == 0)
			(void)fprintf(page.file, "127.0.1.1\t%s\n", part->spec->hostname);
	}
	for (size_t i = 0; i < part->nnets; i++)
		(void)fputs(networks[part->nets[i].network], page.file);
	return page_close(b, &page);
}

/* ---- resolv.conf -------------------------------------------------------------------------------- */

static void servers_check(struct build *b, const struct draft_list *list)
{
	struct net_addr addr;

	for (size_t i = 0; i < list->n; i++)
		if (net_addr_parse(list->v[i].text, &addr) < 0 || strchr(list->v[i].text, '/'))
			ERROR_AT(
				b, list->v[i].at, "DNS: \"%s\" is not an address", list->v[i].text);
}

static size_t servers_put(const struct draft_list *list, FILE *file)
{
	for (size_t i = 0; i < list->n; i++)
		(void)fprintf(file, "nameserver %s\n", list->v[i].text);
	return list->n;
}

/* The name servers of its networks: those that berth runs, else the written ones. */
static size_t servers_of_networks(const struct build *b, const struct part *part, FILE *file)
{
	size_t n = 0;

	for (size_t i = 0; i < part->nnets; i++) {
		const struct unit_draft *network = b->parts[part->nets[i].network].draft;
		const struct net_addr *ours = name_server_of(b, part->nets[i].network);

		if (ours)
			(void)fprintf(file, "nameserver %s\n", net_addr_print(ours, false).text);
		n += ours ? 1 : network ? servers_put(&network->network_dns, file) : 0;
	}
	return n;
}

static bool asks_ours(const struct build *b, const struct part *part)
{
	for (size_t i = 0; i < part->nnets; i++)
		if (name_server_of(b, part->nets[i].network))
			return true;
	return false;
}

/* The container's own servers, else those of its networks, else those of its leases or the host's as they
 * are when the file is written. */
static const char *resolv_text(struct build *b, const struct part *part)
{
	const struct unit_draft *draft = part->draft;
	bool foreign = part->spec->net.mode == NET_PRIVATE || part->spec->net.mode == NET_PATH;
	struct page page;

	if (!page_open(b, &page))
		return "";
	servers_check(b, &draft->dns);
	if (draft->dns.n && asks_ours(b, part))
		WARN_AT(b, draft->dns.v[0].at,
			"DNS: then it does not ask its network's name server: write DNS= in the "
			".network");
	if (!servers_put(&draft->dns, page.file) && !servers_of_networks(b, part, page.file))
		part->spec->resolv_host = foreign ? RESOLV_REACHABLE : RESOLV_ALL;
	else if (!draft->dns.n && !draft->dns_search.n && asks_ours(b, part))
		part->spec->resolv_host = RESOLV_SEARCH;
	/* Of several search lines the last one counts: ours stands behind the host's. */
	for (size_t i = 0; i < draft->dns_search.n; i++) {
		const char *text = draft->dns_search.v[i].text;

		if (strcmp(text, ".") != 0 && !hostname_valid(text))
			ERROR_AT(b, draft->dns_search.v[i].at, "DNSSearch: \"%s\" is not a domain",
				text);
		(void)fprintf(page.file, "%s%s", i ? " " : "search ", text);
	}
	if (draft->dns_search.n)
		(void)fputc('\n', page.file);
	return page_close(b, &page);
}

/* ---- what a name server is told ----------------------------------------------------------------- */

/* The members, each name also in the domain that podman's containers know. */
static const char *told_text(struct build *b, uint32_t network)
{
	struct page page;

	if (!page_open(b, &page))
		return "";
	(void)fputs("127.0.0.1\tlocalhost\n::1\tlocalhost\n", page.file);
	members_text(b, network, true, page.file);
	return page_close(b, &page);
}

/* Whom it asks itself, and what nobody else is asked about: names without a dot, those of members that
 * have one, and the addresses of the network. A line each, as dnsmasq's --server has it. */
static const char *upstream_text(struct build *b, uint32_t network)
{
	const struct net_bridge *bridge = b->set->units[network].bridge;
	const struct draft_list *dns = &b->parts[network].draft->network_dns;
	struct page page;

	if (!page_open(b, &page))
		return "";
	if (bridge->internal)
		(void)fputs("server=/#/\n", page.file);
	else if (!dns->n)
		b->parts[network].spec->resolv_host = RESOLV_SERVERS;
	for (size_t i = 0; !bridge->internal && i < dns->n; i++)
		(void)fprintf(page.file, "server=%s\n", dns->v[i].text);
	(void)fputs("server=//\nserver=/" RESOLV_DOMAIN "/\n", page.file);
	for (uint32_t i = 0; i < b->set->nunits; i++)
		for (size_t k = 0; k < b->parts[i].nnets; k++)
			dotted_put(b, i, &b->parts[i].nets[k], network, page.file);
	for (size_t i = 0; i < bridge->nsubnets; i++)
		(void)fprintf(page.file, "rev-server=%s\n",
			net_addr_print(&bridge->subnets[i].net, true).text);
	return page_close(b, &page);
}

static void name_server_texts(struct build *b, uint32_t unit)
{
	struct container_spec *spec = b->parts[unit].spec;

	name_server_finish(b, unit);
	spec->hosts = told_text(b, unit);
	spec->hosts_name = file_name(b, unit, "names", false);
	spec->resolv_conf = upstream_text(b, unit);
	spec->resolv_name = file_name(b, unit, "servers", false);
}

static void names_check(struct build *b, uint32_t unit)
{
	const struct unit_draft *draft = b->parts[unit].draft;

	if (DRAFT_SET(draft->hostname) && !hostname_valid(draft->hostname.v))
		ERROR_AT(b, draft->hostname.at,
			"HostName: \"%s\" is not a host's name: letters, digits, - and ., at most "
			"64",
			draft->hostname.v);
	for (size_t i = 0; i < draft->network_alias.n; i++)
		if (!hostname_valid(draft->network_alias.v[i].text))
			ERROR_AT(b, draft->network_alias.v[i].at,
				"NetworkAlias: \"%s\" is not a host's name",
				draft->network_alias.v[i].text);
}

static bool names_are_told(const struct build *b, uint32_t unit)
{
	const struct unit_draft *draft = b->parts[unit].draft;

	return b->set->units[unit].bridge && !(draft && draft->disable_dns.v);
}

static const char *joined(struct build *b, const struct strv *names)
{
	const char *text = "";

	for (size_t i = 0; i < names->n; i++)
		text = build_text(b, "%s%s%s", text, i ? " " : "", names->v[i]);
	return text;
}

/* The interfaces of one container on one network, as the container `unit` is told of them. */
static void unit_leases(struct build *b, uint32_t unit, uint32_t of, uint32_t network)
{
	const struct part *part = &b->parts[of];
	size_t nth = 0;

	for (size_t k = 0; k < part->nnets; k++) {
		struct strv names;

		if (!b->parts[part->nets[k].network].leased)
			continue;
		if (part->nets[k].network == network) {
			names = names_of(b, of, &part->nets[k]);
			leases_add(b, unit, of, nth, part->ifaces[k].ifname,
				names_are_told(b, network) ? joined(b, &names) : NULL);
		}
		nth++;
	}
}

/* Its own come with each network, and its lent links last. */
static void container_leases(struct build *b, uint32_t unit)
{
	const struct part *part = &b->parts[unit];
	const struct net_spec *net = &part->spec->net;
	size_t nth = 0;

	for (size_t i = 0; i < part->nnets; i++) {
		if (!b->parts[part->nets[i].network].leased)
			continue;
		nth++;
		for (uint32_t k = 0; k < b->set->nunits; k++)
			if (b->parts[k].spec && !b->parts[k].spec->native)
				unit_leases(b, unit, k, part->nets[i].network);
	}
	for (size_t i = 0; i < net->ndevices; i++)
		if (net->devices[i].leased)
			leases_add(b, unit, unit, nth++, net->devices[i].ifname, NULL);
}

static bool has_own_lease(const struct container_spec *spec)
{
	for (size_t i = 0; i < spec->nleases; i++)
		if (spec->leases[i].own)
			return true;
	return false;
}

void pass_names(struct build *b)
{
	size_t n = b->set->nunits;
	const char **networks = arena_alloc(&b->tmp, (n + 1) * sizeof *networks);

	if (!networks) {
		b->nomem = true;
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		/* The built-in one is in no file. */
		if (b->set->units[i].bridge && b->set->units[i].file[0] != '(')
			servers_check(b, &b->parts[i].draft->network_dns);
	for (uint32_t i = 0; i < n; i++)
		networks[i] = names_are_told(b, i) ? network_text(b, i) : "";
	for (uint32_t i = 0; i < n; i++) {
		struct part *part = &b->parts[i];
		const char *added;

		if (part->spec && b->set->units[i].bridge)
			name_server_texts(b, i);
		if (!part->spec || part->spec->native)
			continue;
		names_check(b, i);
		container_leases(b, i);
		added = added_text(b, part);
		part->spec->hosts = hosts_text(b, part, added, networks);
		part->spec->hosts_name = file_name(b, i, "hosts", *added);
		part->spec->resolv_conf = resolv_text(b, part);
		part->spec->resolv_name = file_name(b, i, "resolv",
			part->draft->dns.n || part->draft->dns_search.n ||
				has_own_lease(part->spec));
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t other = b->parts[i].shares;

		if (other == UNIT_NONE || !b->parts[i].spec || !b->parts[other].spec)
			continue;
		b->parts[i].spec->hosts = b->parts[other].spec->hosts;
		b->parts[i].spec->hosts_name = b->parts[other].spec->hosts_name;
		b->parts[i].spec->resolv_conf = b->parts[other].spec->resolv_conf;
		b->parts[i].spec->resolv_name = b->parts[other].spec->resolv_name;
		b->parts[i].spec->resolv_host = b->parts[other].spec->resolv_host;
		b->parts[i].spec->leases = b->parts[other].spec->leases;
		b->parts[i].spec->nleases = b->parts[other].spec->nleases;
	}
}
