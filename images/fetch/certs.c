#include "images/fetch/certs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"

enum { CERTS_MAX = 4 * 1024 * 1024 };

static int pem_read(
	struct arena *arena, int dir, const char *name, const char **ret, struct err *err)
{
	own_mem char *text = malloc(CERTS_MAX);
	ssize_t n = text ? file_read_at(dir, name, text, CERTS_MAX) : -ENOMEM;

	if (n < 0)
		return err_sys(err, (int)-n, "read %s", name);
	*ret = arena_printf(arena, "%s%s\n", *ret ? *ret : "", text);
	return *ret ? 0 : err_sys(err, ENOMEM, "read %s", name);
}

static int file_take(
	struct arena *arena, int dir, const char *name, struct certs *ret, struct err *err)
{
	const char *key;
	int r;

	if (str_ends(name, ".crt"))
		return pem_read(arena, dir, name, &ret->ca, err);
	if (!str_ends(name, ".cert") || ret->cert)
		return 0;
	key = arena_printf(arena, "%.*s.key", (int)(strlen(name) - strlen(".cert")), name);
	if (!key)
		return err_sys(err, ENOMEM, "read %s", name);
	r = pem_read(arena, dir, name, &ret->cert, err);
	return r < 0 ? r : pem_read(arena, dir, key, &ret->key, err);
}

static int dir_read(
	struct arena *arena, const char *path, bool wanted, struct certs *ret, struct err *err)
{
	struct dirent **names = NULL;
	own_fd dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int n = dir < 0 ? -1 : scandirat(dir, ".", &names, NULL, alphasort);
	int r = 0;

	if (n < 0)
		return errno == ENOENT && !wanted ? 0 : err_sys(err, errno, "read %s", path);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = file_take(arena, dir, names[i]->d_name, ret, err);
		free(names[i]);
	}
	free(names);
	return r < 0 ? err_wrap(err, "%s", path) : 0;
}

int certs_read(struct arena *arena, const char *dir, const char *ca_file, const char *host,
	struct certs *ret, struct err *err)
{
	const char *home = getenv("HOME");
	const char *places[] = {
		home ? arena_printf(arena, "%s/.config/containers/certs.d/%s", home, host) : NULL,
		arena_printf(arena, "/etc/containers/certs.d/%s", host),
		arena_printf(arena, "/etc/docker/certs.d/%s", host),
	};
	int r = 0;

	*ret = (struct certs){ 0 };
	if (ca_file)
		r = pem_read(arena, AT_FDCWD, ca_file, &ret->ca, err);
	if (dir)
		return r < 0 ? r : dir_read(arena, dir, true, ret, err);
	for (size_t i = 0; i < sizeof places / sizeof places[0] && r == 0; i++)
		if (places[i])
			r = dir_read(arena, places[i], false, ret, err);
	return r;
}
