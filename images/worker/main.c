/*
 * berth-worker: one job on untrusted bytes, run by exec, with only what the job needs.
 *
 *	berth-worker unpack [--sync] ARCHIVE DIR
 *	berth-worker import [OPTION]... SOURCE DIR LAYERS	into the store (import.h)
 *	berth-worker verify-tree DIR		prints BYTES ENTRIES sha256:DIGEST (tree.h)
 *	berth-worker verify [KIND [NAME]]	an appliance file on standard input
 *	berth-worker extract BUNDLE DIR		its programs, of an appliance file on standard input
 *	berth-worker signature SIGNATURE KEY…	the signed file on standard input (signature.h)
 *	berth-worker pack FILE			a list of entries on standard input (pack.h)
 *	berth-worker cpio FILE			a list of files on standard input (cpio.h)
 *
 * Exit: 0; 1 and one line on stderr; 2 for a wrong command line.
 *
 * To unpack, the archive and the directory are opened first; then everything is given away that is not needed
 * for writing files below the directory: capabilities but those for owners, modes and file
 * capabilities, new privileges, memory beyond what the largest decoder takes, and, where the kernel
 * has Landlock, the rest of the file system.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "images/worker/cpio.h"
#include "images/worker/import.h"
#include "images/worker/extract.h"
#include "images/worker/pack.h"
#include "images/worker/signature.h"
#include "images/worker/tree.h"
#include "images/worker/unpack.h"
#include "images/worker/verify.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"

/* zstd: 128 MiB window; xz -9: 64 MiB. The list of directories of the largest archive fits too. */
#define MEMORY_MAX (768UL << 20)

#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = 1 }; /* its shadow needs the address space, its leak check /proc */
#else
enum { SANITIZED = 0 };
#endif

static const int kept_capabilities[] = {
	CAP_CHOWN,
	CAP_DAC_OVERRIDE,
	CAP_FOWNER,
	CAP_FSETID,
	CAP_SETFCAP,
};

static int capabilities_drop(bool keep_some, struct err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return err_sys(err, errno, "read the capabilities");
	for (int half = 0; half < 2; half++) {
		unsigned keep = 0;

		for (size_t i = 0; i < sizeof kept_capabilities / sizeof kept_capabilities[0]; i++)
			if (keep_some && kept_capabilities[i] / 32 == half)
				keep |= 1U << (kept_capabilities[i] % 32);
		data[half].effective = data[half].permitted &= keep;
		data[half].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, data) < 0)
		return err_sys(err, errno, "drop capabilities");
	return 0;
}

/*
 * Landlock: writing below the directory, and nothing else. Version 1 (5.13) forbids hard links
 * between directories, which archives have: it takes version 2 (5.19).
 */
static int landlock(int dir, struct err *err)
{
	/* All rights of version 2, the 14 lowest bits, but to execute, which nobody needs. */
	const struct landlock_ruleset_attr attr = { .handled_access_fs = (1U << 14) - 1 };
	const struct landlock_path_beneath_attr beneath = {
		.allowed_access = attr.handled_access_fs & ~(__u64)LANDLOCK_ACCESS_FS_EXECUTE,
		.parent_fd = dir,
	};
	own_fd rules = -1;

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 2)
		return 0;
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	if (rules < 0 ||
		(dir >= 0 && syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH,
				     &beneath, 0) < 0) ||
		syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		return err_sys(err, errno, "landlock");
	return 0;
}

static int limit(struct err *err)
{
	const struct rlimit memory = { MEMORY_MAX, MEMORY_MAX };
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "no_new_privs");
	(void)setrlimit(RLIMIT_CORE, &none);
	if (!SANITIZED && setrlimit(RLIMIT_AS, &memory) < 0)
		return err_sys(err, errno, "limit the memory");
	return 0;
}

