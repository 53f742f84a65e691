#include "config/parse.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "config/expand.h"
#include "config/files.h"
#include "config/podman_args.h"
#include "config/reader.h"
#include "config/types.h"
#include "supervisor/base/arena.h"

/* One value on its way into one field. */
struct store {
	struct parse *parse;
	const struct key *key;
	void *field;
	const char *value; /* not empty */
	struct origin at;
};

/* What the text says once its specifiers are expanded, in the arena of the set. */
static int expanded(const struct store *store, const char *text, const char **ret, struct err *err)
{
	struct arena *arena = &store->parse->set->arena;
	const char *value = text;
	int r = store->parse->unit ? specifiers_expand(arena, store->parse->unit, text, &value, err)
				   : 0;

	if (r < 0)
		return r;
	value = arena_strdup(arena, value);
	if (!value)
		return err_sys(err, ENOMEM, "keep the value");
	*ret = value;
	return 0;
}

static int store_str(const struct store *store, struct err *err)
{
	struct draft_str *field = store->field;
	int r = expanded(store, store->value, &field->v, err);

	if (r == 0)
		field->at = store->at;
	return r;
}

static int store_name(const struct store *store, struct err *err)
{
	struct draft_str *field = store->field;
	const char *name = NULL;
	int r = expanded(store, store->value, &name, err);

	if (r < 0)
		return r;
	if (!name_valid(name))
		return err_set(err, EINVAL,
			"\"%.60s\" cannot be a name: write 1 to 63 letters, digits and _ . @ -, no "
			"dot first",
			name);
	*field = (struct draft_str){ .v = name, .at = store->at };
	return 0;
}

/* ---- lists -------------------------------------------------------------------------------------*/

static int list_add(const struct store *store, const char *text, struct err *err)
{
	struct draft_list *list = store->field;
	size_t n = list->n;

	if ((n & (n - 1)) == 0) {
		struct draft_item *grown =
			arena_grow(store->parse->arena, list->v, n, n ? 2 * n : 1, sizeof *grown);

		if (!grown)
			return err_sys(err, ENOMEM, "keep the value");
		list->v = grown;
	}
	list->v[list->n++] = (struct draft_item){ .text = text, .at = store->at };
	return 0;
}

static int store_lines(const struct store *store, struct err *err)
{
	const char *text = NULL;
	int r = expanded(store, store->value, &text, err);

	return r < 0 ? r : list_add(store, text, err);
}

/* The words of the value, split first and then expanded, so that what a specifier puts in is never
 * split. */
static int value_words(const struct store *store, struct strv *ret, struct err *err)
{
	struct arena *arena = &store->parse->set->arena;
	struct strv words = { 0 };
	int r = words_split(arena, store->value, &words, err);

	for (size_t i = 0; i < words.n && r == 0 && store->parse->unit; i++)
		r = specifiers_expand(arena, store->parse->unit, words.v[i], &words.v[i], err);
	if (r == 0)
		*ret = words;
	return r;
}

/* A list's words, each with "=" in it if `pairs`; nothing is added when one is wrong. */
static int store_list(const struct store *store, bool need_equals, bool need_key, struct err *err)
{
	struct strv words = { 0 };
	int r = value_words(store, &words, err);

	for (size_t i = 0; i < words.n && r == 0; i++) {
		const char *word = words.v[i];

		if (need_equals && !strchr(word, '='))
			r = err_set(err, EINVAL,
				"\"%.60s\" is not KEY=VALUE; quote a value that has blanks, as "
				"\"KEY=a b\"",
				word);
		else if (need_key && (*word == '=' || *word == '\0'))
			r = err_set(err, EINVAL, "\"%.60s\" has no name before the \"=\"", word);
	}
	for (size_t i = 0; i < words.n && r == 0; i++)
		r = list_add(store, words.v[i], err);
	return r;
}

static int store_words(const struct store *store, struct err *err)
{
	return store_list(store, false, false, err);
}

/* A word without "=" after one that has it is nearly always the rest of a value with blanks. */
static int warn_cut_value(const struct store *store, size_t before)
{
	const struct draft_list *list = store->field;

	for (size_t i = before + 1; i < list->n; i++)
		if (strchr(list->v[i - 1].text, '=') && !strchr(list->v[i].text, '='))
			return problem_at(store->parse->set, false, store->at,
				"%s: \"%.60s\" has no \"=\", so it takes berth's own value; quote "
				"a "
				"value that has blanks, as \"KEY=a b\"",
				store->key->name, list->v[i].text);
	return 0;
}

