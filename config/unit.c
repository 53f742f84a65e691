#include "config/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/build.h"

/* A file system that is mounted and kept. */
static bool is_filesystem(const struct unit_draft *draft)
{
	return draft->kind == UNIT_MOUNT ||
	       (draft->kind == UNIT_VOLUME && DRAFT_SET(draft->volume_device));
}

static bool is_run(const struct unit_draft *draft)
{
	return draft->kind == UNIT_CONTAINER || draft->kind == UNIT_SERVICE ||
	       draft->kind == UNIT_IMAGE || draft->kind == UNIT_PROXY || draft->kind == UNIT_DHCP ||
	       is_filesystem(draft) || is_name_server(draft);
}

static bool names_default(const char *text)
{
	static const char *const names[] = { "default", "default.network", "bridge", "private" };
	size_t n = strcspn(text, ":");

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strlen(names[i]) == n && memcmp(names[i], text, n) == 0)
			return true;
	return false;
}

/* Does a container ask for the built-in network, without a default.network that says what it is? */
static bool default_wanted(const struct draft_set *drafts)
{
	bool wanted = false;

	for (size_t i = 0; i < drafts->n; i++) {
		const struct unit_draft *draft = &drafts->v[i];

		if (strcmp(draft->id, "default.network") == 0)
			return false;
		if (draft->kind != UNIT_CONTAINER)
			continue;
		wanted |= draft->network.n == 0;
		for (size_t k = 0; k < draft->network.n; k++)
			wanted |= names_default(draft->network.v[k].text);
	}
	return wanted;
}

static void unit_begin(struct build *b, uint32_t i, const struct unit_draft *draft)
{
	struct unit *unit = &b->set->units[i];
	struct part *part = &b->parts[i];

	part->draft = draft;
	unit->kind = draft->kind;
	unit->stem = draft->stem;
	unit->id = draft->id;
	unit->file = draft->file;
	unit->dropins = draft->dropins;
	unit->description = DRAFT_SET(draft->description) ? draft->description.v : draft->stem;
	if (!is_run(draft))
		return;
	if (is_filesystem(draft) || draft->kind == UNIT_IMAGE || draft->kind == UNIT_PROXY ||
		draft->kind == UNIT_DHCP || is_name_server(draft))
		unit->stem = filesystem_name(b, draft->id);
	part->spec = arena_alloc(b->arena, sizeof *part->spec);
	if (!part->spec) {
		b->nomem = true;
		return;
	}
	unit->spec = part->spec;
	part->spec->own_program = draft->leases;
	part->spec->native = draft->kind != UNIT_CONTAINER;
	part->spec->name = DRAFT_SET(draft->container_name) ? draft->container_name.v : unit->stem;
	part->spec->hostname = "";
	if (!part->spec->native)
		part->spec->hostname =
			DRAFT_SET(draft->hostname) ? draft->hostname.v : part->spec->name;
	part->spec->shm_size = DRAFT_SET(draft->shm_size) ? draft->shm_size.v : 64 << 20;
	part->spec->run_init = draft->run_init.v;
	part->spec->hold_open = draft->hold_open.v;
	part->spec->timezone = draft->timezone.v;
	for (size_t k = 0; k < draft->label.n; k++)
		build_add(b, &part->spec->labels, draft->label.v[k].text);
}

uint32_t unit_generate(struct build *b, const struct unit_draft *draft)
{
	uint32_t unit = (uint32_t)b->set->nunits++;

	unit_begin(b, unit, draft);
	return b->nomem ? UNIT_NONE : unit;
}

struct unit_draft *draft_beside(struct build *b, const struct unit_draft *of, enum unit_kind kind,
	const char *id, const char *description, struct origin at)
{
	struct unit_draft *draft = arena_alloc(&b->tmp, sizeof *draft);

	if (!draft) {
		b->nomem = true;
		return NULL;
	}
	*draft = (struct unit_draft){ .kind = kind,
		.stem = of->stem,
		.prefix = of->prefix,
		.instance = of->instance,
		.id = id,
		.file = of->file,
		.dir = of->dir,
		.description = { description, at } };
	return draft;
}

