/* Who a container runs as: its User=, Group= and GroupAdd= looked up in the passwd and group files
 * of its own root. No NSS: nothing from the image is ever loaded (CVE-2019-14271). */
#ifndef BERTH_RUNTIME_USERS_H
#define BERTH_RUNTIME_USERS_H

#include <stddef.h>
#include <stdint.h>

#include "supervisor/base/str.h"

struct err;

enum { IDS_GROUPS_MAX = 64 };

struct ids {
	uint32_t uid, gid;
	uint32_t groups[IDS_GROUPS_MAX]; /* supplementary; may repeat gid, nothing twice */
	size_t ngroups;
	char home[256]; /* "/" when passwd has none that is usable */
	char name[64];  /* "" for a number without an entry */
};

/*
 * users_resolve - ids of a container's process
 *
 * Needs:  rootfd: the container's root directory (O_PATH is enough); /proc of the host for opening
 *         what was found to be a regular file.
 *         user: name or uid, then optionally ":" and a group name or gid; NULL or "": 0.
 *         group: name or gid; NULL or "": what `user` says, else the user's own group in passwd,
 *         else 0. groups: names or gids to add; may be NULL.
 * Gives:  *ret. Digits are always a number, with or without an entry. Supplementary groups of the
 *         user in the group file count only when no group was named, as with podman and docker.
 *         A missing file is an empty one. Lines above 4 KiB or with a NUL are passed over.
 * Blocks: for the disk only; a FIFO or a device in the place of a file is refused unopened.
 * Fails:  -EINVAL: a name without an entry, a number above 4294967294, more than 64 groups, not a
 *         regular file; -EFBIG: a file above 1 MiB; what openat2 gives.
 */
int users_resolve(int rootfd, const char *user, const char *group, const struct strv *groups,
	struct ids *ret, struct err *err);

/* users_resolve_text - the same on the two files' bytes: for users_resolve, tests and the fuzzer. */
struct users_text {
	const char *text;
	size_t n;
};
int users_resolve_text(struct users_text passwd, struct users_text group_file, const char *user,
	const char *group, const struct strv *groups, struct ids *ret, struct err *err);

#endif
