/* Volume=, Tmpfs=, Secret= and .volume files become mounts, the shorter targets first. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/build.h"
#include "supervisor/base/num.h"

/* What lxcfs is allowed to cover; nothing else below /proc may be a target (CVE-2019-16884). */
static const char *const proc_files[] = { "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo",
	"/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg", "/proc/slabinfo",
	"/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled" };

static bool target_allowed(const char *target)
{
	if (strcmp(target, "/") == 0 || strcmp(target, "/proc") == 0 || strcmp(target, "/sys") == 0)
		return false;
	if (!str_starts(target, "/proc/"))
		return true;
	for (size_t i = 0; i < sizeof proc_files / sizeof proc_files[0]; i++)
		if (strcmp(target, proc_files[i]) == 0)
			return true;
	return false;
}

/* Gives NULL, and a problem, when nothing may be mounted there. */
static const char *mount_target(
	struct build *b, const char *key, struct origin at, const char *text)
{
	const char *target;

	if (text[0] != '/') {
		ERROR_AT(b, at, "%s: \"%s\" is not an absolute path in the container: write /%s",
			key, text, text);
		return NULL;
	}
	if (strstr(text, "/../") || str_ends(text, "/..")) {
		ERROR_AT(b, at, "%s: %s has \"..\" in it: write the path without it", key, text);
		return NULL;
	}
	target = build_path(b, "", text);
	if (!target_allowed(target)) {
		ERROR_AT(b, at, "%s: nothing may be mounted over %s of a container", key, target);
		return NULL;
	}
	return target;
}

static void mount_push(struct build *b, struct part *part, const struct mount_spec *mount,
	const char *key, struct origin at)
{
	struct mount_spec *v = (struct mount_spec *)(size_t)part->spec->mounts;

	for (size_t i = 0; i < part->spec->nmounts; i++)
		if (strcmp(v[i].target, mount->target) == 0) {
			ERROR_AT(b, at, "%s: %s is mounted already (%s): remove one of them", key,
				mount->target, v[i].origin);
			return;
		}
	BUILD_PUSH(b, v, part->spec->nmounts, *mount);
	part->spec->mounts = v;
}

static const char *origin_text(struct build *b, struct origin at)
{
	return build_text(b, "%s:%u", at.file, at.line);
}

/* ---- options ------------------------------------------------------------------------------------ */

enum option {
	OPT_RO,
	OPT_RW,
	OPT_CHOWN,
	OPT_RBIND,
	OPT_BIND,
	OPT_NOEXEC,
	OPT_EXEC,
	OPT_NOSUID,
	OPT_SUID,
	OPT_NODEV,
	OPT_DEV,
	OPT_SHARED,
	OPT_SLAVE,
	OPT_PRIVATE,
	OPT_COPY,
	OPT_NOCOPY,
	OPT_SELINUX,
	OPT_NOTHING,
};

static const struct {
	const char *name;
	enum option option;
} options[] = {
	{ "ro", OPT_RO },
	{ "rw", OPT_RW },
	{ "U", OPT_CHOWN },
	{ "rbind", OPT_RBIND },
	{ "bind", OPT_BIND },
	{ "noexec", OPT_NOEXEC },
	{ "exec", OPT_EXEC },
	{ "nosuid", OPT_NOSUID },
	{ "suid", OPT_SUID },
	{ "nodev", OPT_NODEV },
	{ "dev", OPT_DEV },
	{ "shared", OPT_SHARED },
	{ "rshared", OPT_SHARED },
	{ "slave", OPT_SLAVE },
	{ "rslave", OPT_SLAVE },
	{ "private", OPT_PRIVATE },
	{ "rprivate", OPT_PRIVATE },
	{ "copy", OPT_COPY },
	{ "tmpcopyup", OPT_COPY },
	{ "nocopy", OPT_NOCOPY },
	{ "notmpcopyup", OPT_NOCOPY },
	{ "z", OPT_SELINUX },
	{ "Z", OPT_SELINUX },
	/* Hints for file sharing with a virtual machine: nothing is lost without them. */
	{ "cached", OPT_NOTHING },
	{ "delegated", OPT_NOTHING },
	{ "consistent", OPT_NOTHING },
};

