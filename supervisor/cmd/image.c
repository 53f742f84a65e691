/* `berth image`: the table of its verbs, and those that change names. */
#include "supervisor/cmd/image.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/str.h"
#include "supervisor/cmd/client.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/show.h"
#include "supervisor/runtime/spawn.h"

/* ---- what they share ----------------------------------------------------------------------------- */

int image_open(struct store *ret, struct err *err)
{
	const char *path = client_store_dir();
	int r = store_open_locked(ret, path, false, err);

	if (r != -EBUSY)
		return r;
	(void)fprintf(stderr, "berth: %s: waiting until it is done\n", err->text);
	return store_open_locked(ret, path, true, err);
}

int image_open_read(struct store *ret, struct err *err)
{
	const char *path = client_store_dir();
	int r = store_open(ret, path, err);

	return r == -ENOENT
		       ? err_set(err, ENOENT,
				 "there are no images yet in %s: berth image import FILE", path)
		       : r;
}

/* By the first digits of an id. */
static int lookup_digits(const struct store *store, const char *text, char *ret_id, struct err *err)
{
	char(*ids)[STORE_ID_SIZE] = NULL;
	size_t n = 0;
	size_t found = 0;
	int r = store_images_list(store, &ids, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (str_starts(ids[i], text) && found++ == 0)
			memcpy(ret_id, ids[i], STORE_ID_SIZE);
	free(ids);
	if (r == 0 && found > 1)
		r = err_set(err, EINVAL,
			"%zu images have an id that begins with %s: write more of it", found, text);
	return r < 0 ? r : found ? 0 : -ENOENT;
}

static bool is_digits(const char *text)
{
	enum { DIGITS_MIN = 8 };
	size_t n = strspn(text, "0123456789abcdef");

	return n >= DIGITS_MIN && !text[n];
}

int image_lookup(
	const struct store *store, const char *text, char *ret_id, char *ret_ref, struct err *err)
{
	const char *digits = str_starts(text, "sha256:") ? text + strlen("sha256:") : text;
	struct store_image image = { 0 };
	int r = reference_normalise(text, ret_ref);

	if (r == 0)
		r = store_find(store->path, ret_ref, &image, err);
	else
		r = -ENOENT;
	memcpy(ret_id, image.id, sizeof image.id);
	store_image_done(&image);
	if (r == -ENOENT && is_digits(digits)) {
		r = lookup_digits(store, digits, ret_id, err);
		*ret_ref = '\0';
	}
	if (r == -ENOENT)
		return err_set(err, ENOENT,
			"%s is not in the store %s; berth image ls lists what is",
			*ret_ref ? ret_ref : text, store->path);
	return r;
}

static int collect(struct store *store, struct store_freed *ret, struct err *err)
{
	struct store_pins pins = { 0 };
	int r = store_pins_read(client_run_dir(), &pins, err);

	if (r == 0)
		r = store_gc(store, &pins, false, ret, err);
	store_pins_done(&pins);
	store_unlock(store);
	return r;
}

int image_collect(struct store *store, struct store_freed *ret, struct err *err)
{
	int r = collect(store, ret, err);

	return r < 0 ? r : store_trash_empty(store, err);
}

/* Of its own session, and with nothing of ours open: who waits for the end of what we say, or sends
 * signals to our group, does not mean it. */
static pid_t trash_process(const struct store *store)
{
	pid_t pid = fork();
	int keep[] = { store->dir };

	if (pid != 0)
		return pid;
	if (setsid() < 0 || chdir("/") < 0)
		_exit(1);
	spawn_close_others(keep, 1);
	for (int fd = 0; fd < 3; fd++)
		(void)close(fd);
	_exit(store_trash_empty(store, NULL) < 0);
}

int image_collect_later(struct store *store, struct store_freed *ret, struct err *err)
{
	int r = collect(store, ret, err);

	if (r == 0 && store_trash_any(store) && trash_process(store) < 0)
		r = store_trash_empty(store, err);
	return r;
}

int image_room(const struct store *store, uint64_t bytes, struct err *err)
{
	int r = store_room(store, bytes, err);
	pid_t pid = r == -ENOSPC && store_trash_any(store) ? trash_process(store) : -1;

	if (pid < 0)
		return r;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return store_room(store, bytes, err);
}

void image_same_tell(const char *ref, const char *id, const struct image_source *source)
{
	if (source->json)
		show_json(json_pack(
			"{s:s,s:[{s:s}],s:b}", "id", id, "names", "name", ref, "same", 1));
	else if (!source->quiet)
		printf("%s: %.12s, as before\n", ref, id);
}

/* The set that is read may have no need of the unit that this is: then it is told to stop. */
static void leave(int signal)
{
	(void)signal;
	_exit(CMD_OK);
}

int image_reload(void)
{
	const struct sigaction action = { .sa_handler = leave };
	char *argv[] = { (char *)(uintptr_t) "berth reload", NULL };

	(void)sigaction(SIGTERM, &action, NULL);
	optind = 1;
	return cmd_reload(1, argv);
}

static void freed_print(const struct store_freed *freed)
{
	printf("removed %zu image%s and %zu layer%s: %s\n", freed->images,
		freed->images == 1 ? "" : "s", freed->layers, freed->layers == 1 ? "" : "s",
		show_bytes(freed->bytes).text);
}

static json_t *freed_json(const struct store_freed *freed)
{
	return json_pack("{s:I,s:I,s:I}", "images", (json_int_t)freed->images, "layers",
		(json_int_t)freed->layers, "bytes", (json_int_t)freed->bytes);
}

/* The options of a verb that has no more than --json, and as many operands as it says. */
static int options_json(int argc, char **argv, const char *verb, bool *ret)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "json", no_argument, NULL, 'j' }, { 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (c == 'j')
			*ret = true;
		else if (cmd_global(c, verb))
			return CMD_USAGE;
	return 0;
}