/* The units that come of PublishMode=proxy. */
static void proxies_begin(struct build *b, const struct draft_set *drafts)
{
	for (uint32_t i = 0; i < drafts->n && !b->nomem; i++) {
		const struct unit_draft *draft;
		uint32_t proxy;

		draft = proxy_wanted(b, &drafts->v[i]) ? proxy_draft(b, &drafts->v[i]) : NULL;
		proxy = draft ? unit_generate(b, draft) : UNIT_NONE;
		if (proxy == UNIT_NONE)
			continue;
		b->parts[i].proxy = proxy;
		b->parts[proxy].proxy = i;
	}
}

static void units_begin(struct build *b, const struct draft_set *drafts)
{
	struct unit_set *set = b->set;
	size_t n = drafts->n + default_wanted(drafts);
	/* Each may have one that brings its image, and one that publishes its ports. */
	size_t room = n + 2 * drafts->n;

	for (size_t i = 0; i < drafts->n; i++)
		room += clients_most(&drafts->v[i]);
	set->units = arena_alloc(b->arena, (room + 1) * sizeof *set->units);
	b->parts = arena_alloc(&b->tmp, (room + 1) * sizeof *b->parts);
	if (!set->units || !b->parts) {
		b->nomem = true;
		return;
	}
	set->nunits = n;
	for (uint32_t i = 0; i < room; i++)
		b->parts[i].shares = b->parts[i].puller = b->parts[i].proxy = b->parts[i].asks_for =
			UNIT_NONE;
	for (uint32_t i = 0; i < drafts->n; i++)
		unit_begin(b, i, &drafts->v[i]);
	if (n > drafts->n)
		set->units[n - 1] = (struct unit){ .kind = UNIT_NETWORK,
			.stem = "default",
			.id = "default.network",
			.file = "(built-in default.network)",
			.description = "the network of containers without Network=" };
	proxies_begin(b, drafts);
}

/* Each of these needs only its own unit and the networks and volumes. */
static void (*const unit_passes[])(struct build *b, uint32_t unit) = {
	pass_image,
	pass_process,
	pass_bundle,
	pass_attach,
	pass_security,
	pass_limits,
	pass_service,
};

static void (*const set_passes[])(struct build *b) = {
	pass_addresses,
	pass_devices,
	pass_ports,
	pass_walls,
	pass_names,
	pass_check,
	pass_graph,
	pass_hashes,
};

static void units_build(struct build *b, const struct draft_set *drafts)
{
	units_begin(b, drafts);
	if (!b->nomem)
		pass_networks(b);
	if (!b->nomem)
		clients_begin(b);
	if (!b->nomem)
		pass_volumes(b);
	for (uint32_t i = 0; i < b->set->nunits && !b->nomem; i++)
		if (b->parts[i].spec && is_filesystem(b->parts[i].draft))
			pass_fs(b, i);
	for (uint32_t i = 0; i < b->set->nunits && !b->nomem; i++)
		if (b->set->units[i].kind == UNIT_IMAGE)
			pass_pull(b, i);
	for (uint32_t i = 0; i < b->set->nunits && !b->nomem; i++)
		if (b->parts[i].spec && is_name_server(b->parts[i].draft))
			pass_name_server(b, i);
	for (uint32_t i = 0; i < b->set->nunits && !b->nomem; i++)
		if (b->set->units[i].kind == UNIT_PROXY)
			pass_proxy(b, i);
	for (size_t k = 0; k < sizeof unit_passes / sizeof unit_passes[0]; k++)
		for (uint32_t i = 0; i < b->set->nunits && !b->nomem; i++)
			if (b->parts[i].spec)
				unit_passes[k](b, i);
	for (uint32_t i = 0; i < b->set->nunits && !b->nomem; i++)
		if (b->parts[i].spec && !b->parts[i].spec->native)
			pass_mounts(b, i);
	for (size_t k = 0; k < sizeof set_passes / sizeof set_passes[0] && !b->nomem; k++)
		set_passes[k](b);
}

