/* What the firewall of the host does with packets that are forwarded: looked at, never touched. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_conntrack.h>
#include <stdio.h>
#include <string.h>

#include "netns/net.h"
#include "netns/nft_read.h"

enum { WALLS_MAX = 16, NAME_SIZE = 128 };

/* A chain that sees what is forwarded; a packet that none of its rules takes has its last word. */
struct wall {
	uint8_t family;
	char table[NAME_SIZE], chain[NAME_SIZE];
	bool drops;   /* its last word */
	bool by_rule; /* which is a rule without a condition, not the policy */
	bool decided; /* what comes after such a rule is dead */
	bool opened;  /* before that it lets pass what was translated */
};

struct look {
	const char *ours;
	struct wall walls[WALLS_MAX];
	size_t n;
};

static const char *family_name(uint8_t family)
{
	return family == NFPROTO_INET   ? "inet"
	       : family == NFPROTO_IPV4 ? "ip"
	       : family == NFPROTO_IPV6 ? "ip6"
					: NULL;
}

static uint32_t number_in(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr = nft_in_nest(nest, type);

	return attr ? ntohl(mnl_attr_get_u32(attr)) : UINT32_MAX;
}

static const char *text_of(const struct nlattr *attr)
{
	return attr ? mnl_attr_get_str(attr) : "";
}

static int on_chain(const struct nlmsghdr *h, void *data)
{
	const struct nfgenmsg *info = mnl_nlmsg_get_payload(h);
	const char *table = text_of(nft_attr(h, NFTA_CHAIN_TABLE));
	const char *chain = text_of(nft_attr(h, NFTA_CHAIN_NAME));
	const struct nlattr *hook = nft_attr(h, NFTA_CHAIN_HOOK);
	const struct nlattr *policy = nft_attr(h, NFTA_CHAIN_POLICY);
	struct look *look = data;
	struct wall *wall = &look->walls[look->n];

	if (!family_name(info->nfgen_family) || !hook || !policy || look->n == WALLS_MAX ||
		number_in(hook, NFTA_HOOK_HOOKNUM) != NF_INET_FORWARD ||
		strcmp(table, look->ours) == 0 || strlen(table) >= NAME_SIZE ||
		strlen(chain) >= NAME_SIZE)
		return MNL_CB_OK;
	*wall = (struct wall){ .family = info->nfgen_family,
		.drops = ntohl(mnl_attr_get_u32(policy)) == NF_DROP };
	(void)snprintf(wall->table, sizeof wall->table, "%s", table);
	(void)snprintf(wall->chain, sizeof wall->chain, "%s", chain);
	look->n++;
	return MNL_CB_OK;
}

/* ---- one rule ------------------------------------------------------------------------------------ */

/* What a rule comes to, as far as it can be told. */
struct meaning {
	bool condition;  /* it is not for every packet */
	bool translated; /* that is: for those that a translation has sent here */
	bool accepts, refuses, leaves;
};

/* iptables' own way to say it, which nf_tables carries as it is. */
static bool is_translated_for_xt(const struct nlattr *match)
{
	const struct nlattr *info = nft_in_nest(match, NFTA_MATCH_INFO);
	struct xt_conntrack_mtinfo3 conntrack;

	if (strcmp(text_of(nft_in_nest(match, NFTA_MATCH_NAME)), "conntrack") != 0 || !info ||
		mnl_attr_get_payload_len(info) < sizeof conntrack)
		return false;
	memcpy(&conntrack, mnl_attr_get_payload(info), sizeof conntrack);
	return conntrack.match_flags & XT_CONNTRACK_STATE &&
	       !(conntrack.invert_flags & XT_CONNTRACK_STATE) &&
	       conntrack.state_mask & XT_CONNTRACK_STATE_DNAT;
}

