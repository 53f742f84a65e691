/* nf_tables over libmnl: one batch, one transaction. Only the expressions that our rules need.
 *
 * The calls write messages into a buffer; nothing can fail until nft_commit, which sends all. */
#ifndef BERTH_NETNS_NFT_H
#define BERTH_NETNS_NFT_H

#include <netinet/in.h> /* before the kernel's own in.h */

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netns/net_spec.h"
#include "supervisor/base/err.h"

/* The zero value with `table` set is an empty batch; nft_done frees it. */
struct nft {
	const char *table; /* every message is about it */
	uint8_t family;    /* of the messages from here on: NFPROTO_BRIDGE; 0: NFPROTO_INET */
	uint8_t refused;   /* the family of the message that the kernel did not take; 0: of none */
	uint8_t *buf;
	size_t used, size;
	struct nlmsghdr *open; /* the message being written, in buf */
	struct nlattr *rule;   /* its list of expressions, or of elements */
	bool failed;           /* out of memory */
	uint32_t seq;
	uint32_t set_id; /* of the element list being written */
};

void nft_begin(struct nft *nft);
/*
 * nft_commit - send the batch
 *
 * Gives: 0 when the kernel took all of it; else nothing of it is in force. The error names the
 *        table, chain or set, and what a kernel without nf_tables lacks.
 */
int nft_commit(struct nft *nft, struct err *err);
void nft_done(struct nft *nft);

/* An attribute of a message of nf_tables', or NULL. */
const struct nlattr *nft_attr(const struct nlmsghdr *h, uint16_t type);

void nft_table_add(struct nft *nft);
void nft_table_delete(struct nft *nft);
/* type NULL: no base chain, reached by goto only. */
void nft_chain_add(
	struct nft *nft, const char *name, const char *type, uint32_t hook, int priority);

/* What a set's keys (and a map's values) look like; types as nft(8) numbers them, for its eyes. */
struct nft_set {
	const char *name;
	uint32_t id; /* unique in the batch, not 0 */
	uint32_t key_type, key_size;
	uint32_t data_type, data_size; /* 0: a plain set; NFT_DATA_VERDICT: chains to jump to */
	bool text;                     /* the key is a name: how nft(8) is to print it */
};
enum {
	NFT_TYPE_IPV4 = 7,
	NFT_TYPE_IPV6 = 8,
	NFT_TYPE_ETHER = 9,
	NFT_TYPE_PROTOCOL = 12,
	NFT_TYPE_PORT = 13,
	NFT_TYPE_IFNAME = 41
};
/* Of a MAC address in a key: each field fills whole registers of 4 bytes. */
enum { NFT_SIZE_ETHER = 8 };
#define NFT_CONCAT2(a, b)    ((uint32_t)(a) << 6 | (uint32_t)(b))
#define NFT_CONCAT3(a, b, c) (NFT_CONCAT2(a, b) << 6 | (uint32_t)(c))

void nft_set_add(struct nft *nft, const struct nft_set *set);
/* Elements go to the set of the last nft_elements_begin. */
void nft_elements_begin(struct nft *nft, const struct nft_set *set);
void nft_element(struct nft *nft, const struct nft_set *set, const void *key, const void *data);
/* Of a map of verdicts. */
void nft_element_jump(
	struct nft *nft, const struct nft_set *set, const void *key, const char *chain);
void nft_elements_end(struct nft *nft);

/* A rule: matches in order, then one action, then nft_rule_end. */
void nft_rule_begin(struct nft *nft, const char *chain);
void nft_rule_end(struct nft *nft);

/* Loads into a register: NFT_REG_1 is the first; 4 bytes a step from NFT_REG32_00 on. */
void nft_load_meta(struct nft *nft, enum nft_meta_keys key, uint32_t reg);
void nft_load_payload(
	struct nft *nft, enum nft_payload_bases base, uint32_t offset, uint32_t size, uint32_t reg);
/* The key is in NFT_REG_1 and those after it. A map's value goes there too; a verdict happens. */
void nft_lookup(struct nft *nft, const struct nft_set *set);
/* Goes on when the key is not in the set. */
void nft_lookup_not(struct nft *nft, const struct nft_set *set);

/* What is in NFT_REG_1. */
void nft_compare(struct nft *nft, enum nft_cmp_ops op, const void *data, size_t size);
/* By ethertype in the bridge family, where a packet's family is not known yet. */
void nft_match_family(struct nft *nft, uint8_t family);
void nft_match_protocol(struct nft *nft, uint8_t protocol);
void nft_match_ifname(struct nft *nft, enum nft_meta_keys key, bool equal, const char *ifname);
void nft_match_ifset(struct nft *nft, enum nft_meta_keys key, bool in, const struct nft_set *set);
/* The packet's source is in the subnet (or its destination), its family included. */
void nft_match_subnet(struct nft *nft, bool source, const struct net_addr *subnet);
/* Any of the bits of ct state, ct status. */
void nft_match_ct(struct nft *nft, enum nft_ct_keys key, uint32_t bits);
/* The destination is an address of the host. */
void nft_match_local(struct nft *nft);

void nft_verdict(struct nft *nft, int verdict, const char *chain);
void nft_masquerade(struct nft *nft);
/* Address in NFT_REG_1, port in `port_reg`. */
void nft_dnat(struct nft *nft, uint8_t family, uint32_t port_reg);

#endif
