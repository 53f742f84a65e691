#include "images/fetch/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"

enum { AUTH_FILE_MAX = 1024 * 1024 };

/* ---- the files ---------------------------------------------------------------------------------- */

json_t *auth_file_parse(const char *text, size_t n, const char *path, struct err *err)
{
	json_error_t where;
	json_t *json = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);

	if (json_is_object(json))
		return json;
	/* jansson's own words may quote what is in the file. */
	json_decref(json);
	(void)err_set(err, EINVAL, "the auth file %s: line %d: not a JSON object", path,
		where.line > 0 ? where.line : 1);
	return NULL;
}

static int file_add(struct auth_files *files, const char *path, bool wanted, struct err *err)
{
	own_mem char *text = path ? malloc(AUTH_FILE_MAX) : NULL;
	json_t *json;
	ssize_t n;

	if (!text)
		return err_sys(err, ENOMEM, "read the auth file");
	n = file_read_at(AT_FDCWD, path, text, AUTH_FILE_MAX);
	if (n == -ENOENT && !wanted)
		return 0;
	if (n < 0)
		return err_sys(err, (int)-n, "read the auth file %s", path);
	json = auth_file_parse(text, (size_t)n, path, err);
	explicit_bzero(text, (size_t)n);
	if (!json)
		return -EINVAL;
	files->v[files->n].path = path;
	files->v[files->n++].json = json;
	return 0;
}

int auth_files_read(struct arena *arena, const char *path, struct auth_files *ret, struct err *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	const char *home = getenv("HOME");
	const char *only = path ? path : getenv("REGISTRY_AUTH_FILE");
	int r;

	ret->n = 0;
	if (only && *only)
		return file_add(ret, only, true, err);
	r = file_add(ret,
		runtime && *runtime ? arena_printf(arena, "%s/containers/auth.json", runtime)
				    : arena_printf(arena, "/run/containers/%u/auth.json", getuid()),
		false, err);
	if (r == 0 && home && *home)
		r = file_add(ret, arena_printf(arena, "%s/.config/containers/auth.json", home),
			false, err);
	if (r == 0 && home && *home)
		r = file_add(ret, arena_printf(arena, "%s/.docker/config.json", home), false, err);
	if (r < 0)
		auth_files_done(ret);
	return r;
}

void auth_files_done(struct auth_files *files)
{
	for (int i = 0; i < files->n; i++)
		json_decref(files->v[i].json);
	files->n = 0;
}

/* ---- entries ------------------------------------------------------------------------------------ */

/* Does a key of "auths" name this? docker writes URLs, and docker.io in several ways. */
static bool key_is(const char *key, const char *name)
{
	static const char *const hub[] = { "index.docker.io", "registry-1.docker.io" };
	const char *scheme = strstr(key, "://");
	size_t n = strlen(key);

	if (scheme) {
		key = scheme + 3;
		n = strcspn(key, "/");
	}
	while (n > 0 && key[n - 1] == '/')
		n--;
	for (size_t i = 0; i < sizeof hub / sizeof hub[0]; i++)
		if (n == strlen(hub[i]) && memcmp(key, hub[i], n) == 0)
			return strcmp(name, "docker.io") == 0;
	return n == strlen(name) && memcmp(key, name, n) == 0;
}

static const json_t *entry_find(const json_t *list, const char *name)
{
	json_t *from = (json_t *)(uintptr_t)list;
	const char *key;
	json_t *value;

	json_object_foreach(from, key, value)
	{
		if (key_is(key, name))
			return value;
	}
	return NULL;
}

int credentials_part(char *text, struct credentials *ret)
{
	char *colon = strchr(text, ':');

	if (!colon || colon == text)
		return -EINVAL;
	*colon = '\0';
	ret->user = text;
	ret->password = colon + 1;
	return 0;
}

static int entry_read(struct arena *arena, const json_t *entry, struct credentials *ret)
{
	const char *token = json_string_value(json_object_get(entry, "identitytoken"));
	const char *auth = json_string_value(json_object_get(entry, "auth"));
	struct base64_decode_ctx context;
	size_t n;
	char *text;

	if (token && *token) {
		ret->token = arena_strdup(arena, token);
		return ret->token ? 0 : -ENOMEM;
	}
	if (!auth || !*auth)
		return 0;
	n = BASE64_DECODE_LENGTH(strlen(auth));
	text = arena_alloc(arena, n + 1);
	if (!text)
		return -ENOMEM;
	base64_decode_init(&context);
	if (!base64_decode_update(&context, &n, (uint8_t *)text, strlen(auth), auth) ||
		!base64_decode_final(&context) || strlen(text) != n)
		return -EINVAL;
	return credentials_part(text, ret);
}

int credentials_find(struct arena *arena, const struct auth_files *files, const char *registry,
	const char *repository, struct credentials *ret, struct err *err)
{
	char *name = arena_printf(arena, "%s/%s", registry, repository);

	*ret = (struct credentials){ 0 };
	if (!name)
		return err_sys(err, ENOMEM, "read the auth file");
	for (;;) {
		char *slash = strrchr(name, '/');

		for (int i = 0; i < files->n; i++) {
			const json_t *top = files->v[i].json;
			const json_t *entry = entry_find(json_object_get(top, "auths"), name);
			int r = entry ? entry_read(arena, entry, ret) : 0;

			if (r < 0)
				return err_set(err, -r,
					"the auth file %s: the entry of %s is broken: log in anew",
					files->v[i].path, name);
			if (ret->user || ret->token)
				return 0;
			if (!slash && (entry_find(json_object_get(top, "credHelpers"), name) ||
					      json_object_get(top, "credsStore")))
				ret->helper = files->v[i].path;
		}
		if (!slash)
			return 0;
		*slash = '\0';
	}
}
