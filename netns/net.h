/* The doors of the network leaf. Everything is done over netlink by us; no tool is run. */
#ifndef BERTH_NETNS_NET_H
#define BERTH_NETNS_NET_H

#include <sys/types.h>

#include "netns/net_spec.h"
#include "supervisor/base/err.h"

/* "10.1.2.3", "10.1.2.0/24", "fd00::1/64": 0 or -EINVAL. Without a prefix it is 32 or 128. Bits
 * below the prefix are kept ("10.1.2.1/24"); whoever treats it as a subnet ignores them. */
int net_addr_parse(const char *text, struct net_addr *ret);
struct net_addr_text {
	char text[64];
};
/* With the prefix length when it is a subnet's, i.e. `with_prefix`. "" for an absent address. */
struct net_addr_text net_addr_print(const struct net_addr *addr, bool with_prefix);
struct net_port_text {
	char text[96];
};
/* As podman prints it: "0.0.0.0:8080->80/tcp", "[::1]:8000-8009->8000-8009/udp". */
struct net_port_text net_port_print(const struct net_port *port);
/* The same family, bytes and prefix. */
bool net_addr_equal(const struct net_addr *a, const struct net_addr *b);
/* Do two subnets share an address? */
bool net_addr_overlap(const struct net_addr *a, const struct net_addr *b);
bool net_addr_in(const struct net_addr *subnet, const struct net_addr *addr);
/* The subnet's own address, prefix kept: "10.1.2.1/24" gives "10.1.2.0/24". */
struct net_addr net_addr_network(const struct net_addr *addr);
/* How many addresses a subnet has; at most 2^63. */
uint64_t net_addr_span(const struct net_addr *subnet);
/* The n-th address of a subnet as a host's (prefix 32 or 128): 1 is the usual gateway. */
struct net_addr net_addr_nth(const struct net_addr *subnet, uint64_t n);
/* The reverse, for an address of the subnet: at most 2^63. */
uint64_t net_addr_index(const struct net_addr *subnet, const struct net_addr *addr);

/* Does the host carry the network, with addresses, routes and rules of ours? Else it is a bridge or
 * a link of somebody else's that we only attach to. */
bool net_is_ours(const struct net_bridge *bridge);
/* Is any of them published by packet rules? */
bool net_by_rules(const struct net_port *ports, size_t n);
/* "nftables" or "proxy": how its ports are published, all in one way. NULL: it has none. */
const char *net_publish_mode(const struct net_spec *net);
/* Each of these: the first one, or NULL. */
const struct net_subnet *net_subnet_of(
	const struct net_bridge *bridge, const struct net_addr *addr);
const struct net_subnet *net_subnet_first(const struct net_bridge *bridge, int family);
const struct net_addr *net_addr_first(const struct net_addr *addrs, size_t n, int family);
/* By whom the interface's default route of a family leads; NULL: it has none. */
const struct net_addr *net_iface_gateway(const struct net_iface *iface, int family);

/*
 * net_bridge_ensure - the bridge exists, is up, has its gateway addresses and MTU
 *
 * Idempotent; makes what is missing, in the network namespace of the caller. An interface of that
 * name that is no bridge, or that carries no "berth:INSTANCE" alias of ours, is refused (-EEXIST); so
 * is a subnet that a route of the host leads into (-EADDRINUSE). A network that is not ours needs
 * nothing.
 * Blocks: for a netlink answer.
 */
int net_bridge_ensure(const char *instance, const struct net_bridge *bridge, struct err *err);
/* Would it be refused now, if it were not there yet? Looks only: 0, or what net_bridge_ensure fails
 * with. Needs a network that is ours. */
int net_bridge_check(const char *instance, const struct net_bridge *bridge, struct err *err);

