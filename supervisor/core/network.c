/* The network of the whole set: made and removed by worker processes, for netlink makes us wait. */
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "netns/net.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/log.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"
#include "supervisor/core/service.h"
#include "supervisor/runtime/helpers.h"
#include "supervisor/runtime/resolv.h"
#include "supervisor/runtime/volume.h"

/* A proxy must not call an address that is not its container's yet; who asks for one makes that one's
 * network. */
static const struct net_spec *net_of(const struct service *s)
{
	const struct container_spec *spec = s->unit->spec;

	if (spec->asks_for)
		return &spec->asks_for->net;
	return spec->proxy ? spec->proxy->net : &spec->net;
}

bool network_needed(const struct service *s)
{
	const struct net_spec *net = net_of(s);

	for (size_t i = 0; net->mode == NET_PRIVATE && i < net->nifaces; i++)
		if (net_is_ours(net->ifaces[i].bridge))
			return true;
	return false;
}

/* Has it links of its own, on whosesoever networks? */
static bool is_attached(const struct service *s)
{
	const struct container_spec *spec = s->unit->spec;

	return !spec->proxy && spec->net.mode == NET_PRIVATE && spec->net.nifaces;
}

/* ---- which of them failed ----------------------------------------------------------------------- */

static const char *failure_of(const struct supervisor *sv, const struct net_bridge *bridge)
{
	for (size_t i = 0; sv->network_failures && i < sv->set->nbridges; i++)
		if (sv->set->bridges[i] == bridge)
			return sv->network_failures[i];
	return NULL;
}

const char *network_failure(const struct service *s)
{
	const struct supervisor *sv = s->sv;
	const struct net_spec *net = net_of(s);
	const char *failure = NULL;

	if (!network_needed(s))
		return NULL;
	if (sv->network != NETWORK_UP)
		return sv->network_failure;
	for (size_t i = 0; !failure && i < net->nifaces; i++)
		if (net_is_ours(net->ifaces[i].bridge))
			failure = failure_of(sv, net->ifaces[i].bridge);
	return failure;
}

bool network_is_missed(const struct supervisor *sv, const struct net_bridge *network)
{
	return sv->network == NETWORK_WORKING || failure_of(sv, network);
}

static void failures_forget(struct supervisor *sv)
{
	for (size_t i = 0; sv->network_failures && i < sv->set->nbridges; i++)
		free(sv->network_failures[i]);
	free(sv->network_failures);
	sv->network_failures = NULL;
}

/* What the worker found out of each network: a page of its own, which goes when it is read. */
static size_t outcomes_size(const struct supervisor *sv)
{
	return (sv->set->nbridges + 1) * sizeof *sv->network_outcomes;
}

static int outcomes_open(struct supervisor *sv, struct err *err)
{
	void *shared = mmap(
		NULL, outcomes_size(sv), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return err_sys(err, errno, "set up the network: map a page");
	sv->network_outcomes = shared;
	return 0;
}

static void outcomes_close(struct supervisor *sv)
{
	if (sv->network_outcomes)
		(void)munmap(sv->network_outcomes, outcomes_size(sv));
	sv->network_outcomes = NULL;
}

/* Told once; a network that fails in the same way at the next try is no news. Of those that are not ours
 * each container has been told of. */
static void outcomes_take(struct supervisor *sv)
{
	size_t n = sv->set->nbridges;
	char **failures = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct err *outcome = &sv->network_outcomes[i];
		const char *before = failure_of(sv, sv->set->bridges[i]);

		if (!outcome->code)
			continue;
		if (!failures)
			failures = calloc(n, sizeof *failures);
		if (failures)
			failures[i] = strdup(outcome->text);
		if (net_is_ours(sv->set->bridges[i]) &&
			(!before || strcmp(before, outcome->text) != 0))
			log_warning("%s", outcome->text);
	}
	failures_forget(sv);
	sv->network_failures = failures;
}

/* ---- the rules ---------------------------------------------------------------------------------- */

static void tell_shadowed(const struct net_port *port, const struct net_holder *holder, void *data)
{
	const struct unit *unit = data;

	log_warning("%s: port %u/%s is published, and %s (pid %d) of this host listens on it too: "
		    "it is not reached there any more",
		unit->stem, holder->port, port->protocol == IPPROTO_UDP ? "udp" : "tcp",
		holder->pid ? holder->comm : "somebody", holder->pid);
}

