/* Who waits for whom: After=, Before=, Requires=, Wants= and [Install] become lists of indexes. */
#include <stdio.h>
#include <string.h>

#include "config/build.h"

/* Targets that are reached before anything of ours runs, or that only mean "at boot". */
static const char *const always_reached[] = {
	"basic.target",
	"default.target",
	"getty.target",
	"graphical.target",
	"local-fs-pre.target",
	"local-fs.target",
	"multi-user.target",
	"network-online.target",
	"network-pre.target",
	"network.target",
	"nss-lookup.target",
	"nss-user-lookup.target",
	"paths.target",
	"remote-fs.target",
	"slices.target",
	"sockets.target",
	"sysinit.target",
	"time-set.target",
	"time-sync.target",
	"timers.target",
};

/* WantedBy= of these means: starts at boot. */
static const char *const boot_targets[] = { "default.target", "multi-user.target",
	"graphical.target", "basic.target", "sysinit.target" };

#define IN(list, text) in_list((list), sizeof(list) / sizeof((list)[0]), (text))

static bool in_list(const char *const *list, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], text) == 0)
			return true;
	return false;
}

uint32_t unit_by_id(const struct build *b, const char *id)
{
	for (size_t i = 0; i < b->set->nunits; i++)
		if (strcmp(b->set->units[i].id, id) == 0)
			return (uint32_t)i;
	return UNIT_NONE;
}

/* The names that quadlet gives to the services of its files. */
static const struct {
	const char *service;
	const char *unit;
} generated[] = {
	{ "-network.service", ".network" },
	{ "-volume.service", ".volume" },
	{ "-image.service", ".image" },
};

/* "db.service" is db.service itself, or what quadlet makes that service from. */
static uint32_t resolve_service(
	struct build *b, const char *key, const struct draft_item *item, const char *name)
{
	size_t n = strlen(name) - strlen(".service");
	uint32_t service = unit_by_id(b, name);
	uint32_t container = unit_by_id(b, build_text(b, "%.*s.container", (int)n, name));

	if (service != UNIT_NONE && container != UNIT_NONE)
		ERROR_AT(b, item->at, "%s: %s may mean %s or %s: rename one of the two files", key,
			name, b->set->units[service].file, b->set->units[container].file);
	if (service != UNIT_NONE)
		return service;
	if (container != UNIT_NONE)
		return container;
	for (size_t i = 0; i < sizeof generated / sizeof generated[0]; i++) {
		const char *tail = generated[i].service;

		if (str_ends(name, tail))
			return unit_by_id(
				b, build_text(b, "%.*s%s", (int)(strlen(name) - strlen(tail)), name,
					   generated[i].unit));
	}
	return UNIT_NONE;
}

uint32_t unit_resolve(
	struct build *b, const char *key, const struct draft_item *item, bool *ret_inert)
{
	const char *name = item->text;
	uint32_t found;

	*ret_inert = false;
	if (!strchr(name, '.'))
		name = build_text(b, "%s.service", name);
	found = str_ends(name, ".service") ? resolve_service(b, key, item, name)
					   : unit_by_id(b, name);
	if (found != UNIT_NONE)
		return found;
	if (IN(always_reached, name)) {
		*ret_inert = true;
		return UNIT_NONE;
	}
	if (str_ends(name, ".service"))
		ERROR_AT(b, item->at,
			"%s: there is no unit %s: add %.*s.container (or .service), or remove it "
			"here",
			key, item->text, (int)(strlen(name) - strlen(".service")), name);
	else
		ERROR_AT(b, item->at, "%s: there is no unit %s: add that file, or remove it here",
			key, item->text);
	return UNIT_NONE;
}

static bool runs(const struct unit *unit)
{
	return unit->spec || unit->kind == UNIT_TARGET;
}

static void list_add(struct build *b, struct unit_list *list, uint32_t unit)
{
	uint32_t *v = (uint32_t *)(size_t)list->v;

	for (size_t i = 0; i < list->n; i++)
		if (v[i] == unit)
			return;
	BUILD_PUSH(b, v, list->n, (unit));
	list->v = v;
}

static void after_add(struct build *b, uint32_t from, uint32_t to, struct origin at)
{
	struct part *part = &b->parts[from];

	list_add(b, &b->set->units[from].after, to);
	BUILD_PUSH(b, part->after, part->nafter, { .to = to, .at = at });
}

/* network-online.target: where berth itself brings the network, it is online when that is done. */
static void after_uplinks(struct build *b, uint32_t from, struct origin at)
{
	for (uint32_t i = 0; i < b->set->nunits; i++)
		if (i != from && b->parts[i].draft && b->parts[i].draft->leases &&
			b->set->units[i].kind == UNIT_SERVICE)
			after_add(b, from, i, at);
}

static void graph_after(struct build *b, uint32_t i)
{
	const struct unit_draft *draft = b->parts[i].draft;
	bool inert;

	for (size_t k = 0; k < draft->after.n; k++) {
		uint32_t other = unit_resolve(b, "After", &draft->after.v[k], &inert);

		if (other != UNIT_NONE && runs(&b->set->units[other]))
			after_add(b, i, other, draft->after.v[k].at);
		else if (inert && strcmp(draft->after.v[k].text, "network-online.target") == 0)
			after_uplinks(b, i, draft->after.v[k].at);
	}
	for (size_t k = 0; k < draft->before.n; k++) {
		uint32_t other = unit_resolve(b, "Before", &draft->before.v[k], &inert);

		if (other != UNIT_NONE && runs(&b->set->units[other]))
			after_add(b, other, i, draft->before.v[k].at);
	}
}

