/* What a DHCP client tells its script (a line "WORD=VALUE" each), and the record of a container's lease,
 * which that client may have written: the same input is taken for both. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "netns/net.h"
#include "supervisor/runtime/lease.h"
#include "tests/fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char text[16384];

/* Its values are where they were found, cut at the end of the line in a copy. */
static const char *word_of(const char *name, void *data)
{
	static char values[32][1024];
	static unsigned turn;
	size_t length = strlen(name);

	(void)data;
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");

		if (n > length && line[length] == '=' && strncmp(line, name, length) == 0) {
			char *value = values[++turn % 32];

			(void)snprintf(value, sizeof values[0], "%.*s", (int)(n - length - 1),
				line + length + 1);
			return value;
		}
		line += n + (line[n] == '\n');
	}
	return "";
}

/* Nothing but addresses and domains reaches a resolv.conf. */
static void check_resolv(const struct uplink_set *set)
{
	char *lines = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&lines, &n);

	if (!out)
		return;
	uplink_resolv(set, out);
	if (fclose(out) != 0)
		return;
	for (char *save, *line = strtok_r(lines, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		struct net_addr addr;

		if (str_starts(line, "nameserver ")
				? net_addr_parse(line + 11, &addr) < 0
				: !str_starts(line, "search ") || !uplink_is_domains(line + 7))
			__builtin_trap();
	}
	free(lines);
}

static void check(const struct uplink_set *set)
{
	const struct net_uplink *link = &set->link;

	for (size_t i = 0; i < link->naddrs; i++)
		if (link->addrs[i].prefix > (link->addrs[i].family == AF_INET ? 32 : 128))
			__builtin_trap();
	for (size_t i = 0; i < link->nroutes; i++)
		if (link->routes[i].via.family &&
			link->routes[i].via.family != link->routes[i].to.family)
			__builtin_trap();
	check_resolv(set);
}

static void fuzz_words(void)
{
	struct err err = { 0 };
	struct lease lease;

	if (lease_read(word_of, NULL, 0, 1, &lease, &err) < 0)
		return;
	if (lease.addr.family != AF_INET || lease.addr.prefix < 1 || lease.addr.prefix > 32 ||
		lease.set.link.nroutes > LEASE_ROUTES_MAX || lease.set.dns.n > LEASE_SERVERS_MAX)
		__builtin_trap();
	check(&lease.set);
}

static void fuzz_record(void)
{
	struct uplink_owner owner = { .name = "lease" };
	int dir = scratch();
	const struct uplink_set *set;

	(void)snprintf(owner.dir, sizeof owner.dir, "%s", scratch_path);
	if (file_replace_at(dir, owner.name, text, strlen(text), 0600, 0) < 0)
		abort();
	set = uplink_record(&owner);
	if (set)
		check(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	n = n < sizeof text ? n : sizeof text - 1;
	if (n)
		memcpy(text, data, n);
	text[n] = '\0';
	fuzz_words();
	fuzz_record();
	return 0;
}