static int store_env(const struct store *store, struct err *err)
{
	size_t before = ((const struct draft_list *)store->field)->n;
	int r = store_list(store, false, true, err);

	return r < 0 ? r : warn_cut_value(store, before);
}

static int store_pairs(const struct store *store, struct err *err)
{
	return store_list(store, true, true, err);
}

/* ---- commands ----------------------------------------------------------------------------------*/

static int store_argv(const struct store *store, struct err *err)
{
	struct draft_argv *field = store->field;
	struct draft_argv argv = { .at = store->at };
	struct store words = *store;
	bool native = field == &store->parse->unit->exec_start;
	int r;

	if (native && DRAFT_SET(*field))
		return err_set(err, EINVAL,
			"one command is served: put the commands into a script, or empty the key "
			"first");
	if (native && *words.value == '-') {
		argv.ignore_failure = true;
		words.value++;
	}
	if (native && *words.value && strchr("@:+!|", *words.value))
		return err_set(
			err, EINVAL, "the prefix \"%c\" is not served: leave it out", *words.value);
	r = value_words(&words, &argv.v, err);
	if (r < 0)
		return r;
	if (native && argv.v.n == 0)
		return err_set(err, EINVAL, "a command is missing");
	if (native && strv_has(&argv.v, ";"))
		return err_set(
			err, EINVAL, "one command is served: put the commands into a script");
	*field = argv;
	return 0;
}

/* `["a","b"]`, or the value as one word after `before`. */
static int store_json(const struct store *store, const char *const *before, struct err *err)
{
	struct arena *arena = &store->parse->set->arena;
	struct draft_argv *field = store->field;
	struct draft_argv argv = { .at = store->at };
	const char *text = store->value;
	int r = expanded(store, store->value, &text, err);

	if (r < 0)
		return r;
	if (*text == '[') {
		r = json_strings(arena, text, &argv.v, err);
	} else {
		for (; *before && r == 0; before++)
			r = strv_add(&argv.v, arena, *before);
		if (r == 0)
			r = strv_add(&argv.v, arena, text);
	}
	if (r == 0)
		*field = argv;
	return r;
}

static int store_entry(const struct store *store, struct err *err)
{
	static const char *const none[] = { NULL };

	return store_json(store, none, err);
}

static int store_shell(const struct store *store, struct err *err)
{
	static const char *const shell[] = { "/bin/sh", "-c", NULL };
	struct draft_bool *none = &store->parse->unit->health_none;
	struct draft_argv *field = store->field;

	*none = (struct draft_bool){ 0 };
	if (strcmp(store->value, "none") != 0)
		return store_json(store, shell, err);
	*none = (struct draft_bool){ .v = true, .at = store->at };
	*field = (struct draft_argv){ 0 };
	return 0;
}

/* ---- numbers and the like ----------------------------------------------------------------------*/

static int store_flag(const struct store *store, struct err *err)
{
	struct draft_bool *field = store->field;
	int r = value_bool(store->value, &field->v, err);

	if (r == 0)
		field->at = store->at;
	return r;
}

static int store_bytes(const struct store *store, struct err *err)
{
	struct draft_bytes *field = store->field;
	int r = value_bytes(store->value, &field->v, err);

	if (r == 0)
		field->at = store->at;
	return r;
}

static int store_time(const struct store *store, struct err *err)
{
	struct draft_time *field = store->field;
	int r = value_time(store->value, &field->v, err);

	if (r == 0)
		field->at = store->at;
	return r;
}

static int store_timeout(const struct store *store, struct err *err)
{
	struct draft_time *field = store->field;
	int r = store_time(store, err);

	if (r == 0 && field->v == 0)
		field->v = UINT64_MAX;
	return r;
}

static int store_interval(const struct store *store, struct err *err)
{
	struct draft_time *field = store->field;

	if (strcmp(store->value, "disable") != 0)
		return store_timeout(store, err);
	*field = (struct draft_time){ .v = UINT64_MAX, .at = store->at };
	return 0;
}

