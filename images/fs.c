#include "images/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "supervisor/base/own.h"

/* The reason from the log of the file system context ("e overlay: …"), else the errno's words. */
static int fs_err(struct err *err, int fs, int code, const char *what)
{
	char text[256];
	ssize_t n = read(fs, text, sizeof text - 1);

	if (n <= 2)
		return err_sys(err, code, "%s", what);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return err_set(err, code, "%s: %s (%s)", what, text + 2, strerror(code));
}

static int fs_open(const char *type, struct err *err)
{
	int fs = fsopen(type, FSOPEN_CLOEXEC);

	if (fs >= 0)
		return fs;
	if (errno == ENODEV)
		return err_set(err, ENODEV,
			"this kernel has no %s: load the module of that name, or use a kernel with "
			"it",
			type);
	return err_sys(err, errno, "open the file system %s", type);
}

int fs_make(const char *type, const struct fs_param *params, size_t n, unsigned attributes,
	struct err *err)
{
	own_fd fs = fs_open(type, err);
	char what[400];
	int mnt;

	if (fs < 0)
		return fs;
	for (size_t i = 0; i < n; i++) {
		const char *value = params[i].value;

		if (fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, params[i].key,
			    value, 0) == 0)
			continue;
		(void)snprintf(what, sizeof what, "%s: %s%s%s", type, params[i].key,
			value ? "=" : "", value ? value : "");
		return fs_err(err, fs, errno, what);
	}
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fs_err(err, fs, errno, type);
	mnt = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
	return mnt < 0 ? fs_err(err, fs, errno, type) : mnt;
}

int fs_attach(int mnt, const char *where, struct err *err)
{
	if (move_mount(mnt, "", AT_FDCWD, where, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, errno, "mount on %s", where);
	return 0;
}
