#include "supervisor/runtime/resolv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netns/net.h"
#include "supervisor/base/own.h"
#include "supervisor/base/resolvconf.h"
#include "supervisor/runtime/uplink.h"

static const struct uplink_set *lease_of(const char *run_dir, const struct lease_spec *lease)
{
	const struct uplink_owner owner = uplink_of_client(run_dir, lease->client);

	return uplink_lease(&owner);
}

/* False: none of its leases names a server. */
static bool put_leased(const char *run_dir, const struct container_spec *spec, FILE *out)
{
	bool any = false;

	for (size_t i = 0; i < spec->nleases; i++) {
		const struct uplink_set *set =
			spec->leases[i].own ? lease_of(run_dir, &spec->leases[i]) : NULL;

		if (set && set->dns.n) {
			uplink_resolv(set, out);
			any = true;
		}
	}
	return any;
}

/* A text that is written as a stream: begun with the first, its end is the second. */
static FILE *text_begin(char **text, size_t *n, struct err *err)
{
	FILE *out = open_memstream(text, n);

	if (!out)
		(void)err_sys(err, ENOMEM, "write a file for the container");
	return out;
}

static int text_end(FILE *out, char **text, int r, struct err *err)
{
	if (fclose(out) != 0 && r == 0)
		r = err_sys(err, ENOMEM, "write a file for the container");
	if (r < 0) {
		free(*text);
		*text = NULL;
	}
	return r;
}

/* What the surroundings say, as lines of a resolv.conf. */
static int outside(
	const char *run_dir, const struct container_spec *spec, char **ret, struct err *err)
{
	size_t n = 0;
	FILE *out = text_begin(ret, &n, err);
	int r = 0;

	if (!out)
		return -ENOMEM;
	if (spec->resolv_host != RESOLV_NONE && !put_leased(run_dir, spec, out))
		r = resolvconf_host(run_dir, spec->resolv_host == RESOLV_ALL, out, err);
	return text_end(out, ret, r, err);
}

static const char *line_next(const char *line)
{
	return line + strcspn(line, "\n") + (strchr(line, '\n') != NULL);
}

/* As podman does it: first the domain of the network's own names, then the host's, and its options. */
static void put_search(const char *lines, FILE *out)
{
	(void)fputs("search " RESOLV_DOMAIN, out);
	for (const char *line = lines; *line; line = line_next(line))
		if (str_starts(line, "search ") || str_starts(line, "domain "))
			(void)fprintf(out, " %.*s", (int)strcspn(line + 7, "\n"), line + 7);
	(void)fputc('\n', out);
	for (const char *line = lines; *line; line = line_next(line))
		if (str_starts(line, "options "))
			(void)fprintf(out, "%.*s\n", (int)strcspn(line, "\n"), line);
}

/* As dnsmasq's --servers-file has it; where there is none, it knows nothing of the world. */
static void put_servers(const char *lines, FILE *out)
{
	size_t n = 0;

	for (const char *line = lines; *line; line = line_next(line)) {
		struct net_addr addr;
		char word[80];

		if (sscanf(line, "nameserver %79s", word) == 1 &&
			net_addr_parse(word, &addr) == 0 && ++n)
			(void)fprintf(out, "server=%s\n", word);
	}
	if (!n)
		(void)fputs("server=/#/\n", out);
}

int resolv_text(const char *run_dir, const struct container_spec *spec, char **ret, struct err *err)
{
	own_mem char *lines = NULL;
	size_t n = 0;
	FILE *out;
	int r;

	*ret = NULL;
	if (!spec->resolv_conf)
		return 0;
	r = outside(run_dir, spec, &lines, err);
	if (r < 0)
		return r;
	out = text_begin(ret, &n, err);
	if (!out)
		return -ENOMEM;
	if (spec->resolv_host == RESOLV_SERVERS)
		put_servers(lines, out);
	else if (spec->resolv_host != RESOLV_SEARCH)
		(void)fputs(lines, out);
	(void)fputs(spec->resolv_conf, out);
	if (spec->resolv_host == RESOLV_SEARCH)
		put_search(lines, out);
	return text_end(out, ret, 0, err);
}

int hosts_text(const char *run_dir, const struct container_spec *spec, char **ret, struct err *err)
{
	size_t n = 0;
	FILE *out;

	*ret = NULL;
	if (!spec->hosts)
		return 0;
	out = text_begin(ret, &n, err);
	if (!out)
		return -ENOMEM;
	(void)fputs(spec->hosts, out);
	for (size_t i = 0; i < spec->nleases; i++) {
		const struct lease_spec *lease = &spec->leases[i];
		struct net_addr addr = uplink_address(lease_of(run_dir, lease));

		if (lease->names && addr.family)
			(void)fprintf(
				out, "%s\t%s\n", net_addr_print(&addr, false).text, lease->names);
	}
	return text_end(out, ret, 0, err);
}
