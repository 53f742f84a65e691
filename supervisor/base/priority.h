/* Work that nobody waits for gets what others leave. */
#ifndef BERTH_BASE_PRIORITY_H
#define BERTH_BASE_PRIORITY_H

/* Both are best effort, for the rest of this thread and of what it starts. */

/* The disk's time: ioprio_set(2); some schedulers know no priorities. */
void priority_disk_idle(void);
/* That, and the processor's: SCHED_IDLE. */
void priority_idle(void);

#endif
