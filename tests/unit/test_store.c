/* The store: names, the text of layers, commit, names and their previous ones, removing. Everything is
 * made below one temporary directory. Cost: 0.2 s. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "images/store.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

#define HEX16(c) c c c c c c c c c c c c c c c c
#define CHAIN(c) HEX16(c) HEX16(c)
#define ID(c)    CHAIN(c) CHAIN(c)
#define LINE(c)  CHAIN(c) " sha256:" ID(c) " 1000 3 sha256:" ID(c) "\n"

struct place {
	char dir[64];
	char path[96]; /* of the store */
	struct store store;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof *p);
	struct err err = { 0 };

	if (!p)
		return -1;
	(void)snprintf(p->dir, sizeof p->dir, "/tmp/berth-test-store-XXXXXX");
	if (!mkdtemp(p->dir)) {
		free(p);
		return -1;
	}
	(void)snprintf(p->path, sizeof p->path, "%s/state/store", p->dir);
	*state = p;
	return store_open_locked(&p->store, p->path, false, &err);
}

static int teardown(void **state)
{
	struct place *p = *state;
	own_fd tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = path_remove_tree(tmp, strrchr(p->dir, '/') + 1);

	store_close(&p->store);
	free(p);
	return r;
}

static void write_at(const char *dir, const char *name, const char *text)
{
	char path[4096];
	own_fd fd = -1;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, text, strlen(text)), 0);
}

static void dir_at(const char *dir, const char *name)
{
	char path[4096];

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(path_mkdirs(path, 0755), 0);
}

