/* The resolved fields as text: what tests compare and what a unit's hash is made of. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/build.h"
#include "config/print.h"
#include "supervisor/base/capability.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/signals.h"

static void text(FILE *out, const char *name, const char *value)
{
	if (value && *value)
		(void)fprintf(out, "%s: %s\n", name, value);
}

static void list(FILE *out, const char *name, const struct strv *values)
{
	for (size_t i = 0; i < values->n; i++)
		(void)fprintf(out, "%s: %s\n", name, values->v[i]);
}

static void flag(FILE *out, const char *name, bool value)
{
	if (value)
		(void)fprintf(out, "%s: yes\n", name);
}

static void number(FILE *out, const char *name, uint64_t value)
{
	if (value == UINT64_MAX)
		(void)fprintf(out, "%s: infinity\n", name);
	else
		(void)fprintf(out, "%s: %" PRIu64 "\n", name, value);
}

static void limit(FILE *out, const char *name, const struct limit *value)
{
	if (!value->set)
		return;
	if (value->value == LIMIT_MAX)
		(void)fprintf(out, "%s: max", name);
	else
		(void)fprintf(out, "%s: %" PRIu64, name, value->value);
	(void)fputs(value->builtin ? " (default)\n" : "\n", out);
}

static void caps(FILE *out, const char *name, uint64_t mask)
{
	(void)fprintf(out, "%s:", name);
	for (int i = 0; i < CAPABILITY_COUNT; i++)
		if (mask & CAPABILITY_BIT(i))
			(void)fprintf(out, " %s", capability_name(i) + strlen("CAP_"));
	(void)fputc('\n', out);
}

static void root_print(const struct root_spec *root, FILE *out)
{
	static const char *const kinds[] = { [ROOT_NONE] = "host",
		[ROOT_DIR] = "directory",
		[ROOT_TAR] = "tar",
		[ROOT_FILE] = "file system image",
		[ROOT_LAYERS] = "layers" };
	static const char *const persists[] = {
		[PERSIST_NO] = "no", [PERSIST_BOOT] = "boot", [PERSIST_PERMANENT] = "permanent"
	};

	(void)fprintf(out, "root: %s %s%s\n", kinds[root->kind], root->path ? root->path : "",
		root->readonly ? " ro" : "");
	text(out, "image", root->image);
	text(out, "image content", root->id ? root->id : root->tag);
	list(out, "layer", &root->layers);
	if (root->upper_dir)
		(void)fprintf(out, "kept: %s %s\n", persists[root->persist], root->upper_dir);
	if (root->upper_size)
		number(out, "root size", root->upper_size);
}

static void limits_print(const struct cgroup_limits *limits, FILE *out)
{
	limit(out, "memory.max", &limits->memory_max);
	limit(out, "memory.high", &limits->memory_high);
	limit(out, "memory.swap.max", &limits->memory_swap_max);
	limit(out, "pids.max", &limits->pids_max);
	limit(out, "cpu.max", &limits->cpu_quota_us);
	limit(out, "cpu.weight", &limits->cpu_weight);
	flag(out, "limits best effort", limits->best_effort);
	for (size_t i = 0; i < limits->ndevices; i++) {
		const struct device_rule *rule = &limits->devices[i];

		(void)fprintf(out, "device rule: %c %" PRId64 ":%" PRId64 " %s%s%s\n", rule->type,
			rule->major, rule->minor, rule->read ? "r" : "", rule->write ? "w" : "",
			rule->mknod ? "m" : "");
	}
}

/* Of an ordinary bridge there is nothing to say here: its settings can change under a container. */
static void attachment_print(const struct net_iface *iface, FILE *out)
{
	static const char *const drivers[] = {
		[NET_BRIDGE] = "bridge", [NET_MACVLAN] = "macvlan", [NET_IPVLAN] = "ipvlan"
	};
	const struct net_bridge *bridge = iface->bridge;

	if (bridge->driver != NET_BRIDGE || bridge->vlan)
		(void)fprintf(out, " %s mode %u vlan %u", drivers[bridge->driver], bridge->mode,
			bridge->vlan);
	(void)fprintf(out, " mac %02x:%02x:%02x:%02x:%02x:%02x\n", iface->mac[0], iface->mac[1],
		iface->mac[2], iface->mac[3], iface->mac[4], iface->mac[5]);
}

