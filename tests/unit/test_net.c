/* Addresses, names, leases; and one walk through the rest on the kernel there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netns/net.h"
#include "supervisor/base/fd.h"

static struct net_addr addr(const char *text)
{
	struct net_addr ret = { 0 };

	assert_int_equal(net_addr_parse(text, &ret), 0);
	return ret;
}

static void test_addr_text(void **state)
{
	static const char *const good[] = { "10.1.2.3/32", "10.1.2.0/24", "0.0.0.0/0", "fd00::1/64",
		"::/0", "fd00:1:2:3:4:5:6:7/128" };
	static const char *const bad[] = { "", "/", "/24", "10.1.2", "10.1.2.3/", "10.1.2.3/33",
		"10.1.2.3/-1", "10.1.2.3/2 4", "10.1.2.3/024x", "fd00::1/129", "fd00:::1",
		"1.2.3.4.5", "256.1.1.1", " 10.1.2.3", "10.1.2.3 ", "web",
		"aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct net_addr a = addr(good[i]);

		assert_string_equal(net_addr_print(&a, true).text, good[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct net_addr a = { .family = 77 };

		assert_int_equal(net_addr_parse(bad[i], &a), -EINVAL);
		assert_int_equal(a.family, 77);
	}
	assert_int_equal(addr("10.0.0.1").prefix, 32);
	assert_int_equal(addr("::1").prefix, 128);
	assert_string_equal(net_addr_print(&(struct net_addr){ 0 }, true).text, "");
}

static void test_addr_overlap(void **state)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} rows[] = {
		{ "10.1.0.0/16", "10.1.2.0/24", true },
		{ "10.1.2.0/24", "10.1.3.0/24", false },
		{ "10.1.2.0/23", "10.1.3.0/24", true },
		{ "0.0.0.0/0", "192.168.1.1", true },
		{ "10.0.0.0/8", "::/0", false },
		{ "fd00:1::/64", "fd00:1::/48", true },
		{ "fd00:1::/64", "fd00:2::/64", false },
		{ "10.1.2.128/25", "10.1.2.127", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct net_addr a = addr(rows[i].a);
		struct net_addr b = addr(rows[i].b);

		assert_int_equal(net_addr_overlap(&a, &b), rows[i].overlap);
		assert_int_equal(net_addr_overlap(&b, &a), rows[i].overlap);
	}
	assert_false(net_addr_overlap(&(struct net_addr){ 0 }, &(struct net_addr){ 0 }));
	assert_true(net_addr_in(&(struct net_addr){ .family = 2, .prefix = 8, .bytes = { 10 } },
		&(struct net_addr){ .family = 2, .prefix = 32, .bytes = { 10, 9 } }));
}

static void test_addr_nth(void **state)
{
	struct net_addr four = addr("10.1.2.77/16");
	struct net_addr six = addr("fd00::ff:ffff/64");
	struct net_addr ret;

	(void)state;
	ret = net_addr_network(&four);
	assert_string_equal(net_addr_print(&ret, true).text, "10.1.0.0/16");
	ret = net_addr_nth(&four, 1);
	assert_string_equal(net_addr_print(&ret, true).text, "10.1.0.1/32");
	ret = net_addr_nth(&four, net_addr_span(&four) - 1);
	assert_string_equal(net_addr_print(&ret, false).text, "10.1.255.255");
	ret = net_addr_nth(&six, 0x10002);
	assert_string_equal(net_addr_print(&ret, true).text, "fd00::1:2/128");
	assert_true(net_addr_span(&six) == UINT64_C(1) << 63);
}

static void test_names(void **state)
{
	char a[16];
	char b[16];
	uint8_t mac[6];
	uint8_t again[6];

	(void)state;
	net_bridge_ifname("web", a);
	assert_string_equal(a, "br-web");
	net_bridge_ifname("elevenchars", a);
	assert_string_equal(a, "br-elevenchars");
	net_bridge_ifname("plant-network-north", a);
	net_bridge_ifname("plant-network-south", b);
	assert_true(strlen(a) == 14 && strncmp(a, "br-plan-", 8) == 0);
	assert_string_not_equal(a, b);
	net_host_ifname("0123456789abcdef", "web", 0, a);
	net_host_ifname("0123456789abcdef", "web", 1, b);
	assert_true(strlen(a) == 11 && a[0] == 'b');
	assert_string_not_equal(a, b);
	net_mac("web", mac);
	net_mac("web", again);
	assert_memory_equal(mac, again, 6);
	assert_int_equal(mac[0] & 3, 2);
}

static void test_lease_stable(void **state)
{
	struct net_subnet pool = { .net = addr("10.88.0.0/16"), .gateway = addr("10.88.0.1") };
	struct net_lease one[] = { { .unit = "web" }, { .unit = "db" } };
	struct net_lease two[] = { { .unit = "aaa" }, { .unit = "db" }, { .unit = "web" } };
	struct net_lease three[] = { { .unit = "new" }, { .unit = "db" } };
	struct err err;
	char text[200];
	struct net_addr last;

	(void)state;
	assert_int_equal(net_lease_assign(&pool, one, 2, NULL, &err), 0);
	assert_true(net_addr_in(&pool.net, &one[0].addr));
	assert_int_equal(one[0].addr.prefix, 32);
	assert_int_equal(net_lease_print(one, 2, text, 10), -ENOSPC);
	assert_true(net_lease_print(one, 2, text, sizeof text) == (ssize_t)strlen(text));
	assert_int_equal(net_lease_assign(&pool, two, 3, text, &err), 0);
	assert_true(net_addr_equal(&two[1].addr, &one[1].addr));
	assert_true(net_addr_equal(&two[2].addr, &one[0].addr));

	/* A stored lease wins over the hash; a fixed one over a stored one, which then moves. */
	(void)snprintf(text, sizeof text, "rubbish\n10.88.9.9 db\n10.88.0.1 new\n10.99.0.1 new\n");
	assert_int_equal(net_lease_assign(&pool, three, 2, text, &err), 0);
	assert_string_equal(net_addr_print(&three[1].addr, false).text, "10.88.9.9");
	assert_true(net_addr_in(&pool.net, &three[0].addr));
	assert_string_not_equal(net_addr_print(&three[0].addr, false).text, "10.88.0.1");
	three[0].fixed = addr("10.88.9.9");
	assert_int_equal(net_lease_assign(&pool, three, 2, text, &err), 0);
	assert_string_equal(net_addr_print(&three[0].addr, false).text, "10.88.9.9");
	last = three[1].addr;
	assert_false(net_addr_equal(&last, &three[0].addr));

	/* What cannot be given leaves everything as it was. */
	three[1].fixed = addr("10.88.9.9");
	assert_int_equal(net_lease_assign(&pool, three, 2, text, &err), -EADDRINUSE);
	assert_string_equal(err.text, "db: address 10.88.9.9 belongs to new already");
	assert_true(net_addr_equal(&three[1].addr, &last));
}