/*
 * net_ruleset_apply - masquerade, published ports and the walls of the whole declared set
 *
 * Gives: the nf_tables tables "berth-INSTANCE" of the families inet and bridge, replaced in one
 *        transaction: all or nothing.
 *        inet: ports answer from outside, from the host and on the host's loopback. Also turns on
 *        net.ipv4.ip_forward (and ipv6 when a bridge has IPv6; the host's links then go on taking
 *        router advertisements) and, when there are ports, route_localnet on our bridges, guarded.
 *        Networks do not reach each other (unless `reaches` says so) or, when internal, the outside;
 *        nobody outside reaches a container but by its published ports; a container reaches the
 *        host's own services by `host_ports` alone. A firewall of somebody else's that drops
 *        forwarded packets stays in force. Where br_netfilter looks at IPv6
 *        (bridge-nf-call-ip6tables), ports do not answer on ::1 (refused, not silent).
 *        bridge: no member gives itself out as another; `filter` of each. What a container sends
 *        has its own MAC and IP addresses, in ARP and neighbour discovery too, and is no router
 *        advertisement and no redirect; frames other than ARP and IP are dropped.
 *        Without bridges, or without members, that table is removed; without bridges no sysctl is
 *        touched.
 *        *unguarded (unless NULL): where the kernel has no nf_tables for bridges, and no member has
 *        a filter, the first table is written alone, and why is told there.
 * Fails: -EOPNOTSUPP and others: the text names what the kernel lacks. -EEXIST: a port twice.
 */
int net_ruleset_apply(const char *instance, const struct net_rules *rules, struct err *unguarded,
	struct err *err);
/* Both tables. */
int net_ruleset_remove(const char *instance, struct err *err);

/* A program of the host that has a port. */
struct net_holder {
	uint16_t port;
	int pid;       /* 0: nobody's, or of a process that is not seen from here */
	char comm[16]; /* "" then */
};
/*
 * net_port_holders - who in the caller's network namespace listens where a published port would
 *
 * Gives: each to `tell`: of every address those on any of them. A kernel that cannot list its sockets
 *        has none. Looks through /proc for each that is found: never from the loop.
 */
int net_port_holders(const struct net_port *ports, size_t n,
	void (*tell)(const struct net_port *port, const struct net_holder *holder, void *data),
	void *data, struct err *err);

/* Can the kernel make a link of this kind ("bridge", "veth")? Makes one, in the network namespace of
 * the caller, which is one to be thrown away. -EOPNOTSUPP: it cannot. */
int net_link_probe(const char *kind, struct err *err);
/* Does the kernel have nf_tables? 0, or -errno; -EPERM: the caller may not ask. */
int net_nft_probe(void);
/* May a link have IPv6 addresses (NULL: a new one)? -EAFNOSUPPORT: the kernel has none of it; -EACCES:
 * it is switched off. With words that say what to do. */
int net_ip6_probe(const char *ifname, struct err *err);
/* Does the host forward IPv4 (or could it be told to)? -EROFS: no, and it cannot be told. */
int net_forward_probe(void);
/* Only a kernel that says it has none has none: who may not ask will be told so by what he does. */
bool net_has_nft(void);

/* lo is up in the network namespace of the caller. */
int net_loopback_up(struct err *err);

/*
 * netns_ensure - the pinned network namespace at `pin` (a path on a private mount), made if missing
 *
 * Gives: a namespace descriptor. A stale pin (a file that is not a mount of nsfs) is replaced. Inside
 *        a new one `lo` is up. *ret_made says whether it is new. The caller's namespace is unchanged.
 */
int netns_ensure(const char *pin, bool *ret_made, struct err *err);
/* The pinned namespace, if there is one: else -ENOENT, without words. */
int netns_open(const char *pin, struct err *err);
/* The caller enters a namespace that somebody else made and named ("/run/netns/x"). */
int netns_join(const char *path, struct err *err);
/*
 * net_remove - a namespace that nobody is in any more, and its pin; 0 also when there is none
 *
 * What the kernel still has to send for the dead keeps the namespace for minutes, and with a macvlan an
 * address on the network outside, which the next one could not have: so these and all sockets go first.
 */
int net_remove(const char *pin);

