/*
 * Process 1 may not die, may not wait for what may never come, and starts with nothing: no /proc, no
 * console, no modules. The order below is the order in which each thing becomes possible.
 */
#include "supervisor/core/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "netns/net.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/str.h"
#include "supervisor/core/modules.h"
#include "supervisor/runtime/mounts.h"

static const struct early_mount {
	const char *where;
	const char *type;
	unsigned long flags;
	const char *options;
} early_mounts[] = {
	{ "/proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL },
	{ "/sys", "sysfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL },
	{ "/dev", "devtmpfs", MS_NOSUID, "mode=755" },
	{ "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,gid=5,ptmxmode=0666" },
	{ "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777" },
	{ "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755" },
	{ "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777" },
	{ "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NOEXEC | MS_NODEV,
		"nsdelegate,memory_recursiveprot" },
};

static bool is_mounted(const char *where)
{
	char parent[64];
	struct stat here;
	struct stat above;

	(void)snprintf(parent, sizeof parent, "%s/..", where);
	return stat(where, &here) == 0 && stat(parent, &above) == 0 && here.st_dev != above.st_dev;
}

/* A kernel may have mounted /dev already, and an older one does not know memory_recursiveprot. */
static void mount_early(const struct early_mount *m)
{
	if (is_mounted(m->where))
		return;
	if (mkdir(m->where, 0755) < 0 && errno != EEXIST)
		log_warning("mkdir %s: %s", m->where, strerror(errno));
	if (mount(m->type, m->where, m->type, m->flags, m->options) == 0 ||
		mount(m->type, m->where, m->type, m->flags, NULL) == 0)
		return;
	log_error("mount %s on %s: %s", m->type, m->where, strerror(errno));
}

/* An initramfs is the kernel's first mount: nothing lies below it, so pivot_root(2) refuses it. A
 * bind of it over itself has a parent; from there one way of entering a root serves everywhere. */
static void leave_rootfs(void)
{
	struct statfs st;
	own_fd root = -1;
	own_fd tree = -1;

	if (statfs("/", &st) < 0 || (st.f_type != RAMFS_MAGIC && st.f_type != TMPFS_MAGIC))
		return;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	tree = mount_clone(root, false);
	if (tree < 0 || mount_attach(tree, root) < 0 || fchdir(tree) < 0 || chroot(".") < 0)
		log_error("move the initramfs to a root that can be left: %s", strerror(errno));
}

static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);

	/* A machine without a console must not stop here. */
	if (fd < 0)
		fd = open("/dev/null", O_RDWR);
	for (int i = 0; fd >= 0 && i < 3; i++)
		if (fd != i)
			(void)dup2(fd, i);
	if (fd > 2)
		fd_close(&fd);
}

/* Before kmsg can be written to there is nobody to tell anything. */
static void open_log(enum log_level level)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY);

	/* The kernel drops messages of busy writers unless it is told not to. */
	(void)file_write_at(AT_FDCWD, "/proc/sys/kernel/printk_devkmsg", "on\n");
	log_open(fd >= 0 ? fd : STDERR_FILENO, fd >= 0, level);
}

void boot_parse(const char *command_line, struct boot_request *ret)
{
	struct strbuf ip = STRBUF(ret->ip);

	*ret = (struct boot_request){ .log_level = LOG_NOTICE };
	while (*command_line) {
		size_t n = strcspn(command_line, " \n");
		char word[300];
		const char *value;

		(void)snprintf(word, sizeof word, "%.*s", (int)n, command_line);
		value = strchr(word, '=');
		value = value ? value + 1 : "";
		if (strcmp(word, "berth.rescue") == 0)
			ret->rescue = true;
		else if (str_starts(word, "berth.config="))
			(void)snprintf(ret->config_dir, sizeof ret->config_dir, "%s", value);
		else if (str_starts(word, "ip=") && *value)
			strbuf_add(&ip, "%s ", value);
		else if (str_starts(word, "berth.log_level="))
			ret->log_level_given = log_level_parse(value, &ret->log_level) == 0;
		command_line += n;
		command_line += *command_line != '\0';
	}
}

static void set_hostname(void)
{
	char name[128];
	ssize_t n = file_read_at(AT_FDCWD, "/etc/hostname", name, sizeof name);

	if (n <= 0)
		return;
	name[strcspn(name, "\n")] = '\0';
	if (sethostname(name, strlen(name)) < 0)
		log_warning("set the host name %s: %s", name, strerror(errno));
}

/* ip_auto_config of a kernel that has it and its driver built in: the root may hang on that address. */
static void leave_kernels_link(struct boot_request *request)
{
	struct err err = { 0 };
	char name[16];
	int r = *request->ip ? net_first_address(name, &err) : 0;

	if (r < 0)
		log_warning("%s", err.text);
	if (r <= 0)
		return;
	log_notice("ip=: the kernel has set up %s itself, which is left as it is", name);
	request->ip[0] = '\0';
}

void boot_proc(void)
{
	mount_early(&early_mounts[0]);
}

void boot_early(struct boot_request *ret)
{
	struct err err = { 0 };
	char line[4096];
	ssize_t n;

	(void)umask(022);
	leave_rootfs();
	for (size_t i = 0; i < sizeof early_mounts / sizeof early_mounts[0]; i++)
		mount_early(&early_mounts[i]);
	n = file_read_at(AT_FDCWD, "/proc/cmdline", line, sizeof line);
	boot_parse(n > 0 ? line : "", ret);
	open_console();
	open_log(ret->log_level);
	/* Ctrl-Alt-Del becomes SIGINT to us, which is an ordered reboot. */
	(void)reboot(RB_DISABLE_CAD);
	modules_load_all();
	set_hostname();
	if (net_loopback_up(&err) < 0)
		log_warning("%s", err.text);
	leave_kernels_link(ret);
}

/* As busybox's init has it, so that its reboot, poweroff and halt work from any shell. */
enum shutdown_kind boot_signal(int signal)
{
	static const struct {
		int signal;
		enum shutdown_kind kind;
	} rows[] = {
		{ SIGTERM, SHUTDOWN_REBOOT },
		{ SIGINT, SHUTDOWN_REBOOT },
		{ SIGUSR1, SHUTDOWN_HALT },
		{ SIGUSR2, SHUTDOWN_POWEROFF },
		{ SIGPWR, SHUTDOWN_POWEROFF },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].signal == signal)
			return rows[i].kind;
	return SHUTDOWN_NONE;
}
