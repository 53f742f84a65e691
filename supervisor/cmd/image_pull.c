/*
 * `berth image pull`: berth-fetch gets an image from a registry into a directory of the store's tmp/,
 * and what it got is taken in as any other layout is. The store's lock is taken for that only: a
 * download may last for hours. What an interrupted one left is gone on with by the next; of one that the
 * disk has no room for nothing is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/reference.h"
#include "images/store.h"
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

enum pull_policy { PULL_ALWAYS, PULL_MISSING, PULL_NEWER, PULL_NEVER };

static const char *const policies[] = { "always", "missing", "newer", "never" };

enum { MIRRORS_MAX = 4, PASSED_MAX = 14 };

struct pull {
	const char *passed[PASSED_MAX]; /* options and their values, for berth-fetch */
	size_t npassed;
	bool creds_stdin;
	const char *creds_file; /* instead, a file with that line */
	bool reload;            /* a supervisor has units that wait for it */
	enum pull_policy policy;
	struct image_source source;
	char ref[REFERENCE_SIZE];
	char dir[STORE_PATH_SIZE + 40];
	struct store store;       /* to read */
	struct store_image there; /* what the name means until now; no id: nothing */
	bool taken;               /* it means another one now */
	uint64_t missing;         /* bytes that are still to come, as far as is known */
	struct progress progress;
};

/* ---- fetching ------------------------------------------------------------------------------------ */

static void on_step(void *context, const struct work_step *step)
{
	struct pull *p = context;

	p->missing = step->total > step->done ? step->total - step->done : 0;
	if (!p->source.quiet)
		progress_step(&p->progress, step);
}

static int room_left(void *context, struct err *err)
{
	const struct pull *p = context;

	return image_room(&p->store, p->missing, err);
}

/* Those of berth.conf for this registry; at most MIRRORS_MAX of them. */
static size_t mirrors_add(const struct pull *p, struct work *work, size_t n)
{
	const struct strv *mirrors = client_registry_mirrors();
	size_t registry = strcspn(p->ref, "/");

	for (size_t i = 0, found = 0; i < mirrors->n && found < MIRRORS_MAX; i++) {
		const char *text = mirrors->v[i];
		size_t word = strcspn(text, " \t");

		if (word != registry || strncmp(text, p->ref, word) != 0)
			continue;
		work->words[n++] = "--mirror";
		work->words[n++] = text + word + strspn(text + word, " \t");
		found++;
	}
	return n;
}

static int fetch(struct pull *p, struct err *err)
{
	own_fd creds = p->creds_file ? open(p->creds_file, O_RDONLY | O_CLOEXEC) : -1;
	struct work work = { .program = appliance_fetch(),
		.in = p->creds_file    ? creds
		      : p->creds_stdin ? STDIN_FILENO
				       : -1,
		/* Proxies and auth files are found by the environment. */
		.by_path = true,
		.step = on_step,
		.may_go_on = room_left,
		.context = p };
	char have[sizeof "sha256:" + STORE_ID_SIZE];
	struct image_cgroup cgroup;
	size_t n = 0;
	int r;

	if (!work.program)
		return err_set(err, ENOENT,
			"berth-fetch is neither beside berth nor in ../libexec (it is built where "
			"libcurl is), nor packed (--fetch): put it there, or bring the image in by "
			"berth image import FILE");
	if (p->creds_file && creds < 0)
		return err_sys(err, errno, "read the credentials in %s", p->creds_file);
	for (; n < p->npassed; n++)
		work.words[n] = p->passed[n];
	n = mirrors_add(p, &work, n);
	if (*p->there.id) {
		(void)snprintf(have, sizeof have, "sha256:%s", p->there.id);
		work.words[n++] = "--have";
		work.words[n++] = have;
	}
	work.words[n++] = p->ref;
	work.words[n] = p->dir;
	progress_begin(&p->progress, p->source.title, p->source.json);
	image_cgroup_make(&cgroup, &p->store);
	work.cgroup = cgroup.fd;
	r = image_cgroup_end(&cgroup, work_run(&work, err), err);
	progress_end(&p->progress);
	return r;
}

