#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "netns/net.h"
#include "supervisor/base/num.h"
#include "supervisor/base/str.h"

static unsigned addr_bits(uint8_t family)
{
	return family == AF_INET ? 32 : family == AF_INET6 ? 128 : 0;
}

int net_addr_parse(const char *text, struct net_addr *ret)
{
	struct net_addr addr = { 0 };
	char host[INET6_ADDRSTRLEN + 1];
	size_t n = strcspn(text, "/");
	uint32_t prefix;

	if (n >= sizeof host)
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	addr.family = strchr(host, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(addr.family, host, addr.bytes) != 1)
		return -EINVAL;
	prefix = addr_bits(addr.family);
	if (text[n] && (num_u32(text + n + 1, &prefix) < 0 || prefix > addr_bits(addr.family)))
		return -EINVAL;
	addr.prefix = (uint8_t)prefix;
	*ret = addr;
	return 0;
}

struct net_addr_text net_addr_print(const struct net_addr *addr, bool with_prefix)
{
	struct net_addr_text ret = { "" };
	size_t n;

	if (!addr->family || !inet_ntop(addr->family, addr->bytes, ret.text, sizeof ret.text))
		return ret;
	n = strlen(ret.text);
	if (with_prefix)
		(void)snprintf(ret.text + n, sizeof ret.text - n, "/%u", addr->prefix);
	return ret;
}

struct net_port_text net_port_print(const struct net_port *port)
{
	struct net_port_text ret = { "" };
	struct strbuf buf = STRBUF(ret.text);
	struct net_addr host = port->host_addr;
	bool six = port->addr.family == AF_INET6;

	host.family = port->addr.family;
	strbuf_add(&buf, "%s%s%s:%u", six ? "[" : "", net_addr_print(&host, false).text,
		six ? "]" : "", port->host_port);
	if (port->count > 1)
		strbuf_add(&buf, "-%u", port->host_port + port->count - 1U);
	strbuf_add(&buf, "->%u", port->port);
	if (port->count > 1)
		strbuf_add(&buf, "-%u", port->port + port->count - 1U);
	strbuf_add(&buf, "/%s", port->protocol == IPPROTO_UDP ? "udp" : "tcp");
	return ret;
}

bool net_addr_equal(const struct net_addr *a, const struct net_addr *b)
{
	return a->family == b->family && a->prefix == b->prefix &&
	       memcmp(a->bytes, b->bytes, addr_bits(a->family) / 8) == 0;
}

/* Are the first `bits` bits the same? */
static bool prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8;
	uint8_t mask = (uint8_t)(0xff00U >> bits % 8);

	return memcmp(a, b, whole) == 0 && (bits % 8 == 0 || ((a[whole] ^ b[whole]) & mask) == 0);
}

bool net_addr_overlap(const struct net_addr *a, const struct net_addr *b)
{
	/* Subnets nest or are apart: they share an address when the shorter prefix is the same. */
	return a->family && a->family == b->family &&
	       prefix_equal(a->bytes, b->bytes, a->prefix < b->prefix ? a->prefix : b->prefix);
}

bool net_addr_in(const struct net_addr *subnet, const struct net_addr *addr)
{
	return subnet->family && subnet->family == addr->family &&
	       prefix_equal(subnet->bytes, addr->bytes, subnet->prefix);
}

struct net_addr net_addr_network(const struct net_addr *addr)
{
	struct net_addr ret = *addr;

	for (unsigned bit = addr->prefix; bit < addr_bits(addr->family); bit++)
		ret.bytes[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
	return ret;
}

uint64_t net_addr_span(const struct net_addr *subnet)
{
	unsigned bits = addr_bits(subnet->family) - subnet->prefix;

	return bits >= 63 ? UINT64_C(1) << 63 : UINT64_C(1) << bits;
}

struct net_addr net_addr_nth(const struct net_addr *subnet, uint64_t n)
{
	struct net_addr ret = net_addr_network(subnet);

	for (unsigned i = addr_bits(ret.family) / 8; i-- > 0 && n;) {
		n += ret.bytes[i];
		ret.bytes[i] = (uint8_t)n;
		n >>= 8;
	}
	ret.prefix = (uint8_t)addr_bits(ret.family);
	return ret;
}

uint64_t net_addr_index(const struct net_addr *subnet, const struct net_addr *addr)
{
	const struct net_addr first = net_addr_network(subnet);
	const size_t size = addr_bits(addr->family) / 8;
	uint64_t n = 0;

	/* No byte is below the network's own, whose bits after the prefix are 0. */
	for (size_t i = 0; i < size; i++) {
		if (n >> 55)
			return UINT64_C(1) << 63;
		n = n << 8 | (uint8_t)(addr->bytes[i] - first.bytes[i]);
	}
	return n;
}