static void option_apply(enum option option, struct mount_spec *mount)
{
	switch (option) {
	case OPT_RO:
	case OPT_RW:
		mount->readonly = option == OPT_RO;
		break;
	case OPT_CHOWN:
		mount->chown = true;
		break;
	case OPT_RBIND:
	case OPT_BIND:
		mount->recursive = option == OPT_RBIND;
		break;
	case OPT_NOEXEC:
	case OPT_EXEC:
		mount->noexec = option == OPT_NOEXEC;
		break;
	case OPT_NOSUID:
	case OPT_SUID:
		mount->nosuid = option == OPT_NOSUID;
		break;
	case OPT_NODEV:
	case OPT_DEV:
		mount->nodev = option == OPT_NODEV;
		break;
	case OPT_SHARED:
	case OPT_SLAVE:
	case OPT_PRIVATE:
		mount->shared = option == OPT_SHARED;
		mount->slave = option == OPT_SLAVE;
		break;
	case OPT_COPY:
	case OPT_NOCOPY:
		mount->copy_up = option == OPT_COPY;
		break;
	case OPT_SELINUX:
	case OPT_NOTHING:
		break;
	}
}

static bool tmpfs_option(
	struct build *b, struct origin at, const char *word, struct mount_spec *mount)
{
	if (str_starts(word, "size=")) {
		if (num_bytes(word + 5, &mount->size) < 0)
			ERROR_AT(b, at, "Tmpfs: \"%s\" is not a size: write size=64m", word);
		return true;
	}
	if (str_starts(word, "mode=")) {
		if (num_mode(word + 5, &mount->mode) < 0)
			ERROR_AT(b, at, "Tmpfs: \"%s\" is not a file mode: write mode=1777", word);
		return true;
	}
	return false;
}

static void options_read(struct build *b, const char *key, struct origin at, const char *text,
	struct mount_spec *mount)
{
	const char *word;

	while ((word = build_field(b, &text, ','))) {
		size_t i = 0;

		if (!*word || (mount->kind == MOUNT_TMPFS && tmpfs_option(b, at, word, mount)))
			continue;
		while (i < sizeof options / sizeof options[0] && strcmp(options[i].name, word) != 0)
			i++;
		if (i < sizeof options / sizeof options[0])
			option_apply(options[i].option, mount);
		else
			ERROR_AT(b, at,
				"%s: unknown option \"%s\": berth knows ro rw U bind rbind noexec "
				"nosuid nodev exec suid dev private shared slave copy nocopy%s",
				key, word, mount->kind == MOUNT_TMPFS ? " size= mode=" : "");
	}
}

/* ---- Volume= ------------------------------------------------------------------------------------ */

void pass_volumes(struct build *b)
{
	for (uint32_t i = 0; i < b->set->nunits; i++) {
		struct unit *unit = &b->set->units[i];
		const struct unit_draft *draft = b->parts[i].draft;
		const char *name;

		if (unit->kind != UNIT_VOLUME)
			continue;
		name = draft->stem;
		if (DRAFT_SET(draft->volume_name))
			name = draft->volume_name.v;
		if (!name_valid(name))
			ERROR_AT(b, draft->volume_name.at,
				"VolumeName: \"%s\" is not a name: use letters, digits, _ . -, at "
				"most 63",
				name);
		unit->volume_path = build_text(b, "%s/volumes/%s", b->set->conf.state_dir, name);
		for (size_t k = 0; k < draft->label.n; k++)
			build_add(b, &unit->volume_labels, draft->label.v[k].text);
		if (!DRAFT_SET(draft->volume_device) &&
			(DRAFT_SET(draft->volume_type) || DRAFT_SET(draft->volume_options)))
			ERROR_AT(b,
				DRAFT_SET(draft->volume_type) ? draft->volume_type.at
							      : draft->volume_options.at,
				"%s: says nothing without Device=: add that (Device=tmpfs for a "
				"tmpfs)",
				DRAFT_SET(draft->volume_type) ? "Type" : "Options");
	}
}

