/*
 * `berth image import`: what berth-worker makes of an archive is put into the store and gets its
 * names. Taking in is one function, which `pull` has too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/work.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"
#include "supervisor/cmd/appliance.h"
#include "supervisor/cmd/client.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/image.h"
#include "supervisor/cmd/image_cgroup.h"
#include "supervisor/cmd/progress.h"
#include "supervisor/cmd/show.h"

/* One import, under way and done. */
struct taking {
	const struct store *store;
	const struct image_source *source;
	struct progress progress;
	struct store_import import;
	struct store_image image;
	json_t *names;    /* [{name, previous}] */
	bool was_another; /* one of the names meant something else before */
};

/* ---- room ---------------------------------------------------------------------------------------- */

static uint64_t tree_bytes; /* nftw has no way to hand one over */

static int tree_add(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)ftw;
	if (type == FTW_F)
		tree_bytes += (uint64_t)st->st_blocks * 512;
	return 0;
}

/* What it takes at least: it does not become smaller by being unpacked. */
static int source_bytes(const struct image_source *source, uint64_t *ret, struct err *err)
{
	enum { DIRS_OPEN = 16 };
	struct stat st;

	*ret = 0;
	if (strcmp(source->path, "-") == 0)
		return 0;
	if (stat(source->path, &st) < 0)
		return err_sys(err, errno, "%s", source->path);
	if (S_ISDIR(st.st_mode)) {
		tree_bytes = 0;
		(void)nftw(source->path, tree_add, DIRS_OPEN, FTW_PHYS | FTW_MOUNT);
		*ret = tree_bytes;
	} else {
		*ret = (uint64_t)st.st_blocks * 512;
	}
	return 0;
}

/* The reserve is kept while it works, too. */
static int room_left(void *context, struct err *err)
{
	struct taking *t = context;

	return image_room(t->store, 0, err);
}

/* ---- the worker ---------------------------------------------------------------------------------- */

static void on_step(void *context, const struct work_step *step)
{
	struct taking *t = context;

	if (!t->source->quiet)
		progress_step(&t->progress, step);
}

static int worker_run(struct taking *t, const char *tmp, struct err *err)
{
	const struct image_source *source = t->source;
	bool is_stdin = strcmp(source->path, "-") == 0;
	struct work work = { .program = appliance_worker(),
		.words = { "import" },
		.in = is_stdin ? STDIN_FILENO : -1,
		.step = on_step,
		.may_go_on = room_left,
		.context = t };
	char path[STORE_PATH_SIZE];
	char layers[STORE_PATH_SIZE + 8];
	char memory[32];
	struct image_cgroup cgroup;
	size_t n = 1;
	int r;

	(void)snprintf(memory, sizeof memory, "%" PRIu64, client_image_memory());
	work.words[n++] = "--memory";
	work.words[n++] = memory;
	if (source->platform) {
		work.words[n++] = "--platform";
		work.words[n++] = source->platform;
	}
	if (source->which) {
		work.words[n++] = "--ref";
		work.words[n++] = source->which;
	}
	/* A name that begins like an option is none. */
	if ((size_t)snprintf(path, sizeof path, "%s%s",
		    source->path[0] == '-' && !is_stdin ? "./" : "", source->path) >= sizeof path)
		return err_sys(err, ENAMETOOLONG, "%s", source->path);
	(void)snprintf(layers, sizeof layers, "%s/layers", t->store->path);
	work.words[n++] = path;
	work.words[n++] = tmp;
	work.words[n] = layers;
	image_cgroup_make(&cgroup, t->store);
	work.cgroup = cgroup.fd;
	r = work_run(&work, err);
	r = image_cgroup_end(&cgroup, r, err);
	if (r == -EINVAL && str_ends(err->text, strerror(ENOSPC)))
		return err_set(err, ENOSPC,
			"%.300s; nothing of it stays: remove images (berth image ls, rm, gc), or "
			"make "
			"room",
			err->text);
	return r;
}

static int bring_in(struct taking *t, struct err *err)
{
	const struct work_step last = { .what = "writing to the disk" };
	char tmp[STORE_PATH_SIZE];
	uint64_t bytes;
	int r = source_bytes(t->source, &bytes, err);

	if (r == 0)
		r = image_room(t->store, bytes, err);
	if (r == 0)
		r = store_tmp_make(t->store, tmp, err);
	if (r < 0)
		return r;
	r = worker_run(t, tmp, err);
	if (r == 0)
		r = store_import_read(tmp, &t->import, err);
	if (r < 0) {
		store_tmp_remove(t->store, tmp);
		return r;
	}
	on_step(t, &last);
	r = store_commit(t->store, tmp, t->import.id, err);
	return r < 0 ? r : store_load(t->store->path, t->import.id, &t->image, err);
}

