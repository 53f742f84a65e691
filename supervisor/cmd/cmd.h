/* What the verbs of `berth` share: their entry points, exit codes and global options. */
#ifndef BERTH_CMD_CMD_H
#define BERTH_CMD_CMD_H

#include <getopt.h>

struct err;

/* Exit codes, the same for every verb. 125 and up: `run` and `exec`, as other engines have them. */
enum cmd_exit {
	CMD_OK = 0,
	CMD_FAILED = 1,
	CMD_USAGE = 2,
	CMD_NOT_RUNNING = 3,
	CMD_NO_UNIT = 4,
	CMD_BERTH = 125,          /* berth itself failed before the command could run */
	CMD_NOT_EXECUTABLE = 126, /* the command is there and cannot be run */
	CMD_NOT_FOUND = 127,      /* the command is not there */
	CMD_SIGNAL = 128,         /* plus the number of the signal that killed the command */
};

/* Given before the verb or among its options; NULL: not given. */
struct cmd_globals {
	const char *config_dir;
	const char *run_dir;
	char **argv;       /* of the process, as it was started */
	const char *usage; /* what follows the verb; NULL: none is known yet */
};
extern struct cmd_globals cmd_globals;

/* A row for each in every verb's getopt_long table; cmd_global() takes what they give. */
enum { CMD_OPT_CONFIG = 1000, CMD_OPT_RUN_DIR, CMD_OPT_OWN };
#define CMD_GLOBAL_OPTIONS                                          \
	{ "config", required_argument, NULL, CMD_OPT_CONFIG },      \
	{                                                           \
		"run-dir", required_argument, NULL, CMD_OPT_RUN_DIR \
	}

/*
 * cmd_global - the branch of a verb's option loop for what it does not know itself
 *
 * Gives: 0 when `c` was a global option (then taken), else CMD_USAGE, after saying on stderr how the
 *        verb is used (getopt has already said what is wrong). 'h' in no table: --help is taken by
 *        main() before the verb runs.
 */
int cmd_global(int c, const char *verb);

/* "berth: VERB: TEXT" and the usage line on stderr; gives CMD_USAGE, to be returned. */
int cmd_usage(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "berth: TEXT" on stderr; gives `code`, to be returned. */
int cmd_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Verbs: argv[0] is "berth VERB". Each gives an exit code and may leave memory and descriptors to
 * the end of the process.
 */
int cmd_help(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_why(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_port(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_is_active(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_start(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_restart(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_wait(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_cat(int argc, char **argv);
int cmd_pack(int argc, char **argv);
int cmd_bundle(int argc, char **argv);
int cmd_image(int argc, char **argv);
int cmd_volume(int argc, char **argv);
int cmd_network(int argc, char **argv);
int cmd_supervise(int argc, char **argv);
int cmd_init(int argc, char **argv);
int cmd_lease(int argc, char **argv);

#endif