static void test_lease_refused(void **state)
{
	static const char *const bad[] = { "10.5.0.0", "10.5.0.3", "10.5.0.1", "10.6.0.1",
		"fd00::1" };
	struct net_subnet pool = { .net = addr("10.5.0.0/30"), .gateway = addr("10.5.0.1/30") };
	struct net_lease leases[] = { { .unit = "a" }, { .unit = "b" } };
	struct err err;

	(void)state;
	assert_int_equal(net_lease_assign(&pool, leases, 1, NULL, &err), 0);
	assert_string_equal(net_addr_print(&leases[0].addr, false).text, "10.5.0.2");
	assert_int_equal(net_lease_assign(&pool, leases, 2, NULL, &err), -ENOSPC);
	assert_string_equal(
		err.text, "b: subnet 10.5.0.0/30 is full: give the network a larger Subnet=");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		leases[0].fixed = addr(bad[i]);
		assert_int_equal(net_lease_assign(&pool, leases, 1, NULL, &err), -EINVAL);
	}
	leases[0].fixed = addr("10.5.0.0");
	(void)net_lease_assign(&pool, leases, 1, NULL, &err);
	assert_string_equal(
		err.text, "a: address 10.5.0.0 is not free for containers in subnet 10.5.0.0/30");
}

static void test_lease_fills(void **state)
{
	struct net_subnet pool = { .net = addr("10.5.0.0/24"), .gateway = addr("10.5.0.1") };
	struct net_subnet six = { .net = addr("fd00:5::/64") };
	static struct net_lease leases[253];
	static char names[253][8];
	struct err err;

	(void)state;
	for (size_t i = 0; i < 253; i++) {
		(void)snprintf(names[i], sizeof names[i], "u%zu", i);
		leases[i].unit = names[i];
	}
	assert_int_equal(net_lease_assign(&pool, leases, 253, NULL, &err), 0);
	for (size_t i = 0; i < 253; i++) {
		assert_true(leases[i].addr.bytes[3] > 1 && leases[i].addr.bytes[3] < 255);
		for (size_t k = 0; k < i; k++)
			assert_false(net_addr_equal(&leases[i].addr, &leases[k].addr));
	}
	assert_int_equal(net_lease_assign(&six, leases, 253, NULL, &err), 0);
	assert_true(net_addr_in(&six.net, &leases[9].addr));
	assert_int_equal(leases[9].addr.prefix, 128);
}

