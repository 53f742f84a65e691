/* berth init: process 1 of a machine. */
#include <string.h>
#include <unistd.h>

#include "supervisor/base/log.h"
#include "supervisor/cmd/appliance.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/resident.h"
#include "supervisor/core/boot.h"
#include "supervisor/core/supervisor.h"

static bool on_signal(struct supervisor *sv, int signal, void *data)
{
	enum shutdown_kind kind = boot_signal(signal);

	(void)data;
	if (kind == SHUTDOWN_NONE)
		return false;
	log_notice("%s: shutting down", strsignal(signal));
	supervisor_shutdown(sv, kind);
	return true;
}

/* One life of a supervisor; or of a rescue shell in its place. */
static enum shutdown_kind run(const struct boot_request *request, struct watchdog *watchdog)
{
	struct supervisor_options options = {
		.worker = appliance_worker(),
		.on_signal = on_signal,
		.in = -1,
		.out = -1,
		.err = -1,
		.log_level_given = request->log_level_given,
		.ip = *request->ip ? request->ip : NULL,
	};
	struct supervisor *sv = NULL;
	struct err err = { 0 };
	enum shutdown_kind kind;

	if (request->config_dir[0])
		cmd_globals.config_dir = request->config_dir;
	if (appliance_config(&options.config_dir, &err) < 0 ||
		supervisor_open(&sv, &options, &err) < 0) {
		log_error("%s", err.text);
		return boot_rescue(err.text, watchdog);
	}
	if (watchdog->fd < 0)
		watchdog_open(watchdog, supervisor_set(sv)->conf.watchdog);
	if (resident_run(sv, &options, watchdog, &kind, &err) < 0) {
		log_error("%s", err.text);
		return boot_rescue(err.text, watchdog);
	}
	return kind;
}

int cmd_init(int argc, char **argv)
{
	struct watchdog watchdog = { .fd = -1 };
	struct boot_request request;
	enum shutdown_kind kind = SHUTDOWN_NONE;

	(void)argc;
	(void)argv;
	if (getpid() != 1)
		return cmd_fail(CMD_USAGE, "init is for process 1 of a machine (put berth at "
					   "/init, or boot with init=/sbin/berth); "
					   "beside another init use 'berth supervise'");
	/* Sealing needs /proc, and executes us anew: so that first, then everything else. */
	boot_proc();
	resident_seal();
	boot_early(&request);
	log_notice("berth %s is process 1", BERTH_VERSION);
	if (request.rescue)
		kind = boot_rescue(
			"asked for by berth.rescue on the kernel command line", &watchdog);
	while (kind == SHUTDOWN_NONE)
		kind = run(&request, &watchdog);
	boot_end(kind, &watchdog);
}