/* The rules take what comes for a port before any socket sees it, so the kernel does not complain. */
static void tell_all_shadowed(const struct unit_set *set)
{
	for (size_t i = 0; i < set->nunits; i++) {
		const struct container_spec *spec = set->units[i].spec;

		if (spec && net_by_rules(spec->net.ports, spec->net.nports))
			(void)net_port_holders(spec->net.ports, spec->net.nports, tell_shadowed,
				&set->units[i], NULL);
	}
}

/* Another table has the last word, and says nothing of us: the box's own administrator must. */
static void tell_wall(const char *text, void *data)
{
	(void)data;
	log_warning("%s", text);
}

/* Its address is that of a network which could not be set up, and may be somebody else's. */
static bool leads_astray(const struct supervisor *sv, const struct net_port *port)
{
	for (size_t i = 0; i < sv->set->nbridges; i++) {
		const struct net_bridge *bridge = sv->set->bridges[i];

		if (sv->network_outcomes[i].code && net_subnet_of(bridge, &port->addr))
			return true;
	}
	return false;
}

/*
 * A kernel without nf_tables. Nothing is forwarded there unless somebody else says so, and berth does
 * not: so networks do not meet, nothing enters or leaves but by a proxy, and what is left open is
 * told. What somebody wrote and that cannot be kept is refused: here Internal=, and at the start of its
 * container IPAddressDeny= or a published port.
 */
static void do_without_rules(const struct supervisor *sv)
{
	const struct unit_set *set = sv->set;
	static const char *const switches[] = { "/proc/sys/net/ipv4/ip_forward",
		"/proc/sys/net/ipv6/conf/all/forwarding" };
	bool forwards = false;

	for (size_t i = 0; i < 2; i++) {
		char on[8];

		forwards |= file_read_at(-1, switches[i], on, sizeof on) > 0 && *on == '1';
	}

	for (size_t i = 0; forwards && i < set->nbridges; i++)
		if (set->bridges[i]->internal && net_is_ours(set->bridges[i]))
			(void)err_set(&sv->network_outcomes[i], EOPNOTSUPP,
				"set up the network: network %s: Internal= cannot be kept: the "
				"kernel has no nf_tables, and forwards packets: set "
				"net.ipv4.ip_forward=0 (and net.ipv6.conf.all.forwarding)",
				set->bridges[i]->name);
	if (sv->network_retried)
		return;
	log_warning(
		"the kernel has no nf_tables: containers do not reach the outside%s; they reach "
		"every service of the host that listens on all addresses; ports are published "
		"by PublishMode=proxy alone",
		forwards ? ", but other networks, for packets are forwarded here" : "");
}

/* The rules are of the networks that the host carries; the others have their own. */
static int apply_rules(const struct supervisor *sv, struct err *err)
{
	const struct unit_set *set = sv->set;
	const struct net_bridge **ours = calloc(set->nbridges + 1, sizeof(void *));
	const struct net_spec **members = calloc(set->nunits + 1, sizeof(void *));
	struct net_port *ports = calloc(set->nports + 1, sizeof *ports);
	struct net_rules rules = { .bridges = ours, .ports = ports, .members = members };
	struct err unguarded = { 0 };
	bool any = false;
	int r = -ENOMEM;

	if (!ours || !members || !ports)
		goto out;
	for (size_t i = 0; i < set->nbridges; i++) {
		any = any || net_is_ours(set->bridges[i]);
		if (net_is_ours(set->bridges[i]) && !sv->network_outcomes[i].code)
			ours[rules.nbridges++] = set->bridges[i];
	}
	for (size_t i = 0; i < set->nports; i++)
		if (!leads_astray(sv, &set->ports[i]))
			ports[rules.nports++] = set->ports[i];
	for (size_t i = 0; i < set->nunits; i++)
		if (any && set->units[i].spec && set->units[i].spec->net.nifaces)
			members[rules.nmembers++] = &set->units[i].spec->net;
	/* Also where each of them failed: what is told of them is theirs. */
	if (any && !net_has_nft()) {
		do_without_rules(sv);
		r = 0;
		goto out;
	}
	r = net_ruleset_apply(sv->env.instance, &rules, &unguarded, err);
	if (r == 0 && unguarded.code)
		log_warning("containers of one network can take each other's addresses: %s",
			unguarded.text);
	if (r == 0) {
		if (net_by_rules(set->ports, set->nports))
			net_walls_of_others(sv->env.instance, tell_wall, NULL);
		tell_all_shadowed(set);
	}
out:
	free(ports);
	free(members);
	free(ours);
	return r == -ENOMEM ? err_sys(err, ENOMEM, "set up the packet rules") : r;
}

