/*
 * Each blob is a transfer, in one of four states:
 *
 *	waiting   nothing is asked; it may begin when `not_before` is over and a place is free
 *	running   a request is on its way; what comes is written to the part, and a hasher follows
 *	hashing   every byte is there; the hasher is not through
 *	whole     verified, and renamed
 *
 * A failure that may pass leads back to waiting, with a wait; any other to the next source, and from
 * the last one to the end of all. A try that brought something does not count as a failed one: over a
 * bad line a large blob needs many.
 */
#include "images/fetch/blobs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "images/fetch/hasher.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/own.h"

enum {
	LOGINS_MAX = 3,
	PROGRESS_MIN = 64 * 1024, /* bytes that make a cut-off try one that brought something */
	REASON_MAX = 4096,        /* bytes kept of the body of an error */
	TICK_MSEC = 100,
};

enum transfer_state { WAITING, RUNNING, HASHING, WHOLE };

struct transfer {
	struct blobs *all;
	const struct descriptor *blob;
	enum transfer_state state;
	size_t source; /* who is asked */
	unsigned tried, logins;
	uint64_t not_before;
	uint64_t at, begun_at; /* how much is there, and was there when the request began */
	bool kept;             /* something of it is from an earlier run, or another source */
	int fd;
	struct hasher *hasher;
	CURL *curl;
	struct reply reply;
	unsigned seen_logins; /* of the source, when the request began */
	char *reason;         /* the body of an error */
	size_t reason_n;
	struct err err;    /* why on_data refused more */
	struct err before; /* why the first source did not give it */
};

struct blobs {
	struct arena *arena;
	const struct registry *registry;
	const struct layout *layout;
	CURLM *multi;
	struct transfer *v;
	size_t n, left, running;
	unsigned parallel;
	uint64_t total, told;
};

/* ---- what comes --------------------------------------------------------------------------------- */

static void wake(void *multi)
{
	(void)curl_multi_wakeup(multi);
}

/* From the first byte on again. */
static int restart(struct transfer *t, struct err *err)
{
	uint8_t none[DIGEST_SIZE];

	if (t->hasher)
		(void)hasher_end(t->hasher, none);
	t->hasher = NULL;
	t->kept = false;
	t->at = t->begun_at = 0;
	if (ftruncate(t->fd, 0) < 0)
		return err_sys(err, errno, "write %s", t->blob->digest);
	t->hasher = hasher_start(t->fd, wake, t->all->multi);
	return t->hasher ? 0 : err_sys(err, EAGAIN, "start a thread");
}

/* Before the first byte of an answer is taken: does it go on where we are? */
static int answer_check(struct transfer *t)
{
	const struct reply *reply = &t->reply;
	bool part = reply->status == 206;
	int64_t whole = part ? reply->whole : reply->length;

	if (whole >= 0 && (uint64_t)whole != t->blob->size)
		return err_set(&t->err, EBADMSG, "it has %lld bytes, the manifest says %llu",
			(long long)whole, (unsigned long long)t->blob->size);
	if (part && reply->first >= 0 && (uint64_t)reply->first != t->at)
		return err_set(&t->err, EBADMSG,
			"it was asked for bytes from %llu on, and sends from %lld",
			(unsigned long long)t->at, (long long)reply->first);
	return !part && t->at > 0 ? restart(t, &t->err) : 0;
}

static void reason_take(struct transfer *t, const char *data, size_t n)
{
	size_t room = REASON_MAX - t->reason_n;
	char *grown = realloc(t->reason, REASON_MAX + 1);

	if (!grown)
		return;
	t->reason = grown;
	memcpy(t->reason + t->reason_n, data, n < room ? n : room);
	t->reason_n += n < room ? n : room;
	t->reason[t->reason_n] = '\0';
}

/* Anything but `n` tells libcurl to give up; t->err says why. */
static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	n *= size;
	if (t->reply.status != 200 && t->reply.status != 206) {
		reason_take(t, data, n);
		return n;
	}
	if (t->at == t->begun_at && answer_check(t) < 0)
		return 0;
	if (n > t->blob->size - t->at) {
		(void)err_set(&t->err, EBADMSG, "it has more than the %llu bytes of the manifest",
			(unsigned long long)t->blob->size);
		return 0;
	}
	for (size_t done = 0; done < n;) {
		ssize_t w = pwrite(t->fd, data + done, n - done, (off_t)t->at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0) {
			(void)err_sys(&t->err, errno, "write it");
			return 0;
		}
		done += (size_t)w;
		t->at += (uint64_t)w;
	}
	hasher_reach(t->hasher, t->at, false);
	return n;
}

