/* The safe defaults of a container, and the keys that open or tighten them: capabilities,
 * no_new_privs, seccomp, masks, sysctls, devices. */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "config/build.h"
#include "supervisor/base/capability.h"

/* podman's eleven: with them published images start as root. */
#define CAPS_DEFAULT                                                              \
	(CAPABILITY_BIT(CAP_CHOWN) | CAPABILITY_BIT(CAP_DAC_OVERRIDE) |           \
		CAPABILITY_BIT(CAP_FOWNER) | CAPABILITY_BIT(CAP_FSETID) |         \
		CAPABILITY_BIT(CAP_KILL) | CAPABILITY_BIT(CAP_NET_BIND_SERVICE) | \
		CAPABILITY_BIT(CAP_SETFCAP) | CAPABILITY_BIT(CAP_SETGID) |        \
		CAPABILITY_BIT(CAP_SETPCAP) | CAPABILITY_BIT(CAP_SETUID) |        \
		CAPABILITY_BIT(CAP_SYS_CHROOT))

static void security_caps(struct build *b, struct part *part)
{
	const struct unit_draft *draft = part->draft;
	const struct draft_caps *add = &draft->add_capability;
	const struct draft_caps *drop = &draft->drop_capability;
	uint64_t both = add->mask & drop->mask;
	uint64_t base = b->set->conf.default_caps_none ? 0 : CAPS_DEFAULT;
	uint64_t take = drop->all ? 0 : drop->mask;

	if (both && !add->all && !drop->all)
		ERROR_AT(b, add->at,
			"AddCapability: DropCapability= (%s:%u) takes %s away again: "
			"remove it from one of them",
			drop->at.file, drop->at.line, capability_name(__builtin_ctzll(both)));
	if (drop->all)
		base = 0;
	part->spec->process.caps_root = (base | add->mask) & ~take;
	/* As podman: without uid 0 a process has only what was asked for by name. */
	part->spec->process.caps_other = add->mask & ~take;
}

static void security_seccomp(struct build *b, struct part *part)
{
	const struct unit_draft *draft = part->draft;
	struct process_spec *process = &part->spec->process;

	if (!DRAFT_SET(draft->seccomp_profile))
		return;
	if (strcmp(draft->seccomp_profile.v, "unconfined") == 0) {
		process->seccomp_off = true;
		return;
	}
	process->seccomp_path = build_path(b, draft->dir, draft->seccomp_profile.v);
}

/* ---- sysctls ------------------------------------------------------------------------------------ */

/* Those that belong to a namespace the container has of its own; a trailing dot: all below it. */
static const char *const sysctls_allowed[] = {
	"fs.mqueue.",
	"kernel.domainname",
	"kernel.msgmax",
	"kernel.msgmnb",
	"kernel.msgmni",
	"kernel.sem",
	"kernel.shm_rmid_forced",
	"kernel.shmall",
	"kernel.shmmax",
	"kernel.shmmni",
};

static bool sysctl_allowed(const char *name)
{
	for (size_t i = 0; i < sizeof sysctls_allowed / sizeof sysctls_allowed[0]; i++) {
		const char *allowed = sysctls_allowed[i];

		if (str_ends(allowed, ".") ? str_starts(name, allowed) : strcmp(name, allowed) == 0)
			return true;
	}
	return false;
}

static void sysctl_read(struct build *b, struct part *part, const struct draft_item *item)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-.";
	char name[128];
	size_t n = strcspn(item->text, "=");

	(void)snprintf(name, sizeof name, "%.*s", (int)n, item->text);
	for (char *p = name; *p; p++)
		if (*p == '/')
			*p = '.';
	if (!item->text[n] || n == 0 || n >= sizeof name || strspn(name, letters) != n ||
		strstr(name, "..") || name[0] == '.' || name[n - 1] == '.') {
		ERROR_AT(b, item->at, "Sysctl: \"%s\" is not NAME=VALUE", item->text);
	} else if (str_starts(name, "net.") && part->spec->net.mode == NET_HOST) {
		ERROR_AT(b, item->at,
			"Sysctl: %s belongs to the network, which is the host's here: remove it, "
			"or "
			"Network=host",
			name);
	} else if (str_starts(name, "net.") &&
		   (part->spec->net.mode == NET_CONTAINER || part->spec->net.mode == NET_PATH)) {
		ERROR_AT(b, item->at,
			"Sysctl: %s belongs to the network, which is %s's: set it there", name,
			part->spec->net.container ? part->spec->net.container
						  : part->spec->net.path);
	} else if (!str_starts(name, "net.") && !sysctl_allowed(name)) {
		ERROR_AT(b, item->at,
			"Sysctl: %s is not the container's own, it would change the host: set it "
			"on "
			"the host",
			name);
	} else {
		build_add(b, &part->spec->sysctls, build_text(b, "%s%s", name, item->text + n));
	}
}

/* ---- devices ------------------------------------------------------------------------------------ */

/* What every container may use; any node may be made, which gives no access by itself. */
static const struct device_rule devices_default[] = {
	{ .type = 'c', .major = -1, .minor = -1, .mknod = true },
	{ .type = 'b', .major = -1, .minor = -1, .mknod = true },
	{ .type = 'c', .major = 1, .minor = 3, .read = true, .write = true, .mknod = true },
	{ .type = 'c', .major = 1, .minor = 5, .read = true, .write = true, .mknod = true },
	{ .type = 'c', .major = 1, .minor = 7, .read = true, .write = true, .mknod = true },
	{ .type = 'c', .major = 1, .minor = 8, .read = true, .write = true, .mknod = true },
	{ .type = 'c', .major = 1, .minor = 9, .read = true, .write = true, .mknod = true },
	{ .type = 'c', .major = 5, .minor = 0, .read = true, .write = true, .mknod = true },
	{ .type = 'c', .major = 5, .minor = 2, .read = true, .write = true, .mknod = true },
	{ .type = 'c', .major = 136, .minor = -1, .read = true, .write = true, .mknod = true },
};