/* ---- rm ------------------------------------------------------------------------------------------ */

/* The unit of a supervisor that runs which needs it; NULL: none. */
static const char *needed_by(const struct store_pins *pins, const char *id)
{
	for (size_t i = 0; i < pins->n; i++)
		if (strcmp(pins->v[i].id, id) == 0)
			return pins->v[i].unit;
	return NULL;
}

static int rm_one(const struct store *store, const char *text, const struct store_pins *pins,
	bool force, struct err *err)
{
	char id[STORE_ID_SIZE] = "";
	char ref[REFERENCE_SIZE] = "";
	const char *unit;
	int r = image_lookup(store, text, id, ref, err);

	/* One that is broken can be removed: that is the cure. */
	if (r == -EUCLEAN && *ref)
		r = 0;
	if (r < 0)
		return r;
	if (!*ref)
		return err_set(err, EINVAL,
			"%s: names are removed; an image goes when no name needs it (gc)", text);
	unit = needed_by(pins, id);
	if (unit && !force)
		return err_set(err, EBUSY,
			"%s is what %s starts from: change the unit and berth reload, or rm "
			"--force",
			ref, unit);
	return store_name_remove(store, ref, err);
}

int image_rm(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "force", no_argument, NULL, 'f' }, { "json", no_argument, NULL, 'j' }, { 0 } };
	struct store store = STORE_NONE;
	struct store_pins pins = { 0 };
	struct store_freed freed = { 0 };
	struct err err = { 0 };
	bool force = false, json = false;
	int code = CMD_OK;
	int c;

	while ((c = getopt_long(argc, argv, "f", options, NULL)) != -1)
		if (c == 'f')
			force = true;
		else if (c == 'j')
			json = true;
		else if (cmd_global(c, "image rm"))
			return CMD_USAGE;
	if (optind == argc)
		return cmd_usage("image rm", "a name is expected");
	if (image_open(&store, &err) < 0 || store_pins_read(client_run_dir(), &pins, &err) < 0)
		return cmd_fail(CMD_FAILED, "image rm: %s", err.text);
	for (int i = optind; i < argc; i++)
		if (rm_one(&store, argv[i], &pins, force, &err) < 0)
			code = cmd_fail(CMD_FAILED, "image rm: %s", err.text);
		else if (!json)
			printf("%s: the name is gone\n", argv[i]);
	if (image_collect(&store, &freed, &err) < 0)
		code = cmd_fail(CMD_FAILED, "image rm: %s", err.text);
	if (json)
		show_json(freed_json(&freed));
	else if (code == CMD_OK || freed.images)
		freed_print(&freed);
	return code;
}

int image_gc(int argc, char **argv)
{
	struct store store = STORE_NONE;
	struct store_freed freed = { 0 };
	struct err err = { 0 };
	bool json = false;

	if (options_json(argc, argv, "image gc", &json))
		return CMD_USAGE;
	if (optind < argc)
		return cmd_usage("image gc", "it takes no name");
	if (image_open(&store, &err) < 0 || image_collect(&store, &freed, &err) < 0)
		return cmd_fail(CMD_FAILED, "image gc: %s", err.text);
	if (json)
		show_json(freed_json(&freed));
	else
		freed_print(&freed);
	return CMD_OK;
}

/* ---- tag, rollback ------------------------------------------------------------------------------- */

static void name_tell(const char *ref, const char *id, const char *previous, bool json)
{
	if (json)
		show_json(json_pack("{s:s,s:s,s:s?}", "name", ref, "id", id, "previous",
			*previous ? previous : NULL));
	else if (*previous && strcmp(previous, id) != 0)
		printf("%s is %.12s now, and was %.12s before\n", ref, id, previous);
	else
		printf("%s is %.12s\n", ref, id);
}

