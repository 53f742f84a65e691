/*
 * berth-worker: one job on untrusted bytes, run by exec, with only what the job needs.
 *
 *	berth-worker unpack [--sync] ARCHIVE DIR
 *	berth-worker import [OPTION]... SOURCE DIR LAYERS	into the store (import.h)
 *	berth-worker verify-tree DIR		prints BYTES ENTRIES sha256:DIGEST (tree.h)
 *	berth-worker verify-file FILE		the same of a file's content
 *	berth-worker verify [KIND [NAME]]	an appliance file on standard input
 *	berth-worker extract BUNDLE DIR		its programs, of an appliance file on standard input
 *	berth-worker signature SIGNATURE KEY…	the signed file on standard input (signature.h)
 *	berth-worker pack FILE			a list of entries on standard input (pack.h)
 *	berth-worker cpio FILE			a list of files on standard input (cpio.h)
 *
 * Exit: 0; 1 and one line on stderr; 2 for a wrong command line.
 *
 * What a job works on is opened first; then everything is given away that it does not need
 * (confine.h), and only then a byte is looked at.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/worker/confine.h"
#include "images/worker/cpio.h"
#include "images/worker/import.h"
#include "images/worker/extract.h"
#include "images/worker/pack.h"
#include "images/worker/signature.h"
#include "images/worker/tree.h"
#include "images/worker/unpack.h"
#include "images/worker/verify.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"

/* zstd: 128 MiB window; xz -9: 64 MiB. */
#define MEMORY_MAX (768UL << 20)
/* Of an image's zstd window, or xz dictionary; [Supervisor] ImageMemory= says otherwise. */
#define WINDOW (8UL << 20)
/* Beside it: the ring, libarchive's buffers, what is remembered of contents and members. */
#define MEMORY_IMPORT (24UL << 20)

/* A job on what is open, and on files below one directory; -1: on none. */
static int confine_to(int write, struct err *err)
{
	const struct confinement how = {
		.memory = MEMORY_MAX, .files = true, .write = write, .reads = { -1, -1, -1 }
	};

	return confine(&how, err);
}