static uint32_t volume_id(
	struct build *b, const char *key, const struct draft_str *value, uint32_t now)
{
	uint32_t id = now;

	if (DRAFT_SET(*value) && num_u32(value->v, &id) < 0)
		ERROR_AT(b, value->at, "%s: \"%s\" is not a number: a volume's owner is an id", key,
			value->v);
	return id;
}

bool volume_owner(
	struct build *b, const struct unit_draft *volume, uint32_t *ret_uid, uint32_t *ret_gid)
{
	const struct draft_str *user =
		DRAFT_SET(volume->volume_user) ? &volume->volume_user : &volume->volume_uid;
	const struct draft_str *group =
		DRAFT_SET(volume->volume_group) ? &volume->volume_group : &volume->volume_gid;

	*ret_uid = volume_id(b, user == &volume->volume_user ? "User" : "UID", user, 0);
	*ret_gid = volume_id(b, group == &volume->volume_group ? "Group" : "GID", group, *ret_uid);
	return DRAFT_SET(*user) || DRAFT_SET(*group);
}

/* A plain name, NAME.volume, or a path; false: a problem was added. */
static bool volume_source(struct build *b, const struct part *part, const struct draft_item *item,
	const char *text, struct mount_spec *mount)
{
	const char *dir = part->draft->dir;

	if (strchr(text, '/') || strcmp(text, ".") == 0) {
		if (text[0] != '/' && text[0] != '.') {
			ERROR_AT(b, item->at,
				"Volume: \"%s\" is neither a path nor a name: write ./%s or a name "
				"without /",
				text, text);
			return false;
		}
		mount->kind = MOUNT_BIND;
		mount->recursive = true;
		mount->source = build_path(b, dir, text);
		return true;
	}
	mount->kind = MOUNT_VOLUME;
	mount->copy_up = true;
	if (str_ends(text, ".volume")) {
		uint32_t unit = unit_by_id(b, text);
		const struct unit_draft *volume;

		if (unit == UNIT_NONE) {
			ERROR_AT(b, item->at,
				"Volume: there is no unit %s: add that file, or write a plain name "
				"to have it made",
				text);
			return false;
		}
		volume = b->parts[unit].draft;
		mount->source = b->set->units[unit].volume_path;
		(void)volume_owner(b, volume, &mount->uid, &mount->gid);
		if (DRAFT_SET(volume->volume_copy))
			mount->copy_up = volume->volume_copy.v;
		return true;
	}
	if (!name_valid(text)) {
		ERROR_AT(b, item->at,
			"Volume: \"%s\" is not a name: use letters, digits, _ . -, at most 63",
			text);
		return false;
	}
	mount->source = build_text(b, "%s/volumes/%s", b->set->conf.state_dir, text);
	return true;
}

/* A volume that nobody has named is called after its container and its target, so that every start
 * finds it again, and nobody else does. */
static struct mount_spec volume_anonymous(
	struct build *b, const struct part *part, const char *target, const char *origin)
{
	const char *name = part->spec->name;
	unsigned long long hash = str_hash(build_text(b, "%s:%s", name, target));

	return (struct mount_spec){ .kind = MOUNT_VOLUME,
		.source = build_text(b, "%s/volumes/%s-anon-%08llx", b->set->conf.state_dir, name,
			hash & 0xffffffff),
		.target = target,
		.nosuid = true,
		.nodev = true,
		.copy_up = true,
		.anonymous = true,
		.origin = origin };
}

