/*
 * `berth run`: one container in the foreground, with a supervisor of its own. The options become a
 * unit in a directory that is removed afterwards, so that they mean exactly what the keys mean; the
 * state is another directory, so nothing is shared with a resident supervisor.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/print.h"
#include "images/store.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/log.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"
#include "supervisor/base/str.h"
#include "supervisor/cmd/appliance.h"
#include "supervisor/cmd/client.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/image.h"
#include "supervisor/cmd/resident.h"
#include "supervisor/cmd/run_dir.h"
#include "supervisor/cmd/terminal.h"
#include "supervisor/core/supervisor.h"

struct run {
	bool input, tty;
	const char *name;
	const char *network;
	char *root; /* the path of one; NULL: it is named */
	struct run_dir dir;
	char *unit; /* the text of the unit */
	size_t size;
	FILE *text;
	struct unit_set set;
	struct supervisor *sv;
	struct service_watch watch;
	int master;
	loop_id master_watch, input_watch;
	struct loop_timer patience; /* from the first Ctrl-C on */
	int code;
};

/* ---- the unit ---------------------------------------------------------------------------------- */

/* A value in quotes, safe from specifiers, line ends and, in Exec=, from expansion. */
static void put_quoted(FILE *to, const char *text, bool expands)
{
	(void)fputc('"', to);
	for (; *text; text++)
		if (*text == '"' || *text == '\\')
			(void)fprintf(to, "\\%c", *text);
		else if (*text == '\n')
			(void)fputs("\\n", to);
		else if (*text == '%' || (*text == '$' && expands))
			(void)fprintf(to, "%c%c", *text, *text);
		else
			(void)fputc(*text, to);
	(void)fputc('"', to);
}

/* A value that has no quoting: only specifiers are to be doubled. */
static void put_plain(FILE *to, const char *key, const char *text)
{
	(void)fprintf(to, "%s=", key);
	for (; *text; text++)
		(void)fprintf(to, *text == '%' ? "%%%%" : "%c", *text);
	(void)fputc('\n', to);
}

enum { OPT_NAME = CMD_OPT_OWN, OPT_RM, OPT_NETWORK, OPT_READ_ONLY };

/* Options that are a key's value as they stand. */
static const struct {
	int option;
	const char *key;
} keys[] = {
	{ 'v', "Volume" },
	{ 'p', "PublishPort" },
	{ 'm', "Memory" },
	{ 'u', "User" },
	{ 'w', "WorkingDir" },
};

static int option(struct run *run, int c)
{
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (keys[i].option == c) {
			if (strchr(optarg, '\n'))
				return cmd_usage("run", "-%c: a line end in the value", c);
			put_plain(run->text, keys[i].key, optarg);
			return 0;
		}
	switch (c) {
	case 'i':
		run->input = true;
		return 0;
	case 't':
		run->tty = true;
		return 0;
	case 'e':
		if (!strchr(optarg, '='))
			return cmd_usage("run", "-e takes KEY=VALUE, not '%s'", optarg);
		(void)fputs("Environment=", run->text);
		put_quoted(run->text, optarg, false);
		(void)fputc('\n', run->text);
		return 0;
	case OPT_NAME:
		if (!name_valid(optarg))
			return cmd_usage("run", "'%s' is no name for a container", optarg);
		run->name = optarg;
		return 0;
	case OPT_NETWORK:
		if (strcmp(optarg, "none") != 0 && strcmp(optarg, "host") != 0)
			return cmd_usage("run", "--network takes none or host; without it there "
						"is a network of its own");
		run->network = optarg;
		return 0;
	case OPT_READ_ONLY:
		(void)fputs("ReadOnly=yes\n", run->text);
		return 0;
	case OPT_RM: /* always so */
		return 0;
	default:
		return cmd_global(c, "run");
	}
}