static void test_lease_range(void **state)
{
	struct net_subnet pool = { .net = addr("10.5.0.0/24"),
		.gateway = addr("10.5.0.65"),
		.range = { addr("10.5.0.64"), addr("10.5.0.66") } };
	struct net_subnet six = { .net = addr("fd00:5::/48"),
		.range = { addr("fd00:5::ff:ffff"), addr("fd00:5::100:0") } };
	struct net_lease leases[] = { { .unit = "a" }, { .unit = "b" }, { .unit = "c" } };
	struct err err;

	(void)state;
	/* Fixed ones may lie outside of the range, the gateway does not count, stored ones move in. */
	leases[0].fixed = addr("10.5.0.9");
	assert_int_equal(net_lease_assign(&pool, leases, 3, "10.5.0.7 b\n10.5.0.66 c\n", &err), 0);
	assert_string_equal(net_addr_print(&leases[1].addr, false).text, "10.5.0.64");
	assert_string_equal(net_addr_print(&leases[2].addr, false).text, "10.5.0.66");
	leases[0].fixed.family = 0;
	assert_int_equal(net_lease_assign(&pool, leases, 3, NULL, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "the range of subnet 10.5.0.0/24 is full"));
	assert_int_equal(net_lease_assign(&six, leases, 2, NULL, &err), 0);
	assert_int_equal(net_lease_assign(&six, leases, 3, NULL, &err), -ENOSPC);
	assert_true(net_addr_index(&six.net, &leases[0].addr) >= 0xffffff);
	six.net.prefix = 8;
	leases[0].addr = addr("fd80::1");
	assert_true(net_addr_index(&six.net, &leases[0].addr) == UINT64_C(1) << 63);
}

/* ---- the kernel, in namespaces of a child's own: no root needed -------------------------------- */
enum { CHILD_OK = 0, CHILD_FAILED = 1, CHILD_SKIPPED = 77 };

static void child_check(int r, const struct err *err, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, err->text);
	_exit(CHILD_FAILED);
}

static void child_write(const char *path, const char *text)
{
	if (file_write_at(-1, path, text) < 0)
		_exit(CHILD_SKIPPED);
}

