#include "supervisor/runtime/lease.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "netns/net.h"
#include "supervisor/base/num.h"

/* Cuts the next word off: false when there is none. Longer than any address: "". */
static bool next_word(const char **list, char ret[static 64])
{
	size_t n;

	*list += strspn(*list, " ");
	n = strcspn(*list, " ");
	(void)snprintf(ret, 64, "%.*s", n < 64 ? (int)n : 0, *list);
	*list += n;
	return n > 0;
}

static bool is_ipv4(const char *text, struct net_addr *ret)
{
	return net_addr_parse(text, ret) == 0 && ret->family == AF_INET;
}

/* An address of one host, which is not this one. */
static bool is_host(const char *text, struct net_addr *ret)
{
	return is_ipv4(text, ret) && !strchr(text, '/') && ret->bytes[0] != 0 &&
	       ret->bytes[0] != 127 && ret->bytes[0] < 224;
}

/* "10.0.0.0/8 192.0.2.1 …"; through 0.0.0.0: by the link itself. */
static void read_routes(const char *list, struct lease *ret)
{
	struct net_uplink *link = &ret->set.link;
	char to[64];
	char via[64];

	while (link->nroutes < LEASE_ROUTES_MAX && next_word(&list, to) && next_word(&list, via)) {
		struct net_route route = { 0 };

		if (!is_ipv4(to, &route.to) || !strchr(to, '/') ||
			(route.to.prefix && (route.to.bytes[0] == 127 || route.to.bytes[0] >= 224)))
			continue;
		if (!is_host(via, &route.via)) {
			if (strcmp(via, "0.0.0.0") != 0)
				continue;
			route.via = (struct net_addr){ 0 };
		}
		route.to = net_addr_network(&route.to);
		ret->routes[link->nroutes++] = route;
	}
	link->routes = ret->routes;
}

static void read_servers(const char *list, struct lease *ret)
{
	struct strv *dns = &ret->set.dns;
	struct net_addr ignored;

	dns->v = ret->servers;
	while (dns->n < LEASE_SERVERS_MAX && next_word(&list, ret->names[dns->n]))
		if (is_host(ret->names[dns->n], &ignored)) {
			ret->servers[dns->n] = ret->names[dns->n];
			dns->n++;
		}
}

int lease_read(lease_word_fn *word, void *data, uint32_t metric, uint64_t now, struct lease *ret,
	struct err *err)
{
	struct net_uplink *link = &ret->set.link;
	const char *routers = word("router", data);
	const char *routes = word("staticroutes", data);
	const char *domains = word("search", data);
	struct net_addr from;
	char router[64];
	uint32_t prefix = 32;

	*ret = (struct lease){ 0 };
	*link = (struct net_uplink){ .name = word("interface", data),
		.addrs = &ret->addr,
		.naddrs = 1,
		.metric = metric,
		.leased = true };
	if (*word("mask", data) && num_u32(word("mask", data), &prefix) < 0)
		prefix = UINT32_MAX;
	if (!is_host(word("ip", data), &ret->addr) || prefix < 1 || prefix > 32)
		return err_set(err, EINVAL, "the server's \"%.40s/%.10s\" is no address",
			word("ip", data), word("mask", data));
	ret->addr.prefix = (uint8_t)prefix;
	read_routes(*routes ? routes : word("msstaticroutes", data), ret);
	if (!link->nroutes && next_word(&routers, router) && !is_host(router, &link->gateway4))
		link->gateway4 = (struct net_addr){ 0 };
	if (num_u32(word("mtu", data), &link->mtu) < 0 || link->mtu < 576 || link->mtu > 65535)
		link->mtu = 0;
	/* The kernel takes the address away when nobody renews it: also when the client is dead. */
	if (num_u32(word("lease", data), &link->lifetime) < 0 || link->lifetime == UINT32_MAX)
		link->lifetime = 0;
	ret->set.until = link->lifetime ? now + link->lifetime : 0;
	read_servers(word("dns", data), ret);
	ret->set.search = *domains ? domains : word("domain", data);
	if (!uplink_is_domains(ret->set.search))
		ret->set.search = NULL;
	if (is_host(word("serverid", data), &from)) {
		(void)snprintf(ret->from, sizeof ret->from, "%s", word("serverid", data));
		ret->set.from = ret->from;
	}
	return 0;
}