static void net_print(const struct net_spec *net, FILE *out)
{
	static const char *const modes[] = { [NET_PRIVATE] = "private",
		[NET_HOST] = "host",
		[NET_NONE] = "none",
		[NET_CONTAINER] = "container",
		[NET_PATH] = "namespace" };
	const char *of = net->container ? net->container : net->path;

	(void)fprintf(out, "network: %s%s%s\n", modes[net->mode], of ? " " : "", of ? of : "");
	for (size_t i = 0; i < net->nifaces; i++) {
		const struct net_iface *iface = &net->ifaces[i];

		(void)fprintf(out, "interface: %s on %s (%s) host %s alias %s", iface->ifname,
			iface->bridge->name, iface->bridge->ifname, iface->host_ifname,
			iface->alias);
		for (size_t k = 0; k < iface->naddrs; k++)
			(void)fprintf(out, " %s", net_addr_print(&iface->addrs[k], true).text);
		(void)fputs(iface->default_route ? " default" : "", out);
		(void)fputs(iface->leased ? " leased" : "", out);
		attachment_print(iface, out);
	}
	for (size_t i = 0; i < net->ndevices; i++)
		(void)fprintf(out, "lent device: %s as %s%s\n", net->devices[i].name,
			net->devices[i].ifname, net->devices[i].leased ? " leased" : "");
}

static void ports_print(const struct net_spec *net, FILE *out)
{
	for (size_t i = 0; i < net->nports; i++)
		(void)fprintf(out, "port: %s of %s\n", net_port_print(&net->ports[i]).text,
			net_addr_print(&net->ports[i].addr, false).text);
}

static void process_print(const struct process_spec *process, FILE *out)
{
	list(out, "argv", &process->argv);
	list(out, "env", &process->env);
	text(out, "cwd", process->cwd);
	text(out, "user", process->user);
	text(out, "group", process->group);
	list(out, "groups", &process->groups);
	caps(out, "caps of root", process->caps_root);
	caps(out, "caps of others", process->caps_other);
	flag(out, "no_new_privs", process->no_new_privs);
	text(out, "seccomp",
		process->seccomp_off ? "off"
				     : (process->seccomp_path ? process->seccomp_path : "default"));
	for (size_t i = 0; i < RLIM_NLIMITS; i++)
		if (process->rlimits[i].set)
			(void)fprintf(out, "rlimit %zu: %" PRIu64 ":%" PRIu64 "\n", i,
				process->rlimits[i].soft, process->rlimits[i].hard);
	if (process->oom_score_adj)
		(void)fprintf(out, "oom_score_adj: %d\n", process->oom_score_adj);
	text(out, "terminal", process->tty_path);
}

static void mount_print(const struct mount_spec *mount, FILE *out)
{
	static const char *const kinds[] = { [MOUNT_BIND] = "bind",
		[MOUNT_VOLUME] = "volume",
		[MOUNT_TMPFS] = "tmpfs",
		[MOUNT_FILE] = "file" };
	const struct {
		const char *word;
		bool set;
	} words[] = {
		{ "ro", mount->readonly },
		{ "noexec", mount->noexec },
		{ "nosuid", mount->nosuid },
		{ "nodev", mount->nodev },
		{ "rbind", mount->recursive },
		{ "shared", mount->shared },
		{ "slave", mount->slave },
		{ "U", mount->chown },
		{ "copy", mount->copy_up },
		{ "anonymous", mount->anonymous },
	};

	(void)fprintf(out, "mount: %s %s -> %s", kinds[mount->kind],
		mount->source ? mount->source : "", mount->target);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (words[i].set)
			(void)fprintf(out, " %s", words[i].word);
	if (mount->size)
		(void)fprintf(out, " size=%" PRIu64, mount->size);
	if (mount->mode)
		(void)fprintf(out, " mode=%o", mount->mode);
	if (mount->uid || mount->gid)
		(void)fprintf(out, " owner=%u:%u", mount->uid, mount->gid);
	(void)fputc('\n', out);
}

