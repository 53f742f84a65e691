/*
 * A link whose addresses a DHCP server leases. The protocol is spoken by a client that exists: busybox's
 * udhcpc. It is told what to do by us (`berth lease`, which then executes it, so that the supervised
 * process is the client itself), and tells us what it was given: we are its script too, with the words
 * of the lease in the environment. So neither a shell nor ip(8) is needed.
 */
#include "supervisor/cmd/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns/linkwatch.h"
#include "netns/net.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/resident.h"
#include "supervisor/runtime/uplink.h"

/* "RUN-DIR OWNER METRIC": what the script is to know beside the lease. */
#define LEASE_ENV "BERTH_LEASE"

/* Whoever waits for the network waits no longer: as many tries as the client makes, a little more. */
enum { PATIENCE_MS = 20000, SERVERS_MAX = 8, SCRIPT_FD = 20 };
#define DISCOVER_TRIES "5"
#define DISCOVER_PAUSE "3"

struct lease {
	const char *run_dir, *owner, *metric, *link;
};

/* ---- before the client ------------------------------------------------------------------------ */

static void on_link(enum link_event event, const char *ifname, void *data)
{
	(void)event;
	(void)ifname;
	(void)data;
}

/* Until there is such a link: then it is up, and its name is in `ret`. */
static int await_link(const struct lease *lease, char ret[static 16], struct err *err)
{
	const struct net_uplink up = { .name = lease->link };
	own_fd watch = link_watch_open(err);
	int patience = PATIENCE_MS;
	int r = watch < 0 ? watch : net_uplink_apply(-1, NULL, &up, ret, err);

	while (r == 0) {
		struct pollfd p = { .fd = watch, .events = POLLIN };

		if (poll(&p, 1, patience) == 0) {
			printf("there is no such link yet: waiting\n");
			resident_notify("READY=1\nSTATUS=there is no such link yet");
			patience = -1;
		}
		link_watch_read(watch, on_link, NULL);
		r = net_uplink_apply(-1, NULL, &up, ret, err);
	}
	return r;
}

/* The first of PATH. */
static bool find_program(const char *name, char *ret, size_t size)
{
	const char *path = getenv("PATH");

	for (size_t n; path && *path; path += n + (path[n] == ':')) {
		n = strcspn(path, ":");
		(void)snprintf(ret, size, "%.*s/%s", (int)n, path, name);
		if (access(ret, X_OK) == 0)
			return true;
	}
	return false;
}

/* Does not return when the client runs. */
static int run_client(const struct lease *lease, const char *ifname)
{
	struct net_addr last = uplink_address(lease->run_dir, lease->owner);
	own_fd exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	/* Kept over the client's exec, and out of its way: it takes 3 and 4 for itself, unasked. */
	int self = exe < 0 ? -1 : fcntl(exe, F_DUPFD, SCRIPT_FD);
	char script[40], program[512], host[80] = "hostname:", env[700], address[64];
	const char *argv[32] = { program };
	size_t n = 1;

	if (self < 0)
		return cmd_fail(CMD_FAILED, "lease: open /proc/self/exe: %s", strerror(errno));
	if (!find_program("udhcpc", program, sizeof program) &&
		find_program("busybox", program, sizeof program))
		argv[n++] = "udhcpc";
	else if (access(program, X_OK) < 0)
		return cmd_fail(CMD_NOT_FOUND,
			"lease: there is no DHCP client: install busybox (with udhcpc), or pack "
			"it: berth pack --bundle udhcpc=/bin/busybox");
	(void)snprintf(script, sizeof script, "/proc/self/fd/%d", self);
	(void)gethostname(host + 9, sizeof host - 10);
	(void)snprintf(address, sizeof address, "%s", net_addr_print(&last, false).text);
	(void)snprintf(env, sizeof env, "%s %s %s", lease->run_dir, lease->owner, lease->metric);
	if (setenv(LEASE_ENV, env, 1) < 0)
		return cmd_fail(CMD_FAILED, "lease: no memory");
	for (const char *const *word = (const char *const[]){ "-f", "-i", ifname, "-s", script,
		     "-t", DISCOVER_TRIES, "-T", DISCOVER_PAUSE, "-A", DISCOVER_PAUSE, "-O", "mtu",
		     "-x", host, last.family ? "-r" : NULL, address, NULL };
		*word; word++)
		argv[n++] = *word;
	argv[n] = NULL;
	(void)execv(program, (char *const *)(size_t)argv);
	return cmd_fail(CMD_NOT_EXECUTABLE, "lease: %s: %s", program, strerror(errno));
}