/* A path is a root; anything else is an image's name. */
static int put_root(struct run *run, const char *root)
{
	struct stat st;

	if (stat(root, &st) < 0 && strchr("./", root[0]))
		return cmd_fail(CMD_BERTH, "run: no root at %s: %s", root, strerror(errno));
	run->root = stat(root, &st) == 0 ? realpath(root, NULL) : NULL;
	put_plain(run->text, run->root ? "Rootfs" : "Image", run->root ? run->root : root);
	return 0;
}

static int parse(struct run *run, int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "interactive", no_argument, NULL, 'i' }, { "tty", no_argument, NULL, 't' },
		{ "volume", required_argument, NULL, 'v' }, { "env", required_argument, NULL, 'e' },
		{ "publish", required_argument, NULL, 'p' },
		{ "memory", required_argument, NULL, 'm' },
		{ "user", required_argument, NULL, 'u' },
		{ "workdir", required_argument, NULL, 'w' },
		{ "name", required_argument, NULL, OPT_NAME }, { "rm", no_argument, NULL, OPT_RM },
		{ "network", required_argument, NULL, OPT_NETWORK },
		{ "read-only", no_argument, NULL, OPT_READ_ONLY }, { 0 } };
	int c;
	int r;

	(void)fputs("[Container]\n", run->text);
	while ((c = getopt_long(argc, argv, "+itv:e:p:m:u:w:", options, NULL)) != -1) {
		r = option(run, c);
		if (r)
			return r;
	}
	if (optind == argc)
		return cmd_usage("run", "a root directory, an archive or an image is expected");
	if (run->tty && !isatty(STDIN_FILENO))
		return cmd_fail(CMD_BERTH, "run -t: standard input is no terminal; leave out -t");
	r = put_root(run, argv[optind++]);
	if (r)
		return r;
	if (optind < argc)
		(void)fputs("Exec=", run->text);
	for (int first = optind; optind < argc; optind++) {
		if (optind > first)
			(void)fputc(' ', run->text);
		put_quoted(run->text, argv[optind], true);
	}
	(void)fprintf(run->text, "\nNetwork=%s\n[Install]\nWantedBy=default.target\n",
		run->network ? run->network : "run.network");
	return 0;
}

/* ---- the directory ----------------------------------------------------------------------------- */

