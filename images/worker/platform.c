#include "images/worker/platform.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* In the words of uname(2). */
static const struct {
	const char *machine, *arch, *variant;
} machines[] = {
	{ "x86_64", "amd64", "" },
	{ "aarch64", "arm64", "v8" },
	{ "armv8l", "arm", "v7" },
	{ "armv7l", "arm", "v7" },
	{ "armv6l", "arm", "v6" },
	{ "armv5tel", "arm", "v5" },
	{ "riscv64", "riscv64", "" },
	{ "ppc64le", "ppc64le", "" },
	{ "s390x", "s390x", "" },
	{ "i686", "386", "" },
	{ "i386", "386", "" },
	{ "mips64", "mips64le", "" },
	{ "loongarch64", "loong64", "" },
};

int platform_parse(const char *text, struct platform *ret)
{
	char *const parts[] = { ret->os, ret->arch, ret->variant };
	size_t i = 0;

	*ret = (struct platform){ .os = "" };
	for (;; i++) {
		size_t n = strcspn(text, "/");

		if (i == 3 || n == 0 || n >= PLATFORM_PART)
			return -EINVAL;
		memcpy(parts[i], text, n);
		if (!text[n])
			return i == 0 ? -EINVAL : 0;
		text += n + 1;
	}
}

void platform_host(struct platform *ret)
{
	struct utsname name;

	*ret = (struct platform){ .os = "linux" };
	if (uname(&name) < 0)
		return;
	(void)snprintf(ret->arch, sizeof ret->arch, "%.*s", PLATFORM_PART - 1, name.machine);
	for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++)
		if (strcmp(machines[i].machine, name.machine) == 0) {
			(void)strcpy(ret->arch, machines[i].arch);
			(void)strcpy(ret->variant, machines[i].variant);
			return;
		}
}

/* "v7" -> 7; nothing is what every machine of that kind runs. */
static int level(const char *arch, const char *variant)
{
	if (variant[0] == 'v' && variant[1] >= '1' && variant[1] <= '9' && !variant[2])
		return variant[1] - '0';
	if (*variant)
		return -1;
	if (strcmp(arch, "arm64") == 0)
		return 8;
	/* An image that says "arm" and no more is read as v7 by all that make such. */
	return strcmp(arch, "arm") == 0 ? 7 : 1;
}

int platform_rank(
	const struct platform *wanted, const char *os, const char *arch, const char *variant)
{
	int has, may;

	if (!os || !arch || strcmp(os, wanted->os) != 0 || strcmp(arch, wanted->arch) != 0)
		return 0;
	if (!variant)
		variant = "";
	if (strcmp(variant, wanted->variant) == 0)
		return 100;
	has = level(arch, variant);
	may = level(arch, wanted->variant);
	return has < 0 || may < 0 || has > may ? 0 : has;
}
