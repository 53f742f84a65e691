#include "supervisor/runtime/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/base/capability.h"

int caps_last(void)
{
	static int known = -1;
	int last = known;

	if (known >= 0)
		return known;
	while (last < 63 && prctl(PR_CAPBSET_READ, last + 1) >= 0)
		last++;
	return known = last;
}

int caps_drop_bounding(uint64_t keep)
{
	int last = caps_last();

	for (int bit = 0; bit <= last; bit++) {
		int code;

		if (keep & CAPABILITY_BIT(bit) || prctl(PR_CAPBSET_DROP, bit) == 0)
			continue;
		code = errno;
		/* What is not there need not be dropped: so this works without CAP_SETPCAP, too. */
		if (prctl(PR_CAPBSET_READ, bit) != 0)
			return -code;
	}
	return 0;
}

int caps_set(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	int last = caps_last();
	uint64_t known = last >= 63 ? UINT64_MAX : CAPABILITY_BIT(last + 1) - 1;

	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].effective = (uint32_t)((effective & known) >> 32 * i);
		data[i].permitted = (uint32_t)((permitted & known) >> 32 * i);
		data[i].inheritable = (uint32_t)((inheritable & known) >> 32 * i);
	}
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

int caps_permitted(uint64_t *ret)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	*ret = (uint64_t)data[1].permitted << 32 | data[0].permitted;
	return 0;
}

int caps_ambient(uint64_t mask)
{
	int last = caps_last();

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	for (int bit = 0; bit <= last; bit++)
		if (mask & CAPABILITY_BIT(bit) &&
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, bit, 0, 0) < 0)
			return -errno;
	return 0;
}

int caps_keep(int keep)
{
	return prctl(PR_SET_KEEPCAPS, keep, 0, 0, 0) < 0 ? -errno : 0;
}
