/* `berth volume`: what is kept, by whom, and what of it may go. Asks the configuration, the disk and
 * the kernel, so it needs no supervisor. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/unit.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/show.h"
#include "supervisor/runtime/tree.h"
#include "supervisor/runtime/volume.h"
#include "supervisor/runtime/volume_use.h"

/* ---- all of them --------------------------------------------------------------------------------- */

struct volume {
	const char *name;
	const char *path;
	const struct unit *unit; /* its .volume; NULL: none */
	struct strv users;       /* the units that name it: "web.container" */
	bool anonymous;
	bool exists;
	struct volume_use use;
};

struct volumes {
	struct unit_set set;
	char dir[4096];
	struct volume *v;
	size_t n;
};

/* The one of that path, made when it is new; NULL: no memory. */
static struct volume *volume_at(struct volumes *all, const char *path)
{
	struct volume *grown;

	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->v[i].path, path) == 0)
			return &all->v[i];
	grown = realloc(all->v, (all->n + 1) * sizeof *grown);
	if (!grown)
		return NULL;
	all->v = grown;
	grown[all->n] = (struct volume){ .path = path, .name = strrchr(path, '/') + 1 };
	return &grown[all->n++];
}

static int add_user(struct volumes *all, const struct unit *unit, const struct mount_spec *mount)
{
	struct volume *volume = volume_at(all, mount->source);

	if (!volume)
		return -ENOMEM;
	volume->anonymous |= mount->anonymous;
	return strv_has(&volume->users, unit->id)
		       ? 0
		       : strv_add(&volume->users, &all->set.arena, unit->id);
}

static int add_named(struct volumes *all)
{
	for (size_t i = 0; i < all->set.nunits; i++) {
		const struct unit *unit = &all->set.units[i];
		struct volume *volume =
			unit->volume_path ? volume_at(all, unit->volume_path) : NULL;

		if (unit->volume_path && !volume)
			return -ENOMEM;
		if (volume)
			volume->unit = unit;
		for (size_t k = 0; unit->spec && k < unit->spec->nmounts; k++)
			if (unit->spec->mounts[k].kind == MOUNT_VOLUME &&
				add_user(all, unit, &unit->spec->mounts[k]) < 0)
				return -ENOMEM;
	}
	return 0;
}

static int add_existing(struct volumes *all, struct err *err)
{
	DIR *dir = opendir(all->dir);
	const struct dirent *entry;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : err_sys(err, errno, "open %s", all->dir);
	while (r == 0 && (entry = readdir(dir))) {
		const char *path;
		struct volume *volume;

		if (entry->d_name[0] == '.')
			continue;
		path = arena_printf(&all->set.arena, "%s/%s", all->dir, entry->d_name);
		volume = path ? volume_at(all, path) : NULL;
		if (!volume)
			r = err_sys(err, ENOMEM, "list the volumes");
		else
			volume->exists = true;
	}
	(void)closedir(dir);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct volume *)a)->name, ((const struct volume *)b)->name);
}

static int ask_kernel(struct volumes *all, struct err *err)
{
	own_mem struct volume_use *uses = calloc(all->n + 1, sizeof *uses);
	int r;

	if (!uses)
		return err_sys(err, ENOMEM, "list the volumes");
	for (size_t i = 0; i < all->n; i++)
		uses[i].path = all->v[i].path;
	r = volume_uses(uses, all->n, err);
	for (size_t i = 0; r == 0 && i < all->n; i++)
		all->v[i].use = uses[i];
	return r;
}

static int volumes_load(struct volumes *all, struct err *err)
{
	int r = unit_set_load(&all->set, cmd_globals.config_dir, err);

	if (r < 0)
		return r;
	(void)snprintf(all->dir, sizeof all->dir, "%s/volumes", all->set.conf.state_dir);
	if (add_named(all) < 0)
		return err_sys(err, ENOMEM, "list the volumes");
	r = add_existing(all, err);
	if (r < 0)
		return r;
	if (all->n)
		qsort(all->v, all->n, sizeof *all->v, by_name);
	return ask_kernel(all, err);
}

