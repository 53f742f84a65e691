/*
 * `berth pack`: one executable file out of a program, a configuration and the images that its units
 * name. The configuration is checked as `berth check` does it, images that are trees become erofs by
 * mkfs.erofs, and berth-worker writes the file: images/bundle.h has its shape. What is made on the way
 * lies beside the output, in a directory that goes at the end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/print.h"
#include "config/unit.h"
#include "images/bundle.h"
#include "images/rootfs.h"
#include "images/work.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"
#include "supervisor/cmd/appliance.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/initramfs.h"
#include "supervisor/cmd/pack_bundle.h"
#include "supervisor/cmd/progress.h"
#include "supervisor/cmd/show.h"
#include "supervisor/runtime/seal.h"

enum { PATH_SIZE = 4096, IMAGES_MAX = 256, DEPTH_MAX = 8, LINKS_MAX = 64 };
enum {
	OPT_IMAGES = CMD_OPT_OWN,
	OPT_IMAGE,
	OPT_STUB,
	OPT_COMPRESS,
	OPT_INITRAMFS,
	OPT_KERNEL,
	OPT_MODULES,
	OPT_MODULE,
	OPT_SYSROOT,
	OPT_BUNDLE,
	OPT_FETCH,
	OPT_JSON,
};

/* The same for every file system: one input gives one output. */
#define EROFS_UUID "-U62657274-6800-4000-8000-000000000000"

struct packer {
	const char *stub, *out;
	const char *compress; /* an algorithm of mkfs.erofs; NULL: none */
	struct arena arena;
	struct strv image_dirs;
	struct strv images;           /* the references that are in the list */
	char tmp[PATH_SIZE];          /* beside the output; "": not made */
	char whole[PATH_SIZE];        /* the output until it is whole */
	bool own_mounts;              /* we are in a mount namespace of our own */
	FILE *list;                   /* for berth-worker: images/worker/pack.h */
	char worker[PATH_SIZE];       /* that goes into it */
	bool fetches;                 /* the box is to pull images itself */
	char fetch[PATH_SIZE];        /* berth-fetch, which goes into it then */
	const char *links[LINKS_MAX]; /* --image REF=PATH */
	size_t nlinks;
	const char *bundles[LINKS_MAX]; /* --bundle NAME=PROGRAM */
	size_t nbundles;
	bool as_initramfs;
	bool json;
	struct progress progress;
	struct initramfs initramfs;
};

/* ---- the list ------------------------------------------------------------------------------------- */

static int list_add(
	struct packer *p, const char *kind, const char *name, const char *path, struct err *err)
{
	if (strchr(path, '\n') || bundle_name_check(name) < 0)
		return err_set(err, EINVAL,
			"%s %s: in an appliance file a name has no blank and no \"..\": rename it",
			kind, name);
	if (fprintf(p->list, "%s\n%s\n%s\n", kind, name, path) < 0)
		return err_sys(err, errno, "write the list of entries");
	return 0;
}

/* "-" for what has no name: the program. */
static int list_program(struct packer *p, struct err *err)
{
	int r = list_add(p, "stub", "-", p->stub, err);

	if (r == 0)
		r = list_add(p, "program", "berth-worker", p->worker, err);
	return r < 0 || !p->fetches ? r : list_add(p, "program", "berth-fetch", p->fetch, err);
}

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void free_entries(struct dirent **entries, int n)
{
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free((void *)entries);
}

/* Every file below `dir`, in the order of the names; `prefix` is what they are called by. */
static int list_config(
	struct packer *p, const char *dir, const char *prefix, unsigned depth, struct err *err)
{
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, not_hidden, alphasort);
	int r = n < 0 ? err_sys(err, errno, "read the directory %s", dir) : 0;

	for (int i = 0; i < n && r == 0; i++) {
		char path[PATH_SIZE];
		char name[PATH_SIZE];
		struct stat st;

		if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name) >=
				sizeof path ||
			(size_t)snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "/" : "",
				entries[i]->d_name) >= sizeof name)
			r = err_sys(err, ENAMETOOLONG, "%s/%s", dir, entries[i]->d_name);
		else if (stat(path, &st) < 0)
			r = err_sys(err, errno, "read %s", path);
		else if (S_ISREG(st.st_mode))
			r = list_add(p, "config", name, path, err);
		else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
			r = list_config(p, path, name, depth + 1, err);
	}
	if (n >= 0)
		free_entries(entries, n);
	return r;
}