/* ---- beginning ---------------------------------------------------------------------------------- */

static void hash_rest(struct transfer *t)
{
	t->state = HASHING;
	hasher_reach(t->hasher, t->at, true);
}

static int request_begin(struct transfer *t, struct err *err)
{
	struct source *source = &t->all->registry->sources[t->source];
	struct http_as as = registry_as(source);
	char range[32];
	char url[2048];

	t->reason_n = 0;
	t->err.code = 0;
	t->begun_at = t->at;
	t->seen_logins = source->logins;
	if (!t->curl)
		t->curl = curl_easy_init();
	if (!t->curl)
		return err_sys(err, ENOMEM, "libcurl");
	(void)snprintf(url, sizeof url, "%s/v2/%s/blobs/%s", source->base,
		t->all->registry->ref->repository, t->blob->digest);
	http_begin(t->curl, t->all->registry->http, &source->certs, url, &as, &t->reply);
	if (t->at > 0) {
		(void)snprintf(range, sizeof range, "%llu-", (unsigned long long)t->at);
		curl_easy_setopt(t->curl, CURLOPT_RANGE, range);
	}
	curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->curl, CURLOPT_PRIVATE, t);
	if (curl_multi_add_handle(t->all->multi, t->curl) != CURLM_OK)
		return err_sys(err, ENOMEM, "libcurl");
	t->state = RUNNING;
	return 0;
}

/* What an earlier run left is hashed while the rest comes. */
static int transfer_open(struct transfer *t, struct err *err)
{
	struct stat st;

	t->fd = layout_part(t->all->layout, t->blob->digest, err);
	if (t->fd < 0)
		return t->fd;
	if (fstat(t->fd, &st) < 0)
		return err_sys(err, errno, "look at %s", t->blob->digest);
	if ((uint64_t)st.st_size > t->blob->size)
		return restart(t, err);
	t->at = (uint64_t)st.st_size;
	t->kept = t->at > 0;
	t->hasher = hasher_start(t->fd, wake, t->all->multi);
	if (!t->hasher)
		return err_sys(err, EAGAIN, "start a thread");
	hasher_reach(t->hasher, t->at, false);
	return 0;
}

static int transfer_begin(struct transfer *t, struct err *err)
{
	int r = t->fd < 0 ? transfer_open(t, err) : 0;

	t->all->running++;
	if (r == 0 && t->at == t->blob->size)
		hash_rest(t);
	else if (r == 0)
		r = request_begin(t, err);
	return r;
}

/* ---- ending ------------------------------------------------------------------------------------- */

static struct source *source_of(const struct transfer *t)
{
	return &t->all->registry->sources[t->source];
}

static void again(struct transfer *t, uint64_t wait)
{
	t->state = WAITING;
	t->not_before = clock_monotonic() + wait;
	t->all->running--;
}

/* It will not get it from this source: `err` says why, with what the first one said. */
static int source_next(struct transfer *t, struct err *err)
{
	const struct err last = *err;

	if (t->source + 1 == t->all->registry->n)
		return t->before.code ? err_set(err, last.code, "%s (before that, %.200s)",
						last.text, t->before.text)
				      : -last.code;
	err_keep(&t->before, err);
	t->source++;
	t->kept = t->at > 0;
	t->tried = t->logins = 0;
	again(t, 0);
	return 0;
}

/* The bytes are not the blob. From now and here they are not wanted again. */
static int mismatch(struct transfer *t, const struct digest_text *is, struct err *err)
{
	bool kept = t->kept;
	int r = restart(t, err);

	if (r < 0)
		return r;
	if (kept) {
		again(t, 0);
		return 0;
	}
	(void)err_set(err, EBADMSG,
		"%s: blob %s: what it sent is %s: it is broken there, or on the way",
		source_of(t)->host, t->blob->digest, is->text);
	return source_next(t, err);
}

static int hashed(struct transfer *t, struct err *err)
{
	uint8_t digest[DIGEST_SIZE];
	struct digest_text is;
	int r = hasher_end(t->hasher, digest);

	t->hasher = NULL;
	if (r < 0)
		return err_sys(err, -r, "read %s", t->blob->digest);
	is = digest_text(digest);
	if (strcmp(is.text, t->blob->digest) != 0)
		return mismatch(t, &is, err);
	r = layout_whole(t->all->layout, t->blob->digest, err);
	fd_close(&t->fd);
	t->state = WHOLE;
	t->all->running--;
	t->all->left--;
	return r;
}

