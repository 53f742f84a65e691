/* Bundle=: the program of a native service out of the appliance file, or of a directory of
 * BundlePath=. A bundle is a directory of programs that belong together. And ConfigFile=, which such
 * a program is told what to do by. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/build.h"
#include "config/expand.h"
#include "supervisor/base/fd.h"

enum { TEMPLATE_MAX = 256 * 1024 };

static int is_program(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/*
 * Beside the units of an appliance, in .bundles/NAME/, each program has a file that says where in the
 * appliance it lies: OFFSET LENGTH TAG. What all of them say, in the order of their names, stands for
 * the content of the bundle.
 */
static bool bundle_in_payload(struct build *b, struct program_spec *program, bool *ret_has_file)
{
	const char *dir = build_text(b, "%s/.bundles/%s", b->config_dir, program->bundle);
	const char *all = "";
	struct dirent **entries = NULL;
	int n = b->config_dir ? scandir(dir, &entries, is_program, alphasort) : -1;

	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		const char *path = build_text(b, "%s/%s", dir, name);
		char place[128] = "";

		if (file_read_at(AT_FDCWD, path, place, sizeof place) < 0)
			b->nomem = true;
		all = build_text(b, "%s%s %s\n", all, name,
			strrchr(place, ' ') ? strrchr(place, ' ') + 1 : "");
		*ret_has_file |= strcmp(name, program->file) == 0;
		free(entries[i]);
	}
	free((void *)entries);
	if (n > 0)
		program->tag = build_text(b, "%016llx", str_hash(all));
	return n > 0;
}

static bool bundle_in_dirs(struct build *b, const struct strv *dirs, struct program_spec *program,
	struct strbuf *tried)
{
	for (size_t i = 0; dirs && i < dirs->n; i++) {
		const char *dir = build_text(b, "%s/%s", dirs->v[i], program->bundle);

		if (access(dir, F_OK) == 0) {
			program->dir = dir;
			return true;
		}
		strbuf_add(tried, "%s%s", tried->used ? ", " : "", dir);
	}
	return false;
}

/* Where it is, if anywhere; `tried`: the directories without it. Gives: has it the program? */
static bool bundle_look(struct build *b, struct program_spec *program, struct strbuf *tried)
{
	bool has_file = false;

	if (bundle_in_dirs(b, b->bundle_dirs, program, tried) ||
		(!bundle_in_payload(b, program, &has_file) &&
			bundle_in_dirs(b, &b->set->conf.bundle_path, program, tried)))
		has_file = access(build_text(b, "%s/%s", program->dir, program->file), X_OK) == 0;
	return has_file;
}

