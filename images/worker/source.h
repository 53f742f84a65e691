/* Where an image comes from, and what it is: told by the content, never by a name. */
#ifndef BERTH_IMAGES_WORKER_SOURCE_H
#define BERTH_IMAGES_WORKER_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "images/worker/blob.h"
#include "images/worker/digest.h"
#include "images/worker/json.h"
#include "images/worker/members.h"
#include "supervisor/base/err.h"

enum source_kind {
	SOURCE_OCI,        /* an OCI layout: a directory, or an archive of one */
	SOURCE_FLAT,       /* one image in a directory, as podman and skopeo write dir:PATH */
	SOURCE_DOCKER,     /* an archive with manifest.json, as `docker save` makes it */
	SOURCE_DOCKER_OLD, /* the same before 2016: `repositories`, and a directory for each layer */
	SOURCE_TAR,        /* a tree in a tar archive, perhaps packed */
	SOURCE_TREE,       /* a tree in a directory */
	SOURCE_FILE,       /* a file system image: erofs or squashfs */
};

struct source {
	enum source_kind kind;
	int dir;  /* of a layout or a tree; -1: none */
	int file; /* of anything else; -1: none */
	struct members members;
	uint64_t window;          /* stream.h */
	char top[DIGEST_HEX + 1]; /* of SOURCE_FLAT: the digest of its manifest.json */
};

/*
 * source_open - look at what was given
 *
 * `fd`: a directory, a file, or a pipe, which is copied first. What is an archive of an image, but
 * packed, is unpacked first. The copies are nameless files in the directory `spool`.
 * Gives: *ret, for source_done, which leaves `fd` alone.
 * Fails: -EINVAL with what it is not.
 */
int source_open(int fd, int spool, uint64_t window, struct source *ret, struct err *err);
void source_done(struct source *source);

/* source_has - is there a file of that name, in a layout or an archive. */
bool source_has(const struct source *source, const char *name);

/*
 * source_find - the file `name`
 *
 * In SOURCE_FLAT blobs/sha256/DIGEST is found under the name that it has there.
 * Gives: a blob with a descriptor of its own, the caller's. Fails: -ENOENT. In a directory links are
 *        not followed.
 */
int source_find(const struct source *source, const char *name, struct blob *ret, struct err *err);

/*
 * source_load - a small file as it is; source_json - the same as JSON (json_read)
 *
 * Gives: the text, with a NUL behind it, or the document: the caller's. Fails: -ENOENT; -EFBIG above
 *        JSON_SIZE_MAX; with the name in its words.
 */
int source_load(const struct source *source, const char *name, char **ret, uint64_t *ret_size,
	struct err *err);
int source_json(const struct source *source, const char *name, json_t **ret, struct err *err);

#endif
