#include "config/expand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "config/types.h"
#include "supervisor/base/fd.h"

/* A growing text; a value is at most as long as a line of a file plus what it names. */
struct text {
	struct arena *arena;
	char *v;
	size_t n, cap;
	int r; /* the first failure */
};

static void text_add(struct text *text, const char *part, size_t n)
{
	if (text->r < 0)
		return;
	if (!text->v || text->n + n + 1 > text->cap) {
		size_t cap = 2 * (text->n + n + 1);
		char *grown = arena_grow(text->arena, text->v, text->n, cap, 1);

		if (!grown) {
			text->r = -ENOMEM;
			return;
		}
		text->v = grown;
		text->cap = cap;
	}
	memcpy(text->v + text->n, part, n);
	text->n += n;
	text->v[text->n] = '\0';
}

/* ---- specifiers --------------------------------------------------------------------------------*/

static const char *fixed(const char *value, struct strbuf *buf)
{
	strbuf_add(buf, "%s", value);
	return buf->text;
}

/* What the service would be called under Quadlet: web.container is web.service. */
static void full_name(const struct unit_draft *unit, const char *ending, struct strbuf *buf)
{
	static const char *const infix[] = {
		[UNIT_CONTAINER] = "",
		[UNIT_SERVICE] = "",
		[UNIT_NETWORK] = "-network",
		[UNIT_VOLUME] = "-volume",
		[UNIT_TARGET] = "",
		[UNIT_MOUNT] = "",
		[UNIT_IMAGE] = "-image",
		[UNIT_PROXY] = "-proxy",
		[UNIT_DHCP] = "-dhcp",
	};

	strbuf_add(buf, "%s%s%s", unit->stem, infix[unit->kind], ending);
}

/* systemd's unescaping of an instance: "-" is "/", \xHH a byte. */
static void unescaped(const char *name, struct strbuf *buf)
{
	for (; *name; name++) {
		if (name[0] == '\\' && name[1] == 'x' && name[2] && name[3]) {
			char hex[3] = { name[2], name[3], '\0' };

			strbuf_add(buf, "%c", (int)strtoul(hex, NULL, 16));
			name += 3;
		} else {
			strbuf_add(buf, "%c", *name == '-' ? '/' : *name);
		}
	}
}

/* An id of 32 hex digits from a file, dashes left out. */
static void id_file(const char *path, struct strbuf *buf)
{
	char id[64];

	if (file_read_at(AT_FDCWD, path, id, sizeof id) < 0)
		return;
	for (const char *p = id; *p && *p != '\n'; p++)
		if (*p != '-')
			strbuf_add(buf, "%c", *p);
}

static const char *home(void)
{
	const char *dir = getenv("HOME");

	/* Root's is known, whatever sudo left in the environment. */
	return geteuid() == 0 ? "/root" : dir && dir[0] == '/' ? dir : "/";
}

/* The specifiers of systemd.unit(5) whose values are the same on every host. */
static const char *fixed_value(char which)
{
	static const struct {
		char which;
		const char *value;
	} rows[] = {
		{ '%', "%" },
		{ 't', "/run" },
		{ 'S', "/var/lib" },
		{ 'C', "/var/cache" },
		{ 'L', "/var/log" },
		{ 'E', "/etc" },
		{ 'T', "/tmp" },
		{ 'V', "/var/tmp" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].which == which)
			return rows[i].value;
	return NULL;
}

/* One specifier's value; NULL: there is no such one. */
static const char *specifier(const struct unit_draft *unit, char which, struct strbuf *buf)
{
	struct utsname host = { 0 };
	const char *value = fixed_value(which);

	if (value)
		return value;
	(void)uname(&host);
	switch (which) {
	case 'n':
		full_name(unit,
			unit->kind == UNIT_TARGET  ? ".target"
			: unit->kind == UNIT_MOUNT ? ".mount"
						   : ".service",
			buf);
		return buf->text;
	case 'N':
		full_name(unit, "", buf);
		return buf->text;
	case 'p':
		return unit->prefix;
	case 'i':
		return unit->instance;
	case 'I':
		unescaped(unit->instance, buf);
		return buf->text;
	case 'h':
		return home();
	case 'm':
		id_file("/etc/machine-id", buf);
		return buf->text;
	case 'b':
		id_file("/proc/sys/kernel/random/boot_id", buf);
		return buf->text;
	case 'H':
		return fixed(host.nodename, buf);
	case 'v':
		return fixed(host.release, buf);
	case 'U':
		strbuf_add(buf, "%u", (unsigned)geteuid());
		return buf->text;
	case 'u':
		if (geteuid() == 0)
			return "root";
		strbuf_add(buf, "%u", (unsigned)geteuid());
		return buf->text;
	default:
		return NULL;
	}
}

int specifiers_expand(struct arena *arena, const struct unit_draft *unit, const char *text,
	const char **ret, struct err *err)
{
	struct text out = { .arena = arena };
	const char *percent = strchr(text, '%');

	if (!percent) {
		*ret = text;
		return 0;
	}
	for (; percent; percent = strchr(text, '%')) {
		char buffer[256] = "";
		struct strbuf buf = STRBUF(buffer);
		const char *value = percent[1] ? specifier(unit, percent[1], &buf) : NULL;

		if (!value)
			return err_set(err, EINVAL,
				"%%%.1s is not a specifier: write %%%% for a percent sign",
				percent + 1);
		text_add(&out, text, (size_t)(percent - text));
		text_add(&out, value, strlen(value));
		text = percent + 2;
	}
	text_add(&out, text, strlen(text));
	if (out.r < 0)
		return err_sys(err, -out.r, "expand the specifiers");
	*ret = out.v;
	return 0;
}