/* By its name, or by its file: "data.volume". */
static struct volume *volume_find(const struct volumes *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->v[i].name, name) == 0 ||
			(all->v[i].unit && strcmp(all->v[i].unit->id, name) == 0))
			return &all->v[i];
	return NULL;
}

/* ---- how they are shown ------------------------------------------------------------------------- */

static const struct filesystem_spec *filesystem_of(const struct volume *volume)
{
	return volume->unit && volume->unit->spec ? volume->unit->spec->filesystem : NULL;
}

static const char *kind_of(const struct volume *volume)
{
	return filesystem_of(volume) ? "device" : volume->anonymous ? "anonymous" : "directory";
}

static const char *state_of(const struct volume *volume)
{
	if (volume->use.pid || volume->use.starting)
		return "in use";
	if (volume->use.mounted)
		return "mounted";
	return volume->exists ? "there" : "not made yet";
}

static json_t *strings(const struct strv *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->n; i++)
		(void)json_array_append_new(array, json_string(list->v[i]));
	return array;
}

static json_t *labels_json(const struct volume *volume)
{
	const struct strv *labels = volume->unit ? &volume->unit->volume_labels : NULL;
	json_t *o = json_object();

	for (size_t i = 0; labels && i < labels->n; i++) {
		const char *text = labels->v[i];
		size_t n = strcspn(text, "=");

		(void)json_object_setn_new(o, text, n, json_string(text[n] ? text + n + 1 : ""));
	}
	return o;
}

static json_t *volume_json(const struct volume *volume)
{
	const struct filesystem_spec *fs = filesystem_of(volume);
	json_t *o = json_pack("{s:s,s:s,s:s,s:b,s:b,s:b,s:s?,s:o}", "name", volume->name, "path",
		volume->path, "kind", kind_of(volume), "exists", (int)volume->exists, "mounted",
		(int)volume->use.mounted, "in_use", volume->use.pid || volume->use.starting, "unit",
		volume->unit ? volume->unit->id : NULL, "named_by", strings(&volume->users));
	struct stat st;

	if (volume->use.pid) {
		(void)json_object_set_new(o, "user", json_string(volume->use.name));
		(void)json_object_set_new(o, "user_pid", json_integer(volume->use.pid));
	}
	if (stat(volume->path, &st) == 0) {
		char mode[8];

		(void)snprintf(mode, sizeof mode, "%04o", st.st_mode & 07777);
		(void)json_object_set_new(o, "uid", json_integer(st.st_uid));
		(void)json_object_set_new(o, "gid", json_integer(st.st_gid));
		(void)json_object_set_new(o, "mode", json_string(mode));
	}
	(void)json_object_set_new(o, "labels", labels_json(volume));
	if (fs)
		(void)json_object_set_new(o, "device",
			json_pack("{s:s,s:s?,s:o}", "what", fs->what, "type", fs->type, "options",
				strings(&fs->options)));
	return o;
}

/* ---- the verbs ----------------------------------------------------------------------------------- */

struct command {
	struct volumes all;
	bool json, force;
	uint32_t uid, gid, mode;
	char **names;
	int n;
};

static int no_volume(const char *name)
{
	return cmd_fail(CMD_NO_UNIT, "volume: there is no volume %s: berth volume ls", name);
}