int image_tag(int argc, char **argv)
{
	struct store store = STORE_NONE;
	struct store_name was = { 0 };
	struct err err = { 0 };
	char id[STORE_ID_SIZE] = "";
	char ref[REFERENCE_SIZE];
	bool json = false;

	if (options_json(argc, argv, "image tag", &json))
		return CMD_USAGE;
	if (optind + 2 != argc)
		return cmd_usage("image tag", "an image and its new name are expected");
	if (image_open(&store, &err) < 0 || image_lookup(&store, argv[optind], id, ref, &err) < 0)
		return cmd_fail(CMD_FAILED, "image tag: %s", err.text);
	if (reference_normalise(argv[optind + 1], ref) < 0)
		return cmd_fail(CMD_FAILED,
			"image tag: \"%s\" is not the name of an image: write NAME[:TAG]",
			argv[optind + 1]);
	if (store_name_set(&store, ref, id, &was, &err) < 0)
		return cmd_fail(CMD_FAILED, "image tag: %s", err.text);
	name_tell(ref, id, was.id, json);
	return CMD_OK;
}

int image_rollback(int argc, char **argv)
{
	struct store store = STORE_NONE;
	struct store_name now = { 0 };
	struct err err = { 0 };
	char ref[REFERENCE_SIZE];
	bool json = false;
	int r;

	if (options_json(argc, argv, "image rollback", &json))
		return CMD_USAGE;
	if (optind + 1 != argc)
		return cmd_usage("image rollback", "one name is expected");
	if (reference_normalise(argv[optind], ref) < 0)
		return cmd_fail(CMD_FAILED, "image rollback: \"%s\" is not the name of an image",
			argv[optind]);
	r = image_open(&store, &err);
	if (r == 0)
		r = store_name_rollback(&store, ref, &now, &err);
	if (r == -ENOENT)
		return cmd_fail(CMD_FAILED,
			"image rollback: there is no %s; berth image ls lists what is", ref);
	if (r < 0)
		return cmd_fail(CMD_FAILED, "image rollback: %s", err.text);
	name_tell(ref, now.id, now.previous, json);
	if (!json)
		puts("units that run it get it by: berth reload");
	return CMD_OK;
}

/* ---- the table ----------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
	const char *help;
} verbs[] = {
	{ "import", image_import,
		"[--name NAME] [--ref NAME] [--platform OS/ARCH[/VARIANT]] [--json] FILE|DIR|-",
		"take in an archive, a directory, a file system" },
	{ "pull", image_pull,
		"[--policy WHEN] [--authfile FILE] [--cert-dir DIR] [--tls-verify BOOL] "
		"[--platform OS/ARCH[/VARIANT]] [-q] [--json] NAME",
		"get an image from a registry" },
	{ "ls", image_ls, "[-a] [--json]", "what is there" },
	{ "inspect", image_inspect, "NAME…", "everything about an image, as JSON" },
	{ "tag", image_tag, "[--json] NAME NEW-NAME", "give it a further name" },
	{ "rollback", image_rollback, "[--json] NAME", "what the name meant before, again" },
	{ "rm", image_rm, "[-f] [--json] NAME…", "remove names, and what no name needs then" },
	{ "gc", image_gc, "[--json]", "remove what no name needs" },
	{ "verify", image_verify, "[--discard] [--json] [NAME…]",
		"compare what is there with its digests" },
	{ "df", image_df, "[--json]", "how much room is used, and could be" },
};

enum { NVERBS = sizeof verbs / sizeof verbs[0] };

static void verbs_print(FILE *to)
{
	(void)fputs("usage: berth image VERB [OPTION…]\n\nverbs:\n", to);
	for (size_t i = 0; i < NVERBS; i++)
		(void)fprintf(to, "  %-9s%s\n", verbs[i].name, verbs[i].help);
}

int cmd_image(int argc, char **argv)
{
	char name[64];

	if (argc < 2 || strcmp(argv[1], "help") == 0) {
		verbs_print(argc < 2 ? stderr : stdout);
		return argc < 2 ? CMD_USAGE : CMD_OK;
	}
	for (size_t i = 0; i < NVERBS; i++) {
		if (strcmp(argv[1], verbs[i].name) != 0)
			continue;
		cmd_globals.usage = verbs[i].usage;
		if (argc > 2 && strcmp(argv[2], "--help") == 0) {
			printf("usage: berth image %s %s\n%s\n", verbs[i].name, verbs[i].usage,
				verbs[i].help);
			return CMD_OK;
		}
		(void)snprintf(name, sizeof name, "berth image %s", verbs[i].name);
		argv[1] = name;
		return verbs[i].run(argc - 1, argv + 1);
	}
	(void)cmd_fail(CMD_USAGE, "image: '%s' is not one of its verbs", argv[1]);
	verbs_print(stderr);
	return CMD_USAGE;
}
