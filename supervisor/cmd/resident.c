#include "supervisor/cmd/resident.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/log.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/runtime/seal.h"

void resident_seal(void)
{
	struct err err = { 0 };

	if (seal_self(cmd_globals.argv, &err) < 0)
		log_warning("%s", err.text);
}

const char *resident_worker(void)
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
