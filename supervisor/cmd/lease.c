/*
 * A link whose addresses a DHCP server leases: of the host, or of a container, whose client runs in that
 * one's network namespace and with few rights (supervisor/runtime/seclude.h). The protocol is spoken by a
 * client that exists: busybox's udhcpc. It is told what to do by us (`berth lease`, which then executes
 * it, so that the supervised process is the client itself), and tells us what it was given: we are its
 * script too, with the words of the lease in the environment. So neither a shell nor ip(8) is needed.
 */
#include "supervisor/cmd/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns/linkwatch.h"
#include "netns/net.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/resident.h"
#include "supervisor/runtime/lease.h"
#include "supervisor/runtime/seclude.h"

/* "WHERE OWNER METRIC": what the script is to know beside the lease. */
#define LEASE_ENV "BERTH_LEASE"
/* WHERE: the host's RUN_DIR, or this. */
#define IN_CONTAINER "container"
/* METRIC: the server's default route is not wanted. */
#define NO_DEFAULT "none"

/* Whoever waits for the network waits no longer: as many tries as the client makes, a little more. */
enum { PATIENCE_MS = 20000, SCRIPT_FD = 20 };
/* Seconds: the client halves the time that is left, without fractions, and gives up before its end. */
enum { LOST_EARLY = 60 };
#define DISCOVER_TRIES "5"
#define DISCOVER_PAUSE "3"
#define DISCOVER_SPAN  "15 s"

struct lease_task {
	const char *where, *owner, *metric;
	const char *link;
	const char *hostname; /* what the server is told; NULL: the host's */
	const char *id;       /* of a link without a MAC address of its own: hex digits; or NULL */
};

static struct uplink_owner owner_of(const struct lease_task *task)
{
	struct uplink_owner owner = { .dir = SECLUDE_LEASE, .name = "lease" };

	return strcmp(task->where, IN_CONTAINER) == 0 ? owner
						      : uplink_of_host(task->where, task->owner);
}

/* ---- before the client ------------------------------------------------------------------------ */

static void on_link(enum link_event event, const char *ifname, void *data)
{
	(void)event;
	(void)ifname;
	(void)data;
}