static void child_isolate(void)
{
	char users[64];
	char groups[64];

	(void)snprintf(users, sizeof users, "0 %u 1", (unsigned)geteuid());
	(void)snprintf(groups, sizeof groups, "0 %u 1", (unsigned)getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) < 0)
		_exit(CHILD_SKIPPED);
	child_write("/proc/self/setgroups", "deny");
	child_write("/proc/self/uid_map", users);
	child_write("/proc/self/gid_map", groups);
	if (mount("none", "/tmp", "tmpfs", 0, NULL) < 0)
		_exit(CHILD_SKIPPED);
}

static void child_run(void)
{
	const struct net_subnet subnets[] = {
		{ .net = addr("10.7.0.0/24"), .gateway = addr("10.7.0.1/24") },
		{ .net = addr("10.8.0.0/24"), .gateway = addr("10.8.0.1/24") },
	};
	const struct net_addr addrs[] = { addr("10.7.0.2/24"), addr("10.8.0.2/24"),
		addr("10.7.0.3/24"), addr("10.8.0.3/24") };
	const struct net_bridge bridge = {
		.name = "one", .ifname = "br-one", .subnets = subnets, .nsubnets = 2
	};
	const struct net_bridge *const bridges[] = { &bridge };
	struct net_iface ifaces[] = { { .bridge = &bridge,
					      .host_ifname = "b1",
					      .alias = "berth:i:web:0",
					      .ifname = "eth0",
					      .addrs = addrs,
					      .naddrs = 2,
					      .default_route = true },
		{ .bridge = &bridge,
			.host_ifname = "b2",
			.alias = "berth:i:web:1",
			.ifname = "eth1",
			.addrs = addrs + 2,
			.naddrs = 2 } };
	const struct net_port port = {
		.protocol = 6, .host_port = 80, .port = 80, .count = 200, .addr = addr("10.7.0.2")
	};
	const struct net_addr everybody = { .family = AF_INET };
	const struct net_host_port host_port = { 6, 22, 2 };
	const struct net_spec spec = { .ifaces = ifaces,
		.nifaces = 2,
		.filter = { .deny = &everybody, .ndeny = 1 },
		.host_ports = &host_port,
		.nhost_ports = 1 };
	const struct net_spec *const members[] = { &spec };
	const struct net_rules rules = { bridges, 1, &port, 1, members, 1 };
	struct err err = { 0 };
	bool made = false;
	int fd;

	child_isolate();
	fd = net_bridge_ensure("i", &bridge, &err);
	if (fd == -EOPNOTSUPP)
		_exit(CHILD_SKIPPED);
	child_check(fd, &err, "ensure the bridge");
	fd = netns_ensure("/tmp/pin", &made, &err);
	child_check(fd, &err, "ensure the pin");
	child_check(net_attach(fd, ifaces, 2, &err), &err, "attach");
	child_check(net_clear(fd, &(struct net_spec){ .ifaces = ifaces, .nifaces = 2 }, NET_ALONE,
			    &err),
		&err, "clear");
	child_check(net_ruleset_apply("i", &rules, NULL, &err), &err, "rules");
	child_check(net_ruleset_remove("i", &err), &err, "no rules");
	child_check(net_detach(ifaces, 1, &err), &err, "detach");
	child_check(if_nametoindex("b1") ? -1 : 0, &err, "detached");
	child_check(if_nametoindex("b2") ? 0 : -1, &err, "the other stays");
	child_check(net_remove("/tmp/pin"), &err, "remove the pin");
	_exit(made ? CHILD_OK : CHILD_FAILED);
}

static void test_kernel(void **state)
{
	pid_t pid = fork();
	int status = 0;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		child_run();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CHILD_SKIPPED)
		skip(); /* no user namespaces, or a kernel without bridges */
	assert_int_equal(WEXITSTATUS(status), CHILD_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addr_text),
		cmocka_unit_test(test_addr_overlap),
		cmocka_unit_test(test_addr_nth),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_lease_stable),
		cmocka_unit_test(test_lease_refused),
		cmocka_unit_test(test_lease_fills),
		cmocka_unit_test(test_lease_range),
		cmocka_unit_test(test_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
