/* Reading what the kernel has of nf_tables. */
#ifndef BERTH_NETNS_NFT_READ_H
#define BERTH_NETNS_NFT_READ_H

#include <libmnl/libmnl.h>

#include "netns/nft.h"

/* The attribute after that one in a nest (NULL: the first), or NULL. */
const struct nlattr *nft_next_in(const struct nlattr *nest, const struct nlattr *attr);
/* That one of a nest (NULL: an empty one), or NULL. */
const struct nlattr *nft_in_nest(const struct nlattr *nest, uint16_t type);

/* What is asked for: all of one kind, or what lies in one table and chain or set of it. */
struct nft_question {
	uint8_t family; /* NFPROTO_UNSPEC: each */
	uint16_t type;  /* NFT_MSG_GET… */
	const char *table;
	uint16_t name_attr; /* of `name`, by type */
	const char *name;
};
/*
 * nft_ask - each message of the answer to `read`
 *
 * Gives: 0, also when there is no such table, chain or set; or -errno.
 * Blocks: for netlink. `sock` is bound.
 */
int nft_ask(
	struct mnl_socket *sock, const struct nft_question *question, mnl_cb_t read, void *data);

#endif
