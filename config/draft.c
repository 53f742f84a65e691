/* From directories to drafts: files.c finds, reader.c reads, parse.c stores; here is what holds them
 * together: berth.conf first, then every unit with its drop-ins, then the instances that others
 * pull in. */
#include "config/draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/expand.h"
#include "config/files.h"
#include "config/keys.h"
#include "config/parse.h"
#include "config/reader.h"

#define SECONDS(n) ((n)*UINT64_C(1000000000))

struct load {
	struct unit_set *set;
	struct draft_set *drafts;
	struct file_index index;
	struct err *err;
};

/* ---- one file ----------------------------------------------------------------------------------*/

static int on_assign(void *user, const struct reader_line *line)
{
	return parse_assign(user, line);
}

static int on_complain(void *user, unsigned line, const char *text)
{
	struct parse *parse = user;

	return problem_add(parse->set, true, parse->file, line, "%s", text);
}

/* 0 when the file was read, whatever it said; 1 when it cannot be; *empty as reader_file. */
static int read_into(struct parse *parse, const char *path, bool *empty)
{
	struct reader_sink sink = { .assign = on_assign, .complain = on_complain, .user = parse };
	struct err why = { 0 };
	int r;

	parse->file = path;
	parse->complained[0] = '\0';
	r = reader_file(path, &sink, empty, &why);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		r = problem_add(parse->set, true, path, 0, "%s", why.text);
		return r < 0 ? r : 1;
	}
	return 0;
}

/* ---- one unit ----------------------------------------------------------------------------------*/

static int name_unit(struct arena *arena, struct unit_draft *unit, const char *stem)
{
	const char *at = strchr(stem, '@');
	const char *slash = strrchr(unit->file, '/');

	unit->stem = stem;
	unit->prefix = at ? arena_strndup(arena, stem, (size_t)(at - stem)) : stem;
	unit->instance = at ? at + 1 : "";
	unit->id = arena_printf(arena, "%s.%s", stem, unit_kind_suffix(unit->kind));
	unit->dir = slash ? arena_strndup(arena, unit->file, (size_t)(slash - unit->file)) : ".";
	return unit->prefix && unit->id && unit->dir ? 0 : -ENOMEM;
}

/* The list's capacity is the next power of two. */
static int add_draft(struct load *load, const struct unit_draft *unit)
{
	struct draft_set *drafts = load->drafts;
	size_t n = drafts->n;

	if ((n & (n - 1)) == 0) {
		struct unit_draft *grown =
			arena_grow(&drafts->arena, drafts->v, n, n ? 2 * n : 1, sizeof *grown);

		if (!grown)
			return -ENOMEM;
		drafts->v = grown;
	}
	drafts->v[drafts->n++] = *unit;
	return 0;
}

/* The unit of a file, under the name `stem`, which for a template is the instance's. */
static int load_unit(struct load *load, const struct unit_file *file, const char *stem)
{
	struct unit_draft unit = { .kind = file->kind, .file = file->path };
	struct parse parse = { .set = load->set, .arena = &load->drafts->arena, .unit = &unit };
	bool empty = false;
	int r = name_unit(&load->set->arena, &unit, stem);

	if (r < 0)
		return r;
	r = read_into(&parse, file->path, &empty);
	if (r != 0 || empty)
		return r < 0 ? r : 0;
	r = files_dropins(load->set, &load->index, unit.id, &unit.dropins);
	for (size_t i = 0; i < unit.dropins.n && r >= 0; i++)
		r = read_into(&parse, unit.dropins.v[i], &empty);
	return r < 0 ? r : add_draft(load, &unit);
}

/* ---- templates ---------------------------------------------------------------------------------*/

static bool have_draft(const struct draft_set *drafts, const char *stem, enum unit_kind kind)
{
	for (size_t i = 0; i < drafts->n; i++)
		if (drafts->v[i].kind == kind && strcmp(drafts->v[i].stem, stem) == 0)
			return true;
	return false;
}

