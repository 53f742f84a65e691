/* What runs inside: the image's ENTRYPOINT and CMD, Entrypoint=, Exec=, and its surroundings. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/build.h"
#include "supervisor/base/fd.h"

enum { ENV_FILE_MAX = 256 * 1024 };

#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* ---- the command line --------------------------------------------------------------------------- */

static void argv_add(struct build *b, struct strv *argv, const struct strv *words)
{
	for (size_t i = 0; i < words->n; i++)
		build_add(b, argv, words->v[i]);
}

/* Entrypoint= drops the image's CMD too: it was meant for another program (OCI, podman). */
static void process_argv(struct build *b, struct part *part)
{
	const struct unit_draft *draft = part->draft;
	struct strv *argv = &part->spec->process.argv;
	bool entry = DRAFT_SET(draft->entrypoint);

	if (!draft->leases && (part->spec->filesystem || part->spec->secluded ||
				      part->spec->proxy || part->spec->own_program))
		return;
	if (part->spec->native) {
		*argv = draft->exec_start.v;
		if (argv->n == 0 && DRAFT_SET(draft->bundle))
			build_add(b, argv, draft->bundle.v);
		return;
	}
	argv_add(b, argv, entry ? &draft->entrypoint.v : &part->image.entrypoint);
	if (DRAFT_SET(draft->exec))
		argv_add(b, argv, &draft->exec.v);
	else if (!entry)
		argv_add(b, argv, &part->image.cmd);
}

static bool is_shell(const struct strv *argv)
{
	static const char *const shells[] = { "sh", "bash", "ash", "dash", "zsh", "ksh", "fish" };
	const char *slash;
	const char *name;

	if (argv->n == 2 && str_ends(argv->v[0], "busybox"))
		name = argv->v[1];
	else if (argv->n == 1)
		name = argv->v[0];
	else
		return false;
	slash = strrchr(name, '/');
	name = slash ? slash + 1 : name;
	for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++)
		if (strcmp(name, shells[i]) == 0)
			return true;
	return false;
}

static void argv_check(struct build *b, uint32_t unit)
{
	const struct part *part = &b->parts[unit];
	const struct process_spec *process = &part->spec->process;
	struct origin at = build_unit_at(b, unit);

	if (DRAFT_SET(part->draft->exec))
		at = part->draft->exec.at;
	else if (DRAFT_SET(part->draft->entrypoint))
		at = part->draft->entrypoint.at;
	if (process->argv.n == 0 && part->spec->native)
		ERROR_AT(b, at, "ExecStart: nothing to run: add ExecStart=/path/to/program");
	else if (process->argv.n == 0 && !part->spec->hold_open &&
		 part->spec->root.kind != ROOT_NONE)
		ERROR_AT(b, at,
			"Exec: nothing to run: the image names no program: add Exec=, or "
			"[X-Berth] HoldOpen=yes");
	else if (is_shell(&process->argv) && !process->tty_path)
		WARN_AT(b, at,
			"Exec: %s without a terminal ends at once: add StandardInput=tty, or a "
			"command for it",
			process->argv.v[0]);
}

/* ---- the environment ---------------------------------------------------------------------------- */

/* "KEY=value" takes the place of an earlier KEY. A "KEY" alone takes berth's own value. */
static void env_put(struct build *b, struct strv *env, const char *text)
{
	const char *equal = strchr(text, '=');
	size_t n = equal ? (size_t)(equal - text) : strlen(text);

	if (!equal) {
		const char *value = getenv(text);

		if (!value)
			return;
		text = build_text(b, "%s=%s", text, value);
	}
	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], text, n + 1) == 0) {
			env->v[i] = text;
			return;
		}
	build_add(b, env, text);
}

/* One line of an environment file, as podman reads it: no quoting, the value is what is there. */
static void env_line(
	struct build *b, struct strv *env, struct origin at, const char *line, size_t n)
{
	size_t blank = strspn(line, " \t");
	size_t name;

	if (blank >= n || line[blank] == '#')
		return;
	line += blank;
	n -= blank;
	if (line[n - 1] == '\r')
		n--;
	name = strcspn(line, "= \t\n");
	if (name == 0 || (name < n && line[name] != '=')) {
		ERROR_AT(b, at,
			"EnvironmentFile: not KEY=VALUE: correct the line, or begin it "
			"with #");
		return;
	}
	env_put(b, env, build_ntext(b, line, n));
}

static void env_text(struct build *b, struct strv *env, const char *path, const char *text)
{
	struct origin at = { path, 1 };

	for (const char *line = text; *line; at.line++) {
		size_t len = strcspn(line, "\n");

		env_line(b, env, at, line, len);
		line += len + (line[len] == '\n');
	}
}