static int store_signal(const struct store *store, struct err *err)
{
	struct draft_signal *field = store->field;
	int r = value_signal(store->value, &field->v, err);

	if (r == 0)
		field->at = store->at;
	return r;
}

static int store_tasks(const struct store *store, struct err *err)
{
	struct draft_num *field = store->field;
	int r = value_tasks(store->value, &field->v, err);

	if (r == 0)
		field->at = store->at;
	return r;
}

static int store_number(const struct store *store, struct err *err)
{
	struct draft_num *field = store->field;
	int r = value_number(
		store->value, (uint64_t)store->key->min, (uint64_t)store->key->max, &field->v, err);

	if (r == 0)
		field->at = store->at;
	return r;
}

static int store_integer(const struct store *store, struct err *err)
{
	struct draft_int *field = store->field;
	int r = value_integer(store->value, store->key->min, store->key->max, &field->v, err);

	if (r == 0)
		field->at = store->at;
	return r;
}

static int store_quota(const struct store *store, struct err *err)
{
	struct draft_num *field = store->field;
	int r = value_cpu_quota(store->value, &field->v, err);

	if (r == 0)
		field->at = store->at;
	return r;
}

static int store_caps(const struct store *store, struct err *err)
{
	struct draft_caps *field = store->field;
	struct draft_caps caps = *field;
	struct strv words = { 0 };
	int r = value_words(store, &words, err);

	for (size_t i = 0; i < words.n && r == 0; i++)
		r = value_capability(words.v[i], &caps.mask, &caps.all, err);
	if (r < 0)
		return r;
	*field = caps;
	field->at = store->at;
	return 0;
}

static int store_exits(const struct store *store, struct err *err)
{
	struct draft_exits *field = store->field;
	struct draft_exits exits = *field;
	struct strv words = { 0 };
	int r = value_words(store, &words, err);

	for (size_t i = 0; i < words.n && r == 0; i++)
		r = value_exit(words.v[i], &exits.v, err);
	if (r < 0)
		return r;
	*field = exits;
	field->at = store->at;
	return 0;
}

/* "no, always, on-success" */
static void list_words(const struct key_word *words, struct strbuf *buf)
{
	for (const struct key_word *word = words; word->word; word++)
		strbuf_add(buf, "%s%s", word == words ? "" : ", ", word->word);
}

static const struct key_word *word_find(const struct key_word *words, const char *value)
{
	for (; words->word; words++)
		if (strcasecmp(words->word, value) == 0)
			return words;
	return NULL;
}

static int store_choice(const struct store *store, struct err *err)
{
	struct draft_choice *field = store->field;
	const struct key_word *word = word_find(store->key->words, store->value);
	char list[200] = "";
	struct strbuf buf = STRBUF(list);

	if (!word) {
		list_words(store->key->words, &buf);
		return err_set(err, EINVAL, "\"%.60s\" is not served: write one of %s",
			store->value, list);
	}
	*field = (struct draft_choice){ .v = word->value, .at = store->at };
	return 0;
}

static int store_rlimit(const struct store *store, struct err *err)
{
	struct draft_rlimit *field = store->field;
	int r = value_rlimit((int)store->key->min, store->value, &field->v, err);

	if (r == 0)
		field->at = store->at;
	return r;
}

static int store_ulimits(const struct store *store, struct err *err)
{
	struct draft_rlimit *limits = store->field;
	const char *equals = strchr(store->value, '=');
	size_t n = equals ? (size_t)(equals - store->value) : 0;
	char name[24] = "";
	int resource = -EINVAL;
	int r;

	if (strcmp(store->value, "host") == 0)
		return err_set(
			err, EINVAL, "host is not served: write NAME=SOFT:HARD for what is needed");
	if (n > 0 && n < sizeof name) {
		memcpy(name, store->value, n);
		resource = rlimit_from_name(name);
	}
	if (resource < 0)
		return err_set(err, EINVAL,
			"\"%.60s\" names no limit: write NAME=SOFT:HARD, as nofile=1024:4096",
			store->value);
	r = value_rlimit(resource, equals + 1, &limits[resource].v, err);
	if (r == 0)
		limits[resource].at = store->at;
	return r;
}

/* ---- keys --------------------------------------------------------------------------------------*/