static int do_ls(struct command *c)
{
	const struct volumes *all = &c->all;
	json_t *array = json_array();

	for (size_t i = 0; c->json && i < all->n; i++)
		(void)json_array_append_new(array, volume_json(&all->v[i]));
	if (c->json) {
		show_json(array);
		return CMD_OK;
	}
	printf("%-28s%-11s%-14s%s\n", "NAME", "KIND", "STATE", "NAMED BY");
	for (size_t i = 0; i < all->n; i++) {
		const struct volume *volume = &all->v[i];

		printf("%-27s %-10s %-13s %s", volume->name, kind_of(volume), state_of(volume),
			volume->users.n ? "" : "-");
		for (size_t k = 0; k < volume->users.n; k++)
			printf("%s%s", k ? ", " : "", volume->users.v[k]);
		printf("\n");
	}
	return CMD_OK;
}

static int do_inspect(struct command *c)
{
	json_t *array = json_array();

	for (int i = 0; i < c->n; i++) {
		const struct volume *volume = volume_find(&c->all, c->names[i]);

		if (!volume)
			return no_volume(c->names[i]);
		(void)json_array_append_new(array, volume_json(volume));
	}
	show_json(array);
	return CMD_OK;
}

static int do_create(struct command *c)
{
	struct mount_spec mount = { .mode = c->mode, .uid = c->uid, .gid = c->gid };
	struct err err = { 0 };
	char path[4400];

	for (int i = 0; i < c->n; i++) {
		if (!name_valid(c->names[i]))
			return cmd_fail(CMD_FAILED,
				"volume: \"%s\" is not a name: use letters, digits, _ . @ -, at "
				"most 63",
				c->names[i]);
		(void)snprintf(path, sizeof path, "%s/%s", c->all.dir, c->names[i]);
		if (access(path, F_OK) == 0)
			return cmd_fail(CMD_FAILED, "volume: %s is there already", c->names[i]);
		mount.source = path;
		if (volume_make(&mount, -1, &err) < 0)
			return cmd_fail(CMD_FAILED, "volume: %s", err.text);
	}
	return CMD_OK;
}

/* 1: it may go. 0: it may not, and why was said. */
static int may_go(const struct volume *volume)
{
	const struct volume_use *use = &volume->use;

	if (use->pid)
		(void)cmd_fail(0, "volume: %s is in use by %s (process %d): stop that first",
			volume->name, use->name, use->pid);
	else if (use->starting)
		(void)cmd_fail(
			0, "volume: %s is in use: a container is being made of it", volume->name);
	else if (use->mounted)
		(void)cmd_fail(0,
			"volume: %s is mounted: stop it first (berth stop %s); what is on the "
			"device stays there",
			volume->name, volume->unit ? volume->unit->id : volume->name);
	else
		return 1;
	return 0;
}