/*
 * net_attach - links, addresses, default routes of every iface; idempotent
 *
 * Needs: the bridges to exist, CAP_NET_ADMIN in both namespaces; called in the host's namespace. A
 *        VLAN that a macvlan or ipvlan sits on is made, its parent brought up.
 * Gives: all interfaces up with their addresses in `netns_fd` (IPv6 without duplicate address
 *        detection: they are leased), or, on failure, none of those it made.
 */
int net_attach(int netns_fd, const struct net_iface *ifaces, size_t n, struct err *err);
/*
 * net_announce - the neighbours are told of the addresses: gratuitous ARP, unsolicited advertisements
 *
 * For who had them before, perhaps on another link. Called in the host's namespace, of links that were
 * just attached; a port that its bridge opens late is waited for, a second at most.
 * Fails: the sockets, with words; what cannot be sent is not.
 */
int net_announce(int netns_fd, const struct net_iface *ifaces, size_t n, struct err *err);
/* Removes the host ends (17 ms each: never from the loop). Missing ones are fine. */
int net_detach(const struct net_iface *ifaces, size_t n, struct err *err);
/*
 * net_clear - what a killed run left in a kept namespace is taken away before the next
 *
 * Needs: none of its processes lives; those of `others` may.
 * Sockets are destroyed by INET_DIAG (SOCK_DESTROY, where the kernel has it), foreign addresses and
 * routes removed, then net_attach's state is true again. What may be the others' stays: all sockets
 * but those in TIME_WAIT, and where one of them may configure it, all addresses and routes. What was
 * leased, or what the kernel made of a router's word, is not foreign.
 */
int net_clear(int netns_fd, const struct net_spec *net, enum net_others others, struct err *err);

/*
 * net_devices_take - links of the host are moved into the container's namespace; idempotent
 *
 * Called in the host's namespace. Gives: each under its name inside, up, without addresses; or, on
 *        failure, all of them with the host.
 * Fails: -ENODEV there is none of that name; -EINVAL the host cannot do without it: a port of a
 *        bridge or bond, the way of a default route. Nothing has moved then.
 */
int net_devices_take(int netns_fd, const struct net_device *devices, size_t n, struct err *err);
/*
 * net_devices_back - what was lent to a namespace is the caller's namespace's again, but for `keep`
 *
 * Under the name and with the alias it had; down. When the name was taken meanwhile: as "lentN".
 * Blocks: tens of ms for each (never from the loop). The first failure is told, the others tried.
 */
int net_devices_back(int netns_fd, const struct net_device *keep, size_t nkeep, struct err *err);
/* Is it the alias of a link of somebody else's that is lent? */
bool net_is_lent(const char *alias);

/*
 * net_uplink_apply - a link is up, with these addresses and default routes; idempotent
 *
 * What is there already is not touched, nor are addresses and routes that somebody else has set. Those
 * of `old` (what was applied before; NULL: nothing) that are not in `now` go. In the namespace
 * `netns_fd`, or (-1) the caller's.
 * Gives: 1; 0: there is no such link (yet). `ret`: its name.
 * Blocks: for netlink answers.
 */
int net_uplink_apply(int netns_fd, const struct net_uplink *old, const struct net_uplink *now,
	char ret[static 16], struct err *err);

/* Has any link but lo an IPv4 address for the world? 1, and its name; 0, or -errno. */
int net_first_address(char ret[static 16], struct err *err);

/* What the links of a namespace carried since they were made, but for lo; errors count as drops. */
struct net_usage {
	uint64_t rx_bytes, rx_packets, rx_dropped;
	uint64_t tx_bytes, tx_packets, tx_dropped;
};
/* Needs: `pin` as netns_ensure has it. Blocks: for a netlink answer. */
int net_usage(const char *pin, struct net_usage *ret, struct err *err);

