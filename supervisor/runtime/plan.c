#include "supervisor/runtime/plan.h"

#include <stdio.h>

#include "images/rootfs.h"
#include "supervisor/base/fd.h"

int plan_report(const struct plan *plan, enum report_kind kind, const struct err *err, int fd)
{
	struct report report = { .kind = (int32_t)kind, .stage = *plan->stage };

	if (err)
		report.err = *err;
	return msg_send(plan->report_fd, &report, sizeof report, &fd, fd >= 0 ? 1 : 0);
}

void plan_pin_path(const struct container_env *env, const char *name, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s/pin/%s.net", env->run_dir, name);
}

bool plan_lower(
	const struct container_env *env, const struct container_spec *spec, char *ret, size_t size)
{
	char img_dir[256];

	(void)snprintf(img_dir, sizeof img_dir, "%s/img", env->run_dir);
	return rootfs_ready(&spec->root, img_dir, ret, size);
}
