/* Drives the network leaf from the shell: net VERB ARGUMENT…, verbs below. Errors go to stderr with
 * the words of the leaf, exit code 1. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netns/net.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/own.h"

/* Two networks, as the tests use them everywhere, the first one of three subnets; the environment
 * changes details: NET_SUBNET=, NET_MTU=, NET_INTERNAL=, NET_INSTANCE=, NET_OTHERS=;
 * NET_DRIVER=macvlan|ipvlan with NET_PARENT= makes the first one of that kind. */
static struct net_bridge bridges[] = {
	{ .name = "one", .ifname = "br-one" },
	{ .name = "two", .ifname = "br-two" },
};
static const struct net_bridge *const bridge_list[] = { &bridges[0], &bridges[1] };
static const char *const nets[] = { "10.71.0.0/24", "10.74.0.0/24", "fd00:71::/64",
	"10.72.0.0/24" };
static struct net_subnet subnets[4];
static const char *instance = "t1";

static struct net_addr addr(const char *text)
{
	struct net_addr ret = { 0 };

	if (text && net_addr_parse(text, &ret) < 0) {
		fprintf(stderr, "bad address %s\n", text);
		exit(2);
	}
	return ret;
}

/* The n-th address of a subnet, with its length. */
static struct net_addr nth_of(const struct net_addr *net, uint64_t n)
{
	struct net_addr ret = net_addr_nth(net, n);

	ret.prefix = net->prefix;
	return ret;
}

static void networks_init(void)
{
	const char *mtu = getenv("NET_MTU");
	const char *driver = getenv("NET_DRIVER");

	for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++) {
		subnets[i].net = addr(nets[i]);
		subnets[i].gateway = nth_of(&subnets[i].net, 1);
	}
	bridges[0].subnets = subnets;
	bridges[0].nsubnets = 3;
	bridges[0].mtu = mtu ? (uint32_t)strtoul(mtu, NULL, 10) : 0;
	bridges[1].subnets = &subnets[3];
	bridges[1].nsubnets = 1;
	bridges[1].internal = getenv("NET_INTERNAL") != NULL;
	if (driver && getenv("NET_PARENT")) {
		bool macvlan = strcmp(driver, "macvlan") == 0;

		bridges[0].ifname = getenv("NET_PARENT");
		bridges[0].driver = macvlan ? NET_MACVLAN : NET_IPVLAN;
		bridges[0].mode = macvlan ? 4 : 0; /* MACVLAN_MODE_BRIDGE, IPVLAN_MODE_L2 */
	}
	if (getenv("NET_INSTANCE"))
		instance = getenv("NET_INSTANCE");
	if (getenv("NET_SUBNET")) {
		subnets[0].net = addr(getenv("NET_SUBNET"));
		subnets[0].gateway = nth_of(&subnets[0].net, 1);
	}
}

struct unit {
	struct net_iface iface;
	struct net_addr addrs[3];
	char host_ifname[16];
	char alias[128];
};

/* UNIT NETWORK(0|1) HOST-NUMBER */
static void unit_init(struct unit *unit, char **args)
{
	struct net_bridge *bridge = &bridges[atoi(args[1]) & 1];
	uint64_t number = strtoull(args[2], NULL, 10);

	net_host_ifname(instance, args[0], 0, unit->host_ifname);
	(void)snprintf(unit->alias, sizeof unit->alias, "berth:%s:%s:0", instance, args[0]);
	unit->iface = (struct net_iface){
		.bridge = bridge,
		.host_ifname = unit->host_ifname,
		.alias = unit->alias,
		.ifname = "eth0",
		.addrs = unit->addrs,
		.naddrs = bridge->nsubnets,
		.default_route = true,
	};
	for (size_t i = 0; i < bridge->nsubnets; i++)
		unit->addrs[i] = nth_of(&bridge->subnets[i].net, number);
	net_mac(unit->alias, unit->iface.mac);
}

static int do_bridges(int argc, char **argv, struct err *err)
{
	int n = argc > 0 ? atoi(argv[0]) : 2;
	int r = 0;

	for (int i = 0; r == 0 && i < n; i++)
		r = net_bridge_ensure(instance, &bridges[i], err);
	return r;
}

