/*
 * What the supervisor and the store of images have to do with each other: it notes which images its
 * units start from, so that nobody removes them, and removes what a dead writer left. The store's own
 * verbs work without it. And what was extracted of bundles that are gone from the configuration goes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "images/program.h"
#include "images/store.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/log.h"
#include "supervisor/base/own.h"
#include "supervisor/core/job.h"
#include "supervisor/core/service.h"

/* The file that store_pins_read reads. */
static int note(struct supervisor *sv)
{
	own_mem char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	for (size_t i = 0; to && i < sv->set->nunits; i++) {
		const struct unit *unit = &sv->set->units[i];

		if (unit->spec && unit->spec->root.id)
			(void)fprintf(to, "%s %s\n", unit->spec->root.id, unit->id);
	}
	if (!to || fclose(to) != 0)
		return -ENOMEM;
	return file_replace_at(sv->run_fd, "images", text, size, 0600, 0);
}

static bool is_used(const struct unit_set *set, const char *ref)
{
	for (size_t i = 0; i < set->nunits; i++) {
		const struct container_spec *spec = set->units[i].spec;

		if (spec && spec->root.archive && strcmp(spec->root.archive, ref) == 0)
			return true;
	}
	return false;
}

/* What was imported from a file has a name for one content of it, which no unit may ask for any more. */
static int archives_forget(const struct supervisor *sv, const struct store *store, struct err *err)
{
	struct store_names names = { 0 };
	int r = store_names_read(store, &names, err);

	for (size_t i = 0; i < names.n && r == 0; i++)
		if (store_of_archive(names.v[i].ref) && !is_used(sv->set, names.v[i].ref))
			r = store_name_remove(store, names.v[i].ref, err);
	store_names_done(&names);
	return r;
}

/* In a process of its own: as long as it takes, at idle priority. */
static int sweep(const void *data, struct err *err)
{
	const struct supervisor *sv = data;
	struct store store = STORE_NONE;
	struct store_pins pins = { 0 };
	struct store_freed freed;
	int r = store_open_locked(&store, sv->set->conf.store_dir, false, err);

	/* Somebody else writes, and has swept; or nobody can. */
	if (r == -EBUSY || r == -EROFS)
		return 0;
	if (r == 0)
		r = archives_forget(sv, &store, err);
	if (r == 0)
		r = store_pins_read(sv->env.run_dir, &pins, err);
	if (r == 0)
		r = store_gc(&store, &pins, false, &freed, err);
	store_unlock(&store);
	return r < 0 ? r : store_trash_empty(&store, err);
}

static void was_swept(struct supervisor *sv, int r, const struct err *err, void *data)
{
	(void)sv;
	(void)data;
	if (r < 0)
		log_warning("clear the store of images: %s", err->text);
}

static bool is_named(const char *bundle, const void *data)
{
	const struct unit_set *set = data;

	for (size_t i = 0; i < set->nunits; i++) {
		const struct container_spec *spec = set->units[i].spec;

		if (spec && spec->program.bundle && strcmp(spec->program.bundle, bundle) == 0)
			return true;
	}
	return false;
}

static int sweep_bundles(const void *data, struct err *err)
{
	const struct supervisor *sv = data;

	(void)err;
	program_forget(sv->env.state_dir, sv->env.run_dir, is_named, sv->set);
	return 0;
}

/* A process only where there may be work for it. */
static void bundles_begin(struct supervisor *sv)
{
	const char *const parents[] = { sv->env.state_dir, sv->env.run_dir };
	struct err err = { 0 };
	bool any = false;

	for (size_t i = 0; i < sizeof parents / sizeof parents[0]; i++) {
		char path[300];

		(void)snprintf(path, sizeof path, "%.280s/bundles", parents[i]);
		any |= access(path, F_OK) == 0;
	}
	if (any && job_start(sv, "clear bundles away", sweep_bundles, NULL, sv, &err) < 0)
		log_warning("clear bundles away: %s", err.text);
}

void images_begin(struct supervisor *sv)
{
	struct store store = STORE_NONE;
	struct err err = { 0 };
	int r = note(sv);

	bundles_begin(sv);
	if (r < 0)
		supervisor_note(sv, "images that units need may be removed: write %s/images: %s",
			sv->env.run_dir, strerror(-r));
	if (store_open(&store, sv->set->conf.store_dir, &err) < 0)
		return; /* there is none; units that want one have said so */
	store_close(&store);
	if (job_start(sv, "clear the store of images", sweep, was_swept, sv, &err) < 0)
		log_warning("clear the store of images: %s", err.text);
}