const char *program_find(struct build *b, struct program_spec *program, const char *name)
{
	static const char *const dirs[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
		"/usr/bin", "/sbin", "/bin" };
	char text[700] = "";
	struct strbuf tried = STRBUF(text);

	*program = (struct program_spec){
		.bundle = name, .file = name, .verify_always = b->set->conf.verify == VERIFY_ALWAYS
	};
	if (bundle_look(b, program, &tried))
		return name;
	*program = (struct program_spec){ 0 };
	for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
		const char *path = build_text(b, "%s/%s", dirs[i], name);

		if (access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

static void bundle_find(struct build *b, const struct draft_str *bundle, struct origin command,
	struct program_spec *program)
{
	char text[700] = "";
	struct strbuf tried = STRBUF(text);
	bool has_file = bundle_look(b, program, &tried);

	if (!program->dir && !program->tag && tried.used)
		ERROR_AT(b, bundle->at, "Bundle: %s was not found; searched %s: put it there",
			bundle->v, text);
	else if (!program->dir && !program->tag)
		ERROR_AT(b, bundle->at,
			"Bundle: %s was not found: pack it with \"berth pack --bundle "
			"%s=PROGRAM\", or set BundlePath= in berth.conf",
			bundle->v, bundle->v);
	else if (!has_file)
		ERROR_AT(b, command,
			"ExecStart: the bundle %s%s%s has no program %s: correct the name, or put "
			"it there",
			bundle->v, program->dir ? " in " : "", program->dir ? program->dir : "",
			program->file);
}

/* ---- ConfigFile= ---------------------------------------------------------------------------------- */

/* Line by line, so that what is wrong has its line. */
static void template_expand(struct build *b, const struct unit_draft *draft, const char *path,
	char *text, struct container_spec *spec)
{
	struct origin at = { path, 1 };
	char *whole = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&whole, &size);

	for (char *line; out && (line = strsep(&text, "\n")); at.line++) {
		const char *expanded = "";
		struct err err = { 0 };
		int r = text_expand(b->set, draft, "ConfigFile", at, line, &expanded, &err);

		b->nomem |= r == -ENOMEM;
		if (r < 0)
			ERROR_AT(b, at, "ConfigFile: %s", err.text);
		(void)fprintf(out, "%s%s", expanded, text ? "\n" : "");
	}
	if (!out || fclose(out) != 0)
		b->nomem = true;
	else
		spec->config_text = build_ntext(b, whole, size);
	free(whole);
}

static void config_file(struct build *b, struct part *part)
{
	const struct unit_draft *draft = part->draft;
	char *text = DRAFT_SET(draft->config_file) ? arena_alloc(&b->tmp, TEMPLATE_MAX) : NULL;
	const char *path;
	ssize_t n;

	if (!DRAFT_SET(draft->config_file))
		return;
	path = build_path(b, draft->dir, draft->config_file.v);
	n = text ? file_read_at(AT_FDCWD, path, text, TEMPLATE_MAX) : -ENOMEM;
	b->nomem |= n == -ENOMEM;
	if (n < 0)
		ERROR_AT(b, draft->config_file.at, "ConfigFile: %s: %s: put the template there",
			path, strerror((int)-n));
	else if (strlen(text) != (size_t)n)
		ERROR_AT(b, ((struct origin){ path, 0 }),
			"ConfigFile: there is a NUL byte in it: remove it");
	else
		template_expand(b, draft, build_text(b, "%s", path), text, part->spec);
	part->spec->config_path = draft->config_path;
}

/* The DHCP client, where one is packed: found by its PATH, behind which the host's own is. */
static void bundle_client(struct build *b, struct program_spec *program)
{
	char text[700];
	struct strbuf tried = STRBUF(text);
	struct program_spec found = { .bundle = "udhcpc", .file = "udhcpc" };
	bool has_file = false;

	if (!bundle_in_dirs(b, b->bundle_dirs, &found, &tried) &&
		!bundle_in_payload(b, &found, &has_file) &&
		!bundle_in_dirs(b, &b->set->conf.bundle_path, &found, &tried))
		return;
	if (found.dir ? access(build_text(b, "%s/udhcpc", found.dir), X_OK) < 0 : !has_file)
		found.file = "busybox";
	found.verify_always = b->set->conf.verify == VERIFY_ALWAYS;
	*program = found;
}

void pass_bundle(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	const struct unit_draft *draft = part->draft;
	const struct strv *argv = &part->spec->process.argv;
	struct program_spec *program = &part->spec->program;
	struct origin command =
		DRAFT_SET(draft->exec_start) ? draft->exec_start.at : draft->bundle.at;

	config_file(b, part);
	if (draft->leases)
		bundle_client(b, program);
	if (!part->spec->native || part->spec->filesystem || part->spec->own_program ||
		part->spec->secluded || part->spec->proxy || argv->n == 0)
		return;
	for (size_t i = 0; i < draft->prefer_host.n && !DRAFT_SET(draft->bundle); i++)
		if (draft->prefer_host.v[i].text[0] == '/')
			ERROR_AT(b, draft->prefer_host.v[i].at,
				"PreferHost: %s: without Bundle= the program is the one of "
				"ExecStart=: write that there",
				draft->prefer_host.v[i].text);
	if (!DRAFT_SET(draft->bundle)) {
		if (argv->v[0][0] != '/')
			ERROR_AT(b, command,
				"ExecStart: the command must be an absolute path, or [X-Berth] "
				"Bundle= name the bundle that %s is in",
				argv->v[0]);
		return;
	}
	if (strchr(argv->v[0], '/') || argv->v[0][0] == '.') {
		ERROR_AT(b, command,
			"ExecStart: with Bundle=%s the first word is the name of a program in the "
			"bundle, without a path",
			draft->bundle.v);
		return;
	}
	program->bundle = draft->bundle.v;
	program->file = argv->v[0];
	program->verify_always = b->set->conf.verify == VERIFY_ALWAYS;
	for (size_t i = 0; i < draft->prefer_host.n; i++)
		if (draft->prefer_host.v[i].text[0] == '/')
			build_add(b, &program->host, draft->prefer_host.v[i].text);
	bundle_find(b, &draft->bundle, command, program);
}
