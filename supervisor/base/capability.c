#include "supervisor/base/capability.h"

#include <assert.h>
#include <errno.h>
#include <linux/capability.h>
#include <stddef.h>
#include <strings.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38 /* Linux 5.8 */
#define CAP_BPF     39
#endif
#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40 /* Linux 5.9 */
#endif

#define ROW(name) [CAP_##name] = "CAP_" #name

static const char *const names[] = {
	ROW(CHOWN),
	ROW(DAC_OVERRIDE),
	ROW(DAC_READ_SEARCH),
	ROW(FOWNER),
	ROW(FSETID),
	ROW(KILL),
	ROW(SETGID),
	ROW(SETUID),
	ROW(SETPCAP),
	ROW(LINUX_IMMUTABLE),
	ROW(NET_BIND_SERVICE),
	ROW(NET_BROADCAST),
	ROW(NET_ADMIN),
	ROW(NET_RAW),
	ROW(IPC_LOCK),
	ROW(IPC_OWNER),
	ROW(SYS_MODULE),
	ROW(SYS_RAWIO),
	ROW(SYS_CHROOT),
	ROW(SYS_PTRACE),
	ROW(SYS_PACCT),
	ROW(SYS_ADMIN),
	ROW(SYS_BOOT),
	ROW(SYS_NICE),
	ROW(SYS_RESOURCE),
	ROW(SYS_TIME),
	ROW(SYS_TTY_CONFIG),
	ROW(MKNOD),
	ROW(LEASE),
	ROW(AUDIT_WRITE),
	ROW(AUDIT_CONTROL),
	ROW(SETFCAP),
	ROW(MAC_OVERRIDE),
	ROW(MAC_ADMIN),
	ROW(SYSLOG),
	ROW(WAKE_ALARM),
	ROW(BLOCK_SUSPEND),
	ROW(AUDIT_READ),
	ROW(PERFMON),
	ROW(BPF),
	ROW(CHECKPOINT_RESTORE),
};
static_assert(sizeof names / sizeof names[0] == CAPABILITY_COUNT, "a capability has no name");

int capability_from_name(const char *name)
{
	if (strncasecmp(name, "CAP_", 4) == 0)
		name += 4;
	for (int bit = 0; bit < CAPABILITY_COUNT; bit++)
		if (strcasecmp(name, names[bit] + 4) == 0)
			return bit;
	return -EINVAL;
}

const char *capability_name(int bit)
{
	return bit >= 0 && bit < CAPABILITY_COUNT ? names[bit] : NULL;
}