static void filesystem_print(const struct filesystem_spec *fs, FILE *out)
{
	text(out, "mounts", fs->what);
	text(out, "on", fs->where);
	text(out, "type", fs->type);
	list(out, "option", &fs->options);
	(void)fprintf(out, "directory mode: %o\n", fs->directory_mode);
	flag(out, "sloppy", fs->sloppy);
	flag(out, "read-write only", fs->write_only);
	flag(out, "lazy", fs->lazy);
	flag(out, "force", fs->force);
	if (fs->owned)
		(void)fprintf(out, "owner: %u:%u\n", fs->uid, fs->gid);
}

static void proxy_print(const struct proxy_spec *proxy, FILE *out)
{
	const struct net_spec *net = proxy->net;

	for (size_t i = 0; i < net->nports; i++)
		(void)fprintf(out, "carries: %s of %s\n", net_port_print(&net->ports[i]).text,
			net_addr_print(&net->ports[i].addr, false).text);
}

static void container_print(const struct container_spec *spec, FILE *out)
{
	text(out, "name", spec->name);
	if (spec->filesystem)
		filesystem_print(spec->filesystem, out);
	if (spec->proxy)
		proxy_print(spec->proxy, out);
	if (spec->asks_for)
		net_print(&spec->asks_for->net, out);
	root_print(&spec->root, out);
	process_print(&spec->process, out);
	text(out, "bundle", spec->program.bundle);
	text(out, "bundle directory", spec->program.dir);
	text(out, "bundle content", spec->program.tag);
	list(out, "host's program", &spec->program.host);
	text(out, "config file", spec->config_path);
	text(out, "config text", spec->config_text);
	limits_print(&spec->limits, out);
	net_print(&spec->net, out);
	for (size_t i = 0; i < spec->nmounts; i++)
		mount_print(&spec->mounts[i], out);
	for (size_t i = 0; i < spec->ndevices; i++)
		(void)fprintf(out, "device: %s -> %s %s%s%s%s\n", spec->devices[i].host,
			spec->devices[i].target, spec->devices[i].read ? "r" : "",
			spec->devices[i].write ? "w" : "", spec->devices[i].mknod ? "m" : "",
			spec->devices[i].optional ? " optional" : "");
	text(out, "hostname", spec->hostname);
	list(out, "sysctl", &spec->sysctls);
	list(out, "mask", &spec->mask);
	list(out, "unmask", &spec->unmask);
	if (!spec->native)
		number(out, "shm size", spec->shm_size);
	flag(out, "secluded", spec->secluded);
	flag(out, "init", spec->run_init);
	flag(out, "hold open", spec->hold_open);
	flag(out, "notify socket", spec->notify_socket);
	text(out, "timezone", spec->timezone);
	list(out, "label", &spec->labels);
	list(out, "image label", &spec->image_labels);
	list(out, "image port", &spec->image_exposed);
}

static void bridge_print(const struct net_bridge *bridge, FILE *out)
{
	(void)fprintf(out, "bridge: %s (%s)\n", bridge->name, bridge->ifname);
	for (size_t i = 0; i < bridge->nsubnets; i++) {
		text(out, "subnet", net_addr_print(&bridge->subnets[i].net, true).text);
		text(out, "gateway", net_addr_print(&bridge->subnets[i].gateway, false).text);
	}
	flag(out, "internal", bridge->internal);
	flag(out, "isolate", bridge->isolate);
	flag(out, "unmanaged", bridge->unmanaged);
	if (bridge->driver != NET_BRIDGE)
		number(out, "mode", bridge->mode);
	if (bridge->vlan)
		number(out, "vlan", bridge->vlan);
	if (bridge->mtu)
		number(out, "mtu", bridge->mtu);
}

void spec_print(const struct unit *unit, FILE *out)
{
	text(out, "unit", unit->id);
	if (unit->spec) {
		container_print(unit->spec, out);
		ports_print(&unit->spec->net, out);
	}
	if (unit->bridge)
		bridge_print(unit->bridge, out);
	text(out, "directory", unit->volume_path);
}