/* ---- images --------------------------------------------------------------------------------------- */

static int make_erofs(
	struct packer *p, const char *image, const char *tree, const char *to, struct err *err)
{
	struct work work = {
		.program = "mkfs.erofs",
		.words = { "-d1", "-x2", EROFS_UUID },
		.in = -1,
		.by_path = true,
	};
	struct work_step step = { .what = image };
	char compress[64];
	int words = 3;
	int r;

	progress_step(&p->progress, &step);

	if (p->compress) {
		(void)snprintf(compress, sizeof compress, "-z%s", p->compress);
		work.words[words++] = compress;
	}
	work.words[words++] = to;
	work.words[words++] = tree;
	r = work_run(&work, err);
	return r < 0 ? err_wrap(err,
			       "image %s: make it an erofs image with mkfs.erofs (package "
			       "erofs-utils)",
			       image)
		     : 0;
}

/* Owners of files can only be kept by root. */
static int unpack_tar(struct packer *p, const struct root_spec *root, char *ret, struct err *err)
{
	const struct work work = {
		.program = appliance_worker(), .words = { "unpack", root->path, ret }, .in = -1
	};

	if (geteuid() != 0)
		return err_set(err, EPERM,
			"image %s: unpack %s: only root can give files the owners that are in an "
			"archive: run this as root, or give the image as .erofs or .squashfs",
			root->image, root->path);
	(void)snprintf(ret, PATH_SIZE, "%.3900s/%zu.tree", p->tmp, p->images.n);
	if (mkdir(ret, 0755) < 0)
		return err_sys(err, errno, "mkdir %s", ret);
	return work_run(&work, err);
}

/* An image of the store is looked at as a container would, from a mount namespace of our own: its
 * mounts go with us. */
