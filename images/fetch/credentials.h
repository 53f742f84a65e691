/* Who we are to a registry: the auth files that podman, skopeo and docker write. */
#ifndef BERTH_IMAGES_FETCH_CREDENTIALS_H
#define BERTH_IMAGES_FETCH_CREDENTIALS_H

#include <jansson.h>
#include <stdbool.h>

#include "supervisor/base/arena.h"
#include "supervisor/base/err.h"

enum { AUTH_FILES_MAX = 4 };

struct auth_files {
	struct {
		const char *path;
		json_t *json;
	} v[AUTH_FILES_MAX];
	int n;
};

struct credentials {
	const char *user, *password; /* NULL: none are known */
	const char *token;           /* an identity token, which stands for both */
	const char *helper;          /* where a helper that is not asked has them */
};

/*
 * auth_files_read - the files, in the order in which they are asked
 *
 * `path`, or else REGISTRY_AUTH_FILE=, is the only one, and must be there. Else those that are there
 * of XDG_RUNTIME_DIR/containers/auth.json (/run/containers/UID without it),
 * ~/.config/containers/auth.json and ~/.docker/config.json.
 * Fails: with words, when one cannot be read.
 */
int auth_files_read(struct arena *arena, const char *path, struct auth_files *ret, struct err *err);
/* The text of one; NULL, with words that quote nothing of it: it is none. */
json_t *auth_file_parse(const char *text, size_t n, const char *path, struct err *err);
void auth_files_done(struct auth_files *files);

/*
 * credentials_find - what the files say of a repository
 *
 * The longest entry that names it wins: registry/a/b, then registry/a, then registry.
 * Gives: strings of the arena; all NULL when nothing is known.
 * Fails: -EINVAL when the entry is broken.
 */
int credentials_find(struct arena *arena, const struct auth_files *files, const char *registry,
	const char *repository, struct credentials *ret, struct err *err);

/* "USER:PASSWORD", which is changed. */
int credentials_part(char *text, struct credentials *ret);

#endif
