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

struct net_route {
	struct net_addr to;  /* prefix 0: the default route */
	struct net_addr via; /* family 0: to the link itself */
};

/* Addresses from the first to the last one; family 0: no range. */
struct net_range {
	struct net_addr first, last;
};

/* One subnet of a network. */
struct net_subnet {
	struct net_addr net;     /* the bits behind the prefix are 0 */
	struct net_addr gateway; /* with the same prefix; family 0: there is none */
	struct net_range range;  /* what is leased; family 0: all of it */
};
enum { NET_SUBNETS_MAX = 8 }; /* of one network */

/* How the containers of a network are attached to it. */
enum net_driver {
	NET_BRIDGE,  /* a veth pair each, on a bridge */
	NET_MACVLAN, /* a link each on the parent, with a MAC address of its own */
	NET_IPVLAN,  /* the same with the parent's MAC address */
};

/* A network: one .network file, or the built-in default. */
struct net_bridge {
	const char *name; /* NetworkName= or the unit's stem */
	enum net_driver driver;
	/* NET_BRIDGE: the bridge's name; else the parent's, "eth0" or "eth0.20", which is made as a
	 * VLAN of eth0 when it is missing. At most 15 bytes. */
	const char *ifname;
	/* IPv4 before IPv6; the gateways of a bridge of ours are its own addresses. */
	const struct net_subnet *subnets;
	size_t nsubnets;
	bool internal;  /* no default route, no masquerade */
	bool isolate;   /* its containers are kept from those of other networks */
	bool unmanaged; /* NET_BRIDGE: somebody else's: gets our ports and nothing else */
	uint8_t mode;   /* enum macvlan_mode of linux/if_link.h, or of ipvlan */
	uint16_t vlan;  /* NET_BRIDGE: the containers are in this VLAN; 0: none is meant */
	uint32_t mtu;   /* 0: the kernel's default */
	/* Networks that its containers may call; the answers come back. */
	const struct net_bridge *const *reaches;
	size_t nreaches;
};

/* One interface of a container, on one network. */
struct net_iface {
	const struct net_bridge *bridge;
	const char *host_ifname; /* the bridge's end of the veth pair: "b" + 10 hex digits */
	const char *alias;       /* ifalias of that end: "berth:INSTANCE:UNIT:INDEX" */
	const char *ifname;      /* inside: eth0, eth1, … */
	/* One in each subnet of the network, in their order, each with the length of its subnet. */
	const struct net_addr *addrs;
	size_t naddrs;
	bool default_route; /* of each family, by the first gateway, unless the network is internal */
	bool leased;        /* its IPv4 address is somebody else's to set: a DHCP client's */
	uint8_t mac[6];     /* all zero: the kernel's choice; net_mac() gives a stable one */
};

/* A link of the host that is moved into the container. */
struct net_device {
	const char *name;   /* on the host: "eth1" */
	const char *ifname; /* inside */
	const char *alias;  /* meanwhile: "berth:INSTANCE:UNIT:device:NAME" */
	bool leased;        /* a DHCP client sets its address */
};

/* A link of the host that berth itself sets up; also one of a container whose addresses somebody
 * else leases. */
struct net_uplink {
	const char *name; /* "": the first real device that there is */
	/* Each with the length of its subnet. */
	const struct net_addr *addrs;
	size_t naddrs;
	struct net_addr gateway4, gateway6; /* family 0: no default route */
	const struct net_route *routes; /* beside those: what else is reached, and through whom */
	size_t nroutes;
	uint32_t metric;   /* of the routes: the lower one is taken */
	uint32_t mtu;      /* 0: as it is */
	uint32_t lifetime; /* of the addresses, in seconds; 0: they stay */
	bool leased;       /* by a DHCP server: the routes say so */
};

/* A published port: what arrives at host_addr:host_port goes to addr:port. */
struct net_port {
	uint8_t protocol;          /* IPPROTO_TCP or IPPROTO_UDP */
	struct net_addr host_addr; /* family 0, or all zero: every address of the host */
	uint16_t host_port, port;
	uint16_t count;       /* of a range, at least 1 */
	struct net_addr addr; /* of the container; the same family as host_addr */
	bool chosen;          /* nobody wrote host_port: it is kept with the leases */
	bool proxied;         /* a process of ours listens on it: no packet rule translates it */
};

/* Ports of the host itself, which a container may use. */
struct net_host_port {
	uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	uint16_t port, count;
};

/* Whom a container may talk to at all, as systemd means it: who is in no list may. */
struct net_filter {
	const struct net_addr *allow; /* subnets; win over the others */
	const struct net_addr *deny;
	size_t nallow, ndeny;
};

enum net_mode { NET_PRIVATE, NET_HOST, NET_NONE, NET_CONTAINER, NET_PATH };

/* How one container is attached. */
struct net_spec {
	enum net_mode mode;    /* PRIVATE: own namespace with `ifaces`; NONE: own, only lo */
	const char *container; /* NET_CONTAINER: the unit whose namespace is shared */
	const char *path;      /* NET_PATH: a namespace that somebody else made */
	const struct net_iface *ifaces;
	size_t nifaces;
	const struct net_device *devices; /* NET_PRIVATE */
	size_t ndevices;
	const struct net_port *ports;
	size_t nports;
	struct net_filter filter;
	const struct net_host_port *host_ports;
	size_t nhost_ports;
	bool foreign_source; /* it forwards for others: its frames may carry any address */
};

/* Who else is in a namespace: containers that share it and run. */
enum net_others {
	NET_ALONE,
	NET_OTHERS,
	NET_OTHERS_ADMIN, /* one of them may configure it */
};

/* Everything that the packet rules say. */
struct net_rules {
	const struct net_bridge *const *bridges;
	size_t nbridges;
	const struct net_port *ports;
	size_t nports;
	const struct net_spec *const *members; /* who is on the bridges */
	size_t nmembers;
};

#endif
