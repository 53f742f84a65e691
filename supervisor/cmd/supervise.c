/* `berth supervise`: the resident as a service: keep a directory of units running. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/log.h"
#include "supervisor/cmd/appliance.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/resident.h"
#include "supervisor/core/supervisor.h"

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

int cmd_supervise(int argc, char **argv)
{
	enum { OPT_LOG_LEVEL = CMD_OPT_OWN };
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "log-level", required_argument, NULL, OPT_LOG_LEVEL }, { 0 } };
	struct supervisor_options wiring = { .in = -1, .out = -1, .err = -1 };
	struct supervisor *sv = NULL;
	enum shutdown_kind kind;
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
	resident_seal();
	set_log_level(log_level);
	if (appliance_config(&wiring.config_dir, &err) < 0)
		return cmd_fail(CMD_FAILED, "supervise: %s", err.text);
	wiring.run_dir = cmd_globals.run_dir;
	wiring.log_level_given = log_level != NULL;
	wiring.worker = appliance_worker();
	if (supervisor_open(&sv, &wiring, &err) < 0 ||
		resident_run(sv, &wiring, NULL, &kind, &err) < 0)
		return cmd_fail(CMD_FAILED, "supervise: %s", err.text);
	return CMD_OK;
}
