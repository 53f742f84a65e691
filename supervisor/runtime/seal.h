/* The resident's own program file, out of reach of the containers it enters. */
#ifndef BERTH_RUNTIME_SEAL_H
#define BERTH_RUNTIME_SEAL_H

#include "supervisor/base/err.h"

/*
 * seal_self - run from a read-only view of our own program file
 *
 * A process that joins a container shows its /proc/PID/exe to root in there, who could write through
 * it to the file on the host (CVE-2019-5736). So the resident executes itself once more, from a
 * detached, read-only bind mount of the same file: nothing is copied, and whoever opens it for
 * writing gets EROFS.
 *
 * Needs: /proc, CAP_SYS_ADMIN. Called first thing; descriptors survive, memory does not.
 * Gives: does not return when it executes itself; 0 in the sealed process, where it is called again
 *        and finds itself sealed (BERTH_SEALED in the environment carries the path).
 * Fails: with words; going on unsealed is the caller's decision.
 */
int seal_self(char **argv, struct err *err);

/* The path of our program file on the host, also when sealed; what is installed beside it is found
 * from here. "" when it is not known. */
const char *seal_program_path(void);

#endif
