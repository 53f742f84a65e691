/* What a DHCP client tells its script, to a setting of a link; and that setting on record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netns/net.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/path.h"
#include "supervisor/runtime/lease.h"

/* "ip=192.0.2.7\nmask=24": the value of a word lasts until the next turn of the ring. */
static const char *word_of(const char *name, void *data)
{
	static char values[16][256];
	static unsigned turn;
	const size_t n = strlen(name);

	for (const char *line = data; *line;
		line += strcspn(line, "\n") + (strchr(line, '\n') != NULL))
		if (strncmp(line, name, n) == 0 && line[n] == '=') {
			char *value = values[++turn % 16];

			(void)snprintf(
				value, 256, "%.*s", (int)strcspn(line + n + 1, "\n"), line + n + 1);
			return value;
		}
	return "";
}

/* "192.0.2.7/24 via 192.0.2.1 route 10.0.0.0/8 via 192.0.2.9 mtu 1400 for 120 until 1120 dns …" */
static const char *print(const struct uplink_set *set)
{
	static char text[2048];
	struct strbuf out = STRBUF(text);

	text[0] = '\0';
	for (size_t i = 0; i < set->link.naddrs; i++)
		strbuf_add(
			&out, "%s%s", i ? " " : "", net_addr_print(&set->link.addrs[i], true).text);
	if (set->link.gateway4.family)
		strbuf_add(&out, " via %s", net_addr_print(&set->link.gateway4, false).text);
	for (size_t i = 0; i < set->link.nroutes; i++)
		strbuf_add(&out, " route %s via %s",
			net_addr_print(&set->link.routes[i].to, true).text,
			set->link.routes[i].via.family
				? net_addr_print(&set->link.routes[i].via, false).text
				: "the link");
	if (set->link.mtu)
		strbuf_add(&out, " mtu %u", set->link.mtu);
	if (set->link.lifetime)
		strbuf_add(&out, " for %u", set->link.lifetime);
	if (set->until)
		strbuf_add(&out, " until %llu", (unsigned long long)set->until);
	for (size_t i = 0; i < set->dns.n; i++)
		strbuf_add(&out, " dns %s", set->dns.v[i]);
	if (set->search)
		strbuf_add(&out, " search %s", set->search);
	if (set->from)
		strbuf_add(&out, " from %s", set->from);
	return text;
}

static void test_words(void **state)
{
	static const struct {
		const char *words, *want;
	} rows[] = {
		{ "ip=192.0.2.7\nmask=24\nrouter=192.0.2.1 192.0.2.2\nlease=120\nmtu=1400\n"
		  "dns=192.0.2.53 192.0.2.54\ndomain=box.test\nserverid=192.0.2.1\n",
			"192.0.2.7/24 via 192.0.2.1 mtu 1400 for 120 until 1120 dns 192.0.2.53 dns "
			"192.0.2.54 search box.test from 192.0.2.1" },
		{ "ip=192.0.2.7", "192.0.2.7/32" },
		/* RFC 3442: the router counts no more. A route of our own is the kernel's to make. */
		{ "ip=192.0.2.7\nmask=24\nrouter=192.0.2.1\n"
		  "staticroutes=10.1.0.0/16 192.0.2.9 0.0.0.0/0 192.0.2.3 198.51.100.0/24 0.0.0.0\n"
		  "msstaticroutes=10.2.0.0/16 192.0.2.9",
			"192.0.2.7/24 route 10.1.0.0/16 via 192.0.2.9 route 0.0.0.0/0 via "
			"192.0.2.3 route 198.51.100.0/24 via the link" },
		{ "ip=192.0.2.7\nmask=24\nmsstaticroutes=10.2.3.4/16 192.0.2.9 192.0.2.9",
			"192.0.2.7/24 route 10.2.0.0/16 via 192.0.2.9" },
		/* What is no address, no number or no domain is left out. */
		{ "ip=192.0.2.7\nmask=24\nrouter=127.0.0.1\nlease=x\nmtu=68\nserverid=x\n"
		  "dns=127.0.0.53 nameserver 224.0.0.1 192.0.2.53/24 0.0.0.0\n"
		  "search=a.test;reboot\nstaticroutes=127.0.0.0/8 192.0.2.1 10.0.0.0 192.0.2.1 "
		  "10.0.0.0/8 evil 224.0.0.0/4 192.0.2.1",
			"192.0.2.7/24" },
		{ "ip=192.0.2.7\nmask=24\nlease=4294967295", "192.0.2.7/24" },
		{ "ip=192.0.2.7\nmask=0", "the server's \"192.0.2.7/0\" is no address" },
		{ "ip=192.0.2.7\nmask=33", "the server's \"192.0.2.7/33\" is no address" },
		{ "ip=192.0.2.7\nmask=24x", "the server's \"192.0.2.7/24x\" is no address" },
		{ "ip=::1\nmask=24", "the server's \"::1/24\" is no address" },
		{ "ip=255.255.255.255", "the server's \"255.255.255.255/\" is no address" },
		{ "", "the server's \"/\" is no address" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct lease lease;
		struct err err = { 0 };
		int r = lease_read(word_of, (void *)(size_t)rows[i].words, 7, 1000, &lease, &err);

		assert_string_equal(r < 0 ? err.text : print(&lease.set), rows[i].want);
		assert_true(r < 0 || (lease.set.link.leased && lease.set.link.metric == 7));
	}
}

static void put_record(const struct uplink_owner *owner, const char *text)
{
	char path[400];
	FILE *file;

	assert_int_equal(path_mkdirs(owner->dir, 0755), 0);
	(void)snprintf(path, sizeof path, "%s/%s", owner->dir, owner->name);
	file = fopen(path, "we");
	assert_non_null(file);
	(void)fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void test_record(void **state)
{
	char dir[] = "/tmp/berth-lease-XXXXXX";
	const struct uplink_owner owner = uplink_of_client(mkdtemp(dir), "web.dhcp");
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	char command[64];

	(void)state;
	assert_null(uplink_record(&owner));
	put_record(&owner,
		"link eth0\nmetric 3\naddress 192.0.2.7/24\nroute 10.0.0.0/8 192.0.2.9\n"
		"route 198.51.100.0/24\ngateway 192.0.2.1\nnameserver 192.0.2.53\nsearch box.test\n"
		"leased\nuntil 1\nfrom 192.0.2.1\n");
	assert_string_equal(print(uplink_record(&owner)),
		"192.0.2.7/24 via 192.0.2.1 route 10.0.0.0/8 via 192.0.2.9 route 198.51.100.0/24 "
		"via "
		"the link until 1 dns 192.0.2.53 search box.test from 192.0.2.1");
	assert_string_equal(uplink_record(&owner)->link.name, "eth0");
	assert_true(uplink_record(&owner)->link.leased);
	/* Its time is over. */
	assert_null(uplink_lease(&owner));
	/* Whoever wrote it, nothing of it reaches a resolv.conf but addresses and domains. */
	put_record(&owner,
		"link eth0\nnameserver 192.0.2.53\nnameserver x y\nnameserver\nsearch a;b\n"
		"route x\nroute 10.0.0.0/8 fe80::1\naddress\naddress 1\nleased\nuntil 0\nuntil\n");
	assert_string_equal(print(uplink_lease(&owner)), " dns 192.0.2.53");
	uplink_resolv(uplink_lease(&owner), out);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, "nameserver 192.0.2.53\n");
	free(text);
	(void)snprintf(command, sizeof command, "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
