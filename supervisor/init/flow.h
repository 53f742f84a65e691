/* A bounded table of udp conversations, the least recently used of which goes when it is full. Pure:
 * the caller opens and closes the sockets. */
#ifndef BERTH_INIT_FLOW_H
#define BERTH_INIT_FLOW_H

#include <stdbool.h>
#include <stdint.h>

enum { FLOW_MAX = 1024, FLOW_NONE = 0xffff };

/* One address and its port; of IPv4 the first four bytes. */
struct place {
	uint8_t bytes[16];
	uint32_t scope; /* the link, of an address that means nothing without */
	uint16_t port;  /* in network order */
	uint16_t zero;
};

/* Who speaks, and to which address of ours: the answer must come from that one. */
struct flow_key {
	struct place peer, local;
	uint32_t door;
};

struct flow {
	struct flow_key key;
	int fd;
	uint64_t last; /* when anything went through, ns */
	uint16_t newer, older;
	uint16_t chained; /* the next of the same hash, or of the free ones */
};

/* The zero value is an empty table. Places are kept as their number plus one, so that 0 is none. */
struct flow_table {
	struct flow flows[FLOW_MAX];
	uint16_t chains[FLOW_MAX];
	uint16_t newest, oldest, free;
	uint16_t used; /* how many were ever in use */
};

static inline uint32_t flow_hash(const struct flow_key *key)
{
	const uint8_t *bytes = (const uint8_t *)key;
	uint32_t hash = 2166136261U;

	for (unsigned i = 0; i < sizeof *key; i++)
		hash = (hash ^ bytes[i]) * 16777619U;
	return (hash ^ hash >> 15) % FLOW_MAX;
}

static inline bool flow_is(const struct flow *flow, const struct flow_key *key)
{
	const uint32_t *a = (const uint32_t *)&flow->key;
	const uint32_t *b = (const uint32_t *)key;

	for (unsigned i = 0; i < sizeof *key / sizeof *a; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

static inline void flow_unlink(struct flow_table *table, uint16_t at)
{
	struct flow *flow = &table->flows[at - 1];

	*(flow->newer ? &table->flows[flow->newer - 1].older : &table->newest) = flow->older;
	*(flow->older ? &table->flows[flow->older - 1].newer : &table->oldest) = flow->newer;
}

static inline void flow_link(struct flow_table *table, uint16_t at)
{
	struct flow *flow = &table->flows[at - 1];

	flow->newer = 0;
	flow->older = table->newest;
	*(table->newest ? &table->flows[table->newest - 1].newer : &table->oldest) = at;
	table->newest = at;
}

/* Its number, or FLOW_NONE. */
static inline uint16_t flow_find(const struct flow_table *table, const struct flow_key *key)
{
	uint16_t at = table->chains[flow_hash(key)];

	while (at && !flow_is(&table->flows[at - 1], key))
		at = table->flows[at - 1].chained;
	return at ? (uint16_t)(at - 1) : FLOW_NONE;
}

/* Something went through. */
static inline void flow_touch(struct flow_table *table, uint16_t flow, uint64_t now)
{
	table->flows[flow].last = now;
	if (table->newest == flow + 1)
		return;
	flow_unlink(table, (uint16_t)(flow + 1));
	flow_link(table, (uint16_t)(flow + 1));
}

static inline bool flow_is_full(const struct flow_table *table)
{
	return !table->free && table->used == FLOW_MAX;
}

/* Needs: the table is not full, and has none with this key. */
static inline uint16_t flow_add(
	struct flow_table *table, const struct flow_key *key, int fd, uint64_t now)
{
	uint16_t at = table->free ? table->free : ++table->used;
	struct flow *flow = &table->flows[at - 1];
	uint16_t *chain = &table->chains[flow_hash(key)];

	if (table->free)
		table->free = flow->chained;
	flow->key = *key;
	flow->fd = fd;
	flow->last = now;
	flow->chained = *chain;
	*chain = at;
	flow_link(table, at);
	return (uint16_t)(at - 1);
}

/* Forgets it; fd is -1 from now on. */
static inline void flow_remove(struct flow_table *table, uint16_t number)
{
	struct flow *flow = &table->flows[number];
	uint16_t *chain = &table->chains[flow_hash(&flow->key)];

	while (*chain != number + 1)
		chain = &table->flows[*chain - 1].chained;
	*chain = flow->chained;
	flow_unlink(table, (uint16_t)(number + 1));
	flow->fd = -1;
	flow->chained = table->free;
	table->free = (uint16_t)(number + 1);
}

/* The least recently used, or FLOW_NONE. */
static inline uint16_t flow_oldest(const struct flow_table *table)
{
	return table->oldest ? (uint16_t)(table->oldest - 1) : FLOW_NONE;
}

#endif