/* `dir`: what may be written below it; -1: nothing, and nothing read but what is open. */
static int confine(int dir, struct err *err)
{
	int r = limit(err);

	if (r == 0 && !SANITIZED)
		r = landlock(dir, err);
	return r < 0 ? r : capabilities_drop(dir >= 0, err);
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
	r = confine(dir, err);
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
	r = confine(-1, err);
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
	r = confine(dir, err);
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
	r = confine(-1, err);
	if (r == 0)
		r = signature_check(STDIN_FILENO, text, argv + 1, (size_t)argc - 1, err);
	return r < 0 ? err_wrap(err, "signature %s", argv[0]) : 0;
}

/* Writes one new file out of the caller's own files: read as the caller may. */
static int job_write(int argc, char **argv, int (*write_it)(FILE *list, int out, struct err *err),
	struct err *err)
{
	own_fd out = -1;
	int r;

	if (argc != 1)
		return -EXDEV;
	r = limit(err);
	if (r < 0)
		return r;
	out = open(argv[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = out < 0 ? err_sys(err, errno, "make it") : write_it(stdin, out, err);
	return r < 0 ? err_wrap(err, "pack %s", argv[0]) : 0;
}

static int job_pack(int argc, char **argv, struct err *err)
{
	return job_write(argc, argv, pack, err);
}

static int job_cpio(int argc, char **argv, struct err *err)
{
	return job_write(argc, argv, cpio, err);
}

static int job_import(int argc, char **argv, struct err *err)
{
	struct import import = { .images = -1 };
	own_fd source = -1, dir = -1, layers = -1, images = -1;
	int r;

	platform_host(&import.wanted.platform);
	for (; argc > 3; argc -= 2, argv += 2) {
		if (strcmp(argv[0], "--ref") == 0)
			import.wanted.ref = argv[1];
		else if (strcmp(argv[0], "--platform") != 0)
			return -EXDEV;
		else if (platform_parse(argv[1], &import.wanted.platform) < 0)
			return err_set(
				err, EINVAL, "--platform %s: write OS/ARCH[/VARIANT]", argv[1]);
	}
	if (argc != 3)
		return -EXDEV;
	source = open(argv[0], O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (source < 0)
		return err_sys(err, errno, "open %s", argv[0]);
	dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, errno, "open the directory %s", argv[1]);
	layers = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (layers < 0)
		return err_sys(err, errno, "open the layers %s", argv[2]);
	images = openat(layers, "../images", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	import.source = source;
	import.dir = dir;
	import.layers = layers;
	import.images = images;
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	r = limit(err);
	if (r == 0)
		r = import_run(&import, err);
	return r < 0 ? err_wrap(err, "import %s", argv[0]) : 0;
}

static int job_verify_tree(int argc, char **argv, struct err *err)
{
	char hex[DIGEST_HEX + 1];
	struct tree_count tree;
	own_fd dir = -1;
	int r;

	if (argc != 1)
		return -EXDEV;
	dir = open(argv[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = dir < 0 ? err_sys(err, errno, "open it") : limit(err);
	if (r == 0)
		r = tree_digest(dir, NULL, false, &tree, err);
	if (r < 0)
		return err_wrap(err, "verify %s", argv[0]);
	digest_hex(tree.digest, hex);
	(void)printf("%" PRIu64 " %" PRIu64 " sha256:%s\n", tree.bytes, tree.entries, hex);
	return 0;
}

/* -EXDEV, which none of them meets: the words are wrong. */
static const struct {
	const char *name;
	int (*run)(int argc, char **argv, struct err *err);
	const char *usage;
} jobs[] = {
	{ "unpack", job_unpack, "[--sync] ARCHIVE DIR" },
	{ "import", job_import, "[--platform OS/ARCH[/VARIANT]] [--ref NAME] SOURCE DIR LAYERS" },
	{ "verify", job_verify, "[KIND [NAME]] <FILE" },
	{ "verify-tree", job_verify_tree, "DIR" },
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
