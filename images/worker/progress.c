#include "images/worker/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "supervisor/base/clock.h"

void progress_tell(struct progress *progress, uint64_t done)
{
	uint64_t now = clock_monotonic();
	char line[100];
	int n;

	if (progress->told && now - progress->told < 100 * NSEC_PER_MSEC)
		return;
	progress->told = now;
	n = snprintf(line, sizeof line, "%llu %llu %s\n",
		(unsigned long long)(progress->before + done), (unsigned long long)progress->total,
		progress->what);
	/* SIGPIPE is ignored: a reader that went away is no reason to stop. */
	if (n > 0 && write(STDOUT_FILENO, line, (size_t)n) < 0)
		return;
}