void service_print(const struct unit *unit, FILE *out)
{
	static const char *const types[] = { [TYPE_SIMPLE] = "simple",
		[TYPE_EXEC] = "exec",
		[TYPE_ONESHOT] = "oneshot",
		[TYPE_NOTIFY] = "notify" };
	static const char *const modes[] = {
		[NOTIFY_NO] = "no", [NOTIFY_YES] = "yes", [NOTIFY_HEALTHY] = "healthy"
	};
	const struct service_spec *service = &unit->service;

	if (!unit->spec)
		return;
	text(out, "type", types[service->type]);
	text(out, "restart", restart_policy_name(service->restart));
	number(out, "restart delay", service->restart_delay);
	number(out, "restart steps", service->restart_steps);
	number(out, "restart max delay", service->restart_max_delay);
	number(out, "stable", service->stable);
	number(out, "start timeout", service->start_timeout);
	number(out, "stop timeout", service->stop_timeout);
	text(out, "stop signal", signal_name(service->stop_signal));
	text(out, "notify", modes[service->notify]);
	list(out, "health", &service->health.argv);
	text(out, "probe", service->health.socket);
	list(out, "host's socket", &service->host_sockets);
	if (service->health.argv.n || service->health.socket) {
		number(out, "health interval", service->health.interval);
		number(out, "health timeout", service->health.timeout);
		number(out, "health start period", service->health.start_period);
		number(out, "health retries", service->health.retries);
	}
	flag(out, "wanted", unit->wanted);
}

/* ---- hashes ------------------------------------------------------------------------------------- */

static void items(FILE *out, const char *name, const struct draft_list *values)
{
	for (size_t i = 0; i < values->n; i++)
		(void)fprintf(out, "%s: %s\n", name, values->v[i].text);
}

/* Who has a file system in its view keeps that one until it starts again: a change there is one of
 * its own. */
static void needed_print(const struct build *b, uint32_t i, FILE *out)
{
	const struct unit *unit = &b->set->units[i];

	for (size_t k = 0; k < unit->requires.n; k++) {
		const struct container_spec *spec = b->set->units[unit->requires.v[k]].spec;

		if (spec && spec->filesystem && !unit->spec->filesystem)
			filesystem_print(spec->filesystem, out);
	}
}

/* How it is made. The texts of hosts and resolv.conf follow the siblings and the host: only what the
 * unit itself says of them counts, and of AddHost= only that there is some, for then the file is its
 * own. */
static void made_print(const struct build *b, uint32_t i, FILE *out)
{
	const struct unit *unit = &b->set->units[i];
	const struct unit_draft *draft = b->parts[i].draft;

	text(out, "unit", unit->id);
	if (unit->spec)
		container_print(unit->spec, out);
	if (unit->bridge)
		bridge_print(unit->bridge, out);
	text(out, "directory", unit->volume_path);
	if (draft && unit->spec) {
		flag(out, "own hosts", draft->add_host.n);
		items(out, "dns", &draft->dns);
		items(out, "search", &draft->dns_search);
		needed_print(b, i, out);
	}
}

/* What the network around it says of it, which is written anew while it runs. */
static void around_print(const struct build *b, uint32_t i, FILE *out)
{
	const struct part *part = &b->parts[i];
	const struct unit_draft *draft = part->draft;

	if (!part->spec || !draft)
		return;
	ports_print(&part->spec->net, out);
	items(out, "alias", &draft->network_alias);
	for (size_t k = 0; k < part->nnets; k++)
		list(out, "alias", &part->nets[k].aliases);
	items(out, "host", &draft->add_host);
	items(out, "allow", &draft->ip_allow);
	items(out, "deny", &draft->ip_deny);
	items(out, "host port", &draft->allow_host_port);
	flag(out, "foreign source", draft->foreign_source.v);
}

static uint64_t hash_of(
	struct build *b, uint32_t i, void (*print)(const struct build *b, uint32_t i, FILE *out))
{
	char *words = NULL;
	size_t n = 0;
	uint64_t hash = 0;
	FILE *out = open_memstream(&words, &n);

	if (!out) {
		b->nomem = true;
		return 0;
	}
	print(b, i, out);
	if (fclose(out) != 0)
		b->nomem = true;
	else
		hash = str_hash(words);
	free(words);
	return hash;
}

void pass_hashes(struct build *b)
{
	for (uint32_t i = 0; i < b->set->nunits; i++) {
		b->set->units[i].hash = hash_of(b, i, made_print);
		b->set->units[i].around = hash_of(b, i, around_print);
	}
}
