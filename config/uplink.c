/* Uplink= of berth.conf, and the kernel's own word for it, ip= on its command line: links of the host
 * that berth sets up. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "config/build.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/num.h"

/* The default routes of the uplinks stand beside each other; the first written is taken first. */
enum { METRIC_STEP = 100, METRIC_FIRST = 100, MTU_MIN = 576, MTU_MAX = 65535 };

struct reading {
	struct unit_set *set;
	struct origin at;
	bool is_error; /* what is wrong; else a warning, and the machine boots without it */
	bool nomem;
};

#define WRONG(r, ...) ((r)->nomem |= problem_at((r)->set, (r)->is_error, (r)->at, __VA_ARGS__) < 0)

/* The one of that name, with room for a new one. NULL and nomem. */
static struct uplink *uplink_of(struct reading *r, const char *name)
{
	struct supervisor_conf *conf = &r->set->conf;
	struct uplink *grown;

	for (size_t i = 0; i < conf->nuplinks; i++)
		if (strcmp(conf->uplinks[i].link.name, name) == 0)
			return &conf->uplinks[i];
	grown = arena_grow(
		&r->set->arena, conf->uplinks, conf->nuplinks, conf->nuplinks + 1, sizeof *grown);
	name = arena_strdup(&r->set->arena, name);
	if (!grown || !name) {
		r->nomem = true;
		return NULL;
	}
	conf->uplinks = grown;
	grown += conf->nuplinks;
	grown->link.name = name;
	grown->link.metric = (uint32_t)(METRIC_FIRST + METRIC_STEP * conf->nuplinks++);
	return grown;
}

static void add_addr(struct reading *r, struct uplink *uplink, const struct net_addr *addr)
{
	struct net_uplink *link = &uplink->link;
	struct net_addr *grown;

	for (size_t i = 0; i < link->naddrs; i++)
		if (net_addr_equal(&link->addrs[i], addr)) {
			WRONG(r, "Uplink: %s is written twice: remove one",
				net_addr_print(addr, true).text);
			return;
		}
	grown = arena_grow(
		&r->set->arena, link->addrs, link->naddrs, link->naddrs + 1, sizeof *grown);
	if (!grown) {
		r->nomem = true;
		return;
	}
	grown[link->naddrs++] = *addr;
	link->addrs = grown;
}

static void add_gateway(struct reading *r, struct uplink *uplink, const struct net_addr *gateway)
{
	struct net_addr *slot =
		gateway->family == AF_INET ? &uplink->link.gateway4 : &uplink->link.gateway6;

	if (slot->family && !net_addr_equal(slot, gateway))
		WRONG(r, "Uplink: %s has a second gateway of one family: remove one",
			uplink->link.name);
	*slot = *gateway;
}

static void add_server(struct reading *r, struct uplink *uplink, const char *text)
{
	struct net_addr addr;
	const char *copy = arena_strdup(&r->set->arena, text);

	if (net_addr_parse(text, &addr) < 0 || strchr(text, '/'))
		WRONG(r, "Uplink: dns=%.60s is not an address", text);
	else if (!copy || strv_add(&uplink->dns, &r->set->arena, copy) < 0)
		r->nomem = true;
}

/* ---- Uplink= ------------------------------------------------------------------------------------ */

/* "10.0.0.2/24", "10.0.0.2/24,10.0.0.1" */
static void address_read(struct reading *r, struct uplink *uplink, char *word)
{
	char *gateway = word;
	const char *text = strsep(&gateway, ",");
	struct net_addr addr;
	struct net_addr via;

	if (net_addr_parse(text, &addr) < 0 || !strchr(text, '/')) {
		WRONG(r,
			"Uplink: \"%.60s\": write dhcp, or ADDRESS/LENGTH[,GATEWAY], dns=ADDRESS, "
			"mtu=BYTES",
			text);
		return;
	}
	add_addr(r, uplink, &addr);
	if (!gateway)
		return;
	if (net_addr_parse(gateway, &via) < 0 || strchr(gateway, '/') ||
		via.family != addr.family || memcmp(via.bytes, addr.bytes, sizeof via.bytes) == 0)
		WRONG(r, "Uplink: \"%.60s\" is no gateway for %s", gateway, text);
	else
		add_gateway(r, uplink, &via);
}

static void mtu_read(struct reading *r, struct uplink *uplink, const char *text)
{
	uint32_t mtu;

	if (num_u32(text, &mtu) == 0 && mtu >= MTU_MIN && mtu <= MTU_MAX)
		uplink->link.mtu = mtu;
	else
		WRONG(r, "Uplink: mtu=%.60s: write a number from %d to %d", text, MTU_MIN, MTU_MAX);
}

