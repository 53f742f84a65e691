/*
 * hang MOUNTPOINT: a file system that never answers, for the test of a volume on a dead server.
 *
 * It takes every getattr request and keeps it. Who asked sleeps in the kernel, deaf even to SIGKILL
 * once the request was taken, until this process dies: then all of them get ENOTCONN. It runs in the
 * foreground and prints one line when the file system is mounted.
 *
 * hang -a MOUNTPOINT: it answers, that there is an empty directory, and goes into the background.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void *hang_init(struct fuse_conn_info *conn, struct fuse_config *config)
{
	(void)conn;
	(void)config;
	puts("mounted");
	(void)fflush(stdout);
	return NULL;
}

static _Noreturn void keep_the_request(void)
{
	for (;;)
		(void)pause();
}

static int hang_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)path;
	(void)st;
	(void)fi;
	keep_the_request();
}

static int empty_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)fi;
	if (path[1])
		return -ENOENT;
	st->st_mode = S_IFDIR | 0755;
	st->st_nlink = 2;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct fuse_operations operations = {
		.init = hang_init,
		.getattr = hang_getattr,
	};
	static const struct fuse_operations empty = { .getattr = empty_getattr };
	char foreground[] = "-f", one_thread[] = "-s", for_all[] = "-oallow_other";
	char *arguments[] = { argv[0], foreground, one_thread, for_all, argv[argc - 1] };

	if (argc == 3 && strcmp(argv[1], "-a") == 0) {
		arguments[1] = for_all;
		arguments[3] = argv[2];
		return fuse_main(4, arguments, &empty, NULL);
	}
	if (argc != 2) {
		(void)fprintf(stderr, "usage: hang [-a] MOUNTPOINT\n");
		return 2;
	}
	return fuse_main(5, arguments, &operations, NULL);
}