/* ---- variables ---------------------------------------------------------------------------------*/

#define VARIABLE_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

struct expansion {
	struct unit_set *set;
	const struct unit_draft *unit;
	const char *key;
	struct origin at;
	struct err *err;
};

/* The last one set wins. NULL: not set. */
static const char *variable(const struct unit_draft *unit, const char *name, size_t n)
{
	static const char config_file[] = "CONFIG_FILE";
	const struct draft_list *env = &unit->service_environment;

	for (size_t i = env->n; i-- > 0;)
		if (strncmp(env->v[i].text, name, n) == 0 && env->v[i].text[n] == '=')
			return env->v[i].text + n + 1;
	return n == strlen(config_file) && memcmp(name, config_file, n) == 0 ? unit->config_path
									     : NULL;
}

static int warn_unset(const struct expansion *ex, const char *name, size_t n)
{
	return problem_at(ex->set, false, ex->at,
		"%s: $%.*s is not set, so nothing is put there: write $$%.*s if the command inside "
		"is to see it, or set it with [Service] Environment=%.*s=…",
		ex->key, (int)n, name, (int)n, name, (int)n, name);
}

/* `${X}` and `$$` anywhere in a word. */
static int expand_word(const struct expansion *ex, const char *word, const char **ret)
{
	struct text out = { .arena = &ex->set->arena };
	const char *dollar = strchr(word, '$');

	if (!dollar) {
		*ret = word;
		return 0;
	}
	for (; dollar; dollar = strchr(dollar, '$')) {
		size_t n = dollar[1] == '{' ? strspn(dollar + 2, VARIABLE_CHARS) : 0;
		const char *value;

		if (dollar[1] == '$') {
			text_add(&out, word, (size_t)(dollar + 1 - word));
			word = dollar += 2;
			continue;
		}
		if (n == 0 || dollar[2 + n] != '}') {
			dollar++;
			continue;
		}
		value = variable(ex->unit, dollar + 2, n);
		if (!value && warn_unset(ex, dollar + 2, n) < 0)
			return -ENOMEM;
		text_add(&out, word, (size_t)(dollar - word));
		if (value)
			text_add(&out, value, strlen(value));
		word = dollar += n + 3;
	}
	text_add(&out, word, strlen(word));
	*ret = out.v;
	return out.r;
}

/* Is the whole word `$X`? Then the length of X, else 0. */
static size_t whole_variable(const char *word)
{
	size_t n = word[0] == '$' ? strspn(word + 1, VARIABLE_CHARS) : 0;

	return n && word[1 + n] == '\0' ? n : 0;
}

static int expand_argv(const struct expansion *ex, struct strv *argv, bool split)
{
	struct strv words = { 0 };
	int r = 0;

	for (size_t i = 0; i < argv->n && r >= 0; i++) {
		const char *word = argv->v[i];
		size_t n = split ? whole_variable(word) : 0;

		if (n) {
			const char *value = variable(ex->unit, word + 1, n);

			r = value ? words_split(&ex->set->arena, value, &words, ex->err)
				  : warn_unset(ex, word + 1, n);
			continue;
		}
		r = expand_word(ex, word, &word);
		if (r == 0)
			r = strv_add(&words, &ex->set->arena, word);
	}
	if (r < 0)
		return r;
	*argv = words;
	return 0;
}

int variables_expand(struct unit_set *set, struct unit_draft *unit, struct err *err)
{
	struct {
		const char *key;
		struct draft_argv *argv;
		bool split;
	} const keys[] = {
		{ "Exec", &unit->exec, true },
		{ "HealthCmd", &unit->health_cmd, false },
		{ "ExecStart", &unit->exec_start, true },
	};

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		struct err why = { 0 };
		struct expansion ex = { .set = set,
			.unit = unit,
			.key = keys[i].key,
			.at = keys[i].argv->at,
			.err = &why };
		int r = expand_argv(&ex, &keys[i].argv->v, keys[i].split);

		if (r == -ENOMEM)
			return err_sys(err, ENOMEM, "expand %s=", keys[i].key);
		if (r < 0 && problem_at(set, true, keys[i].argv->at, "%s: %s", keys[i].key,
				     why.text) < 0)
			return err_sys(err, ENOMEM, "expand %s=", keys[i].key);
	}
	return 0;
}

int text_expand(struct unit_set *set, const struct unit_draft *unit, const char *key,
	struct origin at, const char *text, const char **ret, struct err *err)
{
	const struct expansion ex = { .set = set, .unit = unit, .key = key, .at = at, .err = err };
	const char *word = text;
	int r = specifiers_expand(&set->arena, unit, text, &word, err);

	if (r == 0 && expand_word(&ex, word, ret) < 0)
		r = err_sys(err, ENOMEM, "expand %s=", key);
	return r;
}