/* ---- names --------------------------------------------------------------------------------------- */

static int name_give(struct taking *t, const char *text, struct err *err)
{
	struct store_name was = { 0 };
	char ref[REFERENCE_SIZE];
	int r = reference_normalise(text, ref);

	if (r < 0)
		return err_set(err, EINVAL,
			"\"%s\" is not the name of an image: give it one with --name NAME[:TAG]",
			text);
	r = store_name_set(t->store, ref, t->import.id, &was, err);
	if (r < 0)
		return r;
	if (strcmp(was.id, t->import.id) == 0)
		memcpy(was.id, was.previous, sizeof was.id);
	else if (*was.id)
		t->was_another = true;
	(void)json_array_append_new(t->names,
		json_pack("{s:s,s:s?}", "name", ref, "previous", *was.id ? was.id : NULL));
	return 0;
}

/* "site.tar.gz" is "site" */
static void file_stem(const char *path, char *ret, size_t size)
{
	static const char *const endings[] = { ".gz", ".zst", ".xz", ".tgz", ".tar", ".oci",
		".erofs", ".squashfs", ".sqfs", ".img" };
	size_t n = strlen(path);
	const char *name;

	while (n > 1 && path[n - 1] == '/')
		n--;
	for (name = path + n; name > path && name[-1] != '/'; name--)
		continue;
	(void)snprintf(ret, size, "%.*s", (int)(path + n - name), name);
	for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
		if (str_ends(ret, endings[i]) && strlen(ret) > strlen(endings[i]))
			ret[strlen(ret) - strlen(endings[i])] = '\0';
}

/* Those that it has in the source. One without a colon is only a tag, as layouts have it: then the
 * file tells what of. */
static int names_of_source(struct taking *t, const char *stem, struct err *err)
{
	char *rest = t->import.names;
	const char *line;
	char name[600];
	int r = 0;

	while (r == 0 && (line = strsep(&rest, "\n"))) {
		if (!*line)
			continue;
		if (strpbrk(line, ":/"))
			(void)snprintf(name, sizeof name, "%s", line);
		else
			(void)snprintf(name, sizeof name, "%s:%s", stem, line);
		r = name_give(t, name, err);
	}
	return r;
}

static int names_give(struct taking *t, struct err *err)
{
	const struct image_source *source = t->source;
	bool is_stdin = strcmp(source->path, "-") == 0;
	char stem[300];
	int r;

	if (source->name) {
		r = name_give(t, source->name, err);
		return r == 0 && source->tag ? name_give(t, source->tag, err) : r;
	}
	file_stem(source->path, stem, sizeof stem);
	r = names_of_source(t, is_stdin ? "image" : stem, err);
	if (r < 0 || json_array_size(t->names) > 0)
		return r;
	if (is_stdin)
		return err_set(err, EINVAL,
			"the image has no name of its own: give it one with --name NAME[:TAG]");
	return name_give(t, stem, err);
}

/* ---- what is told -------------------------------------------------------------------------------- */

static void tell_people(const struct taking *t, const struct store_freed *freed)
{
	json_t *row;
	size_t i;

	json_array_foreach(t->names, i, row)
	{
		const char *previous = show_text(row, "previous");

		printf("%s: %.12s, %s", show_text(row, "name"), t->import.id,
			show_bytes(store_image_bytes(t->store, &t->image)).text);
		if (t->image.nlayers)
			printf(" in %zu layer%s", t->image.nlayers,
				t->image.nlayers == 1 ? "" : "s");
		if (*previous)
			printf("; before: %.12s (berth image rollback)", previous);
		putchar('\n');
	}
	if (freed->images)
		printf("removed %zu image%s that no name needs: %s\n", freed->images,
			freed->images == 1 ? "" : "s", show_bytes(freed->bytes).text);
	if (t->was_another)
		puts("units that run the one before get the new one by: berth reload");
}

static void tell_programs(const struct taking *t, const struct store_freed *freed)
{
	json_t *result = json_pack("{s:s,s:O,s:I,s:I,s:I}", "id", t->import.id, "names", t->names,
		"layers", (json_int_t)t->image.nlayers, "bytes",
		(json_int_t)store_image_bytes(t->store, &t->image), "freed",
		(json_int_t)freed->bytes);

	show_json_line(result);
}

