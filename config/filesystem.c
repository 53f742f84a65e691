/* .mount files, and .volume files with Device=: file systems that a process of their own mounts and
 * keeps. Who uses a path below one waits for it. */
#include <stdio.h>
#include <string.h>

#include "config/build.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/num.h"

/* ---- names -------------------------------------------------------------------------------------- */

/* "/mnt/my-data" is mnt-my\x2ddata: systemd.unit(5), systemd-escape --path. */
static const char *path_escape(struct build *b, const char *path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789:_.";
	size_t size = 4 * strlen(path) + 1;
	struct strbuf out = { .text = arena_alloc(b->arena, size), .size = size };

	if (!out.text) {
		b->nomem = true;
		return "";
	}
	for (const char *p = path + 1; *p; p++) {
		if (*p == '/')
			strbuf_add(&out, "-");
		else if (strchr(plain, *p) && !(*p == '.' && p == path + 1))
			strbuf_add(&out, "%c", *p);
		else
			strbuf_add(&out, "\\x%02x", (unsigned char)*p);
	}
	return out.text;
}

/* What it is called where names have no backslash: in RUN_DIR, in the cgroup tree, in the log. With
 * its ending, for a container may well be called as a mount is. */
const char *filesystem_name(struct build *b, const char *id)
{
	const char *name = build_text(b, "%s", id);

	for (char *p = (char *)(size_t)name; *p; p++)
		if (*p == '\\' || *p == ':')
			*p = '_';
	return name;
}

/* ---- what is mounted ---------------------------------------------------------------------------- */

/* "a,b=c": one word each. */
static void options_split(struct build *b, const char *text, struct strv *ret)
{
	const char *word;

	while ((word = build_field(b, &text, ',')))
		if (*word)
			build_add(b, ret, word);
}

/* The command that is shown for it; who runs is berth-init. */
static void command_line(struct build *b, struct part *part, const struct filesystem_spec *fs)
{
	struct strv *argv = &part->spec->process.argv;

	build_add(b, argv, "berth-mount");
	build_add(b, argv, fs->what);
	build_add(b, argv, fs->where);
}

static uint32_t directory_mode(struct build *b, const struct draft_str *value)
{
	uint32_t mode = 0755;

	if (DRAFT_SET(*value) && num_mode(value->v, &mode) < 0)
		ERROR_AT(b, value->at, "DirectoryMode: \"%s\" is not a file mode: write 0755",
			value->v);
	return mode;
}

/* The file must be called as its Where=, so that both say the same to systemd. */
static void where_check(struct build *b, uint32_t unit, const char *where)
{
	const struct unit_draft *draft = b->parts[unit].draft;
	const char *name = path_escape(b, where);

	if (strcmp(where, "/") == 0)
		ERROR_AT(b, draft->mount_where.at, "Where: the root is mounted already");
	else if (strcmp(name, draft->stem) != 0)
		ERROR_AT(b, draft->mount_where.at,
			"Where: the file of %s is called %s.mount: rename %s, or correct the path",
			where, name, draft->id);
}

static bool is_absolute(struct build *b, const char *key, const struct draft_str *value)
{
	if (value->v[0] == '/' && !strstr(value->v, "/../") && !str_ends(value->v, "/.."))
		return true;
	ERROR_AT(b, value->at, "%s: \"%s\" is not an absolute path without \"..\"", key, value->v);
	return false;
}

static void mount_read(struct build *b, uint32_t unit, struct filesystem_spec *fs)
{
	const struct unit_draft *draft = b->parts[unit].draft;

	if (!DRAFT_SET(draft->mount_what) || !DRAFT_SET(draft->mount_where)) {
		ERROR_AT(b, build_unit_at(b, unit), "[Mount] has no %s=: add it",
			DRAFT_SET(draft->mount_what) ? "Where" : "What");
		return;
	}
	if (!is_absolute(b, "Where", &draft->mount_where))
		return;
	fs->what = draft->mount_what.v;
	fs->where = build_path(b, "", draft->mount_where.v);
	where_check(b, unit, fs->where);
	fs->type = DRAFT_SET(draft->mount_type) ? draft->mount_type.v : NULL;
	options_split(b, draft->mount_options.v, &fs->options);
	fs->directory_mode = directory_mode(b, &draft->mount_mode);
	fs->sloppy = draft->mount_sloppy.v;
	fs->write_only = draft->mount_write_only.v;
	fs->lazy = draft->mount_lazy.v;
	fs->force = draft->mount_force.v;
}