static bool there(const struct place *p, const char *name)
{
	return faccessat(p->store.dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What a worker leaves: layers "a", "b", …; an image of some of them. `born` says which are new. */
static int commit(
	struct place *p, const char *id, const char *layers, const char *born, struct err *err)
{
	char tmp[STORE_PATH_SIZE];
	char text[4096] = "";

	assert_int_equal(store_tmp_make(&p->store, tmp, err), 0);
	dir_at(tmp, "image");
	for (; *born; born++) {
		char name[64];

		(void)snprintf(name, sizeof name, "layers/");
		memset(name + strlen(name), *born, 32);
		name[7 + 32] = '\0';
		dir_at(tmp, name);
	}
	for (; *layers; layers++) {
		char line[] = LINE("?");

		for (char *mark = line; (mark = strchr(mark, '?'));)
			*mark = *layers;
		(void)strncat(text, line, sizeof text - strlen(text) - 1);
	}
	write_at(tmp, "image/layers", text);
	write_at(tmp, "image/config.json", "{}");
	return store_commit(&p->store, tmp, id, err);
}

/* ---- texts ------------------------------------------------------------------------------------- */

static void references(void **state)
{
	static const struct {
		const char *text, *full;
	} rows[] = {
		{ "web", "localhost/web:latest" },
		{ "web:1.2", "localhost/web:1.2" },
		{ "docker.io/library/nginx", "docker.io/library/nginx:latest" },
		{ "host:5000/a/b", "host:5000/a/b:latest" },
		{ "host:5000/a/b:c", "host:5000/a/b:c" },
		{ "a/b@sha256:" ID("a"), "a/b@sha256:" ID("a") },
		{ "a/b:tag@sha256:" ID("a"), "a/b@sha256:" ID("a") },
		{ "h:1/b:tag@sha256:" ID("a"), "h:1/b@sha256:" ID("a") },
		{ "web@sha256:" ID("a"), "localhost/web@sha256:" ID("a") },
		{ "", NULL },
		{ "/web", NULL },
		{ "../web", NULL },
		{ "a//b", NULL },
		{ "a b", NULL },
		{ "a+b", NULL },
		{ "-a", NULL },
		{ "web:", NULL },
		{ "web@", NULL },
		{ "a@b/c", NULL },
		{ "web@sha256:12", NULL },
		{ "web@md5:" ID("a"), NULL },
	};
	char ret[REFERENCE_SIZE];
	char file[REFERENCE_SIZE];
	char longest[400];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int r = reference_normalise(rows[i].text, ret);

		assert_int_equal(r, rows[i].full ? 0 : -EINVAL);
		if (r < 0)
			continue;
		assert_string_equal(ret, rows[i].full);
		assert_int_equal(store_name_escape(ret, file, sizeof file), 0);
		assert_null(strchr(file, '/'));
		assert_int_equal(store_name_unescape(file, ret, sizeof ret), 0);
		assert_string_equal(ret, rows[i].full);
	}
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(reference_normalise(longest, ret), -ENAMETOOLONG);
	assert_int_equal(store_name_unescape("web", ret, sizeof ret), -EINVAL);
	assert_int_equal(
		store_name_unescape(".localhost+web:latest.tmp", ret, sizeof ret), -EINVAL);
}

static void texts_of_names(void **state)
{
	struct store_name name = { 0 };
	static const char *const bad[] = { "", "\n", "sha256:" ID("a"), "sha256:" ID("A") "\n",
		"sha256:" ID("a") "\n\n", "sha256:" ID("a") "\nsha256:" ID("b"),
		"sha256:" ID("a") "\nsha256:" ID("b") "\n\n", "sha256:" ID("a") " \n",
		"md5:" ID("a") "\n",
		"sha256:" ID("a") "\nsha256:" ID("b") "\nsha256:" ID("c") "\n" };

	(void)state;
	assert_int_equal(store_name_parse("sha256:" ID("a") "\n", &name), 0);
	assert_string_equal(name.id, ID("a"));
	assert_string_equal(name.previous, "");
	assert_int_equal(store_name_parse("sha256:" ID("b") "\nsha256:" ID("a") "\n", &name), 0);
	assert_string_equal(name.previous, ID("a"));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(store_name_parse(bad[i], &name), -EINVAL);
	assert_string_equal(name.id, ID("b"));
}

static void texts_of_layers(void **state)
{
	static const char *const bad[] = { "", "\n", CHAIN("a"), LINE("a") "\n", LINE("a") "x",
		LINE("A"), CHAIN("a") " sha256:" ID("a") " 1 2 sha256:" ID("a") " more\n",
		CHAIN("a") " sha256:" ID("a") " -1 2 sha256:" ID("a") "\n",
		CHAIN("a") "a sha256:" ID("a") " 1 2 sha256:" ID("a") "\n",
		"../../etc/passwd sha256:" ID("a") " 1 2 sha256:" ID("a") "\n" };
	struct store_image image = { 0 };
	struct err err = { 0 };
	char text[1000];
	char *many;

	(void)state;
	(void)snprintf(text, sizeof text, "%s%s", LINE("a"), LINE("b"));
	assert_int_equal(store_layers_parse(text, &image, &err), 0);
	assert_int_equal(image.nlayers, 2);
	assert_string_equal(image.layers[0].chain, CHAIN("a"));
	assert_string_equal(image.layers[1].diff, ID("b"));
	assert_int_equal(image.layers[1].bytes, 1000);
	assert_int_equal(image.layers[1].entries, 3);
	store_image_done(&image);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		(void)snprintf(text, sizeof text, "%s", bad[i]);
		assert_int_equal(store_layers_parse(text, &image, &err), -EINVAL);
		assert_null(image.layers);
	}
	many = calloc(STORE_LAYERS_MAX + 2, sizeof LINE("a"));
	assert_non_null(many);
	for (size_t i = 0; i <= STORE_LAYERS_MAX; i++)
		memcpy(many + i * (sizeof LINE("a") - 1), LINE("a"), sizeof LINE("a"));
	assert_int_equal(store_layers_parse(many, &image, &err), -EINVAL);
	assert_non_null(strstr(err.text, "501 layers"));
	free(many);
}

/* ---- the store --------------------------------------------------------------------------------- */

