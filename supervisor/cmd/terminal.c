#include "supervisor/cmd/terminal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "supervisor/base/fd.h"

static struct termios saved;
static bool is_raw;

void terminal_restore(void)
{
	if (is_raw)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	is_raw = false;
}

int terminal_raw(void)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return -errno;
	raw = saved;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
		return -errno;
	is_raw = true;
	(void)atexit(terminal_restore);
	return 0;
}

void terminal_copy_size(int master)
{
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		(void)ioctl(master, TIOCSWINSZ, &size);
}

ssize_t terminal_copy(int from, int to)
{
	char bytes[16384];
	ssize_t n;
	int r;

	do
		n = read(from, bytes, sizeof bytes);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EIO ? 0 : -errno;
	r = write_full(to, bytes, (size_t)n);
	return r < 0 ? r : n;
}