static void volume_read(struct build *b, struct part *part, const struct draft_item *item)
{
	struct mount_spec mount = { .nosuid = true, .nodev = true };
	const char *rest = item->text;
	const char *source = build_field(b, &rest, ':');
	const char *target = build_field(b, &rest, ':');

	if (!*source) {
		ERROR_AT(b, item->at,
			"Volume: \"%s\" names no source: write NAME:%s, or %s alone for a volume "
			"of "
			"its own",
			item->text, target ? target : "/TARGET", target ? target : "/TARGET");
		return;
	}
	mount.origin = origin_text(b, item->at);
	mount.target = mount_target(b, "Volume", item->at, target ? target : source);
	if (!target && mount.target) {
		mount = volume_anonymous(b, part, mount.target, mount.origin);
		mount_push(b, part, &mount, "Volume", item->at);
		return;
	}
	if (!volume_source(b, part, item, source, &mount) || !mount.target)
		return;
	options_read(b, "Volume", item->at, rest, &mount);
	mount_push(b, part, &mount, "Volume", item->at);
}

static void tmpfs_read(struct build *b, struct part *part, const struct draft_item *item)
{
	struct mount_spec mount = {
		.kind = MOUNT_TMPFS, .mode = 01777, .nosuid = true, .nodev = true, .copy_up = true
	};
	const char *rest = item->text;
	const char *target = build_field(b, &rest, ':');

	mount.origin = origin_text(b, item->at);
	mount.target = mount_target(b, "Tmpfs", item->at, target);
	if (!mount.target)
		return;
	options_read(b, "Tmpfs", item->at, rest, &mount);
	mount_push(b, part, &mount, "Tmpfs", item->at);
}

/* ---- Secret= ------------------------------------------------------------------------------------ */

/* DIR of the unit first, so that --config finds its own; then the box's. */
static const char *secret_file(
	struct build *b, const struct unit_draft *draft, const char *name, const char **ret_tried)
{
	const char *dirs[] = { draft->dir, "/etc/berth", b->set->conf.state_dir };
	const char *tried = "";
	struct stat st;

	for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
		const char *place = build_text(b, "%s/secrets/%s", dirs[i], name);

		if (stat(place, &st) == 0 && S_ISREG(st.st_mode))
			return place;
		tried = build_text(b, "%s%s%s", tried, i ? ", " : "", place);
	}
	*ret_tried = tried;
	return NULL;
}

static bool secret_option(
	struct build *b, struct origin at, const char *word, struct mount_spec *mount)
{
	const char *value = strchr(word, '=');
	int r = 0;

	if (!value)
		return false;
	value++;
	if (str_starts(word, "type=")) {
		if (strcmp(value, "mount") != 0)
			ERROR_AT(b, at,
				"Secret: type=%s is not served: use type=mount and read the file",
				value);
	} else if (str_starts(word, "target=")) {
		mount->target = value[0] == '/' ? mount_target(b, "Secret", at, value)
						: build_text(b, "/run/secrets/%s", value);
	} else if (str_starts(word, "uid=")) {
		r = num_u32(value, &mount->uid);
	} else if (str_starts(word, "gid=")) {
		r = num_u32(value, &mount->gid);
	} else if (str_starts(word, "mode=")) {
		r = num_mode(value, &mount->mode);
	} else {
		return false;
	}
	return r == 0;
}