/* PIN: prints "made" or "kept". */
static int do_pin(int argc, char **argv, struct err *err)
{
	bool made = false;
	own_fd fd = -1;

	(void)argc;
	fd = netns_ensure(argv[0], &made, err);
	if (fd < 0)
		return fd;
	return puts(made ? "made" : "kept") < 0 ? -EIO : 0;
}

static int do_unpin(int argc, char **argv, struct err *err)
{
	int r = net_remove(argv[0]);

	(void)argc;
	return r < 0 ? err_sys(err, -r, "remove pin %s", argv[0]) : 0;
}

/* PIN UNIT NETWORK NUMBER */
static int with_unit(char **argv, int (*call)(int, const struct net_iface *, size_t, struct err *),
	struct err *err)
{
	bool made;
	own_fd fd = netns_ensure(argv[0], &made, err);
	struct unit unit;

	if (fd < 0)
		return fd;
	unit_init(&unit, argv + 1);
	return call(fd, &unit.iface, 1, err);
}

static int do_attach(int argc, char **argv, struct err *err)
{
	(void)argc;
	return with_unit(argv, net_attach, err);
}

static int clear(int fd, const struct net_iface *ifaces, size_t n, struct err *err)
{
	const char *others = getenv("NET_OTHERS");

	return net_clear(fd, &(struct net_spec){ .ifaces = ifaces, .nifaces = n },
		!others                        ? NET_ALONE
		: strcmp(others, "admin") == 0 ? NET_OTHERS_ADMIN
					       : NET_OTHERS,
		err);
}

static int do_clear(int argc, char **argv, struct err *err)
{
	(void)argc;
	return with_unit(argv, clear, err);
}

/* UNIT NETWORK NUMBER */
static int do_detach(int argc, char **argv, struct err *err)
{
	struct unit unit;

	(void)argc;
	unit_init(&unit, argv);
	return net_detach(&unit.iface, 1, err);
}

/* PIN NAME: that link goes there */
static int do_lend(int argc, char **argv, struct err *err)
{
	bool made;
	char alias[64];
	own_fd fd = netns_ensure(argv[0], &made, err);
	const struct net_device device = { .name = argv[1], .ifname = "lent0", .alias = alias };

	(void)argc;
	(void)snprintf(alias, sizeof alias, "berth:%s:x:device:%s", instance, argv[1]);
	return fd < 0 ? fd : net_devices_take(fd, &device, 1, err);
}

/* PIN: all that was lent comes back */
static int do_back(int argc, char **argv, struct err *err)
{
	own_fd fd = netns_open(argv[0], err);

	(void)argc;
	return fd < 0 ? fd : net_devices_back(fd, NULL, 0, err);
}

/* The members that NET_MEMBERS names, "UNIT:NETWORK:NUMBER …"; the first has the ports of the host
 * NET_HOST_PORT ("22"), and the lists NET_ALLOW and NET_DENY ("10.0.0.0/8 …"). */
enum { MEMBERS_MAX = 8, LIST_MAX = 8 };

static size_t addrs(const char *name, struct net_addr *list)
{
	const char *given = getenv(name);
	char *text = given ? strdup(given) : NULL;
	size_t n = 0;

	for (char *word = text ? strtok(text, " ") : NULL; word && n < LIST_MAX;
		word = strtok(NULL, " "))
		list[n++] = addr(word);
	free(text);
	return n;
}

static size_t members_read(struct net_spec *specs)
{
	static struct unit units[MEMBERS_MAX];
	const char *given = getenv("NET_MEMBERS");
	char *text = given ? strdup(given) : NULL;
	char name[32];
	char network[4];
	char number[16];
	char *args[] = { name, network, number, NULL };
	size_t n = 0;

	for (char *word = text ? strtok(text, " ") : NULL; word && n < MEMBERS_MAX;
		word = strtok(NULL, " ")) {
		if (sscanf(word, "%31[^:]:%3[^:]:%15s", name, network, number) != 3)
			exit(2);
		unit_init(&units[n], args);
		specs[n] = (struct net_spec){ .ifaces = &units[n].iface, .nifaces = 1 };
		n++;
	}
	free(text);
	return n;
}

