/* Names of the kernel's capabilities: a table, so that the configuration can be checked without
 * any library. */
#ifndef BERTH_BASE_CAPABILITY_H
#define BERTH_BASE_CAPABILITY_H

#include <stdint.h>

/* How many capabilities this berth knows by name; the running kernel may know fewer or more. */
enum { CAPABILITY_COUNT = 41 };

#define CAPABILITY_BIT(bit) (UINT64_C(1) << (bit))
#define CAPABILITY_ALL      (CAPABILITY_BIT(CAPABILITY_COUNT) - 1)

/* capability_from_name - "CAP_NET_RAW", "net_raw": the bit's number, or -EINVAL. */
int capability_from_name(const char *name);

/* capability_name - "CAP_NET_RAW" for 13; NULL for a number that has no name here. */
const char *capability_name(int bit);

#endif
