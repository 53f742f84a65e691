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
#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

enum { RECORD_SIZE = 8192, ADDRS_MAX = 64, RESOLV_SIZE = 16384 };

static int open_dir(const char *run_dir, bool make, struct err *err)
{
	char path[300];
	int r = 0;
	int fd;

	(void)snprintf(path, sizeof path, "%s/uplink", run_dir);
	if (make)
		r = path_mkdirs(path, 0755);
	if (r < 0)
		return err_sys(err, -r, "make the directory %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open %s", path) : fd;
}

/* ---- one record --------------------------------------------------------------------------------- */

/* "link eth0", "address 10.0.0.2/24", "gateway 10.0.0.1", "metric 100", "nameserver …", "search …" */
struct record {
	struct net_uplink link;
	struct net_addr addrs[ADDRS_MAX];
	char text[RECORD_SIZE];
};

static void record_line(struct record *record, const char *key, const char *value)
{
	struct net_uplink *link = &record->link;
	struct net_addr addr = { 0 };

	if (strcmp(key, "link") == 0)
		link->name = value;
	else if (strcmp(key, "metric") == 0)
		(void)num_u32(value, &link->metric);
	else if (net_addr_parse(value, &addr) < 0)
		return;
	else if (strcmp(key, "address") == 0 && link->naddrs < ADDRS_MAX)
		record->addrs[link->naddrs++] = addr;
	else if (strcmp(key, "gateway") == 0)
		*(addr.family == AF_INET ? &link->gateway4 : &link->gateway6) = addr;
}

/* What is not to be read is as if it were not there. Gives the one that was read last. */
static const struct record *record_read(int dir, const char *owner)
{
	static struct record the_record;
	struct record *record = &the_record;
	char *save = NULL;

	*record = (struct record){ .link = { .name = "" } };
	record->link.addrs = record->addrs;
	if (dir < 0 || file_read_at(dir, owner, record->text, sizeof record->text) < 0)
		return record;
	for (char *line = strtok_r(record->text, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		char *value = line;
		const char *key = strsep(&value, " ");

		if (value)
			record_line(record, key, value);
	}
	return record;
}

static void put_gateway(FILE *out, const struct net_addr *gateway)
{
	if (gateway->family)
		(void)fprintf(out, "gateway %s\n", net_addr_print(gateway, false).text);
}

static int record_write(int dir, const char *owner, const char *name, const struct uplink_set *set)
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
	for (size_t i = 0; i < set->dns.n; i++)
		(void)fprintf(out, "nameserver %s\n", set->dns.v[i]);
	if (set->search && *set->search)
		(void)fprintf(out, "search %s\n", set->search);
	if (fclose(out) != 0)
		return -ENOMEM;
	return file_replace_at(dir, owner, text, n, 0644, 0);
}

/* ---- resolv.conf -------------------------------------------------------------------------------- */

static int is_owner(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void resolv_lines(int dir, const char *owner, FILE *out)
{
	char text[RECORD_SIZE];
	char *save = NULL;

	if (file_read_at(dir, owner, text, sizeof text) < 0)
		return;
	for (const char *line = strtok_r(text, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save))
		if (str_starts(line, "nameserver ") || str_starts(line, "search "))
			(void)fprintf(out, "%s\n", line);
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

int uplink_put(const char *run_dir, const char *owner, const struct uplink_set *set,
	char ret_name[static 16], struct err *err)
{
	own_fd dir = open_dir(run_dir, true, err);
	int r;

	if (dir < 0)
		return dir;
	r = net_uplink_apply(-1, &record_read(dir, owner)->link, &set->link, ret_name, err);
	if (r <= 0)
		return r;
	r = record_write(dir, owner, ret_name, set);
	if (r >= 0)
		r = resolv_write(run_dir, dir);
	return r < 0 ? err_sys(err, -r, "uplink %s: put it on record", ret_name) : 1;
}

int uplink_drop(const char *run_dir, const char *owner, struct err *err)
{
	own_fd dir = open_dir(run_dir, false, err);
	const struct net_uplink *old = &record_read(dir, owner)->link;
	const struct net_uplink nothing = { .name = old->name };
	char name[16];
	int r = *old->name ? net_uplink_apply(-1, old, &nothing, name, err) : 0;

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	(void)unlinkat(dir, owner, 0);
	if (r >= 0)
		r = resolv_write(run_dir, dir);
	return r < 0 ? r : 0;
}

void uplink_prune(const char *run_dir, bool (*keep)(const char *owner, void *data), void *data)
{
	own_fd dir = open_dir(run_dir, false, NULL);
	struct dirent **owners = NULL;
	int n = dir < 0 ? 0 : scandirat(dir, ".", &owners, is_owner, alphasort);

	for (int i = 0; i < n; i++) {
		if (!keep(owners[i]->d_name, data))
			(void)uplink_drop(run_dir, owners[i]->d_name, NULL);
		free(owners[i]);
	}
	free((void *)owners);
}

struct net_addr uplink_address(const char *run_dir, const char *owner)
{
	own_fd dir = open_dir(run_dir, false, NULL);
	const struct record *record = record_read(dir, owner);

	for (size_t i = 0; i < record->link.naddrs; i++)
		if (record->addrs[i].family == AF_INET)
			return record->addrs[i];
	return (struct net_addr){ 0 };
}