/* "eth0 WORD…" */
static void line_read(struct reading *r, char *line)
{
	char *save = NULL;
	const char *name = strtok_r(line, " \t", &save);
	struct uplink *uplink;
	char *word;

	if (!name || !ifname_valid(name) || strcmp(name, "lo") == 0) {
		WRONG(r,
			"Uplink: \"%.60s\" is not a link's name: write Uplink=eth0 dhcp, or "
			"Uplink=eth0 10.0.0.2/24,10.0.0.1",
			name ? name : "");
		return;
	}
	uplink = uplink_of(r, name);
	while (uplink && (word = strtok_r(NULL, " \t", &save))) {
		if (strcmp(word, "dhcp") == 0)
			uplink->dhcp = true;
		else if (str_starts(word, "mtu="))
			mtu_read(r, uplink, word + 4);
		else if (str_starts(word, "dns="))
			for (char *rest = word + 4; rest;)
				add_server(r, uplink, strsep(&rest, ","));
		else
			address_read(r, uplink, word);
	}
}

int conf_uplinks(struct unit_set *set, const struct draft_list *lines)
{
	struct reading r = { .set = set, .is_error = true };

	for (size_t i = 0; i < lines->n && !r.nomem; i++) {
		char *line = arena_strdup(&set->arena, lines->v[i].text);

		if (!line)
			return -ENOMEM;
		r.at = lines->v[i].at;
		line_read(&r, line);
	}
	return r.nomem ? -ENOMEM : 0;
}

/* ---- the client --------------------------------------------------------------------------------- */

static int words_put(struct unit_set *set, struct strv *list, const char *const *words, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i++)
		r = words[i] ? strv_add(list, &set->arena, words[i]) : -ENOMEM;
	return r;
}

/* Ready with the first lease, or when there is none so soon; what goes on for ever is the client's. */
int uplink_draft(struct unit_set *set, struct draft_set *drafts, const struct uplink *uplink,
	struct unit_draft *ret, const char **ret_stem)
{
	const char *name = uplink->link.name;
	const char *stem = *name ? arena_printf(&set->arena, "uplink-%s", name) : "uplink";
	const char *file = stem ? arena_printf(&set->arena, "(built-in %s.service)", stem) : NULL;
	struct origin at = { file, 0 };
	struct draft_item *boot = arena_alloc(&drafts->arena, sizeof *boot);
	const char *words[] = { "berth", "lease", set->conf.run_dir,
		arena_printf(&set->arena, "%s:dhcp", *name ? name : "*"),
		arena_printf(&set->arena, "%u", uplink->link.metric), name };

	if (!file || !boot)
		return -ENOMEM;
	*boot = (struct draft_item){ "default.target", at };
	*ret = (struct unit_draft){
		.kind = UNIT_SERVICE,
		.file = file,
		.leases = true,
		.description = { arena_printf(&set->arena, "DHCP on %s",
					 *name ? name : "the first link"),
			at },
		.type = { TYPE_NOTIFY, at },
		.timeout_start = { NSEC_NEVER, at },
		.restart = { RESTART_ALWAYS, at },
		.restart_sec = { 2 * NSEC_PER_SEC, at },
		.wanted_by = { boot, 1 },
	};
	*ret_stem = stem;
	ret->exec_start.at = at;
	return ret->description.v
		       ? words_put(set, &ret->exec_start.v, words, sizeof words / sizeof words[0])
		       : -ENOMEM;
}

/* ---- ip= ---------------------------------------------------------------------------------------- */

/* Documentation/admin-guide/nfs/nfsroot.rst, with dracut.cmdline(7)'s [ADDRESS]s. */
enum ip_field {
	IP_CLIENT,
	IP_SERVER,
	IP_GATEWAY,
	IP_NETMASK,
	IP_HOSTNAME,
	IP_DEVICE,
	IP_AUTOCONF,
	IP_DNS0,
	IP_DNS1,
	IP_NTP0,
	IP_FIELDS
};

/* Cuts the next field off; colons in brackets do not count. */
static const char *ip_field_next(char **rest)
{
	char *start = *rest;
	char *end;

	if (!start)
		return "";
	if (*start == '[' && (end = strchr(start, ']')) && (end[1] == ':' || !end[1])) {
		*end++ = '\0';
		*rest = *end ? end + 1 : NULL;
		return start + 1;
	}
	return strsep(rest, ":");
}

static bool asks_server(const char *word)
{
	static const char *const words[] = { "dhcp", "on", "any", "both", "bootp", "rarp" };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(words[i], word) == 0)
			return true;
	return false;
}

static bool asks_nobody(const char *word)
{
	/* The last two: IPv6 by router advertisements, which is the kernel's. */
	static const char *const words[] = { "off", "none", "static", "auto6", "link6" };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(words[i], word) == 0)
			return true;
	return false;
}

