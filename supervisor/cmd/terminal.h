/* The user's terminal while a container's is shown on it. */
#ifndef BERTH_CMD_TERMINAL_H
#define BERTH_CMD_TERMINAL_H

#include <sys/types.h>

/* Raw mode on standard input, undone at exit; 0 or -errno (-ENOTTY). */
int terminal_raw(void);
/* Undo it now. Harmless to repeat. */
void terminal_restore(void);
/* Our window's size for the terminal whose master is `master`. */
void terminal_copy_size(int master);
/* One read from `from`, written to `to`: the bytes, 0 at the end (EIO of a closed terminal is one),
 * or -errno. */
ssize_t terminal_copy(int from, int to);

#endif
