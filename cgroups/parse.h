/* The texts of the kernel that say where cgroups are and how they fare. Pure: text in, plain values
 * out, no allocation. All give 0 (or what is said), -ENOENT when the text does not have it, or
 * -EINVAL; outputs are untouched on failure. */
#ifndef BERTH_CGROUPS_PARSE_H
#define BERTH_CGROUPS_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where one cgroup2 mount is: `root` is the directory of the hierarchy that is seen at `point`. */
struct cgroup_mount {
	char root[256];
	char point[256];
};

/* One line of /proc/self/mountinfo, without its newline: -ENOENT when it is no cgroup2 mount. */
int parse_mountinfo_line(const char *line, size_t n, struct cgroup_mount *ret);

/* /proc/self/cgroup: the path after "0::", -ENOENT when there is no such line. */
int parse_self_cgroup(const char *text, char *ret, size_t size);

/*
 * parse_own_dir - where a cgroup path of /proc/self/cgroup is in the file system
 *
 * -ENOENT when the mount does not show it (it is outside of the mounted part).
 */
int parse_own_dir(const struct cgroup_mount *mount, const char *own, char *ret, size_t size);

/* A word list as in cgroup.controllers: the bits of those that berth uses. */
unsigned parse_controllers(const char *text);

/* /proc/cgroups: which of ours are bound to a v1 hierarchy, and whether any controller is. */
void parse_proc_cgroups(const char *text, unsigned *ret_bound, bool *ret_any);

/* "KEY VALUE" lines (cgroup.events, memory.events, cpu.stat). */
int parse_key_value(const char *text, const char *key, uint64_t *ret);

/* One number with a newline after it; "max" is UINT64_MAX. */
int parse_number(const char *text, uint64_t *ret);

#endif
