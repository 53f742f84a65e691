#include "supervisor/runtime/users.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "supervisor/base/err.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/num.h"
#include "supervisor/base/own.h"
#include "supervisor/base/path.h"

enum { FILE_MAX = 1 << 20, LINE_MAX_ = 4096, NAME_SIZE = 256 };

/* A piece of a file; not NUL-terminated. */
struct piece {
	const char *text;
	size_t n;
};

/* name:password:uid:gid:comment:home:shell and name:password:gid:members */
enum { PASSWD_NAME = 0, PASSWD_UID = 2, PASSWD_GID = 3, PASSWD_HOME = 5, PASSWD_FIELDS = 7 };
enum { GROUP_NAME = 0, GROUP_GID = 2, GROUP_MEMBERS = 3, GROUP_FIELDS = 4 };

static bool piece_is(struct piece piece, const char *text)
{
	return strlen(text) == piece.n && memcmp(piece.text, text, piece.n) == 0;
}

/* The next part of *rest before `end`, which is taken off; false when nothing is left. */
static bool piece_next(struct piece *rest, char end, struct piece *ret)
{
	const char *found;

	if (!rest->text)
		return false;
	found = rest->n ? memchr(rest->text, end, rest->n) : NULL;
	ret->text = rest->text;
	ret->n = found ? (size_t)(found - rest->text) : rest->n;
	rest->n -= ret->n + (found != NULL);
	rest->text = found ? found + 1 : NULL;
	return true;
}

/* The next line that can be one of ours, split at its colons: how many fields, 0 at the end. */
static size_t fields_next(struct piece *file, struct piece *fields, size_t max)
{
	struct piece line;

	while (piece_next(file, '\n', &line)) {
		size_t n = 0;

		if (!line.n || line.n > LINE_MAX_ || memchr(line.text, '\0', line.n))
			continue;
		while (n < max && piece_next(&line, ':', &fields[n]))
			n++;
		if (n > GROUP_GID && fields[0].n)
			return n;
	}
	return 0;
}

/* An id: 0, -EINVAL (no number), -ERANGE. (uid_t)-1 means "leave it" to the kernel: refused. */
static int id_parse(const char *text, uint32_t *ret)
{
	uint32_t id;
	int r = num_u32(text, &id);

	if (r < 0)
		return r;
	if (id == UINT32_MAX)
		return -ERANGE;
	*ret = id;
	return 0;
}

static int id_of_piece(struct piece piece, uint32_t *ret)
{
	char text[16];

	if (piece.n >= sizeof text)
		return -ERANGE;
	memcpy(text, piece.text, piece.n);
	text[piece.n] = '\0';
	return id_parse(text, ret);
}

static int bad_number(const char *what, const char *text, struct err *err)
{
	return err_set(err, EINVAL, "%s %s: a number must be 0 to 4294967294", what, text);
}

/* Takes what the entry says into *ids; an entry whose numbers are wrong is passed over. */
static bool entry_take(const struct piece *fields, size_t n, struct ids *ids)
{
	struct piece home = n > PASSWD_HOME ? fields[PASSWD_HOME] : (struct piece){ "", 0 };
	uint32_t uid;
	uint32_t gid;

	if (n <= PASSWD_GID || fields[PASSWD_NAME].n >= sizeof ids->name ||
		id_of_piece(fields[PASSWD_UID], &uid) < 0 ||
		id_of_piece(fields[PASSWD_GID], &gid) < 0)
		return false;
	ids->uid = uid;
	ids->gid = gid;
	memcpy(ids->name, fields[PASSWD_NAME].text, fields[PASSWD_NAME].n);
	ids->name[fields[PASSWD_NAME].n] = '\0';
	if (home.n && home.n < sizeof ids->home && home.text[0] == '/') {
		memcpy(ids->home, home.text, home.n);
		ids->home[home.n] = '\0';
	}
	return true;
}

/* The user's entry: digits are a uid, whether or not it has an entry; a name must have one. */
static int find_user(struct users_text passwd, const char *user, struct ids *ids, struct err *err)
{
	struct piece file = { passwd.text, passwd.n };
	struct piece fields[PASSWD_FIELDS];
	uint32_t uid = 0;
	int numeric = id_parse(user, &uid);
	size_t n;

	if (numeric == -ERANGE)
		return bad_number("user", user, err);
	while ((n = fields_next(&file, fields, PASSWD_FIELDS))) {
		uint32_t theirs;

		if (numeric == 0 ? id_of_piece(fields[PASSWD_UID], &theirs) < 0 || theirs != uid
				 : !piece_is(fields[PASSWD_NAME], user))
			continue;
		if (entry_take(fields, n, ids))
			return 0;
	}
	if (numeric < 0)
		return err_set(err, EINVAL,
			"user %s: no such name in /etc/passwd of the image; use one that is there, "
			"or a uid",
			user);
	ids->uid = uid;
	return 0;
}

static int find_group(
	struct users_text group_file, const char *group, uint32_t *ret, struct err *err)
{
	struct piece file = { group_file.text, group_file.n };
	struct piece fields[GROUP_FIELDS];
	int r = id_parse(group, ret);

