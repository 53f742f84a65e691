#include "images/platform.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* uname(2)'s names, and Go's. */
static const struct {
	const char *machine, *arch, *variant;
} machines[] = {
	{ "x86_64", "amd64", "" },
	{ "aarch64", "arm64", "v8" },
	{ "armv8l", "arm", "v8" },
	{ "armv7l", "arm", "v7" },
	{ "armv6l", "arm", "v6" },
	{ "armv5tel", "arm", "v5" },
	{ "i686", "386", "" },
	{ "i586", "386", "" },
	{ "i386", "386", "" },
	{ "mips64", "mips64le", "" },
	{ "loongarch64", "loong64", "" },
};

enum { NMACHINES = sizeof machines / sizeof machines[0] };

/* What a missing variant stands for, and whether higher ones run lower ones. */
static const struct {
	const char *arch;
	unsigned level;
} levels[] = { { "amd64", 1 }, { "arm64", 8 }, { "arm", 7 } };

/* The level of a variant "vN"; 0: it is none that can be compared. */
static unsigned level_of(const struct platform *platform)
{
	const char *variant = platform->variant;

	for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
		if (strcmp(platform->arch, levels[i].arch) != 0)
			continue;
		if (!*variant)
			return levels[i].level;
		if (variant[0] == 'v' && variant[1] >= '1' && variant[1] <= '9' && !variant[2])
			return (unsigned)(variant[1] - '0');
	}
	return 0;
}

static void word_set(char *to, const char *text)
{
	(void)snprintf(to, PLATFORM_WORD, "%s", text);
}

static void arch_set(struct platform *to, const char *name)
{
	word_set(to->arch, name);
	for (int i = 0; i < NMACHINES; i++)
		if (strcmp(name, machines[i].machine) == 0) {
			word_set(to->arch, machines[i].arch);
			word_set(to->variant, machines[i].variant);
		}
}

void platform_host(struct platform *ret)
{
	struct utsname name;

	*ret = (struct platform){ .os = "linux" };
	if (uname(&name) == 0)
		arch_set(ret, name.machine);
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
		__builtin_cpu_supports("fma"))
		word_set(ret->variant, "v3");
	else if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"))
		word_set(ret->variant, "v2");
#endif
}

int platform_parse(const char *text, struct platform *ret, struct err *err)
{
	struct platform found = { .os = "linux" };
	char copy[3 * PLATFORM_WORD];
	char *words[4] = { NULL };
	char *rest = copy;
	int n = 0;

	if (strlen(text) >= sizeof copy)
		return err_set(
			err, EINVAL, "%.40s…: not a platform: write OS/ARCH[/VARIANT]", text);
	memcpy(copy, text, strlen(text) + 1);
	while (rest && n < 4) {
		words[n] = strsep(&rest, "/");
		if (!*words[n] || strlen(words[n]) >= PLATFORM_WORD)
			n = 4;
		else
			n++;
	}
	if (n < 1 || n > 3)
		return err_set(err, EINVAL, "%s: not a platform: write OS/ARCH[/VARIANT]", text);
	if (n > 1)
		word_set(found.os, words[0]);
	arch_set(&found, words[n > 1]);
	if (n == 3)
		word_set(found.variant, words[2]);
	*ret = found;
	return 0;
}

unsigned platform_suits(const struct platform *machine, const struct platform *image)
{
	unsigned has = level_of(machine);
	unsigned wants = level_of(image);

	if (strcmp(machine->os, image->os) != 0 || strcmp(machine->arch, image->arch) != 0)
		return 0;
	if (strcmp(machine->variant, image->variant) == 0)
		return 100;
	if (!*image->variant && !wants)
		return 1;
	if (!has || !wants || wants > has)
		return 0;
	return 10 + wants;
}

struct platform_text platform_text(const struct platform *platform)
{
	struct platform_text ret;

	(void)snprintf(ret.text, sizeof ret.text, "%s/%s%s%s", platform->os, platform->arch,
		*platform->variant ? "/" : "", platform->variant);
	return ret;
}