/* Until there is such a link: then it is up, and its name is in `ret`. */
static int await_link(const struct lease_task *task, char ret[static 16], struct err *err)
{
	const struct net_uplink up = { .name = task->link };
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

static void host_word(const struct lease_task *task, char *ret, size_t size)
{
	int n = snprintf(ret, size, "hostname:%s", task->hostname ? task->hostname : "");

	if (!task->hostname)
		(void)gethostname(ret + n, size - (size_t)n - 1);
}

/* Does not return when the client runs. */
static int run_client(const struct lease_task *task, const char *ifname)
{
	const struct uplink_owner owner = owner_of(task);
	const struct net_addr last = uplink_address(uplink_record(&owner));
	const bool inside = !owner.run_dir;
	own_fd exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	/* Kept over the client's exec, and out of its way: it takes 3 and 4 for itself, unasked. */
	int self = exe < 0 ? -1 : fcntl(exe, F_DUPFD, SCRIPT_FD);
	char script[40], program[512], host[80] = "", id[64] = "", env[700], address[64];
	const char *argv[40] = { program };
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
	host_word(task, host, sizeof host);
	(void)snprintf(id, sizeof id, "0x3d:%s", task->id ? task->id : "");
	(void)snprintf(address, sizeof address, "%s", net_addr_print(&last, false).text);
	(void)snprintf(env, sizeof env, "%s %s %s", task->where, task->owner, task->metric);
	if (setenv(LEASE_ENV, env, 1) < 0)
		return cmd_fail(CMD_FAILED, "lease: no memory");
	const struct {
		const char *words[2];
		bool is_meant;
	} options[] = {
		{ { "-f" }, true },
		{ { "-i", ifname }, true },
		{ { "-s", script }, true },
		{ { "-t", DISCOVER_TRIES }, true },
		{ { "-T", DISCOVER_PAUSE }, true },
		/* A container waits for it, and its unit says that it has failed; a host goes on. */
		{ { "-n" }, inside },
		{ { "-A", DISCOVER_PAUSE }, !inside },
		/* mtu, search, staticroutes, msstaticroutes: not every busybox knows all names. */
		{ { "-O", "26" }, true },
		{ { "-O", "119" }, true },
		{ { "-O", "121" }, true },
		{ { "-O", "249" }, true },
		{ { "-x", host }, true },
		/* Answers to an address that nobody has yet do not find one of several on one MAC. */
		{ { "-B" }, task->id },
		{ { "-x", id }, task->id },
		{ { "-r", address }, last.family },
	};
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		for (size_t k = 0; options[i].is_meant && k < 2 && options[i].words[k]; k++)
			argv[n++] = options[i].words[k];
	argv[n] = NULL;
	(void)execv(program, (char *const *)(size_t)argv);
	return cmd_fail(CMD_NOT_EXECUTABLE, "lease: %s: %s", program, strerror(errno));
}

/* WHERE OWNER METRIC LINK [HOSTNAME [ID]] */
int cmd_lease(int argc, char **argv)
{
	struct lease_task task;
	struct err err = { 0 };
	char ifname[16];

	if (argc < 5 || argc > 7)
		return cmd_usage("lease", "it is for berth's own units");
	task = (struct lease_task){ argv[1], argv[2], argv[3], argv[4], argc > 5 ? argv[5] : NULL,
		argc > 6 ? argv[6] : NULL };
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (await_link(&task, ifname, &err) < 0)
		return cmd_fail(CMD_FAILED, "lease: %s", err.text);
	return run_client(&task, ifname);
}

/* ---- the script ------------------------------------------------------------------------------- */

static const char *word_of(const char *name, void *data)
{
	const char *value = getenv(name);

	(void)data;
	return value ? value : "";
}

/* As if the server had not spoken of it. */
static void drop_default(struct lease *lease)
{
	size_t n = 0;

	lease->set.link.gateway4 = (struct net_addr){ 0 };
	for (size_t i = 0; i < lease->set.link.nroutes; i++)
		if (lease->routes[i].to.prefix)
			lease->routes[n++] = lease->routes[i];
	lease->set.link.nroutes = n;
}

/* To the log, and as the unit's status. */
static void tell(const char *ready, const char *words)
{
	char text[200];

	printf("%s\n", words);
	(void)snprintf(text, sizeof text, "%sSTATUS=%s", ready, words);
	resident_notify(text);
}

static int take(const struct lease_task *task, struct err *err)
{
	const struct uplink_owner owner = owner_of(task);
	bool routed = strcmp(task->metric, NO_DEFAULT) != 0;
	char name[16], words[160];
	struct lease lease;
	uint32_t metric = 0;
	int r;

	if (routed && num_u32(task->metric, &metric) < 0)
		return err_set(err, EINVAL, "\"%.20s\" is no metric", task->metric);
	r = lease_read(word_of, NULL, metric, clock_monotonic() / NSEC_PER_SEC, &lease, err);
	if (r < 0)
		return r;
	if (!routed)
		drop_default(&lease);
	r = uplink_put(&owner, &lease.set, name, err);
	if (r <= 0)
		return r < 0 ? r : err_set(err, ENODEV, "link %s is gone", lease.set.link.name);
	(void)snprintf(words, sizeof words, "%s on %s, leased by %s",
		net_addr_print(&lease.addr, true).text, name,
		lease.set.from ? lease.set.from : "a server");
	tell("READY=1\n", words);
	return 0;
}

/* The server has taken it back, or its time is over. */
static int lose(const struct lease_task *task, const char *words, struct err *err)
{
	const struct uplink_owner owner = owner_of(task);
	int r = uplink_drop(&owner, err);

	tell("", words);
	return r;
}

/* Also said when the client begins, and then the address may still be good. A container's client
 * begins anew without one, so that its unit is ready when there is a lease, and only then. */
static int deconfig(const struct lease_task *task, struct err *err)
{
	const struct uplink_owner owner = owner_of(task);
	const struct uplink_set *set = uplink_record(&owner);
	int r;

	if (!set || !set->until || set->until > clock_monotonic() / NSEC_PER_SEC + LOST_EARLY)
		return 0;
	r = lose(task, "the lease has ended, and no server has renewed it", err);
	if (!owner.run_dir)
		(void)kill(getppid(), SIGTERM);
	return r;
}

static int no_answer(const struct lease_task *task)
{
	bool inside = strcmp(task->where, IN_CONTAINER) == 0;
	char words[100];

	(void)snprintf(words, sizeof words, "no DHCP server %s on %.15s%s",
		inside ? "has answered" : "answers", word_of("interface", NULL),
		inside ? " in " DISCOVER_SPAN : "; asking on");
	tell(inside ? "" : "READY=1\n", words);
	return 0;
}

bool lease_is_script(void)
{
	return getenv(LEASE_ENV);
}

int lease_script(int argc, char **argv)
{
	char words[600];
	struct lease_task task = { .where = words };
	struct err err = { 0 };
	char *metric;
	char *owner = NULL;
	int r = 0;

	(void)snprintf(words, sizeof words, "%s", word_of(LEASE_ENV, NULL));
	metric = strrchr(words, ' ');
	if (metric) {
		*metric++ = '\0';
		owner = strrchr(words, ' ');
	}
	if (argc < 2 || !owner)
		return cmd_fail(CMD_USAGE, "%s is not for you to set", LEASE_ENV);
	*owner++ = '\0';
	task.owner = owner;
	task.metric = metric;
	if (strcmp(argv[1], "bound") == 0 || strcmp(argv[1], "renew") == 0)
		r = take(&task, &err);
	else if (strcmp(argv[1], "nak") == 0)
		r = lose(&task, "the server has taken the address back", &err);
	else if (strcmp(argv[1], "deconfig") == 0)
		r = deconfig(&task, &err);
	else if (strcmp(argv[1], "leasefail") == 0)
		r = no_answer(&task);
	return r < 0 ? cmd_fail(CMD_FAILED, "lease: %s", err.text) : CMD_OK;
}