static int put_file(const char *dir, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int put_file(const char *dir, const char *name, const char *fmt, ...)
{
	char path[200];
	FILE *file;
	va_list ap;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	file = fopen(path, "wxe");
	if (!file)
		return -errno;
	va_start(ap, fmt);
	(void)vfprintf(file, fmt, ap);
	va_end(ap);
	return fclose(file) ? -errno : 0;
}

/* berth.conf and the rest, for the units. */
static int directory_fill(const struct run *run)
{
	unsigned net = (unsigned)getpid();
	const char *dir = run->dir.path;
	char units[96];
	char name[80];
	int r;

	(void)snprintf(units, sizeof units, "%s/units", dir);
	(void)snprintf(name, sizeof name, "%s.container", run->name);
	r = put_file(units, "berth.conf",
		"[Supervisor]\nStateDir=%s/state\nRunDir=%s/run\nLogDir=%s/logs\n"
		"StoreDir=%s\nImagePath=%s\n",
		dir, dir, dir, client_store_dir(), client_image_path());
	/* By our pid, in the half of 10.0.0.0/8 that no default of berth is in. A subnet that the host has
	 * already is refused with its words. */
	if (r == 0 && !run->network)
		r = put_file(units, "run.network",
			"[Network]\nInterfaceName=br-run%u\nSubnet=10.%u.%u.0/24\n", net % 10000000,
			128 + net / 256 % 128, net % 256);
	return r ? r : put_file(units, name, "%s", run->unit);
}

/* ---- running ----------------------------------------------------------------------------------- */

static struct service *the_service(const struct run *run)
{
	return service_find(run->sv, run->name);
}

/* A start that failed: what was told to be run is missing, or cannot be run, or it was berth. */
static int failure_code(const struct service_info *info)
{
	if (info->failure_stage != STAGE_EXEC)
		return CMD_BERTH;
	return info->failure_code == ENOENT ? CMD_NOT_FOUND : CMD_NOT_EXECUTABLE;
}

static void ended(struct run *run, const struct service_info *info)
{
	if (!info->last.known)
		run->code = cmd_fail(failure_code(info), "run: %s", info->failure);
	else if (!info->last.status)
		run->code = cmd_fail(CMD_BERTH, "run: its exit code is not known");
	else
		run->code = info->last.signal ? CMD_SIGNAL + info->last.signal : info->last.code;
	if (info->last.oom)
		(void)cmd_fail(0, "it was killed for using too much memory: -m gives it more");
	supervisor_shutdown(run->sv, SHUTDOWN_STOP);
}

static void on_change(struct service *service, void *data)
{
	struct run *run = data;
	struct service_info info = { 0 };

	service_info(service, &info);
	if (info.state != SERVICE_DONE && info.state != SERVICE_FAILED &&
		info.state != SERVICE_INACTIVE)
		return;
	service_watch_remove(run->sv, &run->watch);
	ended(run, &info);
}

static void master_end(struct run *run)
{
	loop_remove(supervisor_loop(run->sv), &run->master_watch);
	loop_remove(supervisor_loop(run->sv), &run->input_watch);
	fd_close(&run->master);
}

static void master_event(struct loop *loop, uint32_t events, void *data)
{
	struct run *run = data;

	(void)loop;
	(void)events;
	if (terminal_copy(run->master, STDOUT_FILENO) <= 0)
		master_end(run);
}

static void input_event(struct loop *loop, uint32_t events, void *data)
{
	struct run *run = data;

	(void)events;
	if (terminal_copy(STDIN_FILENO, run->master) <= 0)
		loop_remove(loop, &run->input_watch);
}

static void on_console(struct supervisor *sv, int fd, void *data)
{
	struct run *run = data;

	run->master = fd;
	terminal_copy_size(fd);
	(void)terminal_raw();
	(void)loop_add(supervisor_loop(sv), fd, EPOLLIN, LOOP_NOTICE, master_event, run,
		&run->master_watch);
	if (run->input)
		(void)loop_add(supervisor_loop(sv), STDIN_FILENO, EPOLLIN, LOOP_CONTROL,
			input_event, run, &run->input_watch);
}

static void on_patience(struct loop *loop, void *data)
{
	(void)loop;
	(void)data;
	(void)cmd_fail(0, "run: it was asked to stop and has not ended yet; once more to kill it");
}

/* Ctrl-C and its like ask the container to stop; twice, and it is killed. Most end before a word is due. */
static bool on_signal(struct supervisor *sv, int signal, void *data)
{
	struct run *run = data;

	if (signal == SIGWINCH && run->master >= 0)
		terminal_copy_size(run->master);
	if (signal != SIGINT && signal != SIGTERM && signal != SIGHUP && signal != SIGQUIT)
		return true;
	if (run->patience.fn) {
		loop_timer_cancel(supervisor_loop(sv), &run->patience);
	} else {
		run->patience = (struct loop_timer){ .fn = on_patience, .data = run };
		(void)loop_timer_set(
			supervisor_loop(sv), &run->patience, clock_monotonic() + NSEC_PER_SEC);
	}
	supervisor_shutdown(sv, SHUTDOWN_STOP);
	return true;
}

/* The terminal's own descriptors do not fit a container that is to have none. */
static int run_set(struct run *run)
{
	struct supervisor_options options = { .set = &run->set,
		.worker = appliance_worker(),
		.foreground = true,
		.in = run->input && !run->tty ? STDIN_FILENO : -1,
		.out = run->tty ? -1 : STDOUT_FILENO,
		.err = run->tty ? -1 : STDERR_FILENO,
		.on_console = on_console,
		.on_signal = on_signal,
		.data = run };
	struct service_ticket ticket;
	struct err err = { 0 };
	struct unit *unit = unit_find(&run->set, run->name);

	if (!unit || !unit->spec)
		return cmd_fail(CMD_BERTH, "run: the unit is not in its own set");
	unit->spec->process.tty = run->tty;
	if (supervisor_open(&run->sv, &options, &err) < 0)
		return cmd_fail(CMD_BERTH, "run: %s", err.text);
	run->watch = (struct service_watch){ .fn = on_change, .data = run };
	service_watch_add(run->sv, &run->watch);
	run->code = CMD_BERTH;
	if (service_request(the_service(run), REQUEST_START, &ticket, &err) < 0)
		run->code = cmd_fail(CMD_BERTH, "run: %s", err.text);
	else
		(void)supervisor_run(run->sv);
	if (run->master >= 0) { /* what it said last */
		(void)fcntl(run->master, F_SETFL, O_NONBLOCK);
		while (terminal_copy(run->master, STDOUT_FILENO) > 0)
			continue;
		master_end(run);
	}
	terminal_restore();
	supervisor_close(run->sv);
	return run->code;
}

/* The image that an archive has in it is in the store first; then the set is read again. */
static int take_in(struct run *run, const char *units, struct err *err)
{
	const struct unit *unit = unit_find(&run->set, run->name);
	const struct root_spec *root = unit && unit->spec ? &unit->spec->root : NULL;
	const struct image_source source = { .path = run->root,
		.name = root ? root->archive : NULL,
		.title = "run",
		.quiet = true };
	struct store store = STORE_NONE;
	int code;

	if (run->set.nerrors || !source.name || root->kind != ROOT_NONE)
		return CMD_OK;
	if (image_open(&store, err) < 0)
		return cmd_fail(CMD_BERTH, "run: %s", err->text);
	code = image_take_in(&store, &source);
	store_close(&store);
	if (code != CMD_OK)
		return CMD_BERTH;
	unit_set_done(&run->set);
	return unit_set_load(&run->set, units, err) < 0 ? cmd_fail(CMD_BERTH, "run: %s", err->text)
							: CMD_OK;
}

static int run_made(struct run *run)
{
	struct err err = { 0 };
	char units[96];
	int r = run_dir_make(&run->dir);
	int code;

	if (r == 0)
		r = directory_fill(run);
	if (r < 0)
		return cmd_fail(CMD_BERTH, "run: make a directory for its state: %s", strerror(-r));
	(void)snprintf(units, sizeof units, "%s/units", run->dir.path);
	r = unit_set_load(&run->set, units, &err);
	if (r < 0)
		return cmd_fail(CMD_BERTH, "run: %s", err.text);
	code = take_in(run, units, &err);
	for (size_t i = 0; i < run->set.nunits; i++)
		if (run->set.units[i].spec && run->set.units[i].spec->root.id)
			store_hand_out(client_store_dir(), run->set.units[i].spec->root.id);
	if (code == CMD_OK && run->set.nerrors) {
		(void)cmd_fail(0, "run: the options make this unit, which is not right:");
		(void)fputs(run->unit, stderr);
		problems_print(&run->set, stderr);
		code = CMD_BERTH;
	} else if (code == CMD_OK) {
		code = run_set(run);
	}
	unit_set_done(&run->set);
	return code;
}

int cmd_run(int argc, char **argv)
{
	struct run run = { .master = -1 };
	char name[32];
	int code;

	(void)snprintf(name, sizeof name, "run-%d", (int)getpid());
	run.name = name;
	run.text = open_memstream(&run.unit, &run.size);
	if (!run.text)
		return cmd_fail(CMD_BERTH, "run: %s", strerror(errno));
	code = parse(&run, argc, argv);
	(void)fclose(run.text);
	if (code == 0) {
		log_open(-1, 0, LOG_WARNING); /* what matters is said by ended() */
		run_dirs_sweep();
		code = run_made(&run);
		run_dir_remove(&run.dir);
	}
	free(run.unit);
	free(run.root);
	return code;
}