/* Only whoever sits at a terminal can be asked; anybody else says it beforehand. */
static bool is_agreed(const struct command *c, const char *question)
{
	char answer[16] = "";

	if (c->force)
		return true;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return false;
	(void)fprintf(stderr, "%s [y/N] ", question);
	return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static bool is_empty(const struct volume *volume)
{
	own_fd fd = open(volume->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && tree_is_empty(fd, NULL) == 1;
}

static int rm_one(const struct command *c, const struct volume *volume)
{
	char question[200];
	struct err err = { 0 };

	if (!may_go(volume))
		return CMD_FAILED;
	(void)snprintf(
		question, sizeof question, "Remove %.100s and everything in it?", volume->name);
	if (!is_empty(volume) && !is_agreed(c, question))
		return cmd_fail(CMD_FAILED,
			"volume: %s is not empty: with --force, it goes with what is in it",
			volume->name);
	if (volume_remove(volume->path, &err) < 0)
		return cmd_fail(CMD_FAILED, "volume: %s", err.text);
	return CMD_OK;
}

static int do_rm(struct command *c)
{
	int worst = CMD_OK;

	for (int i = 0; i < c->n; i++) {
		const struct volume *volume = volume_find(&c->all, c->names[i]);
		int r = volume && volume->exists ? rm_one(c, volume) : no_volume(c->names[i]);

		worst = r ? r : worst;
	}
	return worst;
}

/* What no unit names and nothing uses. A configuration with errors names less than it means to. */
static int do_prune(struct command *c)
{
	json_t *gone = json_array();
	struct err err = { 0 };
	size_t found = 0;

	if (c->all.set.nerrors)
		return cmd_fail(CMD_FAILED, "volume: the configuration has errors, so nobody knows "
					    "what it needs: berth "
					    "check");
	for (size_t i = 0; i < c->all.n; i++) {
		struct volume *volume = &c->all.v[i];

		volume->exists &= !volume->unit && !volume->users.n && !volume->use.pid &&
				  !volume->use.starting && !volume->use.mounted;
		if (volume->exists && found++ == 0 && !c->force)
			(void)fprintf(stderr, "no unit names these volumes:\n");
		if (volume->exists && !c->force)
			(void)fprintf(stderr, "  %s\n", volume->name);
	}
	if (found && !is_agreed(c, "Remove them and everything in them?"))
		return cmd_fail(CMD_FAILED, "volume: nothing was removed: --force removes them");
	for (size_t i = 0; i < c->all.n; i++) {
		if (!c->all.v[i].exists)
			continue;
		if (volume_remove(c->all.v[i].path, &err) < 0)
			return cmd_fail(CMD_FAILED, "volume: %s", err.text);
		(void)json_array_append_new(gone, json_string(c->all.v[i].name));
		if (!c->json)
			puts(c->all.v[i].name);
	}
	if (c->json)
		show_json(gone);
	return CMD_OK;
}

/* ---- the words of the command ------------------------------------------------------------------- */

static const struct verb {
	const char *name;
	int (*run)(struct command *c);
	const char *usage;
	bool names; /* at least one is expected; else none */
} verbs[] = {
	{ "ls", do_ls, "ls [--json]", false },
	{ "inspect", do_inspect, "inspect NAME…", true },
	{ "create", do_create, "create [--uid N] [--gid N] [--mode MODE] NAME…", true },
	{ "rm", do_rm, "rm [--force] NAME…", true },
	{ "prune", do_prune, "prune [--force] [--json]", false },
};

static const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; name && i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* False: usage was said. */
static bool option_read(struct command *c, int option)
{
	int r = 0;

	switch (option) {
	case 'j':
		c->json = true;
		return true;
	case 'f':
		c->force = true;
		return true;
	case 'u':
		r = num_u32(optarg, &c->uid);
		break;
	case 'g':
		r = num_u32(optarg, &c->gid);
		break;
	case 'm':
		r = num_mode(optarg, &c->mode);
		break;
	default:
		return cmd_global(option, "volume") == 0;
	}
	if (r < 0)
		(void)cmd_usage("volume", "\"%s\" is not a number of that kind", optarg);
	return r == 0;
}

int cmd_volume(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "json", no_argument, NULL, 'j' }, { "force", no_argument, NULL, 'f' },
		{ "uid", required_argument, NULL, 'u' }, { "gid", required_argument, NULL, 'g' },
		{ "mode", required_argument, NULL, 'm' }, { 0 } };
	struct command c = { 0 };
	const struct verb *verb;
	struct err err = { 0 };
	int option;
	int r;

	while ((option = getopt_long(argc, argv, "f", options, NULL)) != -1)
		if (!option_read(&c, option))
			return CMD_USAGE;
	verb = verb_find(argv[optind]);
	if (!verb)
		return cmd_usage("volume", "ls, inspect, create, rm or prune is expected");
	cmd_globals.usage = verb->usage;
	c.names = argv + optind + 1;
	c.n = argc - optind - 1;
	if (verb->names != (c.n > 0))
		return cmd_usage(
			"volume", verb->names ? "a name is expected" : "no name is expected");
	r = volumes_load(&c.all, &err) < 0 ? cmd_fail(CMD_FAILED, "volume: %s", err.text)
					   : verb->run(&c);
	free(c.all.v);
	unit_set_done(&c.all.set);
	return r;
}