static bool is_declared(const char *ifname, const char *alias, void *data)
{
	const struct supervisor *sv = data;

	(void)alias;
	for (size_t i = 0; i < sv->set->nbridges; i++)
		if (strcmp(sv->set->bridges[i]->ifname, ifname) == 0)
			return true;
	for (size_t i = 0; i < sv->nservices; i++) {
		const struct net_spec *net = &sv->services[i].unit->spec->net;

		for (size_t k = 0; k < net->nifaces; k++)
			if (strcmp(net->ifaces[k].host_ifname, ifname) == 0)
				return true;
	}
	return false;
}

static bool shares(const struct container_spec *spec, const struct service *owner)
{
	const struct container_spec *of = owner->unit->spec;

	/* Who asks for an address is in the container's, and in nobody's way. */
	if (of->asks_for)
		of = of->asks_for;
	return !spec->native && spec->net.mode == NET_CONTAINER &&
	       strcmp(spec->net.container, of->name) == 0;
}

enum net_others network_others(const struct service *s)
{
	enum net_others ret = NET_ALONE;

	for (size_t i = 0; i < s->sv->nservices && ret != NET_OTHERS_ADMIN; i++) {
		const struct service *other = &s->sv->services[i];
		const struct container_spec *spec = other->unit->spec;

		if (shares(spec, s) && machine_alive(&other->m))
			ret = helpers_is_net_admin(spec) ? NET_OTHERS_ADMIN : NET_OTHERS;
	}
	return ret;
}

/* May somebody in its namespace configure it: the container itself, or one that shares it? */
static bool is_its_own(const struct service *s)
{
	for (size_t i = 0; i < s->sv->nservices; i++) {
		const struct container_spec *spec = s->sv->services[i].unit->spec;

		if ((spec == s->unit->spec || shares(spec, s)) && helpers_is_net_admin(spec))
			return true;
	}
	return false;
}

static int first_wrong(int fd, const struct net_spec *net, const char **ret_ifname, struct err *err)
{
	int r = NET_RIGHT;

	for (size_t i = 0; r == NET_RIGHT && i < net->nifaces; i++) {
		r = net_compare(fd, &net->ifaces[i], err);
		*ret_ifname = net->ifaces[i].ifname;
	}
	return r;
}

/* What a network of others stands on is not there: to be tried again when it comes. */
static void miss(const struct service *s, const struct err *err)
{
	const struct net_spec *net = &s->unit->spec->net;

	for (size_t i = 0; i < net->nifaces; i++)
		for (size_t k = 0; k < s->sv->set->nbridges; k++)
			if (s->sv->set->bridges[k] == net->ifaces[i].bridge &&
				!net_is_ours(net->ifaces[i].bridge))
				s->sv->network_outcomes[k] = *err;
}

/* A container that runs and has lost its links, or what makes them work inside, gets that back; all
 * others are left as they are. */
static void reattach(const struct service *s)
{
	static const char *const lost[] = { [NET_UNPLUGGED] = "its place on the bridge",
		[NET_GONE] = "the link itself",
		[NET_DOWN] = "its being up",
		[NET_NO_ADDRESS] = "its address",
		[NET_NO_ROUTE] = "its default route" };
	const struct net_spec *net = &s->unit->spec->net;
	const char *ifname = "";
	struct err err = { 0 };
	char path[512];
	own_fd fd = -1;
	int r;

	(void)snprintf(path, sizeof path, "%s/pin/%s.net", s->sv->env.run_dir, s->unit->spec->name);
	fd = netns_open(path, &err);
	if (fd == -ENOENT)
		return;
	r = fd < 0 ? fd : first_wrong(is_its_own(s) ? -1 : fd, net, &ifname, &err);
	if (r == NET_RIGHT)
		return;
	if (r > 0) {
		log_info(
			"%s: %s has lost %s: it is attached again", s->unit->stem, ifname, lost[r]);
		r = net_attach(fd, net->ifaces, net->nifaces, &err);
		if (r >= 0) {
			(void)net_announce(fd, net->ifaces, net->nifaces, NULL);
			clients_renew(s);
		}
	}
	if (r < 0)
		log_error("%s: cannot be attached again: %s", s->unit->stem, err.text);
	if (r == -ENODEV)
		miss(s, &err);
}