static int rules_apply(size_t nbridges, const struct net_port *ports, size_t n, struct err *err)
{
	static struct net_addr allow[LIST_MAX], deny[LIST_MAX];
	static struct net_spec specs[MEMBERS_MAX];
	static const struct net_spec *list[MEMBERS_MAX];
	static struct net_host_port host_port;
	struct net_rules rules = { bridge_list, nbridges, ports, n, list, members_read(specs) };
	const char *port = getenv("NET_HOST_PORT");

	for (size_t i = 0; i < rules.nmembers; i++)
		list[i] = &specs[i];
	specs[0].filter.nallow = addrs("NET_ALLOW", allow);
	specs[0].filter.ndeny = addrs("NET_DENY", deny);
	specs[0].filter.allow = allow;
	specs[0].filter.deny = deny;
	if (port) {
		host_port = (struct net_host_port){ 6, (uint16_t)strtoul(port, NULL, 10), 1 };
		specs[0].host_ports = &host_port;
		specs[0].nhost_ports = 1;
	}
	if (getenv("NET_REACHES")) {
		bridges[1].reaches = &bridge_list[0];
		bridges[1].nreaches = 1;
	}
	return net_ruleset_apply(instance, &rules, NULL, err);
}

/* NBRIDGES [tcp|udp HOST-ADDRESS|- HOST-PORT COUNT ADDRESS PORT]… */
static int do_rules(int argc, char **argv, struct err *err)
{
	size_t n = argc > 1 ? (size_t)(argc - 1) / 6 : 0;
	struct net_port ports[16] = { 0 };

	for (size_t i = 0; i < n && i < 16; i++) {
		char **arg = argv + 1 + 6 * i;

		ports[i] = (struct net_port){
			.protocol = strcmp(arg[0], "tcp") == 0 ? 6 : 17,
			.host_addr = addr(strcmp(arg[1], "-") == 0 ? NULL : arg[1]),
			.host_port = (uint16_t)strtoul(arg[2], NULL, 10),
			.count = (uint16_t)strtoul(arg[3], NULL, 10),
			.addr = addr(arg[4]),
			.port = (uint16_t)strtoul(arg[5], NULL, 10),
		};
	}
	return rules_apply((size_t)strtoul(argv[0], NULL, 10), ports, n, err);
}

static int do_norules(int argc, char **argv, struct err *err)
{
	(void)argc;
	(void)argv;
	return net_ruleset_remove(instance, err);
}

static bool is_named(const char *ifname, const char *alias, void *data)
{
	(void)alias;
	for (char **name = data; *name; name++)
		if (strcmp(*name, ifname) == 0)
			return true;
	return false;
}

/* [IFNAME to keep]… */
static int do_prune(int argc, char **argv, struct err *err)
{
	(void)argc;
	return net_prune(instance, is_named, argv, err);
}

enum { BENCH_RUNS = 51 };

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void bench_print(const char *what, uint64_t *ns)
{
	const size_t middle = BENCH_RUNS / 2;

	qsort(ns, BENCH_RUNS, sizeof *ns, by_value);
	printf("%-22s median %6llu us, fastest %6llu, slowest %6llu\n", what,
		(unsigned long long)ns[middle] / 1000, (unsigned long long)ns[0] / 1000,
		(unsigned long long)ns[BENCH_RUNS - 1] / 1000);
}

enum { STEP_PIN, STEP_ATTACH, STEP_AGAIN, STEP_CLEAR, STEP_DETACH, STEP_UNPIN, STEPS };
static const char *const step_names[STEPS] = { "netns_ensure", "net_attach", "net_attach again",
	"net_clear", "net_detach", "netns_remove" };

static int bench_up(struct unit *unit, const char *pin, int run, uint64_t ns[STEPS][BENCH_RUNS],
	struct err *err)
{
	own_fd fd = -1;
	bool made;
	uint64_t at[STEP_DETACH + 1];
	int r;

