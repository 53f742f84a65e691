#include "netns/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A message never grows beyond half of the room it begins with: an attribute's length has 16 bits,
 * and list of elements is cut into several messages long before. */
enum { ROOM = 65536, ELEMENTS_MAX = 24576, IN_SIZE = 16384 };

static struct nlmsghdr *put_header(struct nft *nft, uint16_t type, uint16_t flags, uint16_t res_id)
{
	struct nfgenmsg *info;

	if (nft->size - nft->used < ROOM) {
		uint8_t *grown = realloc(nft->buf, nft->size + (size_t)4 * ROOM);

		if (!grown) {
			nft->failed = true;
			nft->open = NULL;
			return NULL;
		}
		nft->buf = grown;
		nft->size += (size_t)4 * ROOM;
	}
	nft->open = mnl_nlmsg_put_header(nft->buf + nft->used);
	nft->open->nlmsg_type = type;
	nft->open->nlmsg_flags = NLM_F_REQUEST | flags;
	nft->open->nlmsg_seq = ++nft->seq;
	info = mnl_nlmsg_put_extra_header(nft->open, sizeof *info);
	info->nfgen_family = type < 1 << 8 ? AF_UNSPEC : nft->family ? nft->family : NFPROTO_INET;
	info->version = NFNETLINK_V0;
	info->res_id = htons(res_id);
	return nft->open;
}

static void message_end(struct nft *nft)
{
	if (nft->open)
		nft->used += NLMSG_ALIGN(nft->open->nlmsg_len);
	nft->open = NULL;
}

/* Each put below does nothing when the message could not be begun. */
static void put_u32(struct nft *nft, uint16_t type, uint32_t value)
{
	if (nft->open)
		mnl_attr_put_u32(nft->open, type, htonl(value));
}

static void put_text(struct nft *nft, uint16_t type, const char *text)
{
	if (nft->open)
		mnl_attr_put_strz(nft->open, type, text);
}

static struct nlattr *nest_begin(struct nft *nft, uint16_t type)
{
	return nft->open ? mnl_attr_nest_start(nft->open, type) : NULL;
}

static void nest_end(struct nft *nft, struct nlattr *nest)
{
	if (nft->open)
		mnl_attr_nest_end(nft->open, nest);
}

static void put_value(struct nft *nft, uint16_t type, const void *data, size_t size)
{
	struct nlattr *nest = nest_begin(nft, type);

	if (nft->open)
		mnl_attr_put(nft->open, NFTA_DATA_VALUE, size, data);
	nest_end(nft, nest);
}

static void put_verdict(struct nft *nft, int verdict, const char *chain)
{
	struct nlattr *nest = nest_begin(nft, NFTA_DATA_VERDICT);

	put_u32(nft, NFTA_VERDICT_CODE, (uint32_t)verdict);
	if (chain)
		put_text(nft, NFTA_VERDICT_CHAIN, chain);
	nest_end(nft, nest);
}

static void message_begin(struct nft *nft, uint16_t type, uint16_t flags)
{
	(void)put_header(nft, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, 0);
	/* NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, …_ELEM_LIST_TABLE */
	put_text(nft, 1, nft->table);
}

void nft_begin(struct nft *nft)
{
	nft->seq = 0;
	nft->used = 0;
	nft->refused = 0;
	(void)put_header(nft, NFNL_MSG_BATCH_BEGIN, 0, NFNL_SUBSYS_NFTABLES);
	message_end(nft);
}

void nft_done(struct nft *nft)
{
	free(nft->buf);
	nft->buf = NULL;
	nft->size = nft->used = 0;
}