static void graph_needs(struct build *b, uint32_t i, const char *key,
	const struct draft_list *names, struct unit_list *list)
{
	bool inert;

	for (size_t k = 0; k < names->n; k++) {
		uint32_t other = unit_resolve(b, key, &names->v[k], &inert);

		if (other == i)
			ERROR_AT(
				b, names->v[k].at, "%s: a unit cannot need itself: remove it", key);
		else if (other != UNIT_NONE && runs(&b->set->units[other]))
			list_add(b, list, other);
	}
}

/* WantedBy= is a Wants= written on the other side, or the word for "at boot". */
static void graph_install(struct build *b, uint32_t i)
{
	const struct draft_list *by = &b->parts[i].draft->wanted_by;
	bool inert;

	for (size_t k = 0; k < by->n; k++) {
		uint32_t other;

		if (IN(boot_targets, by->v[k].text)) {
			b->parts[i].root = true;
			continue;
		}
		other = unit_resolve(b, "WantedBy", &by->v[k], &inert);
		if (other != UNIT_NONE && other != i)
			list_add(b, &b->set->units[other].wants, i);
		else if (inert)
			b->parts[i].root = true;
	}
}

void graph_need(struct build *b, uint32_t unit, uint32_t other, bool wants, struct origin at)
{
	struct unit *self = &b->set->units[unit];

	if (!runs(self))
		return;
	list_add(b, wants ? &self->wants : &self->requires, other);
	after_add(b, unit, other, at);
}

void graph_require(struct build *b, uint32_t unit, uint32_t other)
{
	list_add(b, &b->set->units[unit].requires, other);
}

/* A network namespace that is borrowed must be there first, and its owner must stay. */
static void graph_shared(struct build *b, uint32_t i)
{
	const struct part *part = &b->parts[i];

	if (part->shares == UNIT_NONE)
		return;
	graph_require(b, i, part->shares);
	after_add(b, i, part->shares, part->draft->network.v[0].at);
}

/* The ports come first and outlive each run, but not a stop of the container. */
static void graph_proxy(struct build *b, uint32_t i)
{
	uint32_t proxy = b->parts[i].proxy;

	if (proxy == UNIT_NONE || b->set->units[i].kind != UNIT_CONTAINER ||
		!b->set->units[proxy].spec)
		return;
	graph_need(b, i, proxy, true, b->parts[i].draft->publish_port.v[0].at);
	graph_require(b, proxy, i);
}

static void want(struct unit_set *set, uint32_t i)
{
	struct unit *unit = &set->units[i];

	if (unit->wanted)
		return;
	unit->wanted = true;
	for (size_t k = 0; k < unit->requires.n; k++)
		want(set, unit->requires.v[k]);
	for (size_t k = 0; k < unit->wants.n; k++)
		want(set, unit->wants.v[k]);
}

/* ---- cycles ------------------------------------------------------------------------------------- */

enum { WHITE, GREY, BLACK };

struct walk {
	struct build *b;
	unsigned char *colour;
	uint32_t *path;
	size_t depth;
};

/* The path from the first meeting with `to`, closed: "a -> b -> a". */
static void cycle_report(struct walk *w, const struct edge *edge)
{
	const struct unit *units = w->b->set->units;
	char text[800];
	struct strbuf out = STRBUF(text);
	struct origin at = edge->at;
	size_t from = 0;

	text[0] = '\0';
	while (w->path[from] != edge->to)
		from++;
	/* The line of the first arrow: there the reader begins. */
	for (size_t k = 0; from + 1 < w->depth && k < w->b->parts[edge->to].nafter; k++)
		if (w->b->parts[edge->to].after[k].to == w->path[from + 1])
			at = w->b->parts[edge->to].after[k].at;
	for (size_t i = from; i < w->depth; i++)
		strbuf_add(&out, "%s -> ", units[w->path[i]].id);
	strbuf_add(&out, "%s", units[edge->to].id);
	ERROR_AT(
		w->b, at, "After: a cycle, each waits for the next: %s: remove one of these", text);
}

static void cycle_visit(struct walk *w, uint32_t i)
{
	const struct part *part = &w->b->parts[i];

	w->colour[i] = GREY;
	w->path[w->depth++] = i;
	for (size_t k = 0; k < part->nafter; k++) {
		uint32_t to = part->after[k].to;

		if (w->colour[to] == GREY)
			cycle_report(w, &part->after[k]);
		else if (w->colour[to] == WHITE)
			cycle_visit(w, to);
	}
	w->depth--;
	w->colour[i] = BLACK;
}

static void graph_cycles(struct build *b)
{
	size_t n = b->set->nunits;
	struct walk w = {
		.b = b,
		.colour = arena_alloc(&b->tmp, n + 1),
		.path = arena_alloc(&b->tmp, (n + 1) * sizeof *w.path),
	};

	if (!w.colour || !w.path) {
		b->nomem = true;
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		if (w.colour[i] == WHITE)
			cycle_visit(&w, i);
}

void pass_graph(struct build *b)
{
	struct unit_set *set = b->set;

	for (uint32_t i = 0; i < set->nunits; i++) {
		if (!b->parts[i].draft)
			continue;
		graph_after(b, i);
		graph_needs(
			b, i, "Requires", &b->parts[i].draft->requires, &set->units[i].requires);
		graph_needs(b, i, "Wants", &b->parts[i].draft->wants, &set->units[i].wants);
		graph_install(b, i);
		graph_shared(b, i);
		graph_filesystems(b, i);
		graph_image(b, i);
		if (set->units[i].kind == UNIT_IMAGE)
			after_uplinks(b, i, build_unit_at(b, i));
		graph_name_servers(b, i);
		graph_proxy(b, i);
		graph_clients(b, i);
	}
	graph_cycles(b);
	for (uint32_t i = 0; i < set->nunits; i++)
		if (b->parts[i].root)
			want(set, i);
}
