/* PodmanArgs=: what to write instead. */
#ifndef BERTH_CONFIG_PODMAN_ARGS_H
#define BERTH_CONFIG_PODMAN_ARGS_H

#include "supervisor/base/str.h"

/*
 * podman_args_advice - the lines that say what these arguments of podman-run(1) say
 *
 * Adds "write [Service] CPUQuota=200%, [Container] ShmSize=1g instead" to `advice`; arguments that
 * have no counterpart are named.
 */
void podman_args_advice(const struct strv *args, struct strbuf *advice);

#endif
