/*
 * berth-fetch: get an image from a registry, as an OCI image layout.
 *
 *	berth-fetch [OPTION…] REFERENCE DIR
 *
 * What DIR has of it from an earlier, interrupted run is verified and kept. The caller verifies all
 * again: this program speaks with the network, and is not trusted. Files with credentials and
 * certificates are read first; then, before anything is asked, all privileges are given away.
 * Passwords and tokens are in no argument and in no message.
 *
 * Standard output: lines "DONE TOTAL fetch", in bytes. Exit: 0; 1 and one line on standard error; 2
 * for a wrong command line.
 */
#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "images/fetch/blobs.h"
#include "images/fetch/confine.h"
#include "images/fetch/layout.h"
#include "images/fetch/manifest.h"
#include "images/fetch/registry.h"
#include "images/platform.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"

enum { DEPTH_MAX = 4, PARALLEL_MAX = 16, CREDS_SIZE = 4096 };

static const char usage[] =
	"usage: berth-fetch [OPTION...] REFERENCE DIR\n"
	"  --platform OS/ARCH[/VARIANT]   of the image, instead of this machine's\n"
	"  --authfile FILE                credentials, as podman login writes them\n"
	"  --creds-stdin                  USER:PASSWORD is the line on standard input\n"
	"  --cert-dir DIR, --ca-file FILE whom to trust beside the system's authorities\n"
	"  --tls-verify yes|no            no: any certificate, and http where there is no https\n"
	"  --mirror URL                   ask there first (more than once: in this order)\n"
	"  --parallel N                   layers at once (3)\n"
	"  --retry N, --retry-delay TIME  tries after a failure that may pass (5), and the first "
	"wait\n"
	"  --stall TIME                   give up on less than 1 kB/s for so long (30 s)\n"
	"  --have sha256:ID               the image that is there: same, and nothing is fetched\n";

struct options {
	struct platform platform;
	struct registry_files files;
	struct strv mirrors;
	struct http http;
	unsigned parallel;
	const char *have;
	const char *reference, *dir;
	char creds[CREDS_SIZE];
};

/* ---- the command line --------------------------------------------------------------------------- */

static int number(const char *text, uint32_t max, unsigned *ret)
{
	uint32_t value;

	if (num_u32(text, &value) < 0 || value > max)
		return -EINVAL;
	*ret = value;
	return 0;
}

static int creds_read(struct options *o)
{
	if (!fgets(o->creds, sizeof o->creds, stdin))
		return -EINVAL;
	o->creds[strcspn(o->creds, "\n")] = '\0';
	o->files.creds = o->creds;
	return 0;
}

static int stall_read(const char *text, struct options *o)
{
	uint64_t stall;

	if (num_duration(text, &stall) < 0 || stall < NSEC_PER_SEC || stall > 3600 * NSEC_PER_SEC)
		return -EINVAL;
	o->http.stall = (long)(stall / NSEC_PER_SEC);
	return 0;
}