/* All of its bridges that are ours are there. */
static bool is_carried(const struct supervisor *sv, const struct net_spec *net)
{
	for (size_t i = 0; i < net->nifaces; i++)
		for (size_t k = 0; k < sv->set->nbridges; k++)
			if (sv->set->bridges[k] == net->ifaces[i].bridge &&
				net_is_ours(sv->set->bridges[k]) && sv->network_outcomes[k].code)
				return false;
	return true;
}

/* One that fails holds nobody else up. Gives: is any of them other than before? */
static bool set_up_bridges(const struct supervisor *sv)
{
	bool changed = false;

	for (size_t i = 0; i < sv->set->nbridges; i++) {
		const struct net_bridge *bridge = sv->set->bridges[i];
		struct err *outcome = &sv->network_outcomes[i];

		if (net_bridge_ensure(sv->env.instance, bridge, outcome) < 0)
			(void)err_wrap(outcome, "set up the network");
		changed = changed || !outcome->code != !failure_of(sv, bridge);
	}
	return changed;
}

static int set_up(const void *data, struct err *err)
{
	const struct supervisor *sv = data;
	int r;

	/* First, for a bridge of an older definition may have the subnet of a new one. */
	(void)net_prune(sv->env.instance, is_declared, (void *)(size_t)data, NULL);
	if (!set_up_bridges(sv) && sv->network_retried)
		return 0;
	r = apply_rules(sv, err);
	for (size_t i = 0; r >= 0 && i < sv->nservices; i++) {
		const struct service *s = &sv->services[i];

		if (s->m.state != SERVICE_STARTING && machine_alive(&s->m) && is_attached(s) &&
			is_carried(sv, &s->unit->spec->net))
			reattach(s);
	}
	return r;
}

static void text_refresh(const struct service *s, const char *what, const char *name,
	int (*make)(const char *, const struct container_spec *, char **, struct err *))
{
	const char *run_dir = s->sv->env.run_dir;
	own_mem char *text = NULL;
	struct err err = { 0 };
	int r = name ? make(run_dir, s->unit->spec, &text, &err) : 0;

	if (r >= 0 && text)
		r = volume_text_refresh(run_dir, name, text);
	if (r < 0)
		log_warning("%s: its %s cannot be brought up to date: %s", s->unit->stem, what,
			err.code ? err.text : strerror(-r));
}

/* Names of siblings that came or went with a new configuration, and name servers of the host, told to
 * those who go on running. */
void network_names(const struct supervisor *sv)
{
	for (size_t i = 0; i < sv->nservices; i++) {
		const struct service *s = &sv->services[i];
		const struct container_spec *spec = s->unit->spec;

		if (!machine_alive(&s->m))
			continue;
		text_refresh(s, "/etc/hosts", spec->hosts_name, hosts_text);
		text_refresh(s, "/etc/resolv.conf", spec->resolv_name, resolv_text);
		/* A name server reads them again; also when a supervisor before us died before this. */
		if (spec->secluded && !spec->asks_for)
			(void)sv->sys->pidfd_signal(s->w.c.pidfd, SIGHUP);
	}
}

static void was_set_up(struct supervisor *sv, int r, const struct err *err, void *data)
{
	(void)data;
	sv->network = r < 0 ? NETWORK_NONE : NETWORK_UP;
	sv->dirty = true;
	if (r < 0) {
		if (strcmp(sv->network_failure, err->text) != 0)
			log_warning("%s", err->text);
		(void)snprintf(sv->network_failure, sizeof sv->network_failure, "%s", err->text);
	} else {
		outcomes_take(sv);
		netwatch_settle(sv);
	}
	outcomes_close(sv);
	/* Each that waits for one that failed fails with its words, and tries again by its own delays. */
	for (size_t i = 0; i < sv->nservices; i++) {
		struct service *s = &sv->services[i];

		if (s->m.state == SERVICE_WAITING && s->blocked_by == BLOCKED_BY_NETWORK &&
			network_failure(s))
			service_dispatch(s, EVENT_DEPS_MET);
	}
}

static void begin(struct supervisor *sv, bool retried)
{
	struct err err = { 0 };

	sv->network = NETWORK_WORKING;
	sv->network_retried = retried;
	netwatch_begin(sv);
	linkwatch_begin(sv);
	if (outcomes_open(sv, &err) < 0 ||
		job_start(sv, "set up the network", set_up, was_set_up, sv, &err) < 0)
		was_set_up(sv, -err.code, &err, NULL);
}