struct devices {
	struct device_rule *rules;
	size_t nrules;
	struct device_spec *specs;
	size_t nspecs;
};

static void device_rule_add(struct build *b, struct devices *devices,
	const struct device_spec *spec, mode_t mode, dev_t device)
{
	BUILD_PUSH(b, devices->rules, devices->nrules,
		{ .type = S_ISBLK(mode) ? 'b' : 'c',
			.major = major(device),
			.minor = minor(device),
			.read = spec->read,
			.write = spec->write,
			.mknod = spec->mknod });
}

/* "rwm" in any order and selection; false: something else. */
static bool device_access(const char *text, struct device_spec *spec)
{
	if (!*text || strspn(text, "rwm") != strlen(text))
		return false;
	spec->read = strchr(text, 'r');
	spec->write = strchr(text, 'w');
	spec->mknod = strchr(text, 'm');
	return true;
}

static void device_read(struct build *b, struct devices *devices, const struct draft_item *item)
{
	struct device_spec spec = { .read = true, .write = true, .mknod = true };
	const char *rest = item->text + (item->text[0] == '-');
	const char *field;
	struct stat st;

	spec.optional = item->text[0] == '-';
	spec.host = build_field(b, &rest, ':');
	spec.target = spec.host;
	field = build_field(b, &rest, ':');
	if (field && field[0] == '/') {
		spec.target = field;
		field = build_field(b, &rest, ':');
	}
	if (spec.host[0] != '/' || strstr(spec.target, "/..") || strstr(spec.host, "/..") ||
		(field && !device_access(field, &spec)) || rest) {
		ERROR_AT(b, item->at, "AddDevice: \"%s\" is not [-]/dev/HOST[:/dev/TARGET][:rwm]",
			item->text);
		return;
	}
	if (stat(spec.host, &st) < 0) {
		if (!spec.optional)
			WARN_AT(b, item->at,
				"AddDevice: %s: %s: the container will not start without it; write "
				"-%s if it may be missing",
				spec.host, strerror(errno), spec.host);
	} else if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)) {
		ERROR_AT(b, item->at, "AddDevice: %s is not a device: name each device", spec.host);
		return;
	} else {
		device_rule_add(b, devices, &spec, st.st_mode, st.st_rdev);
	}
	BUILD_PUSH(b, devices->specs, devices->nspecs, spec);
}

static void security_devices(struct build *b, struct part *part)
{
	const struct draft_list *list = &part->draft->add_device;
	struct container_spec *spec = part->spec;
	struct devices devices = { 0 };
	struct stat st;

	for (size_t i = 0; i < sizeof devices_default / sizeof devices_default[0]; i++)
		BUILD_PUSH(b, devices.rules, devices.nrules, devices_default[i]);
	for (size_t i = 0; i < list->n; i++)
		device_read(b, &devices, &list->v[i]);
	if (spec->process.tty_path && stat(spec->process.tty_path, &st) == 0 &&
		S_ISCHR(st.st_mode)) {
		struct device_spec terminal = { .read = true, .write = true };

		device_rule_add(b, &devices, &terminal, st.st_mode, st.st_rdev);
	}
	spec->limits.devices_filter = true;
	spec->limits.devices = devices.rules;
	spec->limits.ndevices = devices.nrules;
	spec->devices = devices.specs;
	spec->ndevices = devices.nspecs;
}

/* Several paths stand in one word, with colons between them, as podman has it. */
static void paths_read(
	struct build *b, const char *key, const struct draft_list *list, struct strv *ret)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *text = list->v[i].text;

		for (size_t n; *text; text += n + (text[n] == ':')) {
			const char *path;
			bool all;

			n = strcspn(text, ":");
			path = build_ntext(b, text, n);
			all = strcasecmp(path, "all") == 0 && strcmp(key, "Unmask") == 0;
			if (!all && (path[0] != '/' || strstr(path, "/..")))
				ERROR_AT(b, list->v[i].at, "%s: \"%s\" is not an absolute path",
					key, path);
			else
				build_add(b, ret, all ? "ALL" : path);
		}
	}
}

void pass_security(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	const struct unit_draft *draft = part->draft;
	struct container_spec *spec = part->spec;

	if (spec->native) {
		/* A program of the host: what it may do is what root may do. */
		spec->process.caps_root = CAPABILITY_ALL;
		spec->process.seccomp_off = true;
		return;
	}
	security_caps(b, part);
	spec->process.no_new_privs =
		DRAFT_SET(draft->no_new_privileges) ? draft->no_new_privileges.v : true;
	security_seccomp(b, part);
	paths_read(b, "Mask", &draft->mask, &spec->mask);
	paths_read(b, "Unmask", &draft->unmask, &spec->unmask);
	for (size_t i = 0; i < draft->sysctl.n; i++)
		sysctl_read(b, part, &draft->sysctl.v[i]);
	security_devices(b, part);
}

void secluded_bound(
	struct container_spec *spec, uint64_t caps, uint64_t memory_max, uint64_t pids_max)
{
	spec->process.caps_root = spec->process.caps_other = caps;
	spec->process.no_new_privs = true;
	spec->process.seccomp_off = false;
	spec->limits.memory_max =
		(struct limit){ .value = memory_max, .set = true, .builtin = true };
	spec->limits.pids_max = (struct limit){ .value = pids_max, .set = true, .builtin = true };
}
