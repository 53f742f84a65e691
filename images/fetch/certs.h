/* Whom to believe beside the system's certificate authorities, and our own certificate. */
#ifndef BERTH_IMAGES_FETCH_CERTS_H
#define BERTH_IMAGES_FETCH_CERTS_H

#include <stddef.h>

#include "supervisor/base/arena.h"
#include "supervisor/base/err.h"

struct certs {
	const char *ca; /* PEM, one after the other; NULL: only the system's */
	const char *cert, *key;
};

/*
 * certs_read - a directory as podman and docker have it: *.crt, and a NAME.cert with its NAME.key
 *
 * `dir` NULL: those that are there of ~/.config/containers/certs.d, /etc/containers/certs.d and
 * /etc/docker/certs.d, below them HOST[:PORT]. `ca_file` is added when it is not NULL.
 * Fails: with words.
 */
int certs_read(struct arena *arena, const char *dir, const char *ca_file, const char *host,
	struct certs *ret, struct err *err);

#endif
