/* The directory of a `berth run`: /run/berth-run-PID-XXXXXX, with units/, run/, state/ and logs/. */
#ifndef BERTH_CMD_RUN_DIR_H
#define BERTH_CMD_RUN_DIR_H

struct run_dir {
	char path[64]; /* "": not made */
};

/* Makes it, and units/ in it, for nobody but us. 0 or -errno; run_dir_remove is right after both. */
int run_dir_make(struct run_dir *dir);

/* Unmounts what is mounted below it and removes it; says what it cannot. */
void run_dir_remove(struct run_dir *dir);

/*
 * run_dirs_sweep - remove what is left of runs that were killed: mounts, cgroups, networks, the directory
 *
 * By a supervisor over each, which has no units, and so ends what there is; to be called before there is
 * one of our own. Whose process lives, or whose lock is held, is left alone. Blocks while containers end.
 * What cannot be removed is told in words, and no failure.
 */
void run_dirs_sweep(void);

#endif