void nft_table_add(struct nft *nft)
{
	message_begin(nft, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	message_end(nft);
}

void nft_table_delete(struct nft *nft)
{
	message_begin(nft, NFT_MSG_DELTABLE, 0);
	message_end(nft);
}

void nft_chain_add(struct nft *nft, const char *name, const char *type, uint32_t hook, int priority)
{
	struct nlattr *nest;

	message_begin(nft, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	put_text(nft, NFTA_CHAIN_NAME, name);
	if (type) {
		nest = nest_begin(nft, NFTA_CHAIN_HOOK);
		put_u32(nft, NFTA_HOOK_HOOKNUM, hook);
		put_u32(nft, NFTA_HOOK_PRIORITY, (uint32_t)priority);
		nest_end(nft, nest);
		put_u32(nft, NFTA_CHAIN_POLICY, NF_ACCEPT);
		put_text(nft, NFTA_CHAIN_TYPE, type);
	}
	message_end(nft);
}

void nft_set_add(struct nft *nft, const struct nft_set *set)
{
	message_begin(nft, NFT_MSG_NEWSET, NLM_F_CREATE);
	put_text(nft, NFTA_SET_NAME, set->name);
	put_u32(nft, NFTA_SET_FLAGS, set->data_size ? NFT_SET_MAP : 0);
	put_u32(nft, NFTA_SET_KEY_TYPE, set->key_type);
	put_u32(nft, NFTA_SET_KEY_LEN, set->key_size);
	if (set->data_size) {
		put_u32(nft, NFTA_SET_DATA_TYPE, set->data_type);
		put_u32(nft, NFTA_SET_DATA_LEN, set->data_size);
	}
	put_u32(nft, NFTA_SET_ID, set->id);
	/* For nft(8): attribute 0 (byte order of the key), 4 bytes, the host's. */
	if (set->text && nft->open) {
		const struct {
			uint8_t type, size;
			uint8_t value[4];
		} note = { 0, 4, { 1 } };

		mnl_attr_put(nft->open, NFTA_SET_USERDATA, sizeof note, &note);
	}
	message_end(nft);
}

void nft_elements_begin(struct nft *nft, const struct nft_set *set)
{
	message_begin(nft, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
	put_text(nft, NFTA_SET_ELEM_LIST_SET, set->name);
	put_u32(nft, NFTA_SET_ELEM_LIST_SET_ID, set->id);
	nft->rule = nest_begin(nft, NFTA_SET_ELEM_LIST_ELEMENTS);
}

void nft_elements_end(struct nft *nft)
{
	nest_end(nft, nft->rule);
	message_end(nft);
}

void nft_element(struct nft *nft, const struct nft_set *set, const void *key, const void *data)
{
	struct nlattr *nest;

	if (nft->open && nft->open->nlmsg_len > ELEMENTS_MAX) {
		nft_elements_end(nft);
		nft_elements_begin(nft, set);
	}
	nest = nest_begin(nft, NFTA_LIST_ELEM);
	put_value(nft, NFTA_SET_ELEM_KEY, key, set->key_size);
	if (set->data_size)
		put_value(nft, NFTA_SET_ELEM_DATA, data, set->data_size);
	nest_end(nft, nest);
}

void nft_element_jump(
	struct nft *nft, const struct nft_set *set, const void *key, const char *chain)
{
	struct nlattr *elem = nest_begin(nft, NFTA_LIST_ELEM);
	struct nlattr *data;

	put_value(nft, NFTA_SET_ELEM_KEY, key, set->key_size);
	data = nest_begin(nft, NFTA_SET_ELEM_DATA);
	put_verdict(nft, NFT_JUMP, chain);
	nest_end(nft, data);
	nest_end(nft, elem);
}

void nft_rule_begin(struct nft *nft, const char *chain)
{
	message_begin(nft, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	put_text(nft, NFTA_RULE_CHAIN, chain);
	nft->rule = nest_begin(nft, NFTA_RULE_EXPRESSIONS);
}

void nft_rule_end(struct nft *nft)
{
	nest_end(nft, nft->rule);
	message_end(nft);
}

struct expr {
	struct nlattr *elem, *data;
};

static struct expr expr_begin(struct nft *nft, const char *name)
{
	struct expr expr;

	expr.elem = nest_begin(nft, NFTA_LIST_ELEM);
	put_text(nft, NFTA_EXPR_NAME, name);
	expr.data = nest_begin(nft, NFTA_EXPR_DATA);
	return expr;
}

static void expr_end(struct nft *nft, struct expr expr)
{
	nest_end(nft, expr.data);
	nest_end(nft, expr.elem);
}

void nft_load_meta(struct nft *nft, enum nft_meta_keys key, uint32_t reg)
{
	struct expr expr = expr_begin(nft, "meta");

	put_u32(nft, NFTA_META_KEY, key);
	put_u32(nft, NFTA_META_DREG, reg);
	expr_end(nft, expr);
}

void nft_load_payload(
	struct nft *nft, enum nft_payload_bases base, uint32_t offset, uint32_t size, uint32_t reg)
{
	struct expr expr = expr_begin(nft, "payload");

	put_u32(nft, NFTA_PAYLOAD_DREG, reg);
	put_u32(nft, NFTA_PAYLOAD_BASE, base);
	put_u32(nft, NFTA_PAYLOAD_OFFSET, offset);
	put_u32(nft, NFTA_PAYLOAD_LEN, size);
	expr_end(nft, expr);
}

static void lookup(struct nft *nft, const struct nft_set *set, uint32_t flags)
{
	struct expr expr = expr_begin(nft, "lookup");

	put_text(nft, NFTA_LOOKUP_SET, set->name);
	put_u32(nft, NFTA_LOOKUP_SET_ID, set->id);
	put_u32(nft, NFTA_LOOKUP_SREG, NFT_REG_1);
	if (set->data_type == NFT_DATA_VERDICT)
		put_u32(nft, NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
	else if (set->data_size)
		put_u32(nft, NFTA_LOOKUP_DREG, NFT_REG_1);
	if (flags)
		put_u32(nft, NFTA_LOOKUP_FLAGS, flags);
	expr_end(nft, expr);
}

void nft_lookup(struct nft *nft, const struct nft_set *set)
{
	lookup(nft, set, 0);
}

void nft_lookup_not(struct nft *nft, const struct nft_set *set)
{
	lookup(nft, set, NFT_LOOKUP_F_INV);
}

void nft_compare(struct nft *nft, enum nft_cmp_ops op, const void *data, size_t size)
{
	struct expr expr = expr_begin(nft, "cmp");

	put_u32(nft, NFTA_CMP_SREG, NFT_REG_1);
	put_u32(nft, NFTA_CMP_OP, op);
	put_value(nft, NFTA_CMP_DATA, data, size);
	expr_end(nft, expr);
}

static void mask(struct nft *nft, const void *bits, uint32_t size)
{
	static const uint8_t zero[16];
	struct expr expr = expr_begin(nft, "bitwise");

	put_u32(nft, NFTA_BITWISE_SREG, NFT_REG_1);
	put_u32(nft, NFTA_BITWISE_DREG, NFT_REG_1);
	put_u32(nft, NFTA_BITWISE_LEN, size);
	put_value(nft, NFTA_BITWISE_MASK, bits, size);
	put_value(nft, NFTA_BITWISE_XOR, zero, size);
	expr_end(nft, expr);
}

void nft_match_family(struct nft *nft, uint8_t family)
{
	const uint8_t proto = family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
	const uint16_t type = htons(family == AF_INET ? ETH_P_IP : ETH_P_IPV6);

	if (nft->family == NFPROTO_BRIDGE) {
		nft_load_meta(nft, NFT_META_PROTOCOL, NFT_REG_1);
		nft_compare(nft, NFT_CMP_EQ, &type, sizeof type);
		return;
	}
	nft_load_meta(nft, NFT_META_NFPROTO, NFT_REG_1);
	nft_compare(nft, NFT_CMP_EQ, &proto, sizeof proto);
}

void nft_match_protocol(struct nft *nft, uint8_t protocol)
{
	nft_load_meta(nft, NFT_META_L4PROTO, NFT_REG_1);
	nft_compare(nft, NFT_CMP_EQ, &protocol, sizeof protocol);
}

void nft_match_ifname(struct nft *nft, enum nft_meta_keys key, bool equal, const char *ifname)
{
	char name[IFNAMSIZ] = { 0 };

	memcpy(name, ifname, strnlen(ifname, sizeof name - 1));
	nft_load_meta(nft, key, NFT_REG_1);
	nft_compare(nft, equal ? NFT_CMP_EQ : NFT_CMP_NEQ, name, sizeof name);
}

void nft_match_ifset(struct nft *nft, enum nft_meta_keys key, bool in, const struct nft_set *set)
{
	nft_load_meta(nft, key, NFT_REG_1);
	lookup(nft, set, in ? 0 : NFT_LOOKUP_F_INV);
}

void nft_match_subnet(struct nft *nft, bool source, const struct net_addr *subnet)
{
	uint32_t size = subnet->family == AF_INET ? 4 : 16;
	uint32_t offset = subnet->family == AF_INET ? (source ? 12 : 16) : (source ? 8 : 24);
	uint8_t bits[16] = { 0 };
	uint8_t want[16];

	nft_match_family(nft, subnet->family);
	for (unsigned i = 0; i < size; i++) {
		unsigned left = subnet->prefix > 8 * i ? subnet->prefix - 8 * i : 0;

		bits[i] = (uint8_t)(left >= 8 ? 0xff : 0xff00U >> left);
		want[i] = subnet->bytes[i] & bits[i];
	}
	nft_load_payload(nft, NFT_PAYLOAD_NETWORK_HEADER, offset, size, NFT_REG_1);
	if (subnet->prefix < 8 * size)
		mask(nft, bits, size);
	nft_compare(nft, NFT_CMP_EQ, want, size);
}

void nft_match_ct(struct nft *nft, enum nft_ct_keys key, uint32_t bits)
{
	const uint32_t zero = 0;
	struct expr expr = expr_begin(nft, "ct");

	put_u32(nft, NFTA_CT_KEY, key);
	put_u32(nft, NFTA_CT_DREG, NFT_REG_1);
	expr_end(nft, expr);
	mask(nft, &bits, sizeof bits);
	nft_compare(nft, NFT_CMP_NEQ, &zero, sizeof zero);
}

void nft_match_local(struct nft *nft)
{
	const uint32_t local = RTN_LOCAL;
	struct expr expr = expr_begin(nft, "fib");

	put_u32(nft, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	put_u32(nft, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
	put_u32(nft, NFTA_FIB_DREG, NFT_REG_1);
	expr_end(nft, expr);
	nft_compare(nft, NFT_CMP_EQ, &local, sizeof local);
}

void nft_verdict(struct nft *nft, int verdict, const char *chain)
{
	struct expr expr = expr_begin(nft, "immediate");
	struct nlattr *data;

	put_u32(nft, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = nest_begin(nft, NFTA_IMMEDIATE_DATA);
	put_verdict(nft, verdict, chain);
	nest_end(nft, data);
	expr_end(nft, expr);
}

void nft_masquerade(struct nft *nft)
{
	expr_end(nft, expr_begin(nft, "masq"));
}

void nft_dnat(struct nft *nft, uint8_t family, uint32_t port_reg)
{
	struct expr expr = expr_begin(nft, "nat");

	put_u32(nft, NFTA_NAT_TYPE, NFT_NAT_DNAT);
	put_u32(nft, NFTA_NAT_FAMILY, family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6);
	put_u32(nft, NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
	put_u32(nft, NFTA_NAT_REG_PROTO_MIN, port_reg);
	expr_end(nft, expr);
}

/* ---- sending ---------------------------------------------------------------------------------- */
static const struct {
	uint16_t type, name; /* the attribute that has the name */
	const char *what;
} words[] = {
	{ NFT_MSG_NEWTABLE, NFTA_TABLE_NAME, "create nftables table" },
	{ NFT_MSG_DELTABLE, NFTA_TABLE_NAME, "delete nftables table" },
	{ NFT_MSG_NEWCHAIN, NFTA_CHAIN_NAME, "create nftables chain" },
	{ NFT_MSG_NEWRULE, NFTA_RULE_CHAIN, "add a rule to nftables chain" },
	{ NFT_MSG_NEWSET, NFTA_SET_NAME, "create nftables set" },
	{ NFT_MSG_NEWSETELEM, NFTA_SET_ELEM_LIST_SET, "fill nftables set" },
};

const struct nlattr *nft_attr(const struct nlmsghdr *h, uint16_t type)
{
	const char *end = mnl_nlmsg_get_payload_tail(h);

	for (const struct nlattr *attr = mnl_nlmsg_get_payload_offset(h, sizeof(struct nfgenmsg));
		mnl_attr_ok(attr, (int)(end - (const char *)attr)); attr = mnl_attr_next(attr))
		if (mnl_attr_get_type(attr) == type)
			return attr;
	return NULL;
}

static const char *attr_text(const struct nlmsghdr *h, uint16_t type)
{
	const struct nlattr *attr = nft_attr(h, type);

	return attr ? mnl_attr_get_str(attr) : "";
}

static const char *cure_of(uint8_t family, int code)
{
	if (code != EPROTONOSUPPORT && code != EOPNOTSUPP && code != EAFNOSUPPORT && code != ENOENT)
		return "";
	if (family == NFPROTO_BRIDGE)
		return ": the kernel lacks nf_tables for bridges: modprobe nft_meta_bridge, or "
		       "build it with CONFIG_NF_TABLES_BRIDGE, CONFIG_NFT_BRIDGE_META";
	return ": the kernel lacks a part of nf_tables: modprobe nf_tables nft_chain_nat "
	       "nft_nat nft_masq nft_fib_inet nft_ct, or build it with CONFIG_NF_TABLES, "
	       "_INET, CONFIG_NFT_NAT, _MASQ, _FIB_INET, _CT";
}

static int refused(struct nft *nft, int code, uint32_t seq, struct err *err)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)nft->buf;
	int left = (int)nft->used;

	for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
		for (size_t i = 0; h->nlmsg_seq == seq && i < sizeof words / sizeof words[0]; i++) {
			const struct nfgenmsg *info = mnl_nlmsg_get_payload(h);

			if (h->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | words[i].type))
				continue;
			nft->refused = info->nfgen_family;
			return err_set(err, code, "%s %s: %s%s", words[i].what,
				attr_text(h, words[i].name), strerror(code),
				cure_of(nft->refused, code));
		}
	return err_set(
		err, code, "speak to nf_tables: %s%s", strerror(code), cure_of(nft->family, code));
}

static int batch_send(int fd, struct nft *nft)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int size = (int)nft->used + 4096;

	/* The whole batch is one datagram. FORCE needs CAP_NET_ADMIN of the initial namespace. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	while (sendto(fd, nft->buf, nft->used, MSG_NOSIGNAL, (struct sockaddr *)&kernel,
		       sizeof kernel) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* The kernel has worked off the batch inside the send: its answers are all there. One acknowledges
 * the last message; any error makes the whole transaction void, the first is told. */
static int batch_answers(int fd, struct nft *nft, uint32_t last, struct err *err)
{
	_Alignas(struct nlmsghdr) uint8_t in[IN_SIZE];
	bool done = false;

	for (;;) {
		ssize_t got = recv(fd, in, sizeof in, MSG_DONTWAIT);
		int left = (int)got;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return done ? 0 : err_sys(err, EIO, "speak to nf_tables: no answer");
		if (got < 0)
			return err_sys(err, errno, "speak to nf_tables");
		for (const struct nlmsghdr *h = (const struct nlmsghdr *)in; mnl_nlmsg_ok(h, left);
			h = mnl_nlmsg_next(h, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

			if (h->nlmsg_type != NLMSG_ERROR ||
				mnl_nlmsg_get_payload_len(h) < sizeof *e)
				continue;
			if (e->error)
				return refused(nft, -e->error, h->nlmsg_seq, err);
			done = done || h->nlmsg_seq == last;
		}
	}
}

static int batch_talk(struct mnl_socket *sock, struct nft *nft, uint32_t last, struct err *err)
{
	int r;

	if (mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) < 0)
		return refused(nft, errno, 0, err);
	r = batch_send(mnl_socket_get_fd(sock), nft);
	if (r < 0)
		return refused(nft, -r, 0, err);
	return batch_answers(mnl_socket_get_fd(sock), nft, last, err);
}

/* Only the last message of the batch asks for an answer. */
static uint32_t ask_last(struct nft *nft)
{
	struct nlmsghdr *h = (struct nlmsghdr *)nft->buf;
	struct nlmsghdr *last = NULL;
	int left = (int)nft->used;

	for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
		last = h;
	if (!last)
		return 0;
	last->nlmsg_flags |= NLM_F_ACK;
	return last->nlmsg_seq;
}

int nft_commit(struct nft *nft, struct err *err)
{
	struct mnl_socket *sock;
	uint32_t last;
	int r;

	if (nft->failed || nft->used > INT32_MAX / 2)
		return err_sys(err, ENOMEM, "write the nftables rules");
	last = ask_last(nft);
	(void)put_header(nft, NFNL_MSG_BATCH_END, 0, NFNL_SUBSYS_NFTABLES);
	message_end(nft);
	if (nft->failed)
		return err_sys(err, ENOMEM, "write the nftables rules");
	sock = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!sock)
		return refused(nft, errno, 0, err);
	r = batch_talk(sock, nft, last, err);
	(void)mnl_socket_close(sock);
	return r;
}