static void secret_read(struct build *b, struct part *part, const struct draft_item *item)
{
	struct mount_spec mount = { .kind = MOUNT_FILE,
		.readonly = true,
		.mode = 0444,
		.nosuid = true,
		.nodev = true,
		.noexec = true };
	const char *rest = item->text;
	const char *name = build_field(b, &rest, ',');
	const char *tried = NULL;
	const char *word;

	if (!name_valid(name)) {
		ERROR_AT(b, item->at,
			"Secret: \"%s\" is not a name: use letters, digits, _ . -, at most 63",
			name);
		return;
	}
	mount.origin = origin_text(b, item->at);
	mount.target = build_text(b, "/run/secrets/%s", name);
	mount.source = secret_file(b, part->draft, name, &tried);
	if (!mount.source)
		ERROR_AT(b, item->at, "Secret: %s was not found; searched %s: put the file there",
			name, tried);
	while ((word = build_field(b, &rest, ',')))
		if (!secret_option(b, item->at, word, &mount))
			ERROR_AT(b, item->at,
				"Secret: \"%s\" is not one of type=mount target= uid= gid= mode=",
				word);
	if (mount.source && mount.target)
		mount_push(b, part, &mount, "Secret", item->at);
}

static bool is_target(const struct container_spec *spec, const char *path)
{
	for (size_t i = 0; i < spec->nmounts; i++)
		if (strcmp(spec->mounts[i].target, path) == 0)
			return true;
	return false;
}

/* VOLUME of the image, where the unit does not say what is to be there. What an image names wrongly is
 * its maker's mistake, and no reason not to run it. */
static void image_volumes(struct build *b, struct part *part)
{
	const struct strv *volumes = &part->image.volumes;

	for (size_t i = 0; i < volumes->n; i++) {
		const char *text = volumes->v[i];
		const char *target = build_path(b, "", text);
		struct mount_spec mount;

		if (text[0] != '/' || strstr(text, "/../") || str_ends(text, "/..") ||
			!target_allowed(target)) {
			WARN_AT(b, ((struct origin){ part->image.file, 0 }),
				"Volumes: \"%s\" of the image is left out: nothing may be mounted "
				"there",
				text);
			continue;
		}
		if (is_target(part->spec, target))
			continue;
		mount = volume_anonymous(
			b, part, target, build_text(b, "%s: Volumes", part->image.file));
		mount_push(b, part, &mount, "Volumes", (struct origin){ part->image.file, 0 });
	}
}

/* ReadOnly= is for the image: what every program expects to write to stays writable, in memory, as
 * with podman's ReadOnlyTmpfs=, unless something else is mounted there. */
static void readonly_tmpfs(struct build *b, struct part *part)
{
	static const struct {
		const char *target;
		uint32_t mode;
	} rows[] = { { "/run", 0755 }, { "/tmp", 01777 }, { "/var/tmp", 01777 } };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct mount_spec mount = { .kind = MOUNT_TMPFS,
			.target = rows[i].target,
			.mode = rows[i].mode,
			.nosuid = true,
			.nodev = true,
			.copy_up = true,
			.origin = "ReadOnly=" };

		if (!is_target(part->spec, mount.target))
			mount_push(b, part, &mount, "ReadOnly", (struct origin){ 0 });
	}
}

/* A mount below another has to come after it. */
static int mount_order(const void *left, const void *right)
{
	const struct mount_spec *a = left;
	const struct mount_spec *c = right;
	size_t n = strlen(a->target);
	size_t m = strlen(c->target);

	return n != m ? (n > m) - (n < m) : strcmp(a->target, c->target);
}

void pass_mounts(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	const struct unit_draft *draft = part->draft;

	for (size_t i = 0; i < draft->volume.n; i++)
		volume_read(b, part, &draft->volume.v[i]);
	for (size_t i = 0; i < draft->tmpfs.n; i++)
		tmpfs_read(b, part, &draft->tmpfs.v[i]);
	for (size_t i = 0; i < draft->secret.n; i++)
		secret_read(b, part, &draft->secret.v[i]);
	image_volumes(b, part);
	if (part->spec->root.readonly)
		readonly_tmpfs(b, part);
	if (part->spec->nmounts)
		qsort((struct mount_spec *)(size_t)part->spec->mounts, part->spec->nmounts,
			sizeof *part->spec->mounts, mount_order);
}