static void one_writer(void **state)
{
	struct place *p = *state;
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) { /* another process: a lock of fcntl is not in one's own way */
		struct store other = STORE_NONE;
		struct err err = { 0 };
		int r = store_open_locked(&other, p->path, false, &err);
		char words[64];

		(void)snprintf(words, sizeof words, "process %d is writing", (int)getppid());
		_exit(r == -EBUSY && strstr(err.text, words) &&
					store_open(&other, p->path, &err) == 0
				? 0
				: 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* As if nobody had touched it for eight days. */
static void grow_old(const struct place *p, const char *name)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
		{ .tv_sec = time(NULL) - 8 * 24 * 60 * 60 } };
	char path[200];

	(void)snprintf(path, sizeof path, "%s/%s", p->path, name);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void the_half_done_is_swept(void **state)
{
	struct place *p = *state;
	struct err err = { 0 };

	store_close(&p->store);
	dir_at(p->path, "tmp/123.4/layers/" CHAIN("a") "/deep");
	dir_at(p->path, "tmp/pull-0123");
	dir_at(p->path, "tmp/pull-new/blobs/sha256");
	dir_at(p->path, "tmp/pull-old/blobs/sha256");
	grow_old(p, "tmp/pull-old/blobs/sha256");
	grow_old(p, "tmp/pull-old");
	grow_old(p, "tmp/pull-new"); /* only its blobs have changed since */
	write_at(p->path, "names/.localhost+web:latest.tmp", "half");
	assert_int_equal(store_open_locked(&p->store, p->path, false, &err), 0);
	assert_false(there(p, "tmp/123.4"));
	assert_true(there(p, "tmp/pull-0123") && there(p, "tmp/pull-new"));
	assert_false(there(p, "tmp/pull-old"));
	assert_false(there(p, "names/.localhost+web:latest.tmp"));
}

static void commit_and_names(void **state)
{
	struct place *p = *state;
	struct store_image image = { 0 };
	struct store_name was = { 0 };
	struct err err = { 0 };
	static const char web[] = "localhost/web:latest";

	assert_int_equal(store_find(p->path, web, &image, &err), -ENOENT);
	assert_int_equal(commit(p, ID("1"), "ab", "ab", &err), 0);
	assert_true(there(p, "layers/" CHAIN("a")) && there(p, "layers/" CHAIN("b")));
	/* Nobody sees it before it has a name, but by its id. */
	assert_int_equal(store_find(p->path, web, &image, &err), -ENOENT);
	assert_int_equal(store_name_set(&p->store, web, ID("1"), &was, &err), 0);
	assert_string_equal(was.id, "");
	assert_int_equal(store_find(p->path, web, &image, &err), 0);
	assert_string_equal(image.id, ID("1"));
	assert_int_equal(image.nlayers, 2);
	store_image_done(&image);
	assert_int_equal(store_find(p->path, "localhost/other@sha256:" ID("1"), &image, &err), 0);
	store_image_done(&image);

	/* A second one shares a layer; the first is its previous. */
	assert_int_equal(commit(p, ID("2"), "ac", "c", &err), 0);
	assert_int_equal(store_name_set(&p->store, web, ID("2"), &was, &err), 0);
	assert_string_equal(was.id, ID("1"));
	/* The same once more: its previous one stays. */
	assert_int_equal(commit(p, ID("2"), "ac", "ac", &err), 0);
	assert_int_equal(store_name_set(&p->store, web, ID("2"), &was, &err), 0);
	assert_int_equal(store_name_rollback(&p->store, web, &was, &err), 0);
	assert_string_equal(was.id, ID("1"));
	assert_string_equal(was.previous, ID("2"));

	/* One that lacks a layer is not taken in, and nothing of it stays. */
	assert_int_equal(commit(p, ID("3"), "ad", "", &err), -EUCLEAN);
	assert_non_null(strstr(err.text, "is missing"));
	assert_false(there(p, "images/" ID("3")));
	assert_int_equal(commit(p, ID("3"), "", "", &err), -EUCLEAN);

	assert_int_equal(store_name_remove(&p->store, web, &err), 0);
	assert_int_equal(store_name_remove(&p->store, web, &err), -ENOENT);
}

static void rollback_needs_a_previous_one(void **state)
{
	struct place *p = *state;
	struct store_name name = { 0 };
	struct err err = { 0 };

	assert_int_equal(store_name_rollback(&p->store, "a/b:c", &name, &err), -ENOENT);
	assert_int_equal(commit(p, ID("1"), "a", "a", &err), 0);
	assert_int_equal(store_name_set(&p->store, "a/b:c", ID("1"), NULL, &err), 0);
	assert_int_equal(store_name_rollback(&p->store, "a/b:c", &name, &err), -ENODATA);
}

static void gc(struct place *p, const struct store_pins *pins, size_t images, size_t layers)
{
	struct store_freed freed = { 0 };
	struct store_freed dry = { 0 };
	struct err err = { 0 };

	assert_int_equal(store_gc(&p->store, pins, true, &dry, &err), 0);
	assert_int_equal(store_gc(&p->store, pins, false, &freed, &err), 0);
	assert_int_equal(freed.images, images);
	assert_int_equal(freed.layers, layers);
	assert_memory_equal(&freed, &dry, sizeof freed);
}

static void what_is_needed_is_kept(void **state)
{
	struct place *p = *state;
	struct store_pin pin = { .id = ID("1"), .unit = "web.container" };
	const struct store_pins none = { 0 };
	const struct store_pins pinned = { &pin, 1 };
	struct err err = { 0 };
	struct store_freed freed = { 0 };

	for (int i = 0; i < 4; i++) {
		static const char *const all[] = { ID("1"), ID("2"), ID("3"), ID("4") };
		const char layers[] = { 'a', (char)('b' + i), '\0' };

		assert_int_equal(commit(p, all[i], layers, layers, &err), 0);
		assert_int_equal(store_name_set(&p->store, "a/b:c", all[i], NULL, &err), 0);
	}
	/* The name's own and the previous one; the first is pinned; the second was handed out. */
	store_hand_out(p->path, ID("2"));
	gc(p, &pinned, 0, 0);
	gc(p, &none, 1, 1);
	assert_false(there(p, "images/" ID("1")) || there(p, "layers/" CHAIN("b")));
	assert_true(there(p, "images/" ID("2")) && there(p, "layers/" CHAIN("c")));
	assert_true(there(p, "layers/" CHAIN("a")));

	/* An orphan of a cut import. */
	dir_at(p->path, "layers/" CHAIN("f") "/deep");
	gc(p, &none, 0, 1);
	assert_int_equal(store_trash_empty(&p->store, &err), 0);

	/* What a name means, or a named image needs, is not known: nothing goes. */
	dir_at(p->path, "layers/" CHAIN("e"));
	write_at(p->path, "names/a+b:x", "sha256:cut");
	assert_int_equal(store_gc(&p->store, &none, false, &freed, &err), -EUCLEAN);
	assert_non_null(strstr(err.text, "berth image rm a/b:x"));
	assert_int_equal(store_name_remove(&p->store, "a/b:x", &err), 0);
	write_at(p->path, "images/" ID("4") "/layers", "nonsense\n");
	assert_int_equal(store_gc(&p->store, &none, false, &freed, &err), -EUCLEAN);
	assert_non_null(strstr(err.text, "nothing is removed"));
	assert_true(there(p, "layers/" CHAIN("e")));
}

static void the_trash_is_emptied(void **state)
{
	struct place *p = *state;
	const struct store_pins none = { 0 };
	struct err err = { 0 };

	dir_at(p->path, "layers/" CHAIN("a") "/deep/er");
	gc(p, &none, 0, 1);
	/* The same name a second time, while the first is still there. */
	dir_at(p->path, "layers/" CHAIN("a") "/deep/er");
	gc(p, &none, 0, 1);
	assert_int_equal(store_trash_empty(&p->store, &err), 0);
	assert_int_equal(unlinkat(p->store.dir, "trash", AT_REMOVEDIR), 0); /* it is empty */
}

static void room(void **state)
{
	struct place *p = *state;
	struct err err = { 0 };

	assert_int_equal(store_room(&p->store, 0, &err), 0);
	assert_int_equal(store_room(&p->store, 1ULL << 60, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "1099511627776.0M are needed"));
	assert_non_null(strstr(err.text, "are missing"));
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references),
		cmocka_unit_test(texts_of_names),
		cmocka_unit_test(texts_of_layers),
		IN_PLACE(one_writer),
		IN_PLACE(the_half_done_is_swept),
		IN_PLACE(commit_and_names),
		IN_PLACE(rollback_needs_a_previous_one),
		IN_PLACE(what_is_needed_is_kept),
		IN_PLACE(the_trash_is_emptied),
		IN_PLACE(room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
