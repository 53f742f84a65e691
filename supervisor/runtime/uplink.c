#include "supervisor/runtime/uplink.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "netns/net.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

enum {
	RECORD_SIZE = 8192,
	ADDRS_MAX = 64,
	ROUTES_MAX = 64,
	SERVERS_MAX = 16,
	RESOLV_SIZE = 16384,
};

struct uplink_owner uplink_of_host(const char *run_dir, const char *name)
{
	struct uplink_owner owner = { .name = name, .run_dir = run_dir };

	(void)snprintf(owner.dir, sizeof owner.dir, "%s/uplink", run_dir);
	return owner;
}

struct uplink_owner uplink_of_client(const char *run_dir, const char *client)
{
	struct uplink_owner owner = { .name = "lease" };

	(void)snprintf(owner.dir, sizeof owner.dir, "%s/lease/%s", run_dir, client);
	return owner;
}

static int open_dir(const struct uplink_owner *owner, bool make, struct err *err)
{
	int r = make ? path_mkdirs(owner->dir, 0755) : 0;
	int fd;

	if (r < 0)
		return err_sys(err, -r, "make the directory %s", owner->dir);
	fd = open(owner->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open %s", owner->dir) : fd;
}

bool uplink_is_domains(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._ ";

	return *text && strspn(text, letters) == strlen(text) && strlen(text) < 256;
}

/* ---- one record --------------------------------------------------------------------------------- */

/* "link eth0", "metric 100", "address 10.0.0.2/24", "gateway 10.0.0.1", "route 10.9.0.0/16 10.0.0.3"
 * (without the second: by the link), "nameserver …", "search …", "leased" and then "until 4711",
 * "from 10.0.0.1" */
struct record {
	struct uplink_set set;
	struct net_addr addrs[ADDRS_MAX];
	struct net_route routes[ROUTES_MAX];
	const char *servers[SERVERS_MAX];
	char text[RECORD_SIZE];
};

static void record_route(struct record *record, char *value)
{
	struct net_uplink *link = &record->set.link;
	struct net_route route = { 0 };
	char *via = value;
	const char *to = strsep(&via, " ");

	if (link->nroutes < ROUTES_MAX && net_addr_parse(to, &route.to) == 0 &&
		(!via || (net_addr_parse(via, &route.via) == 0 &&
				 route.via.family == route.to.family)))
		record->routes[link->nroutes++] = route;
}

/* A line whose value is an address. */
static void record_address(struct record *record, const char *key, const char *value)
{
	struct net_uplink *link = &record->set.link;
	struct strv *dns = &record->set.dns;
	struct net_addr addr;

	if (net_addr_parse(value, &addr) < 0)
		return;
	if (strcmp(key, "address") == 0 && link->naddrs < ADDRS_MAX)
		record->addrs[link->naddrs++] = addr;
	else if (strcmp(key, "gateway") == 0)
		*(addr.family == AF_INET ? &link->gateway4 : &link->gateway6) = addr;
	else if (strcmp(key, "nameserver") == 0 && dns->n < SERVERS_MAX)
		record->servers[dns->n++] = value;
	else if (strcmp(key, "from") == 0)
		record->set.from = value;
}

static void record_line(struct record *record, const char *key, char *value)
{
	struct uplink_set *set = &record->set;

	if (strcmp(key, "leased") == 0)
		set->link.leased = true;
	else if (!value)
		return;
	else if (strcmp(key, "link") == 0 && strlen(value) < 16)
		set->link.name = value;
	else if (strcmp(key, "metric") == 0)
		(void)num_u32(value, &set->link.metric);
	else if (strcmp(key, "until") == 0)
		(void)num_u64(value, &set->until);
	else if (strcmp(key, "search") == 0 && uplink_is_domains(value))
		set->search = value;
	else if (strcmp(key, "route") == 0)
		record_route(record, value);
	else
		record_address(record, key, value);
}

static const struct uplink_set *record_read(int dir, const char *name)
{
	static struct record the_record;
	struct record *record = &the_record;
	char *save = NULL;

	*record = (struct record){ .set.link.name = "" };
	record->set.link.addrs = record->addrs;
	record->set.link.routes = record->routes;
	record->set.dns.v = record->servers;
	if (dir < 0 || file_read_at(dir, name, record->text, sizeof record->text) < 0)
		return NULL;
	for (char *line = strtok_r(record->text, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		char *value = line;
		const char *key = strsep(&value, " ");

		record_line(record, key, value);
	}
	return *record->set.link.name ? &record->set : NULL;
}

const struct uplink_set *uplink_record(const struct uplink_owner *owner)
{
	own_fd dir = open_dir(owner, false, NULL);

	return record_read(dir, owner->name);
}

const struct uplink_set *uplink_lease(const struct uplink_owner *owner)
{
	const struct uplink_set *set = uplink_record(owner);

	return set && (!set->until || clock_monotonic() / NSEC_PER_SEC < set->until) ? set : NULL;
}

struct net_addr uplink_address(const struct uplink_set *set)
{
	for (size_t i = 0; set && i < set->link.naddrs; i++)
		if (set->link.addrs[i].family == AF_INET)
			return set->link.addrs[i];
	return (struct net_addr){ 0 };
}

void uplink_resolv(const struct uplink_set *set, FILE *out)
{
	for (size_t i = 0; i < set->dns.n; i++)
		(void)fprintf(out, "nameserver %s\n", set->dns.v[i]);
	if (set->search)
		(void)fprintf(out, "search %s\n", set->search);
}

static void put_gateway(FILE *out, const struct net_addr *gateway)
{
	if (gateway->family)
		(void)fprintf(out, "gateway %s\n", net_addr_print(gateway, false).text);
}

static void put_route(FILE *out, const struct net_route *route)
{
	(void)fprintf(out, "route %s", net_addr_print(&route->to, true).text);
	if (route->via.family)
		(void)fprintf(out, " %s", net_addr_print(&route->via, false).text);
	(void)fputc('\n', out);
}

static int record_write(
	int dir, const struct uplink_owner *owner, const char *name, const struct uplink_set *set)
{
	own_mem char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	if (!out)
		return -ENOMEM;
	(void)fprintf(out, "link %s\nmetric %u\n", name, set->link.metric);
	for (size_t i = 0; i < set->link.naddrs; i++)
		(void)fprintf(out, "address %s\n", net_addr_print(&set->link.addrs[i], true).text);
	put_gateway(out, &set->link.gateway4);
	put_gateway(out, &set->link.gateway6);
	for (size_t i = 0; i < set->link.nroutes; i++)
		put_route(out, &set->link.routes[i]);
	uplink_resolv(set, out);
	if (set->link.leased)
		(void)fprintf(out, "leased\nuntil %llu\n", (unsigned long long)set->until);
	if (set->from)
		(void)fprintf(out, "from %s\n", set->from);
	if (fclose(out) != 0)
		return -ENOMEM;
	return file_replace_at(dir, owner->name, text, n, 0644, 0);
}

/* ---- resolv.conf -------------------------------------------------------------------------------- */

static int is_owner(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void resolv_lines(int dir, const char *owner, FILE *out)
{
	const struct uplink_set *set = record_read(dir, owner);

	if (set)
		uplink_resolv(set, out);
}

/* Replaced by rename, and only when it is another one: programs watch it. */
static int resolv_write(const char *run_dir, int dir)
{
	own_fd run = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char old[RESOLV_SIZE];
	own_mem char *text = NULL;
	struct dirent **owners = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int n = scandirat(dir, ".", &owners, is_owner, alphasort);
	ssize_t had;

	for (int i = 0; i < n; i++) {
		if (out)
			resolv_lines(dir, owners[i]->d_name, out);
		free(owners[i]);
	}
	free((void *)owners);
	if (!out || fclose(out) != 0)
		return -ENOMEM;
	if (run < 0)
		return -errno;
	had = file_read_at(run, "resolv.conf", old, sizeof old);
	if ((had < 0 && size == 0) || (had == (ssize_t)size && memcmp(old, text, size) == 0))
		return 0;
	return file_replace_at(run, "resolv.conf", text, size, 0644, 0);
}

/* ---- the verbs ---------------------------------------------------------------------------------- */

int uplink_put(const struct uplink_owner *owner, const struct uplink_set *set,
	char ret_name[static 16], struct err *err)
{
	own_fd dir = open_dir(owner, owner->run_dir, err);
	const struct uplink_set *old;
	int r;

	if (dir < 0)
		return dir;
	old = record_read(dir, owner->name);
	r = net_uplink_apply(-1, old ? &old->link : NULL, &set->link, ret_name, err);
	if (r <= 0)
		return r;
	r = record_write(dir, owner, ret_name, set);
	if (r >= 0 && owner->run_dir)
		r = resolv_write(owner->run_dir, dir);
	return r < 0 ? err_sys(err, -r, "uplink %s: put it on record", ret_name) : 1;
}

int uplink_drop(const struct uplink_owner *owner, struct err *err)
{
	own_fd dir = open_dir(owner, false, err);
	const struct uplink_set *old = record_read(dir, owner->name);
	const struct net_uplink nothing = { .name = old ? old->link.name : "" };
	char name[16];
	int r = old ? net_uplink_apply(-1, &old->link, &nothing, name, err) : 0;

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	(void)unlinkat(dir, owner->name, 0);
	if (r >= 0 && owner->run_dir)
		r = resolv_write(owner->run_dir, dir);
	return r < 0 ? r : 0;
}

void uplink_prune(const char *run_dir, bool (*keep)(const char *owner, void *data), void *data)
{
	struct uplink_owner owner = uplink_of_host(run_dir, "");
	own_fd dir = open_dir(&owner, false, NULL);
	struct dirent **owners = NULL;
	int n = dir < 0 ? 0 : scandirat(dir, ".", &owners, is_owner, alphasort);

	for (int i = 0; i < n; i++) {
		owner.name = owners[i]->d_name;
		if (!keep(owner.name, data))
			(void)uplink_drop(&owner, NULL);
		free(owners[i]);
	}
	free((void *)owners);
}
