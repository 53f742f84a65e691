#include "supervisor/base/priority.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

void priority_disk_idle(void)
{
	enum { WHO_PROCESS = 1, CLASS_IDLE = 3, CLASS_SHIFT = 13 };

	(void)syscall(SYS_ioprio_set, WHO_PROCESS, 0, CLASS_IDLE << CLASS_SHIFT);
}

void priority_idle(void)
{
	const struct sched_param none = { 0 };

	priority_disk_idle();
	(void)sched_setscheduler(0, SCHED_IDLE, &none);
}