int image_take_in(struct store *store, const struct image_source *source)
{
	struct taking t = { .store = store, .source = source, .names = json_array() };
	struct store_freed freed = { 0 };
	struct err err = { 0 };
	int r;

	progress_begin(&t.progress, source->title, source->json);
	r = bring_in(&t, &err);
	progress_end(&t.progress);
	if (r == 0) {
		r = names_give(&t, &err);
		if (r < 0) /* it is in, and nobody could ask for it */
			(void)image_collect(store, &freed, NULL);
	}
	if (r == 0) {
		/* What could not be removed is no reason to call the import failed. */
		if (image_collect_later(store, &freed, &err) < 0)
			(void)cmd_fail(CMD_OK, "%s: it is in; %s", source->title, err.text);
		if (source->json)
			tell_programs(&t, &freed);
		else if (!source->quiet)
			tell_people(&t, &freed);
	}
	free(t.import.names);
	store_image_done(&t.image);
	json_decref(t.names);
	return r < 0 ? cmd_fail(CMD_FAILED, "%s: %s", source->title, err.text) : CMD_OK;
}

/* ---- the command line ----------------------------------------------------------------------------- */

/* True: what the name means is there already, and was told. */
static bool is_there(const struct store *store, const struct image_source *source)
{
	struct store_image image = { 0 };
	char ref[REFERENCE_SIZE];
	bool found = reference_normalise(source->name, ref) == 0 &&
		     store_find(store->path, ref, &image, NULL) == 0;

	if (found)
		image_same_tell(ref, image.id, source);
	store_image_done(&image);
	return found;
}

static int import(const struct image_source *source, bool missing)
{
	struct store store = STORE_NONE;
	struct err err = { 0 };

	if (image_open(&store, &err) < 0)
		return cmd_fail(CMD_FAILED, "image import: %s", err.text);
	if (!missing || !is_there(&store, source))
		return image_take_in(&store, source);
	store_close(&store);
	return CMD_OK;
}

static int policy_take(const char *text, bool *ret_missing)
{
	*ret_missing = strcmp(text, "missing") == 0;
	if (*ret_missing || strcmp(text, "always") == 0)
		return CMD_OK;
	return cmd_usage("image import", "--policy: always or missing");
}

int image_import(int argc, char **argv)
{
	enum {
		OPT_NAME = CMD_OPT_OWN,
		OPT_REF,
		OPT_PLATFORM,
		OPT_TAG,
		OPT_POLICY,
		OPT_RELOAD,
		OPT_JSON
	};
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "name", required_argument, NULL, OPT_NAME },
		{ "ref", required_argument, NULL, OPT_REF },
		{ "platform", required_argument, NULL, OPT_PLATFORM },
		{ "tag", required_argument, NULL, OPT_TAG },
		{ "policy", required_argument, NULL, OPT_POLICY },
		{ "reload", no_argument, NULL, OPT_RELOAD },
		{ "json", no_argument, NULL, OPT_JSON }, { 0 } };
	struct image_source source = { 0 };
	bool reload = false;
	bool missing = false;
	char title[300];
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (c == OPT_NAME)
			source.name = optarg;
		else if (c == OPT_REF)
			source.which = optarg;
		else if (c == OPT_PLATFORM)
			source.platform = optarg;
		else if (c == OPT_POLICY && policy_take(optarg, &missing) != CMD_OK)
			return CMD_USAGE;
		else if (c == OPT_RELOAD)
			reload = true;
		else if (c == OPT_TAG)
			source.tag = optarg;
		else if (c == OPT_JSON)
			source.json = true;
		else if (c != OPT_POLICY && cmd_global(c, "image import"))
			return CMD_USAGE;
	if (optind + 1 != argc)
		return cmd_usage("image import", "one file or directory is expected, or -");
	source.path = argv[optind];
	if (source.name && !reference_valid(source.name))
		return cmd_fail(CMD_FAILED,
			"image import: \"%s\" is not the name of an image: write NAME[:TAG]",
			source.name);
	if ((missing || source.tag) && !source.name)
		return cmd_usage("image import", "--policy missing and --tag need --name");
	(void)snprintf(title, sizeof title, "image import %s", source.path);
	source.title = title;
	c = import(&source, missing);
	/* Also when it was there: who reads the configuration anew may have failed the last time. */
	return c == CMD_OK && reload ? image_reload() : c;
}