/* "255.255.255.0" or "24"; "": the class of the address, as the kernel has it. */
static bool netmask_read(const char *text, struct net_addr *addr)
{
	const bool v4 = addr->family == AF_INET;
	struct net_addr mask;
	uint32_t length;
	uint32_t bits;

	if (!*text) {
		addr->prefix = 64;
		if (v4)
			addr->prefix = addr->bytes[0] < 128 ? 8 : addr->bytes[0] < 192 ? 16 : 24;
		return true;
	}
	if (num_u32(text, &length) == 0 && length <= (v4 ? 32U : 128U)) {
		addr->prefix = (uint8_t)length;
		return true;
	}
	if (!v4 || net_addr_parse(text, &mask) < 0 || mask.family != AF_INET || strchr(text, '/'))
		return false;
	bits = (uint32_t)mask.bytes[0] << 24 | (uint32_t)mask.bytes[1] << 16 |
	       (uint32_t)mask.bytes[2] << 8 | mask.bytes[3];
	addr->prefix = (uint8_t)__builtin_popcount(bits);
	/* Ones, then zeros. */
	return (~bits & (~bits + 1)) == 0;
}

static void ip_static(struct reading *r, struct uplink *uplink, const char *const *field)
{
	struct net_addr addr;
	struct net_addr via;

	if (net_addr_parse(field[IP_CLIENT], &addr) < 0 ||
		(!strchr(field[IP_CLIENT], '/') && !netmask_read(field[IP_NETMASK], &addr))) {
		WRONG(r, "ip=: \"%.60s\" with the netmask \"%.60s\" is no address: it is left out",
			field[IP_CLIENT], field[IP_NETMASK]);
		return;
	}
	add_addr(r, uplink, &addr);
	if (!*field[IP_GATEWAY])
		return;
	if (net_addr_parse(field[IP_GATEWAY], &via) < 0 || via.family != addr.family)
		WRONG(r, "ip=: \"%.60s\" is no gateway for %s: it is left out", field[IP_GATEWAY],
			field[IP_CLIENT]);
	else
		add_gateway(r, uplink, &via);
}

/* ip=dhcp, ip=eth0:dhcp: one or two fields, of which the last says how. */
static void ip_short(const char **field, size_t n)
{
	field[IP_AUTOCONF] = field[n - 1];
	field[IP_DEVICE] = n == 2 ? field[0] : "";
	field[IP_CLIENT] = "";
}

static void ip_read(struct reading *r, char *text)
{
	const char *field[IP_FIELDS];
	char *rest = text;
	size_t n = 0;
	struct uplink *uplink;

	while (n < IP_FIELDS && rest)
		field[n++] = ip_field_next(&rest);
	for (size_t i = n; i < IP_FIELDS; i++)
		field[i] = "";
	if (n <= 2 && (asks_server(field[n - 1]) || asks_nobody(field[n - 1])))
		ip_short(field, n);
	if (*field[IP_AUTOCONF] && !asks_server(field[IP_AUTOCONF]) &&
		!asks_nobody(field[IP_AUTOCONF])) {
		WRONG(r, "ip=: \"%.60s\" is none of dhcp, on, off: it is left out",
			field[IP_AUTOCONF]);
		return;
	}
	if (*field[IP_DEVICE] && !ifname_valid(field[IP_DEVICE])) {
		WRONG(r, "ip=: \"%.60s\" is not a link's name: it is left out", field[IP_DEVICE]);
		return;
	}
	/* "off" alone: nothing is to be set up. */
	if (!*field[IP_CLIENT] && !*field[IP_DEVICE] && asks_nobody(field[IP_AUTOCONF]))
		return;
	uplink = uplink_of(r, field[IP_DEVICE]);
	if (!uplink)
		return;
	if (*field[IP_CLIENT])
		ip_static(r, uplink, field);
	else
		uplink->dhcp = !asks_nobody(field[IP_AUTOCONF]);
	for (int i = IP_DNS0; i <= IP_DNS1; i++)
		if (*field[i])
			add_server(r, uplink, field[i]);
}

int conf_uplinks_kernel(struct unit_set *set, const char *words)
{
	struct reading r = { .set = set, .at = { "/proc/cmdline", 1 } };
	char *text = arena_strdup(&set->arena, words);
	bool written = set->conf.nuplinks > 0;
	char *save = NULL;

	if (!text)
		return -ENOMEM;
	for (char *word = strtok_r(text, " \n", &save); word && !r.nomem;
		word = strtok_r(NULL, " \n", &save)) {
		if (written)
			WRONG(&r, "ip=%.60s: berth.conf says Uplink=, which counts", word);
		else
			ip_read(&r, word);
	}
	return r.nomem ? -ENOMEM : 0;
}
