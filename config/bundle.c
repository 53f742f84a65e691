/* Bundle=: the program of a native service out of the appliance file, or of a directory of
 * BundlePath=. A bundle is a directory of programs that belong together. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/build.h"
#include "supervisor/base/fd.h"

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

static void bundle_find(struct build *b, const struct draft_str *bundle, struct origin command,
	struct program_spec *program)
{
	char text[700] = "";
	struct strbuf tried = STRBUF(text);
	bool has_file = false;

	if (bundle_in_dirs(b, b->bundle_dirs, program, &tried))
		has_file = access(build_text(b, "%s/%s", program->dir, program->file), X_OK) == 0;
	else if (!bundle_in_payload(b, program, &has_file) &&
		 bundle_in_dirs(b, &b->set->conf.bundle_path, program, &tried))
		has_file = access(build_text(b, "%s/%s", program->dir, program->file), X_OK) == 0;
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

void pass_bundle(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	const struct unit_draft *draft = part->draft;
	const struct strv *argv = &part->spec->process.argv;
	struct program_spec *program = &part->spec->program;
	struct origin command =
		DRAFT_SET(draft->exec_start) ? draft->exec_start.at : draft->bundle.at;

	if (!part->spec->native || argv->n == 0)
		return;
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
	bundle_find(b, &draft->bundle, command, program);
}