static void verdict_take(const struct nlattr *immediate, struct meaning *ret)
{
	const struct nlattr *verdict =
		nft_in_nest(nft_in_nest(immediate, NFTA_IMMEDIATE_DATA), NFTA_DATA_VERDICT);
	uint32_t code = verdict ? number_in(verdict, NFTA_VERDICT_CODE) : (uint32_t)NFT_CONTINUE;

	ret->accepts = code == NF_ACCEPT;
	ret->refuses = code == NF_DROP;
	ret->leaves = code == (uint32_t)NFT_GOTO || code == (uint32_t)NFT_RETURN;
}

static void expression_take(const struct nlattr *expression, struct meaning *ret)
{
	const char *name = text_of(nft_in_nest(expression, NFTA_EXPR_NAME));
	const struct nlattr *data = nft_in_nest(expression, NFTA_EXPR_DATA);
	const char *target = text_of(nft_in_nest(data, NFTA_TARGET_NAME));

	if (strcmp(name, "counter") == 0 || strcmp(name, "log") == 0)
		return;
	if (strcmp(name, "immediate") == 0)
		verdict_take(data, ret);
	else if (strcmp(name, "reject") == 0 ||
		 (strcmp(name, "target") == 0 &&
			 (strcmp(target, "REJECT") == 0 || strcmp(target, "DROP") == 0)))
		ret->refuses = true;
	else
		ret->condition = true;
	if (strcmp(name, "ct") == 0 && number_in(data, NFTA_CT_KEY) == NFT_CT_STATUS)
		ret->translated = true;
	if (strcmp(name, "match") == 0 && is_translated_for_xt(data))
		ret->translated = true;
}

static int on_rule(const struct nlmsghdr *h, void *data)
{
	const struct nlattr *list = nft_attr(h, NFTA_RULE_EXPRESSIONS);
	struct meaning meaning = { 0 };
	struct wall *wall = data;

	if (wall->decided)
		return MNL_CB_OK;
	for (const struct nlattr *one = list ? nft_next_in(list, NULL) : NULL; one;
		one = nft_next_in(list, one))
		expression_take(one, &meaning);
	wall->opened = wall->opened || (meaning.translated && meaning.accepts);
	if (meaning.condition || (!meaning.accepts && !meaning.refuses && !meaning.leaves))
		return MNL_CB_OK;
	wall->decided = true;
	/* RETURN of such a chain is its policy; where GOTO leads is not followed. */
	wall->by_rule = meaning.refuses;
	if (!meaning.leaves)
		wall->drops = meaning.refuses;
	return MNL_CB_OK;
}

/* ---- all of them --------------------------------------------------------------------------------- */

static void wall_tell(
	const struct wall *wall, void (*tell)(const char *text, void *data), void *data)
{
	const char *family = family_name(wall->family);
	char text[1024];

	(void)snprintf(text, sizeof text,
		"the firewall of this host (%s %s, chain %s) drops what it does not know%s: for "
		"published ports: nft %s rule %s %s %s ct status dnat accept",
		family, wall->table, wall->chain,
		wall->by_rule ? ", by a rule without a condition" : "",
		wall->by_rule ? "insert" : "add", family, wall->table, wall->chain);
	tell(text, data);
}

void net_walls_of_others(
	const char *instance, void (*tell)(const char *text, void *data), void *data)
{
	const struct nft_question chains = { NFPROTO_UNSPEC, NFT_MSG_GETCHAIN, NULL, 0, NULL };
	struct mnl_socket *sock = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	struct look look = { 0 };
	char ours[64];

	(void)snprintf(ours, sizeof ours, "berth-%s", instance);
	look.ours = ours;
	if (!sock)
		return;
	if (mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) < 0 ||
		nft_ask(sock, &chains, on_chain, &look) < 0)
		look.n = 0;
	for (size_t i = 0; i < look.n; i++) {
		struct wall *wall = &look.walls[i];
		const struct nft_question rules = { wall->family, NFT_MSG_GETRULE, wall->table,
			NFTA_RULE_CHAIN, wall->chain };

		if (nft_ask(sock, &rules, on_rule, wall) == 0 && wall->drops && !wall->opened)
			wall_tell(wall, tell, data);
	}
	(void)mnl_socket_close(sock);
}
