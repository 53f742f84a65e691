/* What builders make and share, many at a time: small files, volumes. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/base/err.h"
#include "supervisor/base/path.h"
#include "supervisor/runtime/tree.h"
#include "supervisor/runtime/volume.h"

enum { BUILDERS = 4, TEXTS = 200 };

static int write_all(const char *dir)
{
	for (int i = 0; i < TEXTS; i++) {
		struct err err = { 0 };
		char path[300];
		char text[20];
		int fd;

		(void)snprintf(text, sizeof text, "text %d\n", i);
		if (volume_shared_text(dir, NULL, text, path, sizeof path, &err) < 0) {
			(void)fprintf(stderr, "%s\n", err.text);
			return 1;
		}
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return 1;
		(void)close(fd);
	}
	return 0;
}

/* As a builder is: process 1 of a pid namespace, where there may be one. */
static int run_builder(const char *dir)
{
	int status = 0;
	pid_t pid;

	(void)unshare(CLONE_NEWUSER | CLONE_NEWPID);
	pid = fork();
	if (pid == 0)
		_exit(write_all(dir));
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
}

static void test_shared_text(void **state)
{
	char dir[] = "/tmp/berth-test-XXXXXX";
	pid_t pids[BUILDERS];
	char etc[100];
	int status = 0;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (int i = 0; i < BUILDERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			_exit(run_builder(dir));
	}
	for (int i = 0; i < BUILDERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	/* Each once, and nothing half-made beside them. */
	(void)snprintf(etc, sizeof etc, "%s/etc", dir);
	assert_int_equal(chdir(etc), 0);
	pid = fork();
	if (pid == 0) {
		(void)execl("/bin/sh", "sh", "-c",
			"test \"$(ls -A | wc -l)\" = 200 && cd / && rm -r \"$1\"", "sh", dir,
			(char *)NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- trees and volumes -------------------------------------------------------------------------- */

/* A shell in the directory: what it says is wrong fails the test. */
static void sh(const char *dir, const char *script)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (chdir(dir) == 0)
			(void)execl("/bin/sh", "sh", "-euc", script, (char *)NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("this failed: %s", script);
}

struct place {
	char dir[40];
	char source[60];
	int rootfd;
};

static void place_open(struct place *place, const char *script)
{
	char root[60];

	/* Where a sync waits for no disk. */
	(void)snprintf(place->dir, sizeof place->dir, "%s/berth-test-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(place->dir));
	(void)snprintf(place->source, sizeof place->source, "%s/volumes/data", place->dir);
	sh(place->dir, "mkdir root");
	(void)snprintf(root, sizeof root, "%s/root", place->dir);
	sh(root, script);
	place->rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(place->rootfd >= 0);
}

static void place_close(struct place *place)
{
	(void)close(place->rootfd);
	assert_int_equal(path_remove_tree(AT_FDCWD, place->dir), 0);
}

static const char content[] =
	"mkdir -p srv/deep; echo one >srv/file; chmod 4751 srv/file; chmod 2750 srv;"
	"ln -s /etc/passwd srv/link; ln -s ../../.. srv/deep/up; mkfifo srv/pipe;"
	"touch -d '2020-01-02 03:04:05' srv/file srv/deep";

static struct mount_spec volume_spec(const struct place *place)
{
	return (struct mount_spec){
		.kind = MOUNT_VOLUME, .source = place->source, .target = "/srv", .copy_up = true
	};
}

static int ensure(const struct place *place, const struct mount_spec *mount)
{
	const struct ids ids = { .uid = getuid(), .gid = getgid() };
	struct err err = { 0 };
	int fd = volume_ensure(mount, place->rootfd, &ids, &err);

	if (fd < 0)
		print_error("%s\n", err.text);
	else
		(void)close(fd);
	return fd < 0 ? fd : 0;
}

static void is_copied(const struct place *place)
{
	sh(place->dir,
		"cd volumes; test \"$(ls -A)\" = data; cd data;"
		"test \"$(stat -c %a .)\" = 2750; test \"$(cat file)\" = one;"
		"test \"$(stat -c %a file)\" = 4751; test \"$(readlink link)\" = /etc/passwd;"
		"test \"$(readlink deep/up)\" = ../../..; test ! -e pipe;"
		"test \"$(date -r file +%Y)$(date -r deep +%Y)\" = 20202020;"
		"test \"$(ls -A | wc -l)\" = 3");
}

static void test_new_volume(void **state)
{
	struct place place;
	struct mount_spec mount;

	(void)state;
	place_open(&place, content);
	mount = volume_spec(&place);
	assert_int_equal(ensure(&place, &mount), 0);
	is_copied(&place);
	/* What is there now is the volume's own. */
	sh(place.source, "rm -r deep; echo two >file");
	assert_int_equal(ensure(&place, &mount), 0);
	sh(place.source, "test ! -e deep; test \"$(cat file)\" = two");
	place_close(&place);
}

static void test_xattrs(void **state)
{
	struct place place;
	struct mount_spec mount;
	char path[120];
	char value[8] = "";

	(void)state;
	place_open(&place, content);
	mount = volume_spec(&place);
	(void)snprintf(path, sizeof path, "%s/root/srv/file", place.dir);
	if (setxattr(path, "user.test", "yes", 3, 0) < 0) {
		place_close(&place);
		skip();
	}
	assert_int_equal(ensure(&place, &mount), 0);
	(void)snprintf(path, sizeof path, "%s/file", place.source);
	assert_int_equal(getxattr(path, "user.test", value, sizeof value), 3);
	assert_string_equal(value, "yes");
	place_close(&place);
}

/* What the death of a builder can leave: half a volume beside, half a copy or a whole one inside. */
static void test_cut_off(void **state)
{
	static const char *const leavings[] = {
		"mkdir -p volumes/.data.new/deep; echo half >volumes/.data.new/file",
		"mkdir -p volumes/data/.berth-copy.new; echo half "
		">volumes/data/.berth-copy.new/file",
		"mkdir -p volumes/data; cp -a root/srv volumes/data/.berth-copy;"
		"rm volumes/data/.berth-copy/pipe; chmod 2750 volumes/data;"
		"mv volumes/data/.berth-copy/file volumes/data/",
		"mkdir -p volumes/data; chmod 2750 volumes/data; cp -a root/srv/* volumes/data/;"
		"rm volumes/data/pipe; mkdir volumes/data/.berth-copy",
		"mkdir -p volumes/data/lost+found; rmdir volumes/data/lost+found",
	};

	(void)state;
	for (size_t i = 0; i < sizeof leavings / sizeof leavings[0]; i++) {
		struct place place;
		struct mount_spec mount;

		place_open(&place, content);
		mount = volume_spec(&place);
		sh(place.dir, leavings[i]);
		assert_int_equal(ensure(&place, &mount), 0);
		is_copied(&place);
		place_close(&place);
	}
}

/* An image where the target is a link to / or leads out of it, or nothing. */
static void test_nothing_to_copy(void **state)
{
	static const char *const roots[] = { "ln -s / srv", "ln -s ../../../.. srv", "true",
		"echo file >srv", "ln -s /nowhere srv" };

	(void)state;
	for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
		struct place place;
		struct mount_spec mount;

		place_open(&place, roots[i]);
		mount = volume_spec(&place);
		assert_int_equal(ensure(&place, &mount), 0);
		assert_int_equal(ensure(&place, &mount), 0);
		sh(place.dir, "test -z \"$(ls -A volumes/data)\"");
		place_close(&place);
	}
}

/* Siblings that share it begin at the same moment: each sees all of it, none waits for ever. */
static void test_together(void **state)
{
	for (int kind = 0; kind < 2; kind++) {
		struct place place;
		struct mount_spec mount;
		pid_t pids[BUILDERS];
		int status = 0;

		(void)state;
		place_open(
			&place, "mkdir -p srv/d; for i in $(seq 300); do echo $i >srv/d/$i; done");
		mount = volume_spec(&place);
		if (kind)
			sh(place.dir, "mkdir -p volumes/data");
		for (int i = 0; i < BUILDERS; i++) {
			pids[i] = fork();
			if (pids[i] == 0) {
				int r = ensure(&place, &mount);

				sh(place.source, "test \"$(ls -A . d | wc -l)\" = 304");
				_exit(r == 0 ? 0 : 1);
			}
		}
		for (int i = 0; i < BUILDERS; i++) {
			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_int_equal(status, 0);
		}
		place_close(&place);
	}
}

/* A removal takes the name first; what is left of one, or of a builder that died, is swept, and what
 * somebody is still at is not. */
static void test_remove(void **state)
{
	struct err err = { 0 };
	struct place place;
	char volumes[60];
	char live[80];
	int fd;

	(void)state;
	place_open(&place, "true");
	(void)snprintf(volumes, sizeof volumes, "%s/volumes", place.dir);
	assert_int_equal(volume_sweep(volumes, &err), 0);
	sh(place.dir,
		"mkdir -p volumes/data/a/b volumes/.data.trash/old; echo x >volumes/data/a/b/c");
	fd = open(place.source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	assert_int_equal(volume_remove(place.source, &err), -EBUSY);
	sh(place.dir, "test -f volumes/data/a/b/c");
	(void)close(fd);
	assert_int_equal(volume_remove(place.source, &err), 0);
	sh(place.dir, "test -z \"$(ls -A volumes)\"");
	assert_int_equal(volume_remove(place.source, &err), -ENOENT);

	sh(place.dir,
		"mkdir -p volumes/.a.new/x volumes/.b.trash/x volumes/.c.new/x volumes/.other d; "
		"ln -s ../d volumes/.d.new; touch d/file; mkdir volumes/data");
	(void)snprintf(live, sizeof live, "%s/.c.new", volumes);
	fd = open(live, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(volume_sweep(volumes, &err), 0);
	(void)close(fd);
	sh(place.dir, "test \"$(ls -A volumes | tr '\\n' ' ')\" = '.c.new .d.new .other data '; "
		      "test -f d/file");
	place_close(&place);
}

/* Needs root: links are not followed, what is not ours is not touched. */
static void test_chown(void **state)
{
	struct place place;
	int fd;

	(void)state;
	if (getuid() != 0)
		skip();
	place_open(&place, "mkdir -p in/a/b out; echo x >out/file; ln -s ../out/file in/link;"
			   "ln -s ../out in/a/dir; echo y >in/a/b/own");
	fd = openat(place.rootfd, "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(tree_chown(fd, 70, 80), 0);
	(void)close(fd);
	sh(place.dir,
		"cd root; test \"$(stat -c %u:%g in in/a in/a/b/own in/link in/a/dir | sort -u)\""
		" = 70:80; test \"$(stat -c %u out out/file | sort -u)\" = 0");
	place_close(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared_text),
		cmocka_unit_test(test_new_volume),
		cmocka_unit_test(test_xattrs),
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_nothing_to_copy),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_chown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