/* The answer 416 to a range that begins where its blob ends: it is shorter than the manifest says. */
static int beyond(struct transfer *t, struct err *err)
{
	int r = restart(t, err);

	if (r < 0)
		return r;
	if (t->reply.whole >= 0 && (uint64_t)t->reply.whole != t->blob->size) {
		(void)err_set(err, EBADMSG, "%s: blob %s has %lld bytes, the manifest says %llu",
			source_of(t)->host, t->blob->digest, (long long)t->reply.whole,
			(unsigned long long)t->blob->size);
		return source_next(t, err);
	}
	again(t, 0);
	return 0;
}

static int log_in(struct transfer *t, struct err *err)
{
	struct source *source = source_of(t);
	int r = 0;

	/* Else another one has, since this was asked. */
	if (t->seen_logins == source->logins)
		r = ++t->logins > LOGINS_MAX
			    ? registry_refused(source, err)
			    : registry_login(t->all->registry, source, &t->reply, err);
	if (r < 0)
		return source_next(t, err);
	again(t, 0);
	return 0;
}

static bool may_pass(const struct transfer *t, CURLcode code, long redirects)
{
	return http_may_pass(code, &t->reply) ||
	       /* A registry that was reached before is likely to come back. */
	       (source_of(t)->answered &&
		       (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)) ||
	       /* The place that we were sent to has forgotten it, or us: we are sent anew. */
	       (code == CURLE_OK && redirects > 0 &&
		       (t->reply.status == 401 || t->reply.status == 403)) ||
	       /* An end without a length before it. */
	       (code == CURLE_OK && (t->reply.status == 200 || t->reply.status == 206));
}

static int failed(struct transfer *t, CURLcode code, long redirects, struct err *err)
{
	const struct http *http = t->all->registry->http;
	bool last = t->source + 1 == t->all->registry->n;
	uint64_t wait;

	if (registry_plain(t->all->arena, source_of(t), code)) {
		again(t, 0);
		return 0;
	}
	if (t->at - t->begun_at >= PROGRESS_MIN)
		t->tried = 0;
	/* A mirror gets one chance more: behind it there is another source. */
	if (may_pass(t, code, redirects) && t->tried < (last ? http->tries : 1)) {
		wait = http_wait(t->curl, http, t->tried++);
		if (wait != NSEC_NEVER) {
			again(t, wait);
			return 0;
		}
	}
	if (code == CURLE_OK && (t->reply.status == 200 || t->reply.status == 206))
		(void)err_set(err, EBADMSG, "%s: it ends after %llu of %llu bytes",
			source_of(t)->host, (unsigned long long)t->at,
			(unsigned long long)t->blob->size);
	else
		(void)http_failed(t->curl, code, &t->reply, source_of(t)->host,
			t->reason_n ? t->reason : NULL, err);
	(void)err_wrap(err, "blob %.19s…", t->blob->digest);
	return source_next(t, err);
}

static int request_end(struct transfer *t, CURLcode code, struct err *err)
{
	long redirects = 0;

	(void)curl_multi_remove_handle(t->all->multi, t->curl);
	(void)curl_easy_getinfo(t->curl, CURLINFO_REDIRECT_COUNT, &redirects);
	source_of(t)->answered |= t->reply.status > 0;
	if (t->err.code == EBADMSG) {
		*err = t->err;
		(void)err_wrap(err, "%s: blob %s", source_of(t)->host, t->blob->digest);
		return source_next(t, err);
	}
	if (t->err.code) {
		*err = t->err;
		return err_wrap(err, "blob %s", t->blob->digest);
	}
	if (t->at == t->blob->size && (t->reply.status == 200 || t->reply.status == 206)) {
		hash_rest(t);
		return 0;
	}
	if (code == CURLE_OK && t->reply.status == 416 && t->at > 0)
		return beyond(t, err);
	if (code == CURLE_OK && t->reply.status == 401 && redirects == 0)
		return log_in(t, err);
	return failed(t, code, redirects, err);
}

/* ---- all of them -------------------------------------------------------------------------------- */