void network_begin(struct supervisor *sv)
{
	begin(sv, false);
}

bool network_await(struct service *s)
{
	struct supervisor *sv = s->sv;

	if (is_attached(s))
		linkwatch_begin(sv);
	if (!network_needed(s) || (sv->network == NETWORK_UP && !network_failure(s)))
		return false;
	/* One that failed is tried again when somebody wants it, and the others are left alone. */
	if (sv->network != NETWORK_WORKING)
		begin(sv, sv->network == NETWORK_UP);
	return true;
}

void network_end(struct supervisor *sv)
{
	outcomes_close(sv);
	failures_forget(sv);
}

/* What runs goes on by the rules of an older configuration until these are in force. */
void network_take_up(struct supervisor *sv)
{
	for (size_t i = 0; i < sv->nservices && sv->network == NETWORK_NONE; i++)
		if (machine_alive(&sv->services[i].m) &&
			(network_needed(&sv->services[i]) || is_attached(&sv->services[i])))
			network_begin(sv);
}

/* ---- devices that were lent ------------------------------------------------------------------- */

static int devices_back(const struct container_env *env, const char *name, struct err *err)
{
	char path[512];
	own_fd fd = -1;

	(void)snprintf(path, sizeof path, "%s/pin/%s.net", env->run_dir, name);
	fd = netns_open(path, err);
	if (fd == -ENOENT)
		return 0;
	return fd < 0 ? fd : net_devices_back(fd, NULL, 0, err);
}

static int release(const void *data, struct err *err)
{
	const struct service *s = data;

	return devices_back(&s->sv->env, s->unit->spec->name, err);
}

static void was_released(struct supervisor *sv, int r, const struct err *err, void *data)
{
	struct service *s = data;

	(void)sv;
	s->releasing = false;
	service_changed(s);
	if (r < 0)
		log_error("%s: %s", s->unit->stem, err->text);
}

void network_release(struct service *s)
{
	struct err err = { 0 };

	if (!s->unit->spec->net.ndevices || s->releasing)
		return;
	s->releasing = true;
	if (job_start(s->sv, "give the devices back to the host", release, was_released, s, &err) <
		0)
		was_released(s->sv, -err.code, &err, s);
}

/* ---- what is not declared any more ------------------------------------------------------------ */

static bool is_never_declared(const char *ifname, const char *alias, void *data)
{
	(void)ifname;
	(void)alias;
	(void)data;
	return false;
}

/* Pins are RUN_DIR/pin/NAME.net. */
static void prune_pins(const struct supervisor *sv, bool all)
{
	char path[512];
	DIR *dir;

	(void)snprintf(path, sizeof path, "%s/pin", sv->env.run_dir);
	dir = opendir(path);
	if (!dir)
		return;
	for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		char name[256];
		bool wanted = false;

		if (entry->d_name[0] == '.' || !str_ends(entry->d_name, ".net"))
			continue;
		(void)snprintf(
			name, sizeof name, "%.*s", (int)strlen(entry->d_name) - 4, entry->d_name);
		for (size_t i = 0; i < sv->nservices && !all; i++)
			wanted |= strcmp(sv->services[i].unit->spec->name, name) == 0;
		if (wanted)
			continue;
		(void)devices_back(&sv->env, name, NULL);
		(void)snprintf(path, sizeof path, "%s/pin/%s", sv->env.run_dir, entry->d_name);
		(void)net_remove(path);
	}
	(void)closedir(dir);
}

static int prune(const void *data, struct err *err)
{
	const struct supervisor *sv = data;

	prune_pins(sv, false);
	if (!sv->set->nbridges && net_ruleset_remove(sv->env.instance, err) < 0)
		return err_wrap(err, "remove the packet rules");
	return net_prune(sv->env.instance, is_declared, (void *)(size_t)data, err);
}

void network_prune(struct supervisor *sv)
{
	struct err err = { 0 };

	if (job_start(sv, "remove links that are not declared any more", prune, NULL, sv, &err) < 0)
		log_warning("%s", err.text);
}

void network_remove(struct supervisor *sv)
{
	struct err err = { 0 };

	prune_pins(sv, true);
	if (net_prune(sv->env.instance, is_never_declared, NULL, &err) < 0)
		log_warning("remove links: %s", err.text);
	if (net_ruleset_remove(sv->env.instance, &err) < 0)
		log_warning("remove the packet rules: %s", err.text);
}
