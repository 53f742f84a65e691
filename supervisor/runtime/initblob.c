#include "supervisor/runtime/initblob.h"

#include <stdint.h>

#include "supervisor/base/err.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/own.h"
#include "supervisor/base/sealed.h"

/* supervisor/init/blob.S */
extern const char berth_init_start[];
extern const char berth_init_end[];

size_t initblob_size(void)
{
	return (size_t)((uintptr_t)berth_init_end - (uintptr_t)berth_init_start);
}

int initblob_open(struct err *err)
{
	own_fd writer = sealed_new("berth-init", err);
	int r;

	if (writer < 0)
		return writer;
	r = write_full(writer, berth_init_start, initblob_size());
	if (r < 0)
		return err_sys(err, -r, "write berth-init");
	return sealed_open(writer, "berth-init", err);
}
