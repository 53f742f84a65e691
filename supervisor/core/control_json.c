#include "supervisor/core/control_json.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "netns/net.h"
#include "supervisor/base/capability.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/signals.h"
#include "supervisor/base/str.h"
#include "supervisor/core/json_put.h"
#include "supervisor/core/service.h"
#include "supervisor/runtime/uplink.h"

static json_t *list_json(const struct strv *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->n; i++)
		(void)json_array_append_new(array, json_string(list->v[i]));
	return array;
}

static json_t *labels_json(const struct strv *labels)
{
	json_t *o = json_object();

	for (size_t i = 0; i < labels->n; i++) {
		const char *text = labels->v[i];
		size_t n = strcspn(text, "=");

		(void)json_object_setn_new(o, text, n, json_string(text[n] ? text + n + 1 : ""));
	}
	return o;
}

static const struct uplink_set *lease_of(const char *run_dir, const char *client)
{
	const struct uplink_owner owner = uplink_of_client(run_dir, client);

	return uplink_lease(&owner);
}

json_t *control_lease_json(const char *run_dir, const struct lease_spec *lease)
{
	const struct uplink_set *set = lease_of(run_dir, lease->client);
	const struct net_addr addr = uplink_address(set);
	uint64_t now = clock_monotonic();
	json_t *o = json_object();

	json_put_text(o, "interface", lease->ifname);
	json_put_text(o, "client", lease->client);
	if (!addr.family)
		return o;
	json_put_text(o, "address", net_addr_print(&addr, true).text);
	json_put_text(o, "from", set->from);
	if (set->until * NSEC_PER_SEC > now)
		json_put_time(o, "until", clock_realtime() + set->until * NSEC_PER_SEC - now);
	return o;
}

/* Those that berth gave, and those that DHCP servers have leased. */
static void add_addresses(json_t *o, const struct container_spec *spec, const char *run_dir)
{
	const struct net_spec *net = &spec->net;
	json_t *array = json_array();
	json_t *leases = json_array();

	for (size_t i = 0; i < net->nifaces; i++) {
		for (size_t k = 0; k < net->ifaces[i].naddrs; k++)
			(void)json_array_append_new(array,
				json_string(net_addr_print(&net->ifaces[i].addrs[k], false).text));
	}
	for (size_t i = 0; i < spec->nleases; i++) {
		const struct net_addr addr =
			uplink_address(lease_of(run_dir, spec->leases[i].client));

		if (!spec->leases[i].own)
			continue;
		if (addr.family)
			(void)json_array_append_new(
				array, json_string(net_addr_print(&addr, false).text));
		(void)json_array_append_new(leases, control_lease_json(run_dir, &spec->leases[i]));
	}
	(void)json_object_set_new(o, "addresses", array);
	if (json_array_size(leases))
		(void)json_object_set_new(o, "leases", leases);
	else
		json_decref(leases);
}

static json_t *ports_json(const struct net_spec *net)
{
	json_t *array = json_array();

	for (size_t i = 0; i < net->nports; i++)
		(void)json_array_append_new(
			array, json_string(net_port_print(&net->ports[i]).text));
	return array;
}

static json_t *exit_json(const struct service_exit *last)
{
	json_t *o = json_object();

	if (last->status && last->signal)
		json_put_text(o, "signal", signal_name(last->signal));
	else if (last->status)
		json_put_int(o, "code", (uint64_t)last->code);
	json_put_bool(o, "oom", last->oom);
	json_put_some(o, "memory_peak", last->memory_peak);
	return o;
}

static void add_state(json_t *o, const struct service_info *info)
{
	json_put_text(o, "state", service_state_name(info->state));
	json_put_text(o, "sub", info->sub);
	json_put_bool(o, "wanted", info->wanted);
	json_put_bool(o, "by_hand", info->by_hand);
	json_put_some(o, "pid", (uint64_t)info->pid);
	json_put_int(o, "run", info->run);
	json_put_text(o, "cgroup", info->cgroup);
	json_put_time(o, "since", info->since);
	json_put_time(o, "started", info->started);
	json_put_time(o, "ready_since", info->ready_since);
	json_put_some(o, "prepare_usec", info->times.prepare / NSEC_PER_USEC);
	json_put_some(o, "start_usec", info->times.start / NSEC_PER_USEC);
	json_put_some(o, "ready_usec", info->times.ready / NSEC_PER_USEC);
	json_put_time(o, "next_try", info->next_try);
	json_put_int(o, "restarts", info->restarts);
	json_put_text(o, "health", service_health_name(info->health));
	json_put_int(o, "health_failures", info->health_failures);
	json_put_text(o, "health_text", info->health_text);
	json_put_text(o, "status_text", info->status_text);
	json_put_text(o, "failure", info->failure);
	json_put_text(o, "dropped", info->dropped);
	if (info->last.known)
		(void)json_object_set_new(o, "last_exit", exit_json(&info->last));
}

static json_t *mounts_json(const struct container_spec *spec)
{
	static const char *const kinds[] = {
		[MOUNT_BIND] = "bind",
		[MOUNT_VOLUME] = "volume",
		[MOUNT_TMPFS] = "tmpfs",
		[MOUNT_FILE] = "file",
	};
	json_t *array = json_array();

	for (size_t i = 0; i < spec->nmounts; i++) {
		const struct mount_spec *m = &spec->mounts[i];
		json_t *o = json_object();

		json_put_text(o, "kind", kinds[m->kind]);
		json_put_text(o, "source", m->source);
		json_put_text(o, "target", m->target);
		json_put_bool(o, "readonly", m->readonly);
		json_put_some(o, "size", m->size);
		json_put_text(o, "origin", m->origin);
		(void)json_array_append_new(array, o);
	}
	return array;
}