static void tell(struct blobs *all, bool now)
{
	uint64_t time = clock_monotonic();
	uint64_t done = 0;

	if (!now && time - all->told < TICK_MSEC * NSEC_PER_MSEC)
		return;
	all->told = time;
	for (size_t i = 0; i < all->n; i++)
		done += all->v[i].at;
	(void)dprintf(STDOUT_FILENO, "%llu %llu fetch\n", (unsigned long long)done,
		(unsigned long long)all->total);
}

static int begin_some(struct blobs *all, struct err *err)
{
	uint64_t now = clock_monotonic();
	int r = 0;

	for (size_t i = 0; i < all->n && all->running < all->parallel && r == 0; i++)
		if (all->v[i].state == WAITING && all->v[i].not_before <= now)
			r = transfer_begin(&all->v[i], err);
	return r;
}

static int end_some(struct blobs *all, struct err *err)
{
	CURLMsg *message;
	struct transfer *t;
	int left;
	int r = 0;

	while (r == 0 && (message = curl_multi_info_read(all->multi, &left))) {
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		r = request_end(t, code, err);
	}
	for (size_t i = 0; i < all->n && r == 0; i++)
		if (all->v[i].state == HASHING && hasher_through(all->v[i].hasher))
			r = hashed(&all->v[i], err);
	return r;
}

/* Until the next one may begin, or something is to be said. */
static int pause_msec(const struct blobs *all)
{
	uint64_t now = clock_monotonic();
	uint64_t until = now + TICK_MSEC * NSEC_PER_MSEC;

	for (size_t i = 0; i < all->n && all->running < all->parallel; i++)
		if (all->v[i].state == WAITING && all->v[i].not_before < until)
			until = all->v[i].not_before;
	return until > now ? (int)((until - now) / NSEC_PER_MSEC) + 1 : 0;
}

static int run(struct blobs *all, struct err *err)
{
	int running;
	int r = 0;

	while (r == 0 && all->left > 0) {
		r = begin_some(all, err);
		if (r == 0 && curl_multi_perform(all->multi, &running) != CURLM_OK)
			r = err_set(err, EIO, "libcurl failed");
		if (r == 0)
			r = end_some(all, err);
		tell(all, all->left == 0);
		if (r == 0 && all->left > 0)
			(void)curl_multi_poll(all->multi, NULL, 0, pause_msec(all), NULL);
	}
	return r;
}

/* Before anything is asked. What is there of them need not be made room for. */
static int space_check(const struct blobs *all, struct err *err)
{
	struct statvfs fs;
	uint64_t there = 0;

	for (size_t i = 0; i < all->n; i++)
		there += layout_kept(all->layout, all->v[i].blob->digest);
	if (fstatvfs(all->layout->blobs, &fs) < 0 || fs.f_blocks == 0)
		return 0;
	if (all->total <= there || all->total - there <= (uint64_t)fs.f_bavail * fs.f_frsize)
		return 0;
	return err_set(err, ENOSPC, "%llu MiB are to come, and %llu MiB are free on the disk",
		(unsigned long long)((all->total - there) >> 20),
		(unsigned long long)((uint64_t)fs.f_bavail * fs.f_frsize >> 20));
}

static void blobs_done(struct blobs *all)
{
	uint8_t none[DIGEST_SIZE];

	for (size_t i = 0; i < all->n; i++) {
		struct transfer *t = &all->v[i];

		if (t->state == RUNNING)
			(void)curl_multi_remove_handle(all->multi, t->curl);
		curl_easy_cleanup(t->curl);
		if (t->hasher)
			(void)hasher_end(t->hasher, none);
		fd_close(&t->fd);
		free(t->reason);
	}
	(void)curl_multi_cleanup(all->multi);
}

int blobs_fetch(struct arena *arena, const struct registry *registry, const struct layout *layout,
	const struct descriptor *list, size_t n, size_t first, unsigned parallel, struct err *err)
{
	struct blobs all = { .arena = arena,
		.registry = registry,
		.layout = layout,
		.n = n,
		.left = n,
		.parallel = parallel };
	int r;

	all.multi = curl_multi_init();
	all.v = arena_alloc(arena, n * sizeof *all.v);
	if (!all.multi || !all.v)
		return err_sys(err, ENOMEM, "libcurl");
	for (size_t i = 0; i < n; i++) {
		all.v[i] = (struct transfer){
			.all = &all, .blob = &list[i], .source = first, .fd = -1
		};
		all.total += list[i].size;
	}
	r = space_check(&all, err);
	if (r == 0)
		r = run(&all, err);
	blobs_done(&all);
	return r;
}