/* The template for `stem` ("web@blue") with an ending, or NULL. */
static const struct unit_file *template_of(
	const struct load *load, const char *stem, enum unit_kind kind)
{
	size_t n = strcspn(stem, "@") + 1;

	for (size_t i = 0; i < load->index.nunits; i++) {
		const struct unit_file *file = &load->index.units[i];

		if (file->kind == kind && strncmp(file->stem, stem, n) == 0 && !file->stem[n])
			return file;
	}
	return NULL;
}

static bool is_instance(const char *stem)
{
	const char *at = strchr(stem, '@');

	return at && at[1];
}

/* "web@blue.container" or "web@blue.service" was asked for: make it from web@.container, unless it
 * is there, or a file of its own masks it. */
static int pull_in(struct load *load, const struct draft_item *item)
{
	const struct unit_file *template = NULL;
	const char *stem;
	char *id;
	size_t n;
	int kind = unit_kind_of(item->text, &n);

	if (kind != UNIT_CONTAINER && kind != UNIT_SERVICE)
		return 0;
	stem = arena_strndup(&load->set->arena, item->text, n);
	if (!stem)
		return -ENOMEM;
	if (!is_instance(stem))
		return 0;
	if (kind == UNIT_SERVICE && !have_draft(load->drafts, stem, UNIT_SERVICE))
		template = template_of(load, stem, UNIT_SERVICE);
	/* As in Quadlet, web@blue.service also means the container. */
	if (!template)
		template = template_of(load, stem, UNIT_CONTAINER);
	if (!template || have_draft(load->drafts, stem, template->kind))
		return 0;
	id = arena_printf(&load->set->arena, "%s.%s", stem, unit_kind_suffix(template->kind));
	if (!id)
		return -ENOMEM;
	if (files_find(&load->index, id))
		return 0;
	if (!name_valid(stem))
		return problem_at(load->set, true, item->at,
			"%s cannot be a name: write 1 to 63 letters, digits and _ . @ -, no dot "
			"first",
			stem);
	return load_unit(load, template, stem);
}

/* The list of drafts grows while it is walked: instances may pull in more instances. */
static int load_instances(struct load *load)
{
	for (size_t i = 0; i < load->drafts->n; i++) {
		const struct draft_list lists[] = {
			load->drafts->v[i].requires,
			load->drafts->v[i].wants,
		};

		for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
			for (size_t k = 0; k < lists[l].n; k++) {
				int r = pull_in(load, &lists[l].v[k]);

				if (r < 0)
					return r;
			}
		}
	}
	return 0;
}

/* ---- berth.conf --------------------------------------------------------------------------------*/

/* A directory from berth.conf, or what it is without. */
static const char *conf_dir(
	struct unit_set *set, const char *key, const struct draft_str *value, const char *without)
{
	if (!DRAFT_SET(*value))
		return without;
	if (value->v[0] == '/')
		return value->v;
	(void)problem_at(
		set, true, value->at, "%s: \"%.60s\" is not an absolute path", key, value->v);
	return without;
}

/* "DIR:DIR" of each line, one after the other. */
static int conf_path(
	struct unit_set *set, const char *key, const struct draft_list *lines, struct strv *ret)
{
	for (size_t i = 0; i < lines->n; i++) {
		const char *p = lines->v[i].text;

		while (*p) {
			size_t n = strcspn(p, ":");
			const char *dir = arena_strndup(&set->arena, p, n);

			if (!dir || (n && strv_add(ret, &set->arena, dir) < 0))
				return -ENOMEM;
			if (n && *dir != '/' &&
				problem_at(set, true, lines->v[i].at,
					"%s: \"%.60s\" is not an absolute path", key, dir) < 0)
				return -ENOMEM;
			p += n + (p[n] == ':');
		}
	}
	return 0;
}