static int layers_tree(struct packer *p, const struct root_spec *root, char *ret, struct err *err)
{
	struct root_spec view = *root;
	int r;

	if (geteuid() != 0)
		return err_set(err, EPERM,
			"image %s: lay its layers over each other: only root can mount: run this "
			"as root, or give the image as .erofs or .squashfs",
			root->image);
	if (!p->own_mounts &&
		(unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
		return err_sys(err, errno, "make a mount namespace");
	p->own_mounts = true;
	(void)snprintf(ret, PATH_SIZE, "%.3900s/%zu.tree", p->tmp, p->images.n);
	if (mkdir(ret, 0755) < 0)
		return err_sys(err, errno, "mkdir %s", ret);
	view.readonly = true;
	r = rootfs_mount(&view, root->path, ret, err);
	return r < 0 ? err_wrap(err, "image %s", root->image) : 0;
}

static int list_image(struct packer *p, const struct root_spec *root, struct err *err)
{
	const char *file = root->path;
	const char *kind = "image";
	char made[PATH_SIZE];
	char tree[PATH_SIZE];
	int r = 0;

	if (strv_has(&p->images, root->image))
		return 0;
	if (strv_add(&p->images, &p->arena, root->image) < 0)
		return err_sys(err, ENOMEM, "pack");
	if (root->tag && !root->id)
		return err_set(err, EINVAL,
			"image %s: it lies in the payload of an appliance: give its own file or "
			"tree",
			root->image);
	(void)snprintf(tree, sizeof tree, "%s", root->path);
	if (root->kind == ROOT_TAR)
		r = unpack_tar(p, root, tree, err);
	else if (root->kind == ROOT_LAYERS)
		r = layers_tree(p, root, tree, err);
	if (r == 0 && root->kind != ROOT_FILE) {
		(void)snprintf(made, sizeof made, "%.3900s/%zu.erofs", p->tmp, p->images.n);
		r = make_erofs(p, root->image, tree, made, err);
		file = made;
		kind = "+image"; /* ours to give away: images/worker/pack.h */
	}
	if (root->kind == ROOT_LAYERS)
		(void)umount2(tree, MNT_DETACH);
	if (r == 0)
		r = list_add(p, kind, root->image, file, err);
	if (r == 0 && root->config)
		r = list_add(p, "image-config", root->image, root->config, err);
	return r;
}

static int list_images(struct packer *p, const struct unit_set *set, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < set->nunits && r == 0; i++) {
		const struct container_spec *spec = set->units[i].spec;

		/* One that is not there is pulled by the box. */
		if (spec && spec->root.image && spec->root.kind != ROOT_NONE)
			r = list_image(p, &spec->root, err);
	}
	return r;
}

static int list_bundled(void *data, const char *name, const char *path, struct err *err)
{
	return list_add(data, "program", name, path, err);
}

/* --image REF=PATH: a link of the reference's name, in a directory that is searched first. */
static int image_link(struct packer *p, const char *text, struct err *err)
{
	const char *equals = strchr(text, '=');
	const char *path = equals ? equals + 1 : NULL;
	const char *ending = "";
	char link[PATH_SIZE];
	char whole[PATH_SIZE];
	char *slash;

	if (!equals || equals == text || !realpath(path, whole))
		return err_set(
			err, EINVAL, "--image %s: REF=PATH is expected, and PATH to exist", text);
	/* What it is, is told by its ending. */
	if (strrchr(whole, '.') && !strchr(strrchr(whole, '.'), '/') &&
		(str_ends(whole, ".erofs") || str_ends(whole, ".squashfs") ||
			strstr(strrchr(whole, '/'), ".tar")))
		ending = str_ends(whole, ".erofs")      ? ".erofs"
			 : str_ends(whole, ".squashfs") ? ".squashfs"
							: ".tar";
	if ((size_t)snprintf(link, sizeof link, "%s/images/%.*s%s", p->tmp, (int)(equals - text),
		    text, ending) >= sizeof link)
		return err_sys(err, ENAMETOOLONG, "--image %s", text);
	slash = strrchr(link, '/');
	*slash = '\0';
	if (path_mkdirs(link, 0700) < 0)
		return err_sys(err, errno, "mkdir %s", link);
	*slash = '/';
	return symlink(whole, link) < 0 ? err_sys(err, errno, "link %s", link) : 0;
}

/* ---- the file ------------------------------------------------------------------------------------- */

/* The directory of the path, opened, and the name in it. */
static int parent_open(const char *path, const char **ret_name)
{
	char dir[PATH_SIZE];
	const char *slash = strrchr(path, '/');

	*ret_name = slash ? slash + 1 : path;
	(void)snprintf(
		dir, sizeof dir, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
	return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The appliance becomes what a kernel boots; the whole is then that. */
static int wrap(struct packer *p, struct err *err)
{
	char out[PATH_SIZE];
	int r;

	(void)snprintf(out, sizeof out, "%.4000s/initramfs", p->tmp);
	p->initramfs.appliance = p->whole;
	p->initramfs.worker = p->worker;
	p->initramfs.fetch = p->fetches ? p->fetch : NULL;
	p->initramfs.tmp = p->tmp;
	p->initramfs.out = out;
	r = initramfs_make(&p->initramfs, &p->arena, err);
	if (r == 0)
		(void)snprintf(p->whole, sizeof p->whole, "%s", out);
	return r;
}

static int write_out(struct packer *p, struct err *err)
{
	struct work work = { .program = appliance_worker(),
		.words = { "pack", p->whole },
		.step = progress_step,
		.context = &p->progress };
	const char *name;
	own_fd dir = parent_open(p->out, &name);
	int r;

	if (fflush(p->list) != 0 || fseek(p->list, 0, SEEK_SET) != 0)
		return err_sys(err, errno, "write the list of entries");
	work.in = fileno(p->list);
	r = work_run(&work, err);
	if (r == 0 && p->as_initramfs)
		r = wrap(p, err);
	if (r == 0 && (rename(p->whole, p->out) < 0 || dir < 0 || fsync(dir) < 0))
		r = err_sys(err, errno, "put %s in its place", p->out);
	return r;
}

static int begin(struct packer *p, struct err *err)
{
	char list[PATH_SIZE + 8];

	if ((size_t)snprintf(p->tmp, sizeof p->tmp, "%s.XXXXXX", p->out) >= sizeof p->tmp - 32)
		return err_sys(err, ENAMETOOLONG, "%s", p->out);
	if (!mkdtemp(p->tmp)) {
		int code = errno;

		p->tmp[0] = '\0';
		return err_sys(err, code, "make a directory beside %s", p->out);
	}
	(void)snprintf(p->whole, sizeof p->whole, "%.4000s/whole", p->tmp);
	(void)snprintf(list, sizeof list, "%s/list", p->tmp);
	p->list = fopen(list, "w+e");
	return p->list ? 0 : err_sys(err, errno, "make %s", list);
}

static void end(struct packer *p)
{
	const char *name;
	own_fd dir = -1;

	if (p->list)
		(void)fclose(p->list);
	dir = p->tmp[0] ? parent_open(p->tmp, &name) : -1;
	if (dir >= 0)
		(void)path_remove_tree(dir, name);
	arena_done(&p->arena);
}

/* Beside the program, as it is when built, or where it is installed. */
static int stub_companion(const char *stub, const char *name, char *ret, struct err *err)
{
	static const char *const places[] = { "", "../libexec/" };
	const char *slash = strrchr(stub, '/');

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		(void)snprintf(ret, PATH_SIZE, "%.*s%s%s", slash ? (int)(slash - stub + 1) : 0,
			stub, places[i], name);
		if (access(ret, R_OK) == 0)
			return 0;
	}
	return err_set(err, ENOENT,
		"%s is neither beside %s nor in ../libexec: put it there, it goes into the file",
		name, stub);
}

static int pack_set(
	struct packer *p, const struct unit_set *set, const char *config, struct err *err)
{
	int r = stub_companion(p->stub, "berth-worker", p->worker, err);

	if (r == 0 && p->fetches)
		r = stub_companion(p->stub, "berth-fetch", p->fetch, err);
	if (r == 0)
		r = list_program(p, err);
	if (r == 0)
		r = list_config(p, config, "", 0, err);
	if (r == 0)
		r = list_images(p, set, err);
	for (size_t i = 0; i < p->nbundles && r == 0; i++)
		r = pack_bundle_check(set, p->bundles[i], err);
	if (r == 0)
		r = pack_bundles(set, list_bundled, p, err);
	return r < 0 ? r : write_out(p, err);
}

static int pack(struct packer *p, const char *config, struct err *err)
{
	struct unit_set set = { 0 };
	struct unit_sources sources = { .pulls = p->fetches };
	char images[PATH_SIZE];
	char bundles[PATH_SIZE];
	int r = 0;

	(void)snprintf(images, sizeof images, "%.4000s/images", p->tmp);
	(void)snprintf(bundles, sizeof bundles, "%.4000s/bundles", p->tmp);
	for (size_t i = 0; i < p->nbundles && r == 0; i++)
		r = pack_bundle_link(bundles, p->bundles[i], err);
	if (r < 0)
		return cmd_fail(CMD_FAILED, "pack: %s", err->text);
	if (strv_add(&sources.images, &p->arena, images) < 0 ||
		strv_add(&sources.bundles, &p->arena, bundles) < 0)
		return cmd_fail(CMD_FAILED, "pack: %s", strerror(ENOMEM));
	for (size_t i = 0; i < p->image_dirs.n; i++)
		if (strv_add(&sources.images, &p->arena, p->image_dirs.v[i]) < 0)
			return cmd_fail(CMD_FAILED, "pack: %s", strerror(ENOMEM));
	if (unit_set_load_with(&set, config, &sources, err) < 0)
		return cmd_fail(CMD_FAILED, "pack: %s", err->text);
	if (set.nproblems)
		(void)check_print(&set, stderr);
	if (set.nerrors)
		return cmd_fail(
			CMD_FAILED, "pack: nothing is packed from a configuration with errors");
	progress_begin(&p->progress, "pack", p->json);
	r = pack_set(p, &set, config, err);
	progress_end(&p->progress);
	if (r < 0)
		return cmd_fail(CMD_FAILED, "pack: %s", err->text);
	return CMD_OK;
}

static void done_print(const struct packer *p)
{
	struct stat st;

	if (stat(p->out, &st) < 0)
		return;
	if (p->json) {
		show_json_line(json_pack("{s:s,s:I,s:I}", "file", p->out, "bytes",
			(json_int_t)st.st_size, "images", (json_int_t)p->images.n));
		return;
	}
	printf("%s: %s, %zu image%s", p->out, show_bytes((uint64_t)st.st_size).text, p->images.n,
		p->images.n == 1 ? "" : "s");
	if (!p->as_initramfs)
		printf("; try: %s%s check\n", strchr(p->out, '/') ? "" : "./", p->out);
	else
		printf("; for the kernel %s\n",
			p->initramfs.release[0] ? p->initramfs.release : "that has all built in");
}

/* One option; CMD_OK, or CMD_USAGE when it is none of ours and of nobody. */
static int take_option(struct packer *p, int c)
{
	switch (c) {
	case 'o':
		p->out = optarg;
		return CMD_OK;
	case OPT_STUB:
		p->stub = optarg;
		return CMD_OK;
	case OPT_COMPRESS:
		p->compress = strcmp(optarg, "none") == 0 ? NULL : optarg;
		return CMD_OK;
	case OPT_IMAGES:
		return strv_add(&p->image_dirs, &p->arena, optarg) < 0 ? CMD_USAGE : CMD_OK;
	case OPT_IMAGE:
		if (p->nlinks == LINKS_MAX)
			return cmd_usage("pack", "at most %d --image", LINKS_MAX);
		p->links[p->nlinks++] = optarg;
		return CMD_OK;
	case OPT_BUNDLE:
		if (p->nbundles == LINKS_MAX)
			return cmd_usage("pack", "at most %d --bundle", LINKS_MAX);
		p->bundles[p->nbundles++] = optarg;
		return CMD_OK;
	case OPT_FETCH:
		p->fetches = true;
		return CMD_OK;
	case OPT_JSON:
		p->json = true;
		return CMD_OK;
	case OPT_INITRAMFS:
		p->as_initramfs = true;
		return CMD_OK;
	case OPT_KERNEL:
		p->initramfs.kernel = optarg;
		return CMD_OK;
	case OPT_MODULES:
		p->initramfs.modules = optarg;
		return CMD_OK;
	case OPT_MODULE:
		return strv_add(&p->initramfs.more, &p->arena, optarg) < 0 ? CMD_USAGE : CMD_OK;
	case OPT_SYSROOT:
		p->initramfs.sysroot = optarg;
		return CMD_OK;
	default:
		return cmd_global(c, "pack");
	}
}

static int check_options(const struct packer *p)
{
	const struct initramfs *in = &p->initramfs;

	if (!p->out || !cmd_globals.config_dir)
		return cmd_usage("pack", "--config DIR and -o FILE are expected");
	if (!p->as_initramfs && (in->kernel || in->modules || in->more.n || *in->sysroot))
		return cmd_usage(
			"pack", "--kernel, --modules, --module and --sysroot go with --initramfs");
	if (in->more.n && !in->kernel && !in->modules)
		return cmd_usage("pack", "--module needs --kernel or --modules");
	return CMD_OK;
}

int cmd_pack(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "output", required_argument, NULL, 'o' },
		{ "images", required_argument, NULL, OPT_IMAGES },
		{ "image", required_argument, NULL, OPT_IMAGE },
		{ "stub", required_argument, NULL, OPT_STUB },
		{ "compress", required_argument, NULL, OPT_COMPRESS },
		{ "initramfs", no_argument, NULL, OPT_INITRAMFS },
		{ "kernel", required_argument, NULL, OPT_KERNEL },
		{ "modules", required_argument, NULL, OPT_MODULES },
		{ "module", required_argument, NULL, OPT_MODULE },
		{ "sysroot", required_argument, NULL, OPT_SYSROOT },
		{ "bundle", required_argument, NULL, OPT_BUNDLE },
		{ "fetch", no_argument, NULL, OPT_FETCH }, { "json", no_argument, NULL, OPT_JSON },
		{ 0 } };
	struct packer p = {
		.stub = seal_program_path(), .compress = "lz4", .initramfs.sysroot = ""
	};
	struct err err = { 0 };
	int code;
	int c;

	while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1)
		if (take_option(&p, c) != CMD_OK)
			return CMD_USAGE;
	if (optind < argc)
		return cmd_usage("pack", "--config DIR and -o FILE are expected");
	code = check_options(&p);
	if (code != CMD_OK)
		return code;
	if (begin(&p, &err) < 0)
		code = cmd_fail(CMD_FAILED, "pack: %s", err.text);
	for (size_t i = 0; i < p.nlinks && code == CMD_OK; i++)
		if (image_link(&p, p.links[i], &err) < 0)
			code = cmd_fail(CMD_FAILED, "pack: %s", err.text);
	if (code == CMD_OK)
		code = pack(&p, cmd_globals.config_dir, &err);
	if (code == CMD_OK)
		done_print(&p);
	end(&p);
	return code;
}