/* What quadlet makes of Device=, Type= and Options= for podman-volume-create(1). */
static void device_read(struct build *b, uint32_t unit, struct filesystem_spec *fs)
{
	const struct unit_draft *draft = b->parts[unit].draft;

	fs->what = draft->volume_device.v;
	fs->where = b->set->units[unit].volume_path;
	fs->type = DRAFT_SET(draft->volume_type) ? draft->volume_type.v : NULL;
	options_split(b, draft->volume_options.v, &fs->options);
	if (fs->type && strcmp(fs->type, "bind") == 0) {
		fs->type = NULL;
		build_add(b, &fs->options, "bind");
	}
	fs->directory_mode = 0755;
	fs->write_only = true;
	fs->owned = volume_owner(b, draft, &fs->uid, &fs->gid);
}

static bool has_option(const struct filesystem_spec *fs, const char *word)
{
	return strv_has(&fs->options, word);
}

/* Type= left out, or "auto", or podman's "none" beside bind: nothing is said. */
static void type_check(struct build *b, uint32_t unit, struct filesystem_spec *fs)
{
	bool binds = has_option(fs, "bind") || has_option(fs, "rbind");

	if (fs->type && (strcmp(fs->type, "auto") == 0 || (binds && strcmp(fs->type, "none") == 0)))
		fs->type = NULL;
	if (binds && fs->what[0] != '/')
		ERROR_AT(b, build_unit_at(b, unit),
			"Options: bind shows a directory of this host, and %s is no absolute path",
			fs->what);
}

void pass_fs(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	struct filesystem_spec *fs = arena_alloc(b->arena, sizeof *fs);

	if (!fs) {
		b->nomem = true;
		return;
	}
	fs->what = fs->where = "/";
	if (b->set->units[unit].kind == UNIT_MOUNT)
		mount_read(b, unit, fs);
	else
		device_read(b, unit, fs);
	type_check(b, unit, fs);
	command_line(b, part, fs);
	part->spec->filesystem = fs;
	part->spec->process.cwd = "/";
}

/* ---- who waits ---------------------------------------------------------------------------------- */

static bool is_below(const char *path, const char *where)
{
	size_t n = strlen(where);

	return strncmp(path, where, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* The units that mount something over the path or above it. */
static void paths_need(
	struct build *b, uint32_t unit, const char *path, bool wants, struct origin at)
{
	for (uint32_t i = 0; i < b->set->nunits; i++) {
		const struct container_spec *spec = b->set->units[i].spec;

		if (i != unit && spec && spec->filesystem &&
			is_below(path, spec->filesystem->where))
			graph_need(b, unit, i, wants, at);
	}
}

static void listed_need(struct build *b, uint32_t unit, const struct draft_list *paths, bool wants)
{
	for (size_t i = 0; i < paths->n; i++)
		paths_need(b, unit, build_path(b, "", paths->v[i].text), wants, paths->v[i].at);
}

/* As RequiresMountsFor= does, also for the paths that the unit uses without saying so there. */
void graph_filesystems(struct build *b, uint32_t unit)
{
	const struct container_spec *spec = b->set->units[unit].spec;
	const struct unit_draft *draft = b->parts[unit].draft;
	const struct origin at = build_unit_at(b, unit);

	listed_need(b, unit, &draft->requires_mounts_for, false);
	listed_need(b, unit, &draft->wants_mounts_for, true);
	if (!spec)
		return;
	for (size_t i = 0; i < spec->nmounts; i++)
		if (spec->mounts[i].kind == MOUNT_BIND || spec->mounts[i].kind == MOUNT_VOLUME)
			paths_need(b, unit, spec->mounts[i].source, false, at);
	if (spec->root.kind == ROOT_DIR)
		paths_need(b, unit, spec->root.path, false, at);
	if (!spec->filesystem)
		return;
	paths_need(b, unit, spec->filesystem->where, false, at);
	if (spec->filesystem->what[0] == '/')
		paths_need(b, unit, spec->filesystem->what, false, at);
}
