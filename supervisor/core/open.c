/* The whole: wired and taken apart. What is done in what order is in open_all. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/problem.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/log.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/core/service.h"
#include "supervisor/runtime/volume.h"

enum { SLOTS_MIN = 2 };

static int dir_open(const struct supervisor *sv, const char *name, mode_t mode, struct err *err)
{
	int fd;

	if (mkdirat(sv->run_fd, name, mode) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make the directory %s/%s", sv->env.run_dir, name);
	fd = openat(sv->run_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? err_sys(err, errno, "open %s/%s", sv->env.run_dir, name) : fd;
}

/* fcntl, not flock: a child that outlives us would keep a flock (fcntl_locking(2)). */
static int lock_take(struct supervisor *sv, struct err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[512];

	(void)snprintf(path, sizeof path, "%s/lock", sv->env.run_dir);
	sv->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (sv->lock_fd < 0)
		return err_sys(err, errno, "open %s", path);
	if (fcntl(sv->lock_fd, F_SETLK, &lock) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return err_sys(err, errno, "lock %s", path);
	if (fcntl(sv->lock_fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		lock.l_pid = 0;
	return err_set(err, EBUSY,
		"another berth (pid %d) serves %s: berth reload lets it read its units again; a "
		"second one needs a --run-dir and a StateDir= of its own",
		lock.l_pid, sv->env.run_dir);
}

/* Of a line of mountinfo: "ID PARENT MAJOR:MINOR ROOT POINT …" (proc_pid_mountinfo(5)). */
struct mount_line {
	int id, parent;
	char device[24], root[2048], point[2048];
};

static bool mount_find(int id, struct mount_line *ret)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	own_mem char *line = NULL;
	size_t size = 0;
	bool found = false;

	while (file && !found && getline(&line, &size, file) > 0)
		found = sscanf(line, "%d %d %23s %2047s %2047s", &ret->id, &ret->parent,
				ret->device, ret->root, ret->point) == 5 &&
			ret->id == id;
	if (file)
		(void)fclose(file);
	return found;
}

/* Is what is mounted there that directory itself? So is our mount, also that of a supervisor before
 * us; a file system that somebody has mounted there is not. */
static bool is_mounted_on_itself(const char *path)
{
	own_fd fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct mount_line top, below;
	const char *root, *rest;
	size_t n;

	if (fd < 0 || !mount_find(fd_mount_id(fd), &top) || !mount_find(top.parent, &below) ||
		strcmp(top.device, below.device) != 0)
		return false;
	root = strcmp(below.root, "/") == 0 ? "" : below.root;
	n = strcmp(below.point, "/") == 0 ? 0 : strlen(below.point);
	rest = strncmp(top.point, below.point, n) == 0 ? top.point + n : "";
	if (!*root && !*rest)
		return strcmp(top.root, "/") == 0;
	n = strlen(root);
	return strncmp(top.root, root, n) == 0 && strcmp(top.root + n, rest) == 0;
}

/* Mounts below RUN_DIR must not spread into other namespaces, nor come from there. What others have
 * mounted there is none of ours to change. */
static int mount_private(const char *path, struct err *err)
{
	if (!is_mounted_on_itself(path) && mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0)
		return err_sys(err, errno, "mount %s on itself", path);
	if (mount(NULL, path, NULL, MS_PRIVATE, NULL) < 0)
		return err_sys(err, errno, "make the mount %s private", path);
	return 0;
}

static int open_dirs(struct supervisor *sv, struct err *err)
{
	static const char *const others[] = { "pin", "img", "mnt", "fifo" };
	int r;

	sv->run_fd = open(sv->env.run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sv->run_fd < 0)
		return err_sys(err, errno, "open %s", sv->env.run_dir);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		own_fd fd = dir_open(sv, others[i], 0700, err);

		if (fd < 0)
			return fd;
	}
	r = sv->state_fd = dir_open(sv, "state", 0700, err);
	if (r >= 0)
		r = sv->notify_fd = dir_open(sv, "notify", 0711, err);
	if (r >= 0 && !sv->options.foreground)
		r = sv->wanted_fd = dir_open(sv, "wanted", 0700, err);
	return r < 0 ? r : 0;
}

static int open_run_dir(struct supervisor *sv, struct err *err)
{
	int r = path_mkdirs(sv->env.run_dir, 0700);

	if (r < 0)
		return err_sys(err, -r, "make the directory %s", sv->env.run_dir);
	r = lock_take(sv, err);
	if (r < 0)
		return r;
	r = mount_private(sv->env.run_dir, err);
	return r < 0 ? r : open_dirs(sv, err);
}

static void open_process(struct supervisor *sv)
{
	struct rlimit files;
	ssize_t n = file_read_at(
		AT_FDCWD, "/proc/sys/kernel/random/boot_id", sv->boot_id, sizeof sv->boot_id);

	sv->boot_id[strcspn(sv->boot_id, "\n")] = '\0';
	if (n < 0)
		supervisor_note(sv, "/proc is not there: nothing can be adopted");
	if (getpid() != 1 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		log_warning("cannot become a subreaper: %s", strerror(errno));
	/* Four descriptors a service; the containers' own limits are in their specs. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

static void open_cgroups(struct supervisor *sv)
{
	/* packaging/berth.service: a unit beside ours holds the tree, so that ours can be restarted. */
	const char *given = getenv("BERTH_CGROUP");
	struct err err = { 0 };
	char name[256], mount_at[512];
	bool usual = strcmp(sv->env.state_dir, "/var/lib/berth") == 0;

	if (given && *given == '/')
		(void)snprintf(name, sizeof name, "%s", given);
	else
		(void)snprintf(name, sizeof name, usual ? "berth" : "berth-%s", sv->env.instance);
	(void)snprintf(mount_at, sizeof mount_at, "%s/cgroup", sv->env.run_dir);
	if (cgroup_tree_open(&sv->tree, name, getpid() == 1 ? "/sys/fs/cgroup" : mount_at, &err) <
		0) {
		sv->tree.fd = -1;
		supervisor_note(sv, "no cgroups, so no limits and no sure stops: %s", err.text);
	}
}

/* The leaf that builders and workers are born in: a new one, for the last may have been killed. */
static void open_workers(struct supervisor *sv)
{
	const struct cgroup_limits no_limits = { 0 };
	struct cgroup_dropped dropped;
	struct err err = { 0 };

	if (sv->tree.fd < 0)
		return;
	(void)snprintf(sv->workers_leaf, sizeof sv->workers_leaf, "workers/%llx",
		(unsigned long long)sv->sys->monotonic());
	sv->env.workers_fd = cgroup_make(&sv->tree, sv->workers_leaf, &no_limits, &dropped, &err);
	if (sv->env.workers_fd < 0)
		log_warning("%s", err.text);
}

/* The leaf of the log writer, which may be in it from an earlier supervisor. */
static int log_leaf(struct supervisor *sv)
{
	const struct cgroup_limits no_limits = { 0 };
	struct cgroup_dropped dropped;
	int leaf = sv->tree.fd >= 0 ? cgroup_open(&sv->tree, "workers/log") : -1;

	if (leaf < 0 && sv->tree.fd >= 0)
		leaf = cgroup_make(&sv->tree, "workers/log", &no_limits, &dropped, NULL);
	return leaf;
}

int supervisor_renew_cgroups(struct supervisor *sv, struct err *err)
{
	int r = sv->tree.fd < 0 ? 0 : cgroup_tree_renew(&sv->tree, err);

	if (r == 0)
		return 0;
	fd_close(&sv->env.workers_fd);
	if (r < 0)
		return r;
	log_warning("the cgroup %s was removed and made anew: what starts from now on is in it",
		sv->tree.path);
	open_workers(sv);
	if (sv->log)
		logwriter_set_cgroup(sv->log, log_leaf(sv));
	return 0;
}

static void on_drained(struct logwriter *writer, const char *name, uint64_t cookie, void *data)
{
	struct supervisor *sv = data;
	struct service *s = cookie < sv->set->nunits ? service_of_unit(sv, (uint32_t)cookie) : NULL;

	(void)writer;
	(void)name;
	if (!s || !s->log_asked)
		return;
	s->log_drained = true;
	service_check_gone(s);
}

static void open_log(struct supervisor *sv)
{
	struct err err = { 0 };
	struct logwriter_options options = {
		.loop = sv->loop,
		.run_dir = sv->env.run_dir,
		.log_dir = sv->set->conf.log_dir,
		.drained = on_drained,
		.data = sv,
	};

	if (sv->options.foreground)
		return;
	options.cgroup_fd = log_leaf(sv);
	if (logwriter_open(&sv->log, &options, &err) < 0) {
		sv->log = NULL;
		supervisor_note(sv, "no logs: %s", err.text);
	}
}

static int load_set(struct supervisor *sv, struct err *err)
{
	enum log_level level;
	int r;

	sv->set = sv->options.set ? sv->options.set : &sv->loaded;
	if (sv->options.foreground)
		return 0;
	r = sv->options.set
		    ? 0
		    : unit_set_load_boot(&sv->loaded, sv->options.config_dir, sv->options.ip, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sv->set->nproblems; i++) {
		const struct problem *p = &sv->set->problems[i];

		log_msg(p->is_error ? LOG_ERROR : LOG_WARNING, "%s%s", problem_place(p).text,
			p->text);
	}
	if (sv->set->conf.log_level && !sv->options.log_level_given &&
		log_level_parse(sv->set->conf.log_level, &level) == 0)
		log_level_set(level);
	if (sv->set->nerrors)
		return err_set(err, EINVAL, "the configuration has %zu errors: nothing is started",
			sv->set->nerrors);
	return 0;
}

/* The addresses of the set that is now in force stay its units', whatever is added later. */
static void store_leases(struct supervisor *sv)
{
	struct err err = { 0 };

	if (!sv->options.foreground && unit_set_store_leases(sv->set, &err) < 0)
		supervisor_note(sv, "addresses may change when units are added: %s", err.text);
}

static int make_services(struct supervisor *sv, struct err *err)
{
	const struct unit_set *set = sv->set;

	sv->by_unit = malloc((set->nunits + 1) * sizeof *sv->by_unit);
	sv->services = calloc(set->nunits + 1, sizeof *sv->services);
	if (!sv->by_unit || !sv->services)
		return err_sys(err, ENOMEM, "make the services");
	for (uint32_t i = 0; i < set->nunits; i++) {
		sv->by_unit[i] = -1;
		if (!set->units[i].spec)
			continue;
		sv->by_unit[i] = (int32_t)sv->nservices;
		if (service_init(&sv->services[sv->nservices++], sv, &set->units[i], i) < 0)
			return err_sys(err, ENOMEM, "make the services");
	}
	return 0;
}

/* The run that was found ended goes through the machine as if we had seen its end. */
static void begin_ended(struct service *s)
{
	s->m.wanted = true;
	s->m.state = SERVICE_DRAINING;
	service_dispatch(s, EVENT_GONE);
}

static void begin_one(struct service *s)
{
	switch (s->recovered) {
	case RECOVERED_RUNNING:
		return;
	case RECOVERED_RESTART:
		service_dispatch(s, EVENT_RESTART);
		return;
	case RECOVERED_FAILING:
		service_dispatch(s, EVENT_UNHEALTHY);
		return;
	case RECOVERED_ENDED:
		begin_ended(s);
		return;
	case RECOVERED_TRY:
		/* With the delays that it had come to. */
		s->m.wanted = true;
		s->m.state = SERVICE_BACKOFF;
		service_dispatch(s, EVENT_TIMEOUT);
		return;
	case RECOVERED_NOTHING:
		break;
	}
	/* A result of this boot is kept. */
	if (s->m.state != SERVICE_DONE && s->m.state != SERVICE_FAILED)
		service_dispatch(s, EVENT_START);
}

static void begin_all(struct supervisor *sv)
{
	size_t idle = 0;

	for (size_t i = 0; i < sv->nservices; i++)
		if (sv->services[i].asked)
			service_mark_needed(&sv->services[i]);
	for (size_t i = 0; i < sv->nservices; i++) {
		struct service *s = &sv->services[i];

		/* It ended while nobody was there. */
		if (!machine_alive(&s->m))
			network_release(s);
		if (s->m.state == SERVICE_UNKILLABLE) {
			s->m.wanted = s->m.again = s->needed;
			service_check_gone(s);
		} else if (s->needed) {
			begin_one(s);
		} else {
			/* An image that is there is not waited for. */
			idle += !s->by_hand && service_unit(s)->kind != UNIT_IMAGE;
			/* Asked to stop when we died, or not needed any more. */
			service_stop_queue(s);
		}
	}
	if (idle)
		log_notice("%zu %s no [Install] WantedBy= and %s for \"berth start\"", idle,
			idle == 1 ? "unit has" : "units have", idle == 1 ? "waits" : "wait");
	sv->dirty = true;
}

static int sweep(const void *data, struct err *err)
{
	const struct supervisor *sv = data;
	char path[4096];

	(void)snprintf(path, sizeof path, "%s/volumes", sv->env.state_dir);
	return volume_sweep(path, err);
}

void supervisor_sweep_volumes(struct supervisor *sv)
{
	struct err err = { 0 };

	if (job_start(sv, "remove what is left of volumes", sweep, NULL, sv, &err) < 0)
		log_warning("%s", err.text);
}

static struct supervisor *supervisor_new(const struct supervisor_options *options)
{
	struct supervisor *sv = calloc(1, sizeof *sv);
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (!sv)
		return NULL;
	sv->options = *options;
	sv->sys = &sys_linux;
	sv->lock_fd = sv->run_fd = sv->state_fd = sv->wanted_fd = sv->notify_fd = -1;
	sv->tree.fd = -1;
	sv->env.workers_fd = -1;
	sv->shutdown_timer = (struct loop_timer){ .fn = supervisor_on_shutdown_timer, .data = sv };
	sv->links_fd = sv->records_fd = -1;
	sv->slot_timer = (struct loop_timer){ .fn = supervisor_on_slot_timer, .data = sv };
	sv->slots = processors > SLOTS_MIN ? (size_t)processors : SLOTS_MIN;
	return sv;
}

static int open_all(struct supervisor *sv, struct err *err)
{
	int r = load_set(sv, err);

	if (r < 0)
		return r;
	sv->env.instance = sv->set->instance;
	sv->env.run_dir = sv->options.run_dir ? sv->options.run_dir : sv->set->conf.run_dir;
	sv->env.state_dir = sv->set->conf.state_dir;
	sv->env.worker = sv->options.worker;
	sv->env.tree = &sv->tree;
	sv->env.seccomp = &sv->filters;
	r = open_run_dir(sv, err);
	if (r < 0)
		return r;
	store_leases(sv);
	open_process(sv);
	open_cgroups(sv);
	r = loop_new(&sv->loop, err);
	if (r < 0)
		return r;
	loop_on_signal(sv->loop, supervisor_on_signal, sv);
	loop_on_turn(sv->loop, supervisor_on_turn, sv);
	open_log(sv);
	r = make_services(sv, err);
	if (r >= 0)
		r = supervisor_adopt(sv, err);
	if (r < 0)
		return r;
	open_workers(sv);
	if (sv->options.foreground)
		return 0;
	wanted_load(sv);
	records_begin(sv);
	/* Before our own networks: whose subnet is one of the host's is refused. */
	uplinks_begin(sv);
	network_prune(sv);
	network_names(sv);
	network_take_up(sv);
	images_begin(sv);
	supervisor_sweep_volumes(sv);
	begin_all(sv);
	return 0;
}

int supervisor_open(
	struct supervisor **ret, const struct supervisor_options *options, struct err *err)
{
	struct supervisor *sv = supervisor_new(options);
	int r = sv ? open_all(sv, err) : err_sys(err, ENOMEM, "make the supervisor");

	if (r < 0)
		supervisor_close(sv);
	else
		*ret = sv;
	return r;
}

/* After everything has stopped: nothing of ours stays on the machine but its state and its logs. */
static void remove_traces(struct supervisor *sv)
{
	struct err err = { 0 };
	char path[600];

	network_remove(sv);
	if (sv->tree.fd >= 0)
		workers_end(sv);
	if (sv->tree.fd >= 0 && cgroup_tree_remove(&sv->tree, &err) < 0)
		log_warning("remove the cgroups: %s", err.text);
	(void)snprintf(path, sizeof path, "%s/cgroup", sv->env.run_dir);
	(void)umount2(path, MNT_DETACH);
	if (is_mounted_on_itself(sv->env.run_dir))
		(void)umount2(sv->env.run_dir, MNT_DETACH);
}

/* What was told to end is still in its cgroup for a moment, which could not be removed so. */
static void wait_for_workers(struct supervisor *sv)
{
	own_fd workers = sv->tree.fd >= 0 ? cgroup_open(&sv->tree, "workers") : -1;
	uint64_t deadline = clock_monotonic() + 2 * NSEC_PER_SEC;

	while (workers >= 0 && cgroup_populated(workers) == 1 && clock_monotonic() < deadline)
		(void)poll(NULL, 0, 2);
}

void supervisor_close(struct supervisor *sv)
{
	bool stopped;

	if (!sv)
		return;
	stopped = sv->shutdown >= SHUTDOWN_STOP;
	jobs_done(sv);
	if (sv->loop) {
		netwatch_end(sv);
		linkwatch_end(sv);
		records_end(sv);
	}
	uplinks_end(sv);
	execs_done(sv);
	for (size_t i = 0; i < sv->nservices; i++)
		service_done(&sv->services[i]);
	logwriter_close(sv->log, stopped);
	fd_close(&sv->env.workers_fd);
	if (stopped) {
		wait_for_workers(sv);
		remove_traces(sv);
	}
	cgroup_tree_done(&sv->tree);
	network_end(sv);
	loop_free(sv->loop);
	free(sv->services);
	free(sv->by_unit);
	reload_end(sv);
	unit_set_done(&sv->loaded);
	seccomp_cache_done(&sv->filters);
	fd_close(&sv->state_fd);
	fd_close(&sv->wanted_fd);
	fd_close(&sv->notify_fd);
	fd_close(&sv->run_fd);
	fd_close(&sv->lock_fd);
	free(sv);
}