	if (r == 0)
		return 0;
	if (r == -ERANGE)
		return bad_number("group", group, err);
	while (fields_next(&file, fields, GROUP_FIELDS))
		if (piece_is(fields[GROUP_NAME], group) && id_of_piece(fields[GROUP_GID], ret) == 0)
			return 0;
	return err_set(err, EINVAL,
		"group %s: no such name in /etc/group of the image; use one that is there, or a "
		"gid",
		group);
}

static int add_group(struct ids *ids, uint32_t gid, struct err *err)
{
	for (size_t i = 0; i < ids->ngroups; i++)
		if (ids->groups[i] == gid)
			return 0;
	if (ids->ngroups == IDS_GROUPS_MAX)
		return err_set(err, EINVAL, "more than %d supplementary groups", IDS_GROUPS_MAX);
	ids->groups[ids->ngroups++] = gid;
	return 0;
}

/* The groups whose lists of members name the user. */
static int add_memberships(struct users_text group_file, struct ids *ids, struct err *err)
{
	struct piece file = { group_file.text, group_file.n };
	struct piece fields[GROUP_FIELDS];
	size_t n;

	while (ids->name[0] && (n = fields_next(&file, fields, GROUP_FIELDS))) {
		struct piece member;
		uint32_t gid;
		int r = 0;

		if (n <= GROUP_MEMBERS || id_of_piece(fields[GROUP_GID], &gid) < 0)
			continue;
		while (r == 0 && piece_next(&fields[GROUP_MEMBERS], ',', &member))
			if (piece_is(member, ids->name))
				r = add_group(ids, gid, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int users_resolve_text(struct users_text passwd, struct users_text group_file, const char *user,
	const char *group, const struct strv *groups, struct ids *ret, struct err *err)
{
	struct ids ids = { .home = "/" };
	const char *colon = user ? strchr(user, ':') : NULL;
	char name[NAME_SIZE] = "0";
	int r;

	if (user && *user && user != colon) {
		size_t n = colon ? (size_t)(colon - user) : strlen(user);

		if (n >= sizeof name)
			return err_set(err, EINVAL, "user %.20s...: the name is too long", user);
		memcpy(name, user, n);
		name[n] = '\0';
	}
	if (colon && (!group || !*group))
		group = colon + 1;
	r = find_user(passwd, name, &ids, err);
	if (r < 0)
		return r;
	r = group && *group ? find_group(group_file, group, &ids.gid, err)
			    : add_memberships(group_file, &ids, err);
	for (size_t i = 0; r == 0 && groups && i < groups->n; i++) {
		uint32_t gid = 0;

		r = find_group(group_file, groups->v[i], &gid, err);
		if (r == 0)
			r = add_group(&ids, gid, err);
	}
	if (r == 0)
		*ret = ids;
	return r;
}

/*
 * What O_PATH found, to be read. On the root's own mount, which opens no devices (nodev), by its path
 * again: whatever may have come there in between does no harm. Else by what was found. The second way
 * alone would do, but the first look of a new process into /proc costs it a part of its start.
 */
static int reopen(int rootfd, const char *path, int found)
{
	const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct statvfs root;
	int fd = -1;

	if (fstatvfs(rootfd, &root) == 0 && root.f_flag & ST_NODEV)
		fd = path_open_on_mount(rootfd, path, flags);
	return fd >= 0 ? fd : open(fd_path(found).text, flags);
}

/*
 * Reads a file of the root whole. It is looked at before it is opened, so that neither a FIFO nor a
 * device that the image put there is ever opened.
 */
static int load(int rootfd, const char *path, char **ret, size_t *ret_n, struct err *err)
{
	own_fd found = path_open_in(rootfd, path, O_PATH, 0);
	own_fd fd = -1;
	own_mem char *text = NULL;
	struct stat st;
	ssize_t n;

	if (found == -ENOENT || found == -ENOTDIR)
		return 0;
	if (found < 0)
		return err_sys(err, -found, "open %s of the image", path);
	if (fstat(found, &st) < 0)
		return err_sys(err, errno, "stat %s of the image", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s of the image is not a regular file", path);
	fd = reopen(rootfd, path, found);
	if (fd < 0)
		return err_sys(err, errno, "open %s of the image", path);
	if (st.st_size > FILE_MAX)
		return err_set(err, EFBIG, "%s of the image is larger than 1 MiB", path);
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return err_sys(err, ENOMEM, "read %s of the image", path);
	n = read_full(fd, text, (size_t)st.st_size);
	if (n < 0)
		return err_sys(err, (int)-n, "read %s of the image", path);
	*ret = ptr_take(&text);
	*ret_n = (size_t)n;
	return 0;
}

int users_resolve(int rootfd, const char *user, const char *group, const struct strv *groups,
	struct ids *ret, struct err *err)
{
	own_mem char *passwd = NULL;
	own_mem char *group_file = NULL;
	size_t passwd_n = 0;
	size_t group_n = 0;
	int r = load(rootfd, "/etc/passwd", &passwd, &passwd_n, err);

	if (r == 0)
		r = load(rootfd, "/etc/group", &group_file, &group_n, err);
	if (r < 0)
		return r;
	return users_resolve_text((struct users_text){ passwd, passwd_n },
		(struct users_text){ group_file, group_n }, user, group, groups, ret, err);
}