static int option_take(int option, const char *text, struct arena *arena, struct options *o)
{
	struct err err;

	switch (option) {
	case 'p':
		return platform_parse(text, &o->platform, &err);
	case 'a':
		o->files.auth = text;
		return 0;
	case 's':
		return creds_read(o);
	case 'c':
		o->files.cert_dir = text;
		return 0;
	case 'f':
		o->files.ca = text;
		return 0;
	case 't':
		return num_bool(text, &o->http.verify);
	case 'm':
		return strv_add(&o->mirrors, arena, text);
	case 'n':
		return number(text, PARALLEL_MAX, &o->parallel);
	case 'r':
		return number(text, 1000, &o->http.tries);
	case 'd':
		return num_duration(text, &o->http.retry_wait);
	case 'w':
		return stall_read(text, o);
	case 'h':
		o->have = text;
		return digest_text_valid(text) ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static int options_read(int argc, char **argv, struct arena *arena, struct options *o)
{
	static const struct option list[] = {
		{ "platform", required_argument, NULL, 'p' },
		{ "authfile", required_argument, NULL, 'a' },
		{ "creds-stdin", no_argument, NULL, 's' },
		{ "cert-dir", required_argument, NULL, 'c' },
		{ "ca-file", required_argument, NULL, 'f' },
		{ "tls-verify", required_argument, NULL, 't' },
		{ "mirror", required_argument, NULL, 'm' },
		{ "parallel", required_argument, NULL, 'n' },
		{ "retry", required_argument, NULL, 'r' },
		{ "retry-delay", required_argument, NULL, 'd' },
		{ "stall", required_argument, NULL, 'w' },
		{ "have", required_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;
	int which = 0;

	platform_host(&o->platform);
	o->http = (struct http){ .verify = true, .stall = 30, .tries = 5 };
	o->parallel = 3;
	while ((option = getopt_long(argc, argv, "", list, &which)) != -1) {
		if (option == '?')
			return -EINVAL;
		if (option_take(option, optarg, arena, o) < 0) {
			(void)fprintf(stderr, "berth-fetch: --%s: \"%s\" cannot be that\n",
				list[which].name, optarg ? optarg : "");
			return -EINVAL;
		}
	}
	if (argc != optind + 2 || o->parallel == 0)
		return -EINVAL;
	o->reference = argv[optind];
	o->dir = argv[optind + 1];
	return 0;
}

/* ---- the image ---------------------------------------------------------------------------------- */

/* From the first source that has it, `*first` and those behind it. */
static int manifest_get(struct arena *arena, const struct registry *registry, const char *which,
	size_t *first, struct manifest *ret, struct err *err)
{
	struct err before = { 0 };
	struct err last;
	struct body body;
	int r = -ENOENT;

	for (; *first < registry->n; ++*first) {
		struct source *source = &registry->sources[*first];

		r = registry_manifest(arena, registry, source, which, &body, err);
		if (r == 0)
			r = manifest_read(body, ret, err);
		if (r == 0)
			return 0;
		if (*first + 1 < registry->n)
			err_keep(&before, err);
	}
	last = *err;
	return before.code
		       ? err_set(err, last.code, "%s (before that, %.200s)", last.text, before.text)
		       : r;
}

/* Through indexes down to the manifest of the one image. */
static int image_find(struct arena *arena, const struct registry *registry,
	const struct platform *machine, size_t *first, struct manifest *ret, struct err *err)
{
	const struct reference *ref = registry->ref;
	const char *which = ref->digest ? ref->digest : ref->tag;

	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		struct descriptor chosen;
		int r = manifest_get(arena, registry, which, first, ret, err);

		if (r < 0 || !ret->index)
			return r;
		r = manifest_choose(ret, machine, &chosen, err);
		which = r < 0 ? NULL : arena_strdup(arena, chosen.digest);
		manifest_done(ret);
		if (!which)
			return r < 0 ? r : err_sys(err, ENOMEM, "read the index");
	}
	return err_set(err, ELOOP, "more than %d indexes one in the other", DEPTH_MAX);
}

static int image_fetch(struct arena *arena, const struct registry *registry,
	const struct options *o, const struct layout *layout, struct err *err)
{
	struct descriptor *blobs = arena_alloc(arena, MANIFEST_BLOBS_MAX * sizeof *blobs);
	struct manifest manifest = { 0 };
	size_t first = 0;
	int r;

	if (!blobs)
		return err_sys(err, ENOMEM, "begin");
	r = image_find(arena, registry, &o->platform, &first, &manifest, err);
	if (r < 0)
		return r;
	r = manifest_blobs(&manifest, blobs, err);
	if (r > 0 && o->have && strcmp(o->have, blobs->digest) == 0) {
		r = layout_same(layout, err);
	} else if (r > 0) {
		r = blobs_fetch(arena, registry, layout, blobs, (size_t)r, first, o->parallel, err);
		if (r == 0)
			r = layout_put(layout, manifest.digest.text, manifest.body.text,
				manifest.body.n, err);
		if (r == 0)
			r = layout_finish(layout, &manifest, registry->ref->name, err);
	}
	manifest_done(&manifest);
	return r;
}

/* ---- the order of things ------------------------------------------------------------------------ */

static int fetch(struct arena *arena, const struct options *o, struct err *err)
{
	struct layout layout = { -1, -1 };
	struct registry registry = { 0 };
	struct reference ref;
	int r = reference_parse(arena, o->reference, &ref, err);

	if (r < 0)
		return r;
	r = layout_open(o->dir, CONFINE_UID, &layout, err);
	if (r == 0)
		r = registry_open(arena, &o->http, &ref, &o->mirrors, &o->files, &registry, err);
	if (r == 0)
		r = confine(layout.dir, err);
	if (r == 0)
		r = image_fetch(arena, &registry, o, &layout, err);
	registry_done(&registry);
	layout_done(&layout);
	return r < 0 ? err_wrap(err, "fetch %s", ref.name) : 0;
}

/* Everybody else reads HTTP_PROXY; libcurl does not, for where a web server sets it from a header. */
static void proxy_find(void)
{
	const char *proxy = getenv("HTTP_PROXY");

	if (proxy)
		(void)setenv("http_proxy", proxy, 0);
}

int main(int argc, char **argv)
{
	static struct options options;
	struct arena arena = { 0 };
	struct err err = { 0 };
	int r;

	(void)umask(022);
	srandom((unsigned)clock_monotonic());
	(void)signal(SIGPIPE, SIG_IGN);
	/* Two threads' heaps, not eight for each processor: address space is limited. */
	(void)mallopt(M_ARENA_MAX, 2);
	if (options_read(argc, argv, &arena, &options) < 0) {
		(void)fputs(usage, stderr);
		return 2;
	}
	proxy_find();
	r = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK
		    ? fetch(&arena, &options, &err)
		    : err_set(&err, EIO, "libcurl failed");
	if (r < 0)
		(void)fprintf(stderr, "berth-fetch: %s\n", err.text);
	curl_global_cleanup();
	arena_done(&arena);
	return r < 0;
}
