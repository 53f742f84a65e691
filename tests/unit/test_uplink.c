/* Uplink= of berth.conf and ip= of the kernel's command line, to links. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "config/draft.h"
#include "netns/net.h"

/* "eth0 dhcp 10.0.0.2/24 via 10.0.0.1 dns 1.1.1.1 mtu 1400 metric 100; …", and the problems. */
static const char *print(const struct unit_set *set)
{
	static char text[2048];
	struct strbuf out = STRBUF(text);

	text[0] = '\0';
	for (size_t i = 0; i < set->conf.nuplinks; i++) {
		const struct uplink *u = &set->conf.uplinks[i];
		const struct net_addr *gateways[] = { &u->link.gateway4, &u->link.gateway6 };

		strbuf_add(&out, "%s%s%s", i ? "; " : "", u->link.name, u->dhcp ? " dhcp" : "");
		for (size_t k = 0; k < u->link.naddrs; k++)
			strbuf_add(&out, " %s", net_addr_print(&u->link.addrs[k], true).text);
		for (size_t k = 0; k < 2; k++)
			if (gateways[k]->family)
				strbuf_add(
					&out, " via %s", net_addr_print(gateways[k], false).text);
		for (size_t k = 0; k < u->dns.n; k++)
			strbuf_add(&out, " dns %s", u->dns.v[k]);
		if (u->link.mtu)
			strbuf_add(&out, " mtu %u", u->link.mtu);
		strbuf_add(&out, " metric %u", u->link.metric);
	}
	for (size_t i = 0; i < set->nproblems; i++)
		strbuf_add(&out, "|%s%s", set->problems[i].is_error ? "error: " : "",
			set->problems[i].text);
	return text;
}

struct row {
	const char *text, *want;
};

