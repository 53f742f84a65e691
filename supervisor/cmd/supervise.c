/* `berth supervise`: the resident as a service: keep a directory of units running. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/log.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/core/control.h"
#include "supervisor/core/supervisor.h"
#include "supervisor/runtime/seal.h"

/* Beside berth in a build tree, in ../libexec when installed. */
static const char *worker_path(void)
{
	static char path[600];
	const char *program = seal_program_path();
	const char *slash = strrchr(program, '/');
	int n = slash ? (int)(slash - program) : 0;

	(void)snprintf(path, sizeof path, "%.*s/berth-worker", n, program);
	if (access(path, X_OK) < 0)
		(void)snprintf(path, sizeof path, "%.*s/../libexec/berth-worker", n, program);
	return path;
}

static void set_log_level(const char *text)
{
	enum log_level level;

	if (!text)
		return;
	if (log_level_parse(text, &level) < 0)
		log_warning("log level %s: use error, warning, notice, info or debug", text);
	else
		log_level_set(level);
}

/* The same command once more, read-only: before anything is opened. Exec sessions enter containers
 * as this program, and must not show them a file that they could write to. */
static void seal(int argc, char **argv)
{
	char **again = calloc((size_t)argc + 6, sizeof *again);
	struct err err = { 0 };
	int n = 0;

	if (!again)
		return;
	again[n++] = (char *)(size_t) "berth";
	if (cmd_globals.config_dir) {
		again[n++] = (char *)(size_t) "--config";
		again[n++] = (char *)(size_t)cmd_globals.config_dir;
	}
	if (cmd_globals.run_dir) {
		again[n++] = (char *)(size_t) "--run-dir";
		again[n++] = (char *)(size_t)cmd_globals.run_dir;
	}
	again[n++] = (char *)(size_t) "supervise";
	for (int i = 1; i < argc; i++)
		again[n++] = argv[i];
	if (seal_self(again, &err) < 0)
		log_warning("%s", err.text);
	free(again);
}

int cmd_supervise(int argc, char **argv)
{
	enum { OPT_LOG_LEVEL = CMD_OPT_OWN };
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "log-level", required_argument, NULL, OPT_LOG_LEVEL }, { 0 } };
	struct supervisor_options wiring = { .in = -1, .out = -1, .err = -1 };
	struct supervisor *sv = NULL;
	struct control *control = NULL;
	const char *log_level = NULL;
	struct err err = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == OPT_LOG_LEVEL)
			log_level = optarg;
		else if (cmd_global(c, "supervise"))
			return CMD_USAGE;
	}
	if (optind < argc)
		return cmd_usage("supervise", "\"%s\": it takes no names", argv[optind]);
	if (geteuid() != 0)
		return cmd_fail(CMD_FAILED, "supervise: it makes namespaces, cgroups and links: "
					    "run it as root");
	seal(argc, argv);
	set_log_level(log_level);
	wiring.config_dir = cmd_globals.config_dir;
	wiring.run_dir = cmd_globals.run_dir;
	wiring.log_level_given = log_level != NULL;
	wiring.worker = worker_path();
	if (supervisor_open(&sv, &wiring, &err) < 0)
		return cmd_fail(CMD_FAILED, "supervise: %s", err.text);
	if (control_open(&control, sv, supervisor_env(sv)->run_dir, &err) < 0)
		log_error("the verbs will not reach this supervisor: %s", err.text);
	(void)supervisor_run(sv);
	control_close(control);
	supervisor_close(sv);
	return CMD_OK;
}