int cmd_lease(int argc, char **argv)
{
	struct lease lease;
	struct err err = { 0 };
	char ifname[16];

	if (argc != 5)
		return cmd_usage("lease", "it is for berth's own units");
	lease = (struct lease){ argv[1], argv[2], argv[3], argv[4] };
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (await_link(&lease, ifname, &err) < 0)
		return cmd_fail(CMD_FAILED, "lease: %s", err.text);
	return run_client(&lease, ifname);
}

/* ---- the script ------------------------------------------------------------------------------- */

static const char *word_of(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

/* The n-th address of a list; NULL: there is none, or it is none. */
static const char *nth_address(const char *list, size_t n, struct net_addr *ret, char buf[64])
{
	for (size_t i = 0; *(list += strspn(list, " ")); i++) {
		size_t len = strcspn(list, " ");

		(void)snprintf(buf, 64, "%.*s", (int)len, list);
		if (i == n)
			return net_addr_parse(buf, ret) == 0 ? buf : NULL;
		list += len;
	}
	return NULL;
}

/* What a server says is not to be believed further than it is an address. */
static int read_lease(struct uplink_set *set, struct net_addr *addr, struct err *err)
{
	char buf[64];
	uint32_t prefix = 32;

	set->link.name = word_of("interface");
	(void)num_u32(word_of("mask"), &prefix);
	if (net_addr_parse(word_of("ip"), addr) < 0 || addr->family != AF_INET || prefix > 32)
		return err_set(err, EINVAL, "the server's \"%.40s/%.10s\" is no address",
			word_of("ip"), word_of("mask"));
	addr->prefix = (uint8_t)prefix;
	set->link.addrs = addr;
	set->link.naddrs = 1;
	if (!nth_address(word_of("router"), 0, &set->link.gateway4, buf))
		set->link.gateway4 = (struct net_addr){ 0 };
	if (num_u32(word_of("mtu"), &set->link.mtu) < 0 || set->link.mtu < 576 ||
		set->link.mtu > 65535)
		set->link.mtu = 0;
	/* The kernel takes the address away when nobody renews it: also when the client is dead. */
	if (num_u32(word_of("lease"), &set->link.lifetime) < 0 || set->link.lifetime == UINT32_MAX)
		set->link.lifetime = 0;
	return 0;
}

static bool is_domains(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._ ";

	return strspn(text, letters) == strlen(text) && strlen(text) < 256;
}

static int take(const char *run_dir, const char *owner, uint32_t metric, struct err *err)
{
	struct uplink_set set = { .link = { .metric = metric } };
	const char *servers[SERVERS_MAX];
	char buf[SERVERS_MAX][64];
	const char *domains = *word_of("search") ? word_of("search") : word_of("domain");
	struct net_addr addr, ignored;
	char name[16], status[200];
	int r = read_lease(&set, &addr, err);

	if (r < 0)
		return r;
	set.dns.v = servers;
	while (set.dns.n < SERVERS_MAX && (servers[set.dns.n] = nth_address(word_of("dns"),
						   set.dns.n, &ignored, buf[set.dns.n])))
		set.dns.n++;
	set.search = is_domains(domains) ? domains : NULL;
	r = uplink_put(run_dir, owner, &set, name, err);
	if (r <= 0)
		return r < 0 ? r : err_set(err, ENODEV, "link %s is gone", set.link.name);
	(void)snprintf(status, sizeof status, "READY=1\nSTATUS=%s on %s, leased by %s",
		net_addr_print(&addr, true).text, name,
		*word_of("serverid") ? word_of("serverid") : "a server");
	printf("%s\n", strchr(status, '=') + 9);
	resident_notify(status);
	return 0;
}

bool lease_is_script(void)
{
	return getenv(LEASE_ENV);
}

int lease_script(int argc, char **argv)
{
	char words[600];
	char *metric_text;
	char *owner = NULL;
	uint32_t metric = 0;
	struct err err = { 0 };
	int r = 0;

	(void)snprintf(words, sizeof words, "%s", word_of(LEASE_ENV));
	metric_text = strrchr(words, ' ');
	if (metric_text) {
		*metric_text++ = '\0';
		owner = strrchr(words, ' ');
	}
	if (argc < 2 || !owner || num_u32(metric_text, &metric) < 0)
		return cmd_fail(CMD_USAGE, "%s is not for you to set", LEASE_ENV);
	*owner++ = '\0';
	if (strcmp(argv[1], "bound") == 0 || strcmp(argv[1], "renew") == 0) {
		r = take(words, owner, metric, &err);
	} else if (strcmp(argv[1], "nak") == 0) {
		printf("the server takes the address back\n");
		r = uplink_drop(words, owner, &err);
	} else if (strcmp(argv[1], "leasefail") == 0) {
		resident_notify("READY=1\nSTATUS=no DHCP server answers; asking on");
	}
	/* deconfig: also said when the client begins, and then the address is still good. */
	return r < 0 ? cmd_fail(CMD_FAILED, "lease: %s", err.text) : CMD_OK;
}