	at[STEP_PIN] = clock_monotonic();
	fd = netns_ensure(pin, &made, err);
	if (fd < 0)
		return fd;
	at[STEP_ATTACH] = clock_monotonic();
	r = net_attach(fd, &unit->iface, 1, err);
	at[STEP_AGAIN] = clock_monotonic();
	if (r == 0)
		r = net_attach(fd, &unit->iface, 1, err);
	at[STEP_CLEAR] = clock_monotonic();
	if (r == 0)
		r = clear(fd, &unit->iface, 1, err);
	at[STEP_DETACH] = clock_monotonic();
	for (int i = 0; i < STEP_DETACH; i++)
		ns[i][run] = at[i + 1] - at[i];
	return r;
}

/* All up first, then all down: what the kernel does in the background for a namespace that went
 * would slow the next start. */
static int bench_units(const char *pin, uint64_t ns[STEPS][BENCH_RUNS], struct err *err)
{
	static struct unit units[BENCH_RUNS];
	char path[BENCH_RUNS][128];
	int r = 0;

	for (int run = 0; r == 0 && run < BENCH_RUNS; run++) {
		char name[16];
		char number[16];
		char *args[] = { name, (char[]){ "0" }, number, NULL };

		(void)snprintf(name, sizeof name, "unit%d", run);
		(void)snprintf(number, sizeof number, "%d", run + 2);
		(void)snprintf(path[run], sizeof path[run], "%s-%d", pin, run);
		unit_init(&units[run], args);
		r = bench_up(&units[run], path[run], run, ns, err);
	}
	for (int run = 0; r == 0 && run < BENCH_RUNS; run++) {
		uint64_t start = clock_monotonic();
		uint64_t middle;

		r = net_detach(&units[run].iface, 1, err);
		middle = clock_monotonic();
		(void)net_remove(path[run]);
		ns[STEP_DETACH][run] = middle - start;
		ns[STEP_UNPIN][run] = clock_monotonic() - middle;
	}
	return r;
}

/* PIN: medians of the calls, on this machine. */
static int do_bench(int argc, char **argv, struct err *err)
{
	static uint64_t ns[STEPS][BENCH_RUNS];
	static uint64_t rules[BENCH_RUNS];
	static struct net_port ports[100];
	int r = bench_units(argv[0], ns, err);

	(void)argc;
	for (size_t i = 0; i < 100; i++)
		ports[i] = (struct net_port){ .protocol = 6,
			.host_port = (uint16_t)(8000 + i),
			.count = 1,
			.addr = addr("10.71.0.2"),
			.port = 80 };
	for (int i = 0; r == 0 && i < BENCH_RUNS; i++) {
		uint64_t start = clock_monotonic();

		r = rules_apply(2, ports, 100, err);
		rules[i] = clock_monotonic() - start;
	}
	for (int i = 0; r == 0 && i < STEPS; i++)
		bench_print(step_names[i], ns[i]);
	if (r == 0)
		bench_print("ruleset, 100 ports", rules);
	return r;
}

static const struct {
	const char *name;
	int args;
	int (*run)(int argc, char **argv, struct err *err);
} verbs[] = {
	{ "bridges", 0, do_bridges },
	{ "pin", 1, do_pin },
	{ "unpin", 1, do_unpin },
	{ "attach", 4, do_attach },
	{ "clear", 4, do_clear },
	{ "detach", 3, do_detach },
	{ "lend", 2, do_lend },
	{ "back", 1, do_back },
	{ "rules", 1, do_rules },
	{ "norules", 0, do_norules },
	{ "prune", 0, do_prune },
	{ "bench", 1, do_bench },
};

int main(int argc, char **argv)
{
	struct err err = { 0 };

	networks_init();
	for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof verbs[0]; i++) {
		if (strcmp(argv[1], verbs[i].name) != 0 || argc - 2 < verbs[i].args)
			continue;
		if (verbs[i].run(argc - 2, argv + 2, &err) >= 0)
			return 0;
		fprintf(stderr, "net: %s\n", err.text);
		return 1;
	}
	fprintf(stderr, "usage: net VERB ARGUMENT…\n");
	return 2;
}
