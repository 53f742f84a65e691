#include <stdio.h>
#include <string.h>

#include "netns/net.h"
#include "supervisor/base/str.h"

void net_bridge_ifname(const char *network, char ret[static 16])
{
	/* A longer name keeps its beginning, for people, and gets a hash, for uniqueness. */
	if (strlen(network) <= 11)
		(void)snprintf(ret, 16, "br-%s", network);
	else
		(void)snprintf(ret, 16, "br-%.4s-%06llx", network, str_hash(network) & 0xffffff);
}

void net_host_ifname(const char *instance, const char *unit, unsigned index, char ret[static 16])
{
	char seed[128];

	(void)snprintf(seed, sizeof seed, "%.40s:%.63s:%u", instance, unit, index);
	(void)snprintf(ret, 16, "b%010llx", str_hash(seed) & 0xffffffffff);
}

void net_mac(const char *seed, uint8_t ret[static 6])
{
	unsigned long long hash = str_hash(seed);

	for (unsigned i = 0; i < 6; i++)
		ret[i] = (uint8_t)(hash >> 8 * i);
	/* Locally administered, not a group address. */
	ret[0] = (uint8_t)((ret[0] & 0xfc) | 0x02);
}