static void env_file(struct build *b, const struct unit_draft *draft, const struct draft_item *item,
	struct strv *env)
{
	bool optional = item->text[0] == '-';
	const char *path = build_path(b, draft->dir, item->text + optional);
	char *text = arena_alloc(&b->tmp, ENV_FILE_MAX);
	ssize_t n = text ? file_read_at(AT_FDCWD, path, text, ENV_FILE_MAX) : -ENOMEM;

	b->nomem |= n == -ENOMEM;
	if (n >= 0 && strlen(text) != (size_t)n)
		ERROR_AT(b, ((struct origin){ path, 0 }),
			"EnvironmentFile: there is a NUL byte in it: remove it");
	else if (n >= 0)
		env_text(b, env, path, text);
	else if (n != -ENOENT || !optional)
		ERROR_AT(b, item->at,
			"EnvironmentFile: %s: %s: correct the path, or write -%s if it may be "
			"missing",
			path, strerror((int)-n), path);
}

static void process_env(struct build *b, struct part *part)
{
	const struct unit_draft *draft = part->draft;
	struct strv *env = &part->spec->process.env;
	const struct draft_list *own =
		part->spec->native ? &draft->service_environment : &draft->environment;

	build_add(b, env, PATH_DEFAULT);
	if (part->spec->process.tty_path)
		build_add(b, env, "TERM=linux");
	if (!part->spec->native) {
		build_add(b, env, "container=berth");
		build_add(b, env, build_text(b, "HOSTNAME=%s", part->spec->hostname));
	}
	for (size_t i = 0; i < part->image.env.n; i++)
		env_put(b, env, part->image.env.v[i]);
	for (size_t i = 0; i < draft->environment_file.n; i++)
		env_file(b, draft, &draft->environment_file.v[i], env);
	if (draft->config_path)
		build_add(b, env, build_text(b, "CONFIG_FILE=%s", draft->config_path));
	for (size_t i = 0; i < own->n; i++)
		env_put(b, env, own->v[i].text);
}

/* ---- who and where ------------------------------------------------------------------------------ */

static void process_user(struct build *b, struct part *part)
{
	const struct unit_draft *draft = part->draft;
	struct process_spec *process = &part->spec->process;
	const char *user = DRAFT_SET(draft->user) ? draft->user.v : part->image.user;
	const char *group = NULL;

	if (user) {
		process->user = build_field(b, &user, ':');
		group = user;
	}
	if (DRAFT_SET(draft->group)) {
		if (DRAFT_SET(draft->user) && group && strcmp(group, draft->group.v) != 0)
			ERROR_AT(b, draft->group.at,
				"Group: User=%s (%s:%u) names another group: remove one of them",
				draft->user.v, draft->user.at.file, draft->user.at.line);
		group = draft->group.v;
	}
	if (process->user && !*process->user)
		process->user = NULL;
	process->group = group && *group ? group : NULL;
	for (size_t i = 0; i < draft->group_add.n; i++) {
		const struct draft_item *item = &draft->group_add.v[i];

		if (strcmp(item->text, "keep-groups") == 0)
			ERROR_AT(b, item->at,
				"GroupAdd: keep-groups would give the container berth's own "
				"groups: "
				"name the groups");
		else
			build_add(b, &process->groups, item->text);
	}
}

static void process_terminal(struct build *b, struct part *part)
{
	const struct unit_draft *draft = part->draft;
	bool tty = draft->standard_input.v == STDIN_TTY;

	if (tty)
		part->spec->process.tty_path =
			DRAFT_SET(draft->tty_path) ? draft->tty_path.v : "/dev/console";
	else if (DRAFT_SET(draft->tty_path))
		WARN_AT(b, draft->tty_path.at,
			"TTYPath: has no effect without StandardInput=tty: add that");
	if (tty && part->spec->process.tty_path[0] != '/')
		ERROR_AT(b, draft->tty_path.at, "TTYPath: %s is not an absolute path",
			draft->tty_path.v);
}

void pass_process(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	const struct unit_draft *draft = part->draft;
	struct process_spec *process = &part->spec->process;

	process->umask = 022;
	process_terminal(b, part);
	process_argv(b, part);
	argv_check(b, unit);
	process_env(b, part);
	process_user(b, part);
	process->cwd = part->image.cwd ? part->image.cwd : "/";
	if (DRAFT_SET(draft->working_dir)) {
		if (draft->working_dir.v[0] == '/')
			process->cwd = draft->working_dir.v;
		else
			ERROR_AT(b, draft->working_dir.at, "WorkingDir: %s is not an absolute path",
				draft->working_dir.v);
	}
}