/* Looked at here too: what is no key must be found before the day on which it is needed. */
static int conf_update_keys(struct unit_set *set, const struct draft_list *keys)
{
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";
	enum { KEY_LENGTH = 56 };

	for (size_t i = 0; i < keys->n; i++) {
		const char *key = keys->v[i].text;
		const char *copy = arena_strdup(&set->arena, key);

		if (!copy || strv_add(&set->conf.update_keys, &set->arena, copy) < 0)
			return -ENOMEM;
		if ((strlen(key) != KEY_LENGTH || !str_starts(key, "RW") ||
			    strspn(key, base64) != KEY_LENGTH) &&
			problem_at(set, true, keys->v[i].at,
				"UpdateKey: \"%.60s\" is no public key of minisign's: take the "
				"second "
				"line of its .pub file",
				key) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int conf_mirrors(struct unit_set *set, const struct draft_list *lines)
{
	for (size_t i = 0; i < lines->n; i++) {
		const char *text = arena_strdup(&set->arena, lines->v[i].text);
		size_t n = text ? strcspn(text, " \t") : 0;
		const char *url = text ? text + n + strspn(text + n, " \t") : "";

		if (!text || strv_add(&set->conf.registry_mirrors, &set->arena, text) < 0)
			return -ENOMEM;
		if ((n == 0 || strpbrk(url, " \t") ||
			    (!str_starts(url, "http://") && !str_starts(url, "https://"))) &&
			problem_at(set, true, lines->v[i].at,
				"RegistryMirror: \"%.80s\": write REGISTRY "
				"http[s]://HOST[:PORT][/PATH]",
				text) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int conf_decide(struct unit_set *set, const struct conf_draft *draft)
{
	struct supervisor_conf *conf = &set->conf;

	conf->state_dir = conf_dir(set, "StateDir", &draft->state_dir, "/var/lib/berth");
	conf->run_dir = conf_dir(set, "RunDir", &draft->run_dir, "/run/berth");
	conf->log_dir = arena_printf(&set->arena, "%s/logs", conf->state_dir);
	if (!conf->log_dir)
		return -ENOMEM;
	conf->log_dir = conf_dir(set, "LogDir", &draft->log_dir, conf->log_dir);
	conf->store_dir = arena_printf(&set->arena, "%s/store", conf->state_dir);
	if (!conf->store_dir)
		return -ENOMEM;
	conf->store_dir = conf_dir(set, "StoreDir", &draft->store_dir, conf->store_dir);
	if (DRAFT_SET(draft->log_level))
		conf->log_level = log_level_words[draft->log_level.v].word;
	conf->default_restart = (enum restart_policy)draft->default_restart.v;
	conf->publish_mode = (enum publish_mode)draft->publish_mode.v;
	conf->verify = (enum root_verify)draft->verify.v;
	conf->image_memory = DRAFT_SET(draft->image_memory) ? draft->image_memory.v : 8U << 20;
	conf->default_caps_none = draft->default_capabilities.v == 1;
	conf->watchdog = draft->watchdog.v;
	conf->shutdown_max = DRAFT_SET(draft->shutdown_max) ? draft->shutdown_max.v : SECONDS(90);
	if (conf_uplinks(set, &draft->uplinks) < 0 ||
		conf_mirrors(set, &draft->registry_mirrors) < 0 ||
		conf_update_keys(set, &draft->update_keys) < 0)
		return -ENOMEM;
	if (conf_path(set, "ImagePath", &draft->image_path, &conf->image_path) < 0)
		return -ENOMEM;
	return conf_path(set, "BundlePath", &draft->bundle_path, &conf->bundle_path);
}

static int load_conf(struct load *load)
{
	struct conf_draft draft = { .default_restart = { .v = RESTART_NO } };
	struct parse parse = { .set = load->set, .arena = &load->drafts->arena, .conf = &draft };
	struct strv dropins = { 0 };
	bool empty;
	int r = load->index.conf ? read_into(&parse, load->index.conf, &empty) : 0;

	if (r >= 0)
		r = files_dropins(load->set, &load->index, "berth.conf", &dropins);
	for (size_t i = 0; i < dropins.n && r >= 0; i++)
		r = read_into(&parse, dropins.v[i], &empty);
	return r < 0 ? r : conf_decide(load->set, &draft);
}

/* ---- all of it ---------------------------------------------------------------------------------*/

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct unit_draft *)a)->id, ((const struct unit_draft *)b)->id);
}

/* Known before its content is: ExecStart= names it by ${CONFIG_FILE}. */
static int config_path(const struct load *load, struct unit_draft *draft)
{
	if (!DRAFT_SET(draft->config_file))
		return 0;
	draft->config_path =
		arena_printf(&load->set->arena, "%s/conf/%s", load->set->conf.run_dir, draft->stem);
	return draft->config_path ? 0 : err_sys(load->err, ENOMEM, "read the units");
}

static int load_units(struct load *load)
{
	int r = 0;

	for (size_t i = 0; i < load->index.nunits && r >= 0; i++) {
		const struct unit_file *file = &load->index.units[i];

		/* A template is no unit by itself. */
		if (!str_ends(file->stem, "@"))
			r = load_unit(load, file, file->stem);
	}
	if (r >= 0)
		r = load_instances(load);
	for (size_t i = 0; i < load->drafts->n && r >= 0; i++) {
		r = config_path(load, &load->drafts->v[i]);
		if (r >= 0)
			r = variables_expand(load->set, &load->drafts->v[i], load->err);
	}
	return r;
}

/* The clients of the uplinks, which may have drop-ins as any unit. */
static int load_uplinks(struct load *load)
{
	const struct supervisor_conf *conf = &load->set->conf;
	int r = 0;

	for (size_t i = 0; i < conf->nuplinks && r >= 0; i++) {
		struct unit_draft unit = { 0 };
		struct parse parse = {
			.set = load->set, .arena = &load->drafts->arena, .unit = &unit
		};
		const char *stem;
		bool empty;

		if (!conf->uplinks[i].dhcp)
			continue;
		r = uplink_draft(load->set, load->drafts, &conf->uplinks[i], &unit, &stem);
		if (r >= 0)
			r = name_unit(&load->set->arena, &unit, stem);
		if (r >= 0)
			r = files_dropins(load->set, &load->index, unit.id, &unit.dropins);
		for (size_t k = 0; k < unit.dropins.n && r >= 0; k++)
			r = read_into(&parse, unit.dropins.v[k], &empty);
		if (r >= 0)
			r = add_draft(load, &unit);
	}
	return r;
}

int draft_set_load(struct unit_set *set, const char *config_dir, const char *ip,
	struct draft_set *ret, struct err *err)
{
	struct draft_set drafts = { 0 };
	struct load load = { .set = set, .drafts = &drafts, .err = err };
	int r = files_scan(set, config_dir, &load.index, err);

	if (r < 0)
		return r;
	r = load_conf(&load);
	if (r >= 0 && ip)
		r = conf_uplinks_kernel(set, ip);
	if (r >= 0)
		r = load_uplinks(&load);
	if (r >= 0)
		r = load_units(&load);
	if (r < 0) {
		draft_set_done(&drafts);
		return err_sys(err, -r, "read the configuration");
	}
	if (drafts.n)
		qsort(drafts.v, drafts.n, sizeof *drafts.v, by_id);
	*ret = drafts;
	return 0;
}

int conf_load(struct unit_set *set, const char *config_dir, struct err *err)
{
	struct draft_set drafts = { 0 };
	struct load load = { .set = set, .drafts = &drafts, .err = err };
	int r = files_scan(set, config_dir, &load.index, err);

	if (r < 0)
		return r;
	r = load_conf(&load);
	draft_set_done(&drafts);
	return r < 0 ? err_sys(err, -r, "read the configuration") : 0;
}

void draft_set_done(struct draft_set *drafts)
{
	arena_done(&drafts->arena);
	*drafts = (struct draft_set){ 0 };
}
