/* The kernel's ip= words, which a boot loader or a DHCP server of a network boot has written. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "config/build.h"
#include "config/draft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_addr(const struct net_addr *addr)
{
	if (addr->family != AF_INET && addr->family != AF_INET6)
		__builtin_trap();
	if (addr->prefix > (addr->family == AF_INET ? 32 : 128))
		__builtin_trap();
}

static void check(const struct uplink *uplink)
{
	const struct net_uplink *link = &uplink->link;
	struct net_addr addr;

	if (*link->name && !ifname_valid(link->name))
		__builtin_trap();
	for (size_t i = 0; i < link->naddrs; i++)
		check_addr(&link->addrs[i]);
	if (link->gateway4.family)
		check_addr(&link->gateway4);
	if (link->gateway6.family)
		check_addr(&link->gateway6);
	for (size_t i = 0; i < uplink->dns.n; i++)
		if (net_addr_parse(uplink->dns.v[i], &addr) < 0 || strchr(uplink->dns.v[i], '\n'))
			__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct unit_set set = { 0 };
	char words[4096];

	(void)snprintf(words, sizeof words, "%.*s", (int)(n < sizeof words ? n : sizeof words - 1),
		n ? (const char *)data : "");
	if (conf_uplinks_kernel(&set, words) < 0)
		__builtin_trap();
	/* A machine must boot with them, whatever they are. */
	if (set.nerrors)
		__builtin_trap();
	for (size_t i = 0; i < set.conf.nuplinks; i++)
		check(&set.conf.uplinks[i]);
	unit_set_done(&set);
	return 0;
}
