/* The entries of a tar archive, each handed to the applier. */
#ifndef BERTH_IMAGES_WORKER_ENTRIES_H
#define BERTH_IMAGES_WORKER_ENTRIES_H

#include <archive.h>

#include "images/worker/apply.h"

/*
 * entries_apply - all entries up to the end mark of the archive
 *
 * With apply->whiteouts, as in a layer: "DIR/.wh.NAME" hides NAME of the layers below, whatever type
 * the entry has, "DIR/.wh..wh..opq" all of DIR; other names that begin with ".wh..wh." are passed
 * over. Neither touches what is in the same layer.
 * With apply->vouched the archive may end with the last byte of a file: umoci insert and others write
 * no padding there and no end mark, and Go's reader, which podman and umoci have, needs none.
 * Fails: -errno with "entry NAME: WHY"; what was made until then stays.
 */
int entries_apply(struct archive *archive, struct apply *apply, struct err *err);

/* What libarchive says went wrong, and the same before the first entry was found; -EINVAL. */
int entries_err(struct archive *archive, struct err *err);
int entries_format_err(struct archive *archive, struct err *err);

#endif