/* A link as it is, for those who ask. */
enum { NET_VIEW_ADDRS = 16, NET_VIEW_ROUTES = 16 };
struct net_view {
	bool found, up;
	uint32_t mtu;
	uint8_t mac[6];
	char kind[16], alias[256]; /* kind "": a real device */
	struct net_addr addrs[NET_VIEW_ADDRS];
	size_t naddrs;
	struct net_route routes[NET_VIEW_ROUTES]; /* of the main table */
	size_t nroutes;
	struct net_usage usage;
};
/* In the namespace, or (-1) the caller's. No such link: 0, found is false. Blocks: for netlink. */
int net_look(int netns_fd, const char *ifname, struct net_view *ret, struct err *err);
/* Has it the address? Yes, when that is absent. */
bool net_view_has(const struct net_view *view, const struct net_addr *addr);

/* How an interface differs from what net_attach makes of it. */
enum net_state {
	NET_RIGHT,
	NET_UNPLUGGED, /* its outer end is not on the bridge. Without one: never */
	NET_GONE,      /* there is none of its name inside */
	NET_DOWN,
	NET_NO_ADDRESS,
	NET_NO_ROUTE,
};
/* The first of these that is true, or -errno. netns_fd -1: who is inside may change what he likes, so
 * only the outer end counts. Blocks: for netlink. */
int net_compare(int netns_fd, const struct net_iface *iface, struct err *err);

/* What the tables of ours say, as the kernel has it: one element of a set, or one translation. */
struct net_rule {
	const char *kind; /* "published", "leaves", "internal", "calls", "host", "is", "filtered" */
	char ifname[16];  /* the bridge, or the port on it, that it is about; "": none */
	struct net_addr addr; /* the address that it is about; family 0: none */
	char text[160];       /* in words */
};
/*
 * net_rules_look - all of them, each to `tell`, in no order
 *
 * Fails: netlink. Without tables, or without nf_tables: none.
 */
int net_rules_look(const char *instance, void (*tell)(const struct net_rule *rule, void *data),
	void *data, struct err *err);

/*
 * net_walls_of_others - chains of other tables that drop what is forwarded and is not known to them
 *
 * By their policy, or by a rule without a condition. One that lets pass what was translated (ct status,
 * or iptables' DNAT) is none. What is dropped in chains that they jump to, or of some links alone, is
 * not found.
 * Gives: a sentence each to `tell`, with the line that opens it for published ports. Without nf_tables,
 *        or for who may not ask: none. Blocks: for netlink.
 */
void net_walls_of_others(
	const char *instance, void (*tell)(const char *text, void *data), void *data);

/* Removes every link whose alias is "berth:INSTANCE:…" and is not wanted: veths and bridges. */
int net_prune(const char *instance,
	bool (*wanted)(const char *ifname, const char *alias, void *data), void *data,
	struct err *err);

/* The name of a bridge for a network ("br-" + its name, or of a name above 11 characters its first
 * four and a hash) and of a host end ("b" + 10 hex digits). At most 15 bytes, as Linux wants it. */
void net_bridge_ifname(const char *network, char ret[static 16]);
void net_host_ifname(const char *instance, const char *unit, unsigned index, char ret[static 16]);
/* A stable, locally administered MAC address: the same seed gives the same one. */
void net_mac(const char *seed, uint8_t ret[static 6]);

/*
 * Leases: an address for each (network, unit), stable over restarts and reboots.
 *
 * The file is text, one "ADDRESS UNIT" a line; the caller reads and writes it, one per network: a line
 * counts for the subnet that its address is in. Hash first, probe linearly; gateway, network and
 * broadcast address are never given out.
 */
struct net_lease {
	const char *unit;
	struct net_addr fixed; /* IP= was given: family not 0 */
	struct net_addr addr;  /* the result, with prefix 32 or 128 */
};
/* Fills addr of each in one subnet; a stored lease (`stored` is the file's text, or NULL) wins over the hash, a
 * fixed address over a stored lease. Fails: -ENOSPC the subnet is full, -EADDRINUSE two fixed ones
 * are equal, -EINVAL one is outside the subnet or the network's own. */
int net_lease_assign(const struct net_subnet *subnet, struct net_lease *leases, size_t n,
	const char *stored, struct err *err);
/* The text for the file (for file_replace_at): the length, or -ENOSPC when `size` is too small. */
ssize_t net_lease_print(const struct net_lease *leases, size_t n, char *buf, size_t size);

#endif