static int unpack_into(
	const char *archive_path, const char *dir_path, bool sync_it, struct err *err)
{
	own_fd archive = open(archive_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	own_fd dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (archive < 0)
		return err_sys(err, errno, "open it");
	if (dir < 0)
		return err_sys(err, errno, "open the directory %s", dir_path);
	/* Names are bytes; libarchive converts those of pax headers, which are UTF-8. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	r = confine_to(dir, err);
	if (r == 0)
		r = unpack(archive, dir, err);
	if (r == 0 && sync_it && syncfs(dir) < 0)
		r = err_sys(err, errno, "write it out");
	return r;
}

/* ---- the jobs ------------------------------------------------------------------------------------- */

static int job_unpack(int argc, char **argv, struct err *err)
{
	bool sync_it = argc > 0 && strcmp(argv[0], "--sync") == 0;

	if (argc != 2 + sync_it)
		return -EXDEV;
	if (unpack_into(argv[sync_it], argv[1 + sync_it], sync_it, err) < 0)
		return err_wrap(err, "unpack %s", argv[sync_it]);
	return 0;
}

static int job_verify(int argc, char **argv, struct err *err)
{
	int r;

	if (argc > 2)
		return -EXDEV;
	r = confine_to(-1, err);
	return r < 0 ? r
		     : verify(STDIN_FILENO, argc > 0 ? argv[0] : NULL, argc > 1 ? argv[1] : NULL,
			       err);
}

static int job_extract(int argc, char **argv, struct err *err)
{
	own_fd dir = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int r;

	if (argc != 2)
		return -EXDEV;
	if (dir < 0)
		return err_sys(err, errno, "open the directory %s", argv[1]);
	r = confine_to(dir, err);
	return r < 0 ? r : extract(STDIN_FILENO, argv[0], dir, err);
}

static int job_signature(int argc, char **argv, struct err *err)
{
	char text[16384];
	ssize_t n;
	int r;

	if (argc < 2)
		return -EXDEV;
	n = file_read_at(AT_FDCWD, argv[0], text, sizeof text);
	if (n < 0)
		return err_sys(err, (int)-n, "read the signature %s", argv[0]);
	r = confine_to(-1, err);
	if (r == 0)
		r = signature_check(STDIN_FILENO, text, argv + 1, (size_t)argc - 1, err);
	return r < 0 ? err_wrap(err, "signature %s", argv[0]) : 0;
}

/* Writes one new file out of the caller's own files: read as the caller may. */
static int job_pack(int argc, char **argv, struct err *err)
{
	const struct confinement how = { .memory = MEMORY_MAX };
	int r;

	if (argc != 1)
		return -EXDEV;
	r = confine(&how, err);
	if (r == 0)
		r = pack(stdin, argv[0], err);
	return r < 0 ? err_wrap(err, "pack %s", argv[0]) : 0;
}

/* The same. */
static int job_cpio(int argc, char **argv, struct err *err)
{
	const struct confinement how = { .memory = MEMORY_MAX };
	own_fd out = -1;
	int r;

	if (argc != 1)
		return -EXDEV;
	r = confine(&how, err);
	if (r < 0)
		return r;
	out = open(argv[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = out < 0 ? err_sys(err, errno, "make it") : cpio(stdin, out, err);
	return r < 0 ? err_wrap(err, "pack %s", argv[0]) : 0;
}

static int import_option(
	struct import *import, const char *name, const char *value, struct err *err)
{
	if (strcmp(name, "--ref") == 0) {
		import->wanted.ref = value;
		return 0;
	}
	if (strcmp(name, "--platform") == 0)
		return platform_parse(value, &import->wanted.platform, err);
	if (strcmp(name, "--memory") == 0)
		return num_bytes(value, &import->window) == 0
			       ? 0
			       : err_set(err, EINVAL, "--memory %s: write bytes, as 8M", value);
	return -EXDEV;
}

/* The descriptors are the caller's to close: import->source and so on, -1 where there is none. */
static int import_open(struct import *import, char **argv, struct err *err)
{
	const int dir = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

	import->source = strcmp(argv[0], "-") == 0
				 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
				 : open(argv[0], O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (import->source < 0)
		return err_sys(err, errno, "open it");
	import->dir = open(argv[1], dir);
	if (import->dir < 0)
		return err_sys(err, errno, "open the directory %s", argv[1]);
	import->layers = open(argv[2], dir);
	if (import->layers < 0)
		return err_sys(err, errno, "open the layers %s", argv[2]);
	import->images = openat(import->layers, "../images", dir | O_NOFOLLOW);
	return 0;
}

static bool is_dir(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static int import_confined(const struct import *import, struct err *err)
{
	const struct confinement how = {
		.memory = import->window < UINT64_MAX - MEMORY_IMPORT
				  ? MEMORY_IMPORT + import->window
				  : UINT64_MAX,
		.files = true,
		.write = import->dir,
		.reads = { import->layers, import->images,
			is_dir(import->source) ? import->source : -1 },
		.opaque = true,
		.background = true,
	};
	int r;

	/* Names are bytes; libarchive converts those of pax headers, which are UTF-8. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	r = confine(&how, err);
	return r < 0 ? r : import_run(import, err);
}

static int job_import(int argc, char **argv, struct err *err)
{
	struct import import = {
		.source = -1, .dir = -1, .layers = -1, .images = -1, .window = WINDOW
	};
	int r = 0;

	platform_host(&import.wanted.platform);
	for (; argc > 3 && r == 0; argc -= 2, argv += 2)
		r = import_option(&import, argv[0], argv[1], err);
	if (r < 0 || argc != 3)
		return r < 0 ? r : -EXDEV;
	r = import_open(&import, argv, err);
	if (r == 0)
		r = import_confined(&import, err);
	fd_close(&import.source);
	fd_close(&import.dir);
	fd_close(&import.layers);
	fd_close(&import.images);
	return r < 0 ? err_wrap(err, "import %s", argv[0]) : 0;
}

static int job_verify_tree(int argc, char **argv, struct err *err)
{
	own_fd dir = argc == 1 ? open(argv[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	const struct confinement how = {
		.memory = MEMORY_IMPORT,
		.files = true,
		.write = -1,
		.reads = { dir, -1, -1 },
		.opaque = true,
		.background = true,
	};
	char hex[DIGEST_HEX + 1];
	struct tree_count tree = { .bytes = 0 };
	int r;

	if (argc != 1)
		return -EXDEV;
	r = dir < 0 ? err_sys(err, errno, "open it") : confine(&how, err);
	if (r == 0)
		r = tree_digest(dir, NULL, false, &tree, err);
	if (r < 0)
		return err_wrap(err, "verify %s", argv[0]);
	digest_hex(tree.digest, hex);
	(void)printf("%" PRIu64 " %" PRIu64 " sha256:%s\n", tree.bytes, tree.entries, hex);
	return 0;
}

static int job_verify_file(int argc, char **argv, struct err *err)
{
	own_fd file =
		argc == 1 ? open(argv[0], O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
	uint8_t digest[SHA256_DIGEST_SIZE];
	char hex[DIGEST_HEX + 1];
	struct stat st = { 0 };
	int r;

	if (argc != 1)
		return -EXDEV;
	r = file < 0 || fstat(file, &st) < 0 ? err_sys(err, errno, "open it") : confine_to(-1, err);
	if (r == 0)
		r = digest_range(file, 0, (uint64_t)st.st_size, digest, err);
	if (r < 0)
		return err_wrap(err, "verify %s", argv[0]);
	digest_hex(digest, hex);
	(void)printf("%" PRIu64 " 1 sha256:%s\n", (uint64_t)st.st_size, hex);
	return 0;
}

/* -EXDEV, which none of them meets: the words are wrong. */
static const struct {
	const char *name;
	int (*run)(int argc, char **argv, struct err *err);
	const char *usage;
} jobs[] = {
	{ "unpack", job_unpack, "[--sync] ARCHIVE DIR" },
	{ "import", job_import,
		"[--platform OS/ARCH[/VARIANT]] [--ref NAME] [--memory BYTES] SOURCE DIR LAYERS" },
	{ "verify", job_verify, "[KIND [NAME]] <FILE" },
	{ "verify-tree", job_verify_tree, "DIR" },
	{ "verify-file", job_verify_file, "FILE" },
	{ "extract", job_extract, "BUNDLE DIR <FILE" },
	{ "signature", job_signature, "SIGNATURE KEY… <FILE" },
	{ "pack", job_pack, "FILE <LIST" },
	{ "cpio", job_cpio, "FILE <LIST" },
};

enum { NJOBS = sizeof jobs / sizeof jobs[0] };

int main(int argc, char **argv)
{
	struct err err = { 0 };
	int r = -EXDEV;

	(void)umask(0);
	(void)signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < NJOBS && argc > 1; i++)
		if (strcmp(argv[1], jobs[i].name) == 0)
			r = jobs[i].run(argc - 2, argv + 2, &err);
	if (r == -EXDEV) {
		for (int i = 0; i < NJOBS; i++)
			(void)fprintf(
				stderr, "usage: berth-worker %s %s\n", jobs[i].name, jobs[i].usage);
		return 2;
	}
	if (r < 0)
		(void)fprintf(stderr, "berth-worker: %s\n", err.text);
	return r < 0;
}
