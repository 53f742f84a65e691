/* The shape of what the network is asked for. Plain data; who fills it keeps the strings alive. */
#ifndef BERTH_NETNS_NET_SPEC_H
#define BERTH_NETNS_NET_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An address or a subnet, in network byte order. family 0: absent. */
struct net_addr {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t prefix; /* length in bits */
	uint8_t bytes[16];
};

/* A bridge network: one .network file, or the built-in default. */
struct net_bridge {
	const char *name;   /* NetworkName= or the unit's stem */
	const char *ifname; /* of the bridge, at most 15 bytes */
	/* The gateways are the bridge's own addresses; their prefix is the subnet's. */
	struct net_addr subnet4, gateway4;
	struct net_addr subnet6, gateway6;
	bool internal; /* no default route, no masquerade */
	uint32_t mtu;  /* 0: the kernel's default */
};

/* One interface of a container, on one bridge. */
struct net_iface {
	const struct net_bridge *bridge;
	const char *host_ifname; /* the bridge's end of the veth pair: "b" + 10 hex digits */
	const char *alias;       /* ifalias of that end: "berth:INSTANCE:UNIT:INDEX" */
	const char *ifname;      /* inside: eth0, eth1, … */
	/* Hosts' addresses (prefix 32 or 128): the length of the subnet is the bridge's. */
	struct net_addr addr4, addr6;
	bool default_route; /* through the bridge's gateways, unless the bridge is internal */
	uint8_t mac[6];     /* all zero: the kernel's choice; net_mac() gives a stable one */
};

/* A published port: what arrives at host_addr:host_port goes to addr:port. */
struct net_port {
	uint8_t protocol;          /* IPPROTO_TCP or IPPROTO_UDP */
	struct net_addr host_addr; /* family 0, or all zero: every address of the host */
	uint16_t host_port, port;
	uint16_t count;       /* of a range, at least 1 */
	struct net_addr addr; /* of the container; the same family as host_addr */
	bool chosen;          /* nobody wrote host_port: it is kept with the leases */
};

enum net_mode { NET_PRIVATE, NET_HOST, NET_NONE, NET_CONTAINER };

/* How one container is attached. */
struct net_spec {
	enum net_mode mode;    /* PRIVATE: own namespace with `ifaces`; NONE: own, only lo */
	const char *container; /* NET_CONTAINER: the unit whose namespace is shared */
	const struct net_iface *ifaces;
	size_t nifaces;
	const struct net_port *ports;
	size_t nports;
};

#endif
