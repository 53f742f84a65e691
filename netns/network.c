/* What the plain data of a network says: whose it is, which subnet, by which gateway; how ports are published. */
#include <stddef.h>

#include "netns/net.h"

bool net_is_ours(const struct net_bridge *bridge)
{
	return bridge->driver == NET_BRIDGE && !bridge->unmanaged;
}

bool net_by_rules(const struct net_port *ports, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!ports[i].proxied)
			return true;
	return false;
}

const char *net_publish_mode(const struct net_spec *net)
{
	if (!net->nports)
		return NULL;
	return net_by_rules(net->ports, net->nports) ? "nftables" : "proxy";
}

const struct net_subnet *net_subnet_of(const struct net_bridge *bridge, const struct net_addr *addr)
{
	for (size_t i = 0; i < bridge->nsubnets; i++)
		if (net_addr_in(&bridge->subnets[i].net, addr))
			return &bridge->subnets[i];
	return NULL;
}

const struct net_subnet *net_subnet_first(const struct net_bridge *bridge, int family)
{
	for (size_t i = 0; i < bridge->nsubnets; i++)
		if (bridge->subnets[i].net.family == family)
			return &bridge->subnets[i];
	return NULL;
}

const struct net_addr *net_addr_first(const struct net_addr *addrs, size_t n, int family)
{
	for (size_t i = 0; i < n; i++)
		if (addrs[i].family == family)
			return &addrs[i];
	return NULL;
}

const struct net_addr *net_iface_gateway(const struct net_iface *iface, int family)
{
	const struct net_bridge *bridge = iface->bridge;

	if (!iface->default_route || bridge->internal ||
		!net_addr_first(iface->addrs, iface->naddrs, family))
		return NULL;
	for (size_t i = 0; i < bridge->nsubnets; i++)
		if (bridge->subnets[i].gateway.family == family)
			return &bridge->subnets[i].gateway;
	return NULL;
}