static void test_kernel(void **state)
{
	static const struct row rows[] = {
		{ "dhcp", " dhcp metric 100" },
		{ "on", " dhcp metric 100" },
		{ "any", " dhcp metric 100" },
		{ "off", "" },
		{ "none", "" },
		{ ":::::eth0:dhcp", "eth0 dhcp metric 100" },
		{ "::::box:eth0:any:192.0.2.53", "eth0 dhcp dns 192.0.2.53 metric 100" },
		{ "eth0:dhcp", "eth0 dhcp metric 100" },
		{ "eth0:auto6", "eth0 metric 100" },
		{ "eth0:off eth1:dhcp", "eth0 metric 100; eth1 dhcp metric 200" },
		{ "192.0.2.2::192.0.2.1:255.255.255.0::eth0:off",
			"eth0 192.0.2.2/24 via 192.0.2.1 metric 100" },
		{ "192.0.2.2:192.0.2.9:192.0.2.1:255.255.255.128:box:eth0:none:192.0.2.53:"
		  "192.0.2.54:192.0.2.55",
			"eth0 192.0.2.2/25 via 192.0.2.1 dns 192.0.2.53 dns 192.0.2.54 metric "
			"100" },
		{ "192.0.2.2", " 192.0.2.2/24 metric 100" },
		{ "10.1.2.3", " 10.1.2.3/8 metric 100" },
		{ "192.0.2.2:::24", " 192.0.2.2/24 metric 100" },
		{ "192.0.2.2/28:::::eth0", "eth0 192.0.2.2/28 metric 100" },
		{ "[fd00::2]::[fd00::1]:64::eth0:none", "eth0 fd00::2/64 via fd00::1 metric 100" },
		{ "[fd00::2]:::::eth0", "eth0 fd00::2/64 metric 100" },
		{ "192.0.2.2::192.0.2.1:255.255.255.0::eth0 [fd00::2]::[fd00::1]:64::eth0",
			"eth0 192.0.2.2/24 fd00::2/64 via 192.0.2.1 via fd00::1 metric 100" },
		{ "192.0.2.2:::255.0.255.0::eth0",
			"eth0 metric 100|ip=: \"192.0.2.2\" with the netmask \"255.0.255.0\" is no "
			"address: it is left out" },
		{ "x", " metric 100|ip=: \"x\" with the netmask \"\" is no address: it is left "
		       "out" },
		{ "eth0:perhaps", " metric 100|ip=: \"eth0\" with the netmask \"\" is no address: "
				  "it is left out" },
		{ "::::::perhaps", "|ip=: \"perhaps\" is none of dhcp, on, off: it is left out" },
		{ ":::::a-name-of-a-link-too-long:dhcp",
			"|ip=: \"a-name-of-a-link-too-long\" is not a link's name: it is left "
			"out" },
		{ "192.0.2.2::gate:24::eth0", "eth0 192.0.2.2/24 metric 100|ip=: \"gate\" is no "
					      "gateway for 192.0.2.2: it is left out" },
		{ "[fd00::2", " metric 100|ip=: \"[fd00\" with the netmask \"\" is no address: it "
			      "is left out" },
		{ "[::::", " metric 100|ip=: \"[\" with the netmask \"\" is no address: it is left "
			   "out" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct unit_set set = { 0 };

		assert_int_equal(conf_uplinks_kernel(&set, rows[i].text), 0);
		assert_string_equal(print(&set), rows[i].want);
		assert_int_equal(set.nerrors, 0);
		arena_done(&set.arena);
	}
}

static void load(struct unit_set *set, const char *a, const char *b)
{
	struct draft_item items[] = { { a, { "berth.conf", 2 } }, { b, { "berth.conf", 3 } } };
	const struct draft_list list = { items, b ? 2 : 1 };

	assert_int_equal(conf_uplinks(set, &list), 0);
}

static void test_conf(void **state)
{
	static const struct {
		const char *a, *b, *want;
	} rows[] = {
		{ "eth0", NULL, "eth0 metric 100" },
		{ "eth0 10.0.0.2/24,10.0.0.1 dns=10.0.0.1,fd00::1  mtu=1400", NULL,
			"eth0 10.0.0.2/24 via 10.0.0.1 dns 10.0.0.1 dns fd00::1 mtu 1400 metric "
			"100" },
		{ "eth0 10.0.0.2/24,10.0.0.1", "eth0 10.0.0.3/24 fd00::2/64,fe80::1",
			"eth0 10.0.0.2/24 10.0.0.3/24 fd00::2/64 via 10.0.0.1 via fe80::1 metric "
			"100" },
		{ "eth0 10.0.0.2/24,10.0.0.1", "eth1 10.1.0.2/24,10.1.0.1",
			"eth0 10.0.0.2/24 via 10.0.0.1 metric 100; eth1 10.1.0.2/24 via 10.1.0.1 "
			"metric 200" },
		{ "eth0 10.0.0.2/24,10.0.0.1", "eth0 10.0.0.2/24,10.0.0.9",
			"eth0 10.0.0.2/24 via 10.0.0.9 metric 100|error: Uplink: 10.0.0.2/24 is "
			"written twice: remove one|error: Uplink: eth0 has a second gateway of one "
			"family: remove one" },
		{ "eth0 10.0.0.2/24,10.0.0.2", NULL,
			"eth0 10.0.0.2/24 metric 100|error: Uplink: \"10.0.0.2\" is no gateway "
			"for 10.0.0.2/24" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct unit_set set = { 0 };

		load(&set, rows[i].a, rows[i].b);
		assert_string_equal(print(&set), rows[i].want);
		arena_done(&set.arena);
	}
}

static void test_conf_wins(void **state)
{
	struct unit_set set = { 0 };

	(void)state;
	load(&set, "eth0 10.0.0.2/24", NULL);
	assert_int_equal(conf_uplinks_kernel(&set, "dhcp"), 0);
	assert_string_equal(print(&set), "eth0 10.0.0.2/24 metric 100|ip=dhcp: berth.conf says "
					 "Uplink=, which counts");
	arena_done(&set.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_conf),
		cmocka_unit_test(test_conf_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
