#include "supervisor/runtime/initblob.h"

#include <stdint.h>

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
	return sealed_bytes("berth-init", berth_init_start, initblob_size(), err);
}