/* ---- the store ----------------------------------------------------------------------------------- */

/* What is there of the name, and the directory to fetch into: the same for the same name. */
static int prepare(struct pull *p, struct err *err)
{
	int r = image_open(&p->store, err);

	if (r < 0)
		return r;
	(void)snprintf(
		p->dir, sizeof p->dir, "%s/tmp/pull-%016llx", p->store.path, str_hash(p->ref));
	store_unlock(&p->store);
	r = store_find(p->store.path, p->ref, &p->there, err);
	/* One that is not whole is cured by being fetched again. */
	if (r == -ENOENT || r == -EUCLEAN) {
		*p->there.id = '\0';
		r = 0;
	}
	return r;
}

static int same_tell(const struct pull *p)
{
	image_same_tell(p->ref, p->there.id, &p->source);
	return CMD_OK;
}

static int take_in(struct pull *p)
{
	struct store store = STORE_NONE;
	char same[STORE_PATH_SIZE + 48];
	struct err err = { 0 };
	bool is_same;
	int code;

	(void)snprintf(same, sizeof same, "%s/same", p->dir);
	is_same = *p->there.id && access(same, F_OK) == 0;
	if (image_open(&store, &err) < 0)
		return cmd_fail(CMD_FAILED, "image pull: %s", err.text);
	p->source.path = p->dir;
	p->source.name = p->ref;
	code = is_same ? same_tell(p) : image_take_in(&store, &p->source);
	/* What could not be taken in is not better the next time. */
	store_tmp_remove(&store, p->dir);
	store_close(&store);
	p->taken = !is_same && code == CMD_OK;
	return code;
}

/* The configuration in force does not have the image yet: it is new, or the reload after it was got
 * failed. */
static bool is_awaited(const struct pull *p)
{
	struct store_pins pins = { 0 };
	bool noted = false;

	if (store_pins_read(client_run_dir(), &pins, NULL) < 0)
		return true;
	for (size_t i = 0; i < pins.n; i++)
		noted |= strcmp(pins.v[i].id, p->there.id) == 0;
	store_pins_done(&pins);
	return p->taken || !noted;
}

/* Of a registry that was not even reached there is nothing to go on with; on a disk that is full, what
 * came stands in the way of what would make room. */
static void rest_remove(const struct pull *p)
{
	static const char *const parts[] = { "/blobs/sha256", "/blobs", "" };
	char path[STORE_PATH_SIZE + 64];

	if (store_room(&p->store, p->missing, NULL) == -ENOSPC) {
		store_tmp_remove(&p->store, p->dir);
		return;
	}
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		(void)snprintf(path, sizeof path, "%s%s", p->dir, parts[i]);
		if (rmdir(path) < 0)
			return;
	}
}

static int pull(struct pull *p)
{
	struct err err = { 0 };

	if (prepare(p, &err) < 0)
		return cmd_fail(CMD_FAILED, "image pull: %s", err.text);
	if (*p->there.id && (p->policy == PULL_MISSING || p->policy == PULL_NEVER))
		return same_tell(p);
	if (p->policy == PULL_NEVER)
		return cmd_fail(CMD_FAILED,
			"image pull: %s is not there, and is never to be pulled: berth image "
			"import "
			"FILE",
			p->ref);
	if (fetch(p, &err) == 0)
		return take_in(p);
	rest_remove(p);
	if (p->policy != PULL_NEWER || !*p->there.id)
		return cmd_fail(CMD_FAILED, "image pull: %s", err.text);
	(void)cmd_fail(CMD_OK, "image pull: %s; what is there stays", err.text);
	return same_tell(p);
}

/* ---- the command line ---------------------------------------------------------------------------- */

static int policy_read(struct pull *p, const char *text)
{
	for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++)
		if (strcmp(text, policies[i]) == 0) {
			p->policy = (enum pull_policy)i;
			return 0;
		}
	return cmd_usage("image pull", "--policy: always, missing, newer or never");
}

