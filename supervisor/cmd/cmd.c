#include "supervisor/cmd/cmd.h"

#include <stdarg.h>
#include <stdio.h>

struct cmd_globals cmd_globals;

static void usage_print(const char *verb)
{
	const char *usage = cmd_globals.usage ? cmd_globals.usage : "";

	(void)fprintf(stderr, "usage: berth %s%s%s\n", verb, *usage ? " " : "", usage);
}

int cmd_fail(int code, const char *fmt, ...)
{
	va_list ap;

	(void)fflush(stdout);
	(void)fputs("berth: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	return code;
}

int cmd_usage(const char *verb, const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "berth: %s: ", verb);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	usage_print(verb);
	return CMD_USAGE;
}

int cmd_global(int c, const char *verb)
{
	if (c == CMD_OPT_CONFIG) {
		cmd_globals.config_dir = optarg;
	} else if (c == CMD_OPT_RUN_DIR) {
		cmd_globals.run_dir = optarg;
	} else {
		usage_print(verb);
		return CMD_USAGE;
	}
	return 0;
}