static const struct {
	int (*store)(const struct store *store, struct err *err);
	size_t size;
} types[] = {
	[TYPE_str] = { store_str, sizeof(struct draft_str) },
	[TYPE_name] = { store_name, sizeof(struct draft_str) },
	[TYPE_lines] = { store_lines, sizeof(struct draft_list) },
	[TYPE_words] = { store_words, sizeof(struct draft_list) },
	[TYPE_env] = { store_env, sizeof(struct draft_list) },
	[TYPE_pairs] = { store_pairs, sizeof(struct draft_list) },
	[TYPE_argv] = { store_argv, sizeof(struct draft_argv) },
	[TYPE_entry] = { store_entry, sizeof(struct draft_argv) },
	[TYPE_shell] = { store_shell, sizeof(struct draft_argv) },
	[TYPE_flag] = { store_flag, sizeof(struct draft_bool) },
	[TYPE_bytes] = { store_bytes, sizeof(struct draft_bytes) },
	[TYPE_time] = { store_time, sizeof(struct draft_time) },
	[TYPE_timeout] = { store_timeout, sizeof(struct draft_time) },
	[TYPE_interval] = { store_interval, sizeof(struct draft_time) },
	[TYPE_signal] = { store_signal, sizeof(struct draft_signal) },
	[TYPE_tasks] = { store_tasks, sizeof(struct draft_num) },
	[TYPE_number] = { store_number, sizeof(struct draft_num) },
	[TYPE_integer] = { store_integer, sizeof(struct draft_int) },
	[TYPE_quota] = { store_quota, sizeof(struct draft_num) },
	[TYPE_caps] = { store_caps, sizeof(struct draft_caps) },
	[TYPE_exits] = { store_exits, sizeof(struct draft_exits) },
	[TYPE_choice] = { store_choice, sizeof(struct draft_choice) },
	[TYPE_rlimit] = { store_rlimit, sizeof(struct draft_rlimit) },
	[TYPE_ulimits] = { store_ulimits, sizeof(struct draft_rlimit[RLIM_NLIMITS]) },
};

/* podman takes one pair of double quotes off a value that is no list and no command line; systemd
 * does not. Quotes inside, unescaped, mean that the outer ones are no pair. */
static int unquoted(struct store *store)
{
	static const unsigned kept_types = 1U << TYPE_lines | 1U << TYPE_words | 1U << TYPE_env |
					   1U << TYPE_pairs | 1U << TYPE_argv | 1U << TYPE_caps |
					   1U << TYPE_ulimits;
	const char *section = store->key->section;
	size_t n = strlen(store->value);

	if (n < 2 || store->value[0] != '"' || store->value[n - 1] != '"' ||
		(kept_types & 1U << store->key->type))
		return 0;
	if (strcmp(section, "Container") != 0 && strcmp(section, "Network") != 0 &&
		strcmp(section, "Volume") != 0)
		return 0;
	for (size_t i = 1; i < n - 1; i++)
		if (store->value[i] == '"' && store->value[i - 1] != '\\')
			return 0;
	store->value = arena_strndup(&store->parse->set->arena, store->value + 1, n - 2);
	return store->value ? 0 : -ENOMEM;
}

static int serve(struct store *store)
{
	struct parse *parse = store->parse;
	const struct key *key = store->key;
	char *base = parse->unit ? (char *)parse->unit : (char *)parse->conf;
	struct err err = { 0 };
	int r;

	store->field = base + key->offset;
	r = unquoted(store);
	if (r < 0)
		return r;
	if (!*store->value) {
		memset(store->field, 0, types[key->type].size);
		if (key->type == TYPE_shell)
			parse->unit->health_none = (struct draft_bool){ 0 };
		return 0;
	}
	r = types[key->type].store(store, &err);
	if (r == -ENOMEM)
		return r;
	return r < 0 ? problem_at(parse->set, true, store->at, "%s: %s", key->name, err.text) : 0;
}

/* PodmanArgs= gets its advice from what it says. */
static int refuse_podman_args(const struct store *store)
{
	struct strv args = { 0 };
	char text[600] = "";
	struct strbuf advice = STRBUF(text);
	struct err err = { 0 };
	int r = words_split(&store->parse->set->arena, store->value, &args, &err);

	if (r == -ENOMEM)
		return r;
	if (r == 0)
		podman_args_advice(&args, &advice);
	else
		strbuf_add(&advice, "%s", err.text);
	return problem_at(
		store->parse->set, true, store->at, "%s: not served: %s", store->key->name, text);
}

