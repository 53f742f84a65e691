/* The host's resolv.conf, wherever it is. */
#ifndef BERTH_BASE_RESOLVCONF_H
#define BERTH_BASE_RESOLVCONF_H

#include <stdbool.h>
#include <stdio.h>

#include "supervisor/base/err.h"

/*
 * resolvconf_host - its lines, of the first of these that names a server: /etc/resolv.conf,
 *                   RUN_DIR/resolv.conf (of the uplinks), what systemd-resolved asks
 *
 * all: also servers on the host's own loopback, which no container reaches. When none names a server:
 * the lines of the last. Blocks: on the disk.
 * Fails: one of them is there and cannot be read.
 */
int resolvconf_host(const char *run_dir, bool all, FILE *out, struct err *err);

#endif