/* Paths in the set must hold after a chdir: a unit's file may be read again. */
static const char *path_from_cwd(const char *path, char *buf, size_t size)
{
	char cwd[2048];

	if (!path || path[0] == '/' || !getcwd(cwd, sizeof cwd) ||
		(size_t)snprintf(buf, size, "%s/%s", cwd, path) >= size)
		return path;
	return buf;
}

int unit_set_load_conf(struct unit_set *set, const char *config_dir, struct err *err)
{
	struct unit_set loaded = { 0 };
	char absolute[4096];
	int r = conf_load(&loaded, path_from_cwd(config_dir, absolute, sizeof absolute), err);

	if (r < 0) {
		unit_set_done(&loaded);
		return r;
	}
	*set = loaded;
	return 0;
}

static int load(struct unit_set *set, const char *config_dir, const char *ip,
	const struct unit_sources *sources, struct err *err)
{
	struct unit_set loaded = { 0 };
	struct draft_set drafts = { 0 };
	struct build b = { .set = &loaded,
		.arena = &loaded.arena,
		.image_dirs = sources ? &sources->images : NULL,
		.bundle_dirs = sources ? &sources->bundles : NULL,
		.pulls = !sources || sources->pulls };
	char absolute[4096];
	int r;

	config_dir = path_from_cwd(config_dir, absolute, sizeof absolute);
	b.config_dir = config_dir;
	r = draft_set_load(&loaded, config_dir, ip, &drafts, err);
	if (r == 0) {
		(void)snprintf(loaded.instance, sizeof loaded.instance, "%016llx",
			str_hash(loaded.conf.state_dir));
		units_build(&b, &drafts);
		if (b.nomem)
			r = err_sys(err, ENOMEM, "read the configuration");
	}
	arena_done(&b.tmp);
	draft_set_done(&drafts);
	if (r < 0) {
		unit_set_done(&loaded);
		return r;
	}
	*set = loaded;
	return 0;
}

int unit_set_load(struct unit_set *set, const char *config_dir, struct err *err)
{
	return load(set, config_dir, NULL, NULL, err);
}

int unit_set_load_boot(
	struct unit_set *set, const char *config_dir, const char *ip, struct err *err)
{
	return load(set, config_dir, ip, NULL, err);
}

int unit_set_load_with(struct unit_set *set, const char *config_dir,
	const struct unit_sources *sources, struct err *err)
{
	return load(set, config_dir, NULL, sources, err);
}

void unit_set_done(struct unit_set *set)
{
	arena_done(&set->arena);
	*set = (struct unit_set){ 0 };
}

/* How well a name fits a unit: 0 not at all. An id is exact; a stem prefers what can run. */
static int unit_fit(const struct unit *unit, const char *name)
{
	size_t n = strlen(unit->stem);

	if (strcmp(unit->id, name) == 0)
		return 5;
	if (unit->spec && strcmp(unit->spec->name, name) == 0)
		return 4;
	if (unit->spec && strcmp(unit->stem, name) == 0)
		return 3;
	if (unit->kind == UNIT_CONTAINER && strncmp(unit->stem, name, n) == 0 &&
		strcmp(name + n, ".service") == 0)
		return 2;
	return strcmp(unit->stem, name) == 0;
}

struct unit *unit_find(const struct unit_set *set, const char *name)
{
	struct unit *found = NULL;
	int best = 0;

	for (size_t i = 0; i < set->nunits; i++) {
		int fit = unit_fit(&set->units[i], name);

		if (fit > best) {
			best = fit;
			found = &set->units[i];
		}
	}
	return found;
}
