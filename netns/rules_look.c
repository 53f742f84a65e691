/* What is in the tables of ours now, read back from the kernel: the elements of their sets and maps,
 * which say nearly all, and the translations of who leaves. The other side of ruleset.c and guard.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "netns/net.h"
#include "netns/nft.h"
#include "netns/nft_read.h"
#include "supervisor/base/own.h"

struct element {
	const uint8_t *key, *value;
	size_t key_size, value_size;
	const char *chain; /* of a map of verdicts */
};

struct look {
	char table[64];
	void (*tell)(const struct net_rule *rule, void *data);
	void *data;
	const struct set *set;
};

typedef void render_fn(const struct element *e, struct net_rule *ret);

/* ---- one set each -------------------------------------------------------------------------------- */

static struct net_addr addr_of(const uint8_t *bytes, size_t size)
{
	struct net_addr addr = { .family = size == 4 ? AF_INET : AF_INET6,
		.prefix = (uint8_t)(8 * size) };

	memcpy(addr.bytes, bytes, size);
	return addr;
}

static unsigned port_at(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static const char *protocol_of(uint8_t number)
{
	return number == IPPROTO_TCP ? "tcp" : number == IPPROTO_UDP ? "udp" : "?";
}

static void name_take(char ret[static IFNAMSIZ], const uint8_t *at)
{
	memcpy(ret, at, IFNAMSIZ - 1);
	ret[IFNAMSIZ - 1] = '\0';
}

static void render_internal(const struct element *e, struct net_rule *ret)
{
	name_take(ret->ifname, e->key);
	(void)snprintf(ret->text, sizeof ret->text, "no way out, and none in");
}

static void render_pair(const struct element *e, struct net_rule *ret)
{
	char to[IFNAMSIZ];

	name_take(ret->ifname, e->key);
	name_take(to, e->key + IFNAMSIZ);
	(void)snprintf(ret->text, sizeof ret->text, "may call %s",
		strcmp(to, ret->ifname) == 0 ? "its own members" : to);
}

/* [address] protocol port -> address port; each fills whole words. */
static void render_port(const struct element *e, struct net_rule *ret)
{
	size_t size = e->value_size - 4;
	size_t skip = e->key_size - 8;
	struct net_port port = { .count = 1 };

	ret->addr = port.addr = addr_of(e->value, size);
	if (skip)
		port.host_addr = addr_of(e->key, skip);
	port.protocol = e->key[skip];
	port.host_port = (uint16_t)port_at(e->key + skip + 4);
	port.port = (uint16_t)port_at(e->value + size);
	(void)snprintf(ret->text, sizeof ret->text, "%s %s%s%u to %s port %u",
		protocol_of(port.protocol), skip ? net_addr_print(&port.host_addr, false).text : "",
		skip ? " port " : "", port.host_port, net_addr_print(&port.addr, false).text,
		port.port);
}

static void render_host(const struct element *e, struct net_rule *ret)
{
	size_t size = e->key_size - 8;

	ret->addr = addr_of(e->key, size);
	(void)snprintf(ret->text, sizeof ret->text, "%s may use the host's %s port %u",
		net_addr_print(&ret->addr, false).text, protocol_of(e->key[size]),
		port_at(e->key + size + 4));
}

static void render_own(const struct element *e, struct net_rule *ret)
{
	const uint8_t *mac = e->key + IFNAMSIZ;
	struct net_addr addr =
		addr_of(mac + NFT_SIZE_ETHER, e->key_size - IFNAMSIZ - NFT_SIZE_ETHER);

	name_take(ret->ifname, e->key);
	(void)snprintf(ret->text, sizeof ret->text, "%s is %s at %02x:%02x:%02x:%02x:%02x:%02x",
		ret->ifname, net_addr_print(&addr, false).text, mac[0], mac[1], mac[2], mac[3],
		mac[4], mac[5]);
}

static void render_filter(const struct element *e, struct net_rule *ret)
{
	name_take(ret->ifname, e->key);
	(void)snprintf(ret->text, sizeof ret->text, "%s by chain %s", ret->ifname,
		e->chain ? e->chain : "?");
}

static const struct set {
	uint8_t family;
	const char *name;
	size_t key_size, value_size; /* as the kernel has them; another one is not ours */
	const char *kind;
	render_fn *render;
} sets[] = {
	{ NFPROTO_INET, "internal", IFNAMSIZ, 0, "internal", render_internal },
	{ NFPROTO_INET, "pairs", 2 * IFNAMSIZ, 0, "calls", render_pair },
	{ NFPROTO_INET, "ports4", 8, 8, "published", render_port },
	{ NFPROTO_INET, "ports4_addr", 12, 8, "published", render_port },
	{ NFPROTO_INET, "ports6", 8, 20, "published", render_port },
	{ NFPROTO_INET, "ports6_addr", 24, 20, "published", render_port },
	{ NFPROTO_INET, "host4", 12, 0, "host", render_host },
	{ NFPROTO_INET, "host6", 24, 0, "host", render_host },
	{ NFPROTO_BRIDGE, "addr4", IFNAMSIZ + NFT_SIZE_ETHER + 4, 0, "is", render_own },
	{ NFPROTO_BRIDGE, "addr6", IFNAMSIZ + NFT_SIZE_ETHER + 16, 0, "is", render_own },
	{ NFPROTO_BRIDGE, "filter_to", IFNAMSIZ, 0, "filtered", render_filter },
	{ NFPROTO_BRIDGE, "filter_from", IFNAMSIZ, 0, "filtered", render_filter },
};

/* ---- reading the answers ------------------------------------------------------------------------- */

static void element_take(const struct look *look, const struct nlattr *elem)
{
	const struct nlattr *key =
		nft_in_nest(nft_in_nest(elem, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
	const struct nlattr *data = nft_in_nest(elem, NFTA_SET_ELEM_DATA);
	const struct nlattr *value = nft_in_nest(data, NFTA_DATA_VALUE);
	const struct nlattr *chain =
		nft_in_nest(nft_in_nest(data, NFTA_DATA_VERDICT), NFTA_VERDICT_CHAIN);
	struct net_rule rule = { .kind = look->set->kind };
	struct element e = { 0 };

	if (!key || mnl_attr_get_payload_len(key) != look->set->key_size ||
		(look->set->value_size &&
			(!value || mnl_attr_get_payload_len(value) != look->set->value_size)))
		return;
	e.key = mnl_attr_get_payload(key);
	e.key_size = look->set->key_size;
	e.value = value ? mnl_attr_get_payload(value) : NULL;
	e.value_size = look->set->value_size;
	e.chain = chain ? mnl_attr_get_str(chain) : NULL;
	look->set->render(&e, &rule);
	look->tell(&rule, look->data);
}

static int on_elements(const struct nlmsghdr *h, void *data)
{
	const struct nlattr *list = nft_attr(h, NFTA_SET_ELEM_LIST_ELEMENTS);
	const struct nlattr *elem = list ? nft_next_in(list, NULL) : NULL;

	for (; elem; elem = nft_next_in(list, elem))
		element_take(data, elem);
	return MNL_CB_OK;
}

/* "ip saddr SUBNET … masquerade": the subnet is the first value of an address's size. What is about
 * answers of translations (ct) is left out. */
static int on_rule(const struct nlmsghdr *h, void *data)
{
	const struct nlattr *list = nft_attr(h, NFTA_RULE_EXPRESSIONS);
	const struct look *look = data;
	struct net_rule rule = { .kind = "leaves" };
	bool leaves = false;

	for (const struct nlattr *elem = list ? nft_next_in(list, NULL) : NULL; elem;
		elem = nft_next_in(list, elem)) {
		const struct nlattr *name = nft_in_nest(elem, NFTA_EXPR_NAME);
		const struct nlattr *value =
			nft_in_nest(nft_in_nest(nft_in_nest(elem, NFTA_EXPR_DATA), NFTA_CMP_DATA),
				NFTA_DATA_VALUE);
		size_t size = value ? mnl_attr_get_payload_len(value) : 0;

		if (!name || strcmp(mnl_attr_get_str(name), "ct") == 0)
			return MNL_CB_OK;
		leaves = leaves || strcmp(mnl_attr_get_str(name), "masq") == 0;
		if (strcmp(mnl_attr_get_str(name), "cmp") == 0 && !rule.addr.family &&
			(size == 4 || size == 16))
			rule.addr = addr_of(mnl_attr_get_payload(value), size);
	}
	if (!leaves || !rule.addr.family)
		return MNL_CB_OK;
	(void)snprintf(rule.text, sizeof rule.text, "who is in %s leaves as the host",
		net_addr_print(&rule.addr, false).text);
	look->tell(&rule, look->data);
	return MNL_CB_OK;
}

/* ---- asking -------------------------------------------------------------------------------------- */

static int look_all(struct mnl_socket *sock, struct look *look)
{
	const struct nft_question leaves = { NFPROTO_INET, NFT_MSG_GETRULE, look->table,
		NFTA_RULE_CHAIN, "postrouting" };
	int r = mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) < 0
			? -errno
			: nft_ask(sock, &leaves, on_rule, look);

	for (size_t i = 0; r == 0 && i < sizeof sets / sizeof sets[0]; i++) {
		const struct nft_question elements = { sets[i].family, NFT_MSG_GETSETELEM,
			look->table, NFTA_SET_ELEM_LIST_SET, sets[i].name };

		look->set = &sets[i];
		r = nft_ask(sock, &elements, on_elements, look);
	}
	return r;
}

int net_rules_look(const char *instance, void (*tell)(const struct net_rule *rule, void *data),
	void *data, struct err *err)
{
	struct mnl_socket *sock = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	struct look look = { .tell = tell, .data = data };
	int r;

	(void)snprintf(look.table, sizeof look.table, "berth-%.40s", instance);
	if (!sock)
		return errno == EPROTONOSUPPORT ? 0 : err_sys(err, errno, "read the packet rules");
	r = look_all(sock, &look);
	(void)mnl_socket_close(sock);
	/* The kernel has no nf_tables. */
	return r == 0 || r == -EINVAL ? 0 : err_sys(err, -r, "read the packet rules");
}