static void pass(struct pull *p, const char *option, const char *value)
{
	for (size_t i = 0; i < p->npassed; i += 2)
		if (strcmp(p->passed[i], option) == 0) {
			p->passed[i + 1] = value;
			return;
		}
	p->passed[p->npassed++] = option;
	p->passed[p->npassed++] = value;
}

enum {
	OPT_AUTHFILE = CMD_OPT_OWN,
	OPT_CERT_DIR,
	OPT_TLS_VERIFY,
	OPT_PLATFORM,
	OPT_RETRY,
	OPT_RETRY_DELAY,
	OPT_CREDS,
	OPT_CREDS_FILE,
	OPT_POLICY,
	OPT_RELOAD,
	OPT_JSON,
};

static int option_take(struct pull *p, int c)
{
	/* The same words there. */
	static const char *const passed[] = {
		[OPT_AUTHFILE - CMD_OPT_OWN] = "--authfile",
		[OPT_CERT_DIR - CMD_OPT_OWN] = "--cert-dir",
		[OPT_TLS_VERIFY - CMD_OPT_OWN] = "--tls-verify",
		[OPT_PLATFORM - CMD_OPT_OWN] = "--platform",
		[OPT_RETRY - CMD_OPT_OWN] = "--retry",
		[OPT_RETRY_DELAY - CMD_OPT_OWN] = "--retry-delay",
	};

	if (c >= OPT_AUTHFILE && c <= OPT_RETRY_DELAY)
		pass(p, passed[c - CMD_OPT_OWN], optarg);
	if (c == OPT_PLATFORM)
		p->source.platform = optarg;
	else if (c == OPT_CREDS)
		p->creds_stdin = true;
	else if (c == OPT_CREDS_FILE)
		p->creds_file = optarg;
	else if (c == OPT_POLICY)
		return policy_read(p, optarg);
	else if (c == OPT_RELOAD)
		p->reload = true;
	else if (c == OPT_JSON)
		p->source.json = true;
	else if (c == 'q')
		p->source.quiet = true;
	else if (c < OPT_AUTHFILE || c > OPT_RETRY_DELAY)
		return cmd_global(c, "image pull");
	return 0;
}

int image_pull(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "authfile", required_argument, NULL, OPT_AUTHFILE },
		{ "cert-dir", required_argument, NULL, OPT_CERT_DIR },
		{ "tls-verify", required_argument, NULL, OPT_TLS_VERIFY },
		{ "platform", required_argument, NULL, OPT_PLATFORM },
		{ "retry", required_argument, NULL, OPT_RETRY },
		{ "retry-delay", required_argument, NULL, OPT_RETRY_DELAY },
		{ "creds-stdin", no_argument, NULL, OPT_CREDS },
		{ "creds-file", required_argument, NULL, OPT_CREDS_FILE },
		{ "policy", required_argument, NULL, OPT_POLICY },
		{ "reload", no_argument, NULL, OPT_RELOAD }, { "quiet", no_argument, NULL, 'q' },
		{ "json", no_argument, NULL, OPT_JSON }, { 0 } };
	static struct pull p = { .store = STORE_NONE };
	char title[REFERENCE_SIZE + 8];
	int c;
	int code;

	while ((c = getopt_long(argc, argv, "q", options, NULL)) != -1)
		if (option_take(&p, c) != 0)
			return CMD_USAGE;
	if (optind + 1 != argc)
		return cmd_usage("image pull", "the name of one image is expected");
	if (reference_pull(argv[optind], p.ref) < 0)
		return cmd_fail(CMD_FAILED,
			"image pull: \"%s\" is not the name of an image: write "
			"[REGISTRY/]NAME[:TAG]",
			argv[optind]);
	(void)snprintf(title, sizeof title, "pull %s", p.ref);
	p.source.title = title;
	/* An option without a value, so that the others come in pairs. */
	if (p.creds_stdin || p.creds_file)
		p.passed[p.npassed++] = "--creds-stdin";
	code = pull(&p);
	if (code == CMD_OK && p.reload && is_awaited(&p))
		code = image_reload();
	store_image_done(&p.there);
	store_close(&p.store);
	return code;
}
