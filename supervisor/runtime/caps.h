/* The calls that change a process's capability sets, one each: for the child, between fork and
 * exec. None allocates; all give 0 or -errno. Bit N of a mask is capability N. */
#ifndef BERTH_RUNTIME_CAPS_H
#define BERTH_RUNTIME_CAPS_H

#include <stdint.h>

/* caps_last - the highest capability the running kernel knows (asked of prctl, not of /proc, and once:
 * a process that lives asks, so that those it clones need not). */
int caps_last(void);

/* caps_drop_bounding - leave only `keep` in the bounding set. Needs CAP_SETPCAP. */
int caps_drop_bounding(uint64_t keep);

/* caps_set - the three classic sets; bits the kernel does not know are left out. */
int caps_set(uint64_t effective, uint64_t permitted, uint64_t inheritable);

/* caps_permitted - our own permitted set: more than that we cannot give. */
int caps_permitted(uint64_t *ret);

/* caps_ambient - exactly `mask`; its bits must be permitted and inheritable already. */
int caps_ambient(uint64_t mask);

/* caps_keep - do the permitted capabilities survive the change of uid away from 0. */
int caps_keep(int keep);

#endif