static int refuse(const struct store *store)
{
	if (strcmp(store->key->name, "PodmanArgs") == 0 &&
		strcmp(store->key->section, "Container") == 0)
		return refuse_podman_args(store);
	return problem_at(
		store->parse->set, true, store->at, "%s: %s", store->key->name, store->key->help);
}

static int note(const struct store *store)
{
	return problem_at(store->parse->set, false, store->at, "%s: has no effect: %s",
		store->key->name, store->key->help);
}

/* Accepted for some values; help begins with what the others are refused with. */
static int take_only(const struct store *store)
{
	/* These values say what berth does anyway, so nothing is to be said. */
	return word_find(store->key->words, store->value) ? 0 : refuse(store);
}

static int by_class(struct store *store)
{
	const struct key *key = store->key;

	/* An empty value takes back what an earlier line said: nothing to serve or to refuse. */
	if (!*store->value && key->class != KEY_SERVED)
		return 0;
	switch (key->class) {
	case KEY_SERVED:
		return serve(store);
	case KEY_INERT:
		return note(store);
	case KEY_ONLY:
		return take_only(store);
	case KEY_SELINUX:
		return access("/sys/fs/selinux/enforce", F_OK) == 0 ? refuse(store) : note(store);
	case KEY_REFUSED:
		return refuse(store);
	}
	return 0;
}

/* ---- sections ----------------------------------------------------------------------------------*/

/* May this section be here? False: no, and it was said (or need not be). *r: what saying it gave. */
static bool section_fits(struct parse *parse, const struct reader_line *line, int *r)
{
	const struct key_section *section = section_find(line->section);
	struct origin at = { parse->file, line->line };
	const char *near;
	size_t n = strlen(line->section);

	*r = 0;
	if (section &&
		(parse->unit ? (section->kinds & KIND(parse->unit->kind)) != 0 : section->conf))
		return true;
	/* systemd leaves X- sections to others. */
	if (!section && str_starts(line->section, "X-"))
		return false;
	if (strcmp(parse->complained, line->section) == 0 || n >= sizeof parse->complained)
		return false;
	memcpy(parse->complained, line->section, n + 1);
	near = section ? NULL : section_suggest(line->section);
	if (section && section->refuse)
		*r = problem_at(parse->set, true, at, "[%s]: %s", section->name, section->refuse);
	else if (section)
		*r = problem_at(parse->set, true, at, "[%s]: not a section of %s%s files",
			section->name, parse->unit ? "." : "",
			parse->unit ? unit_kind_suffix(parse->unit->kind) : "berth.conf");
	else
		*r = problem_at(parse->set, true, at, "[%s]: unknown section%s%s%s", line->section,
			near ? "; did you mean [" : "", near ? near : "", near ? "]?" : "");
	return false;
}

static int unknown_key(struct parse *parse, const struct reader_line *line)
{
	struct origin at = { parse->file, line->line };
	const struct key *other =
		parse->unit ? key_elsewhere(line->section, line->key, parse->unit->kind) : NULL;
	const struct key *near = key_suggest(line->section, line->key);

	if (other)
		return problem_at(parse->set, true, at, "%s: is a key of [%s], not of [%s]",
			line->key, other->section, line->section);
	if (near)
		return problem_at(parse->set, true, at, "%s: unknown key; did you mean %s?",
			line->key, near->name);
	return problem_at(
		parse->set, true, at, "%s: unknown key in [%s]", line->key, line->section);
}

int parse_assign(struct parse *parse, const struct reader_line *line)
{
	const struct key *key;
	int r;

	if (!section_fits(parse, line, &r))
		return r;
	key = key_find(line->section, line->key);
	if (!key)
		return unknown_key(parse, line);
	if (key->kinds && parse->unit && !(key->kinds & KIND(parse->unit->kind)))
		return problem_add(parse->set, true, parse->file, line->line,
			"%s: is for .service files%s", key->name,
			strcmp(key->name, "ExecStart") == 0
				? "; in a .container write [Container] Exec="
				: "");
	return by_class(&(struct store){ .parse = parse,
		.key = key,
		.value = line->value,
		.at = { parse->file, line->line } });
}