static json_t *capabilities_json(uint64_t set)
{
	json_t *array = json_array();

	for (int i = 0; i < 64; i++)
		if (set >> i & 1 && capability_name(i))
			(void)json_array_append_new(array, json_string(capability_name(i)));
	return array;
}

static void put_limit(json_t *o, const char *key, const struct limit *limit)
{
	if (limit->set && limit->value != LIMIT_MAX)
		json_put_int(o, key, limit->value);
}

static json_t *limits_json(const struct cgroup_limits *limits)
{
	json_t *o = json_object();

	put_limit(o, "memory_max", &limits->memory_max);
	put_limit(o, "memory_high", &limits->memory_high);
	put_limit(o, "memory_swap_max", &limits->memory_swap_max);
	put_limit(o, "pids_max", &limits->pids_max);
	put_limit(o, "cpu_quota_us", &limits->cpu_quota_us);
	json_put_some(o, "cpu_period_us", limits->cpu_period_us);
	put_limit(o, "cpu_weight", &limits->cpu_weight);
	return o;
}

static void add_spec(json_t *o, const struct container_spec *spec)
{
	const struct process_spec *p = &spec->process;

	(void)json_object_set_new(o, "argv", list_json(&p->argv));
	(void)json_object_set_new(o, "env", list_json(&p->env));
	json_put_text(o, "cwd", p->cwd);
	json_put_text(o, "user", p->user ? p->user : "root");
	json_put_text(o, "hostname", spec->hostname);
	json_put_bool(o, "readonly", spec->root.readonly);
	json_put_bool(o, "no_new_privileges", p->no_new_privs);
	json_put_text(o, "seccomp",
		p->seccomp_off    ? "unconfined"
		: p->seccomp_path ? p->seccomp_path
				  : "default");
	(void)json_object_set_new(o, "capabilities", capabilities_json(p->caps_root));
	(void)json_object_set_new(o, "mounts", mounts_json(spec));
	(void)json_object_set_new(o, "limits", limits_json(&spec->limits));
}

/* What the image says of itself, and what becomes of what is written over it. */
static void add_image(json_t *o, const struct container_spec *spec)
{
	const struct root_spec *root = &spec->root;
	char id[80];

	if (root->id) {
		(void)snprintf(id, sizeof id, "sha256:%s", root->id);
		json_put_text(o, "image_id", id);
	}
	json_put_text(o, "upper", root->upper_dir);
	if (spec->image_labels.n)
		(void)json_object_set_new(o, "image_labels", labels_json(&spec->image_labels));
	if (spec->image_exposed.n)
		(void)json_object_set_new(o, "image_ports", list_json(&spec->image_exposed));
}

static void add_service(json_t *o, const struct service_spec *service)
{
	if (service->health.argv.n || service->health.socket) {
		json_t *health = json_object();

		if (service->health.argv.n)
			(void)json_object_set_new(health, "argv", list_json(&service->health.argv));
		json_put_text(health, "socket", service->health.socket);
		json_put_text(health, "interval", clock_span(service->health.interval).text);
		json_put_text(health, "timeout", clock_span(service->health.timeout).text);
		json_put_int(health, "retries", service->health.retries);
		(void)json_object_set_new(o, "healthcheck", health);
	}
	json_put_text(o, "stop_signal", signal_name(service->stop_signal));
	json_put_text(o, "stop_timeout", clock_span(service->stop_timeout).text);
}

static void add_usage(json_t *o, const struct service *service)
{
	struct cgroup_usage usage = { 0 };

	service_usage(service, &usage);
	json_put_some(o, "memory_current", usage.memory_current);
	json_put_some(o, "memory_peak", usage.memory_peak);
	json_put_some(o, "pids_current", usage.pids_current);
	json_put_some(o, "cpu_usec", usage.cpu_usec);
}

json_t *control_unit_json(const struct service *service, bool full)
{
	const struct unit *unit = service_unit(service);
	struct service_info info = { 0 };
	json_t *o = json_object();

	if (!o)
		return NULL;
	service_info(service, &info);
	json_put_text(o, "name", unit->spec ? unit->spec->name : unit->stem);
	json_put_text(o, "unit", unit->id);
	json_put_text(o, "kind", unit_kind_suffix(unit->kind));
	json_put_text(o, "description", unit->description);
	json_put_text(o, "file", unit->file);
	add_state(o, &info);
	json_put_text(o, "restart_policy", restart_policy_name(unit->service.restart));
	if (unit->spec) {
		json_put_text(o, "image",
			unit->spec->root.image ? unit->spec->root.image : unit->spec->root.path);
		json_put_text(o, "bundle", unit->spec->program.bundle);
		add_addresses(o, unit->spec, service->sv->env.run_dir);
		(void)json_object_set_new(o, "ports", ports_json(&unit->spec->net));
		json_put_text(o, "publish_mode", net_publish_mode(&unit->spec->net));
		(void)json_object_set_new(o, "labels", labels_json(&unit->spec->labels));
		if (full) {
			add_spec(o, unit->spec);
			add_image(o, unit->spec);
		}
	}
	if (full)
		add_service(o, &unit->service);
	if (info.pid)
		add_usage(o, service);
	return o;
}
