/* `berth bundle`: what an appliance file has in it. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "images/bundle.h"
#include "images/work.h"
#include "supervisor/base/own.h"
#include "supervisor/cmd/appliance.h"
#include "supervisor/cmd/client.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/install.h"
#include "supervisor/cmd/progress.h"
#include "supervisor/cmd/show.h"

#define OWN_FILE "/proc/self/exe"

/* How the image of that content is had here: "loop", "file", "unpacked" or NULL. Mounts and trees of
 * images lie below RUN_DIR/img, their names end in the tag; the source of a mount tells the way. */
static const char *mounted_how(const char *tag)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	own_mem char *line = NULL;
	char ending[600];
	size_t size = 0;
	const char *how = NULL;
	glob_t trees;

	(void)snprintf(ending, sizeof ending, "-%s ", tag);
	while (file && !how && getline(&line, &size, file) > 0)
		if (strstr(line, "/img/") && strstr(line, ending))
			how = strstr(line, " /dev/loop") ? "loop" : "file";
	if (file)
		(void)fclose(file);
	if (how)
		return how;
	(void)snprintf(ending, sizeof ending, "%.500s/img/*-%s.made", client_run_dir(), tag);
	if (glob(ending, GLOB_NOSORT, NULL, &trees) != 0)
		return NULL;
	globfree(&trees);
	return "unpacked";
}

static void entry_print(const struct bundle_entry *entry)
{
	const struct bundle_tag tag = bundle_tag(entry->digest);
	const char *how = entry->kind == BUNDLE_IMAGE ? mounted_how(tag.text) : NULL;

	printf("%-13s%-40s %10s  %s  %s\n", bundle_kind_name(entry->kind), entry->name,
		show_bytes(entry->length).text, tag.text, how ? how : "-");
}

static json_t *entry_json(const struct bundle_entry *entry)
{
	const struct bundle_tag tag = bundle_tag(entry->digest);
	char digest[8 + 2 * BUNDLE_DIGEST_SIZE] = "sha256:";

	for (int i = 0; i < BUNDLE_DIGEST_SIZE; i++)
		(void)snprintf(digest + 7 + 2 * i, 3, "%02x", entry->digest[i]);
	return json_pack("{s:s,s:s,s:I,s:I,s:s,s:s?}", "kind", bundle_kind_name(entry->kind),
		"name", entry->name, "offset", (json_int_t)entry->offset, "size",
		(json_int_t)entry->length, "digest", digest, "mounted",
		entry->kind == BUNDLE_IMAGE ? mounted_how(tag.text) : NULL);
}

static int unreadable(const char *path, const struct err *err)
{
	if (err->code == ENODATA && strcmp(path, OWN_FILE) == 0)
		return cmd_fail(CMD_FAILED,
			"bundle: this berth has no payload: name the file of one that has, or make "
			"it by berth pack");
	return cmd_fail(CMD_FAILED, "bundle: %s: %s", path, err->text);
}

static int list(int file, const char *path, bool json)
{
	struct err err = { 0 };
	struct bundle bundle;
	json_t *array;

	if (bundle_read(file, &bundle, &err) < 0)
		return unreadable(path, &err);
	if (!json) {
		printf("%-13s%-40s %10s  %-16s  %s\n", "KIND", "NAME", "SIZE", "CONTENT",
			"MOUNTED");
		for (size_t i = 0; i < bundle.n; i++)
			entry_print(&bundle.entries[i]);
		return CMD_OK;
	}
	array = json_array();
	for (size_t i = 0; i < bundle.n; i++)
		(void)json_array_append_new(array, entry_json(&bundle.entries[i]));
	show_json(array);
	return CMD_OK;
}

static int compare(int file, const char *path, bool json)
{
	struct progress progress;
	const struct work work = { .program = appliance_worker(),
		.words = { "verify" },
		.in = file,
		.step = progress_step,
		.context = &progress };
	struct err err = { 0 };
	int r;

	progress_begin(&progress, "verify", json);
	r = work_run(&work, &err);
	progress_end(&progress);
	if (r < 0)
		return cmd_fail(CMD_FAILED, "bundle: %s: %s", path, err.text);
	if (json)
		show_json_line(json_pack("{s:b}", "whole", 1));
	else
		printf("%s: every entry is what was packed\n", path);
	return CMD_OK;
}

enum { OPT_SIGNATURE = CMD_OPT_OWN };

int cmd_bundle(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "json", no_argument, NULL, 'j' },
		{ "signature", required_argument, NULL, OPT_SIGNATURE }, { 0 } };
	const char *signature = NULL;
	const char *path;
	bool json = false;
	own_fd file = -1;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j')
			json = true;
		else if (c == OPT_SIGNATURE)
			signature = optarg;
		else if (cmd_global(c, "bundle"))
			return CMD_USAGE;
	}
	if (optind == argc || optind + 2 < argc)
		return cmd_usage(
			"bundle", "ls, verify or install is expected, and one file at most");
	if (strcmp(argv[optind], "install") == 0)
		return optind + 1 < argc ? bundle_install(argv[optind + 1], signature, json)
					 : cmd_usage("bundle", "which file is to be installed?");
	path = optind + 1 < argc ? argv[optind + 1] : OWN_FILE;
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return cmd_fail(CMD_FAILED, "bundle: open %s: %s", path, strerror(errno));
	if (strcmp(argv[optind], "ls") == 0)
		return list(file, path, json);
	if (strcmp(argv[optind], "verify") == 0)
		return compare(file, path, json);
	return cmd_usage("bundle", "'%s' is neither ls, verify nor install", argv[optind]);
}
