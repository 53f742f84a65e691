#include "images/elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/own.h"

/* Headers lie in the program; what is behind it, an appliance's payload, is not looked at. */
enum { MAP_MAX = 256 << 20, LIBRARIES_MAX = 128, PATH_SIZE = 4096 };

/* A file in memory. Nothing in it is believed: every number is read by num(). */
struct elf {
	const uint8_t *bytes;
	size_t size;
	unsigned word; /* 4 or 8: the size of an address */
	uint16_t machine;
};

static uint64_t num(const struct elf *elf, uint64_t at, unsigned size)
{
	uint64_t value = 0;

	if (at > elf->size || size > elf->size - at)
		return 0;
	for (unsigned i = size; i-- > 0;)
		value = value << 8 | elf->bytes[at + i];
	return value;
}

/* NULL: not in the file, or without an end. */
static const char *text(const struct elf *elf, uint64_t at)
{
	const char *found = at < elf->size ? (const char *)elf->bytes + at : NULL;

	return found && memchr(found, '\0', elf->size - at) ? found : NULL;
}

static int ident(const uint8_t *bytes, size_t size, struct elf *ret)
{
	if (size < sizeof(Elf32_Ehdr) || memcmp(bytes, ELFMAG, SELFMAG) != 0 ||
		bytes[EI_DATA] != ELFDATA2LSB)
		return -ENOEXEC;
	*ret = (struct elf){ .bytes = bytes,
		.size = size,
		.word = bytes[EI_CLASS] == ELFCLASS64 ? 8 : 4,
		.machine = (uint16_t)(bytes[18] | bytes[19] << 8) };
	return 0;
}

int elf_machine(int file)
{
	uint8_t head[sizeof(Elf64_Ehdr)];
	ssize_t n = pread(file, head, sizeof head, 0);
	struct elf elf = { 0 };
	int r = ident(head, n < 0 ? 0 : (size_t)n, &elf);

	return r < 0 ? r : elf.machine;
}

static int elf_map(const char *path, struct elf *ret)
{
	own_fd file = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t size;
	void *bytes;
	int r;

	if (file < 0 || fstat(file, &st) < 0)
		return -errno;
	size = st.st_size < MAP_MAX ? (size_t)st.st_size : MAP_MAX;
	if (!S_ISREG(st.st_mode) || size == 0)
		return -ENOEXEC;
	bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	r = ident(bytes, size, ret);
	if (r < 0)
		(void)munmap(bytes, size);
	return r;
}

static void elf_unmap(struct elf *elf)
{
	(void)munmap((void *)(uintptr_t)elf->bytes, elf->size);
}

/* ---- program headers, the dynamic section --------------------------------------------------------- */

struct segment {
	uint64_t offset, address, size;
};

/* The n-th segment of that type; what is looked for by address is looked for in PT_LOAD. */
static bool segment_find(const struct elf *elf, uint32_t type, unsigned n, struct segment *ret)
{
	const unsigned w = elf->word;
	uint64_t table = num(elf, w == 8 ? 32 : 28, w);
	uint64_t row = num(elf, w == 8 ? 54 : 42, 2);
	uint64_t rows = num(elf, w == 8 ? 56 : 44, 2);

	for (uint64_t i = 0; i < rows; i++) {
		uint64_t at = table + i * row;

		if (num(elf, at, 4) != type || n-- > 0)
			continue;
		*ret = (struct segment){ .offset = num(elf, at + (w == 8 ? 8 : 4), w),
			.address = num(elf, at + (w == 8 ? 16 : 8), w),
			.size = num(elf, at + (w == 8 ? 32 : 16), w) };
		return true;
	}
	return false;
}

static uint64_t offset_of(const struct elf *elf, uint64_t address)
{
	struct segment load;

	for (unsigned i = 0; segment_find(elf, PT_LOAD, i, &load); i++)
		if (address >= load.address && address - load.address < load.size)
			return load.offset + (address - load.address);
	return elf->size;
}

/* The value of the n-th entry of the dynamic section with that tag. */
static bool dynamic_find(const struct elf *elf, uint64_t tag, unsigned n, uint64_t *ret)
{
	struct segment dynamic;

	if (!segment_find(elf, PT_DYNAMIC, 0, &dynamic))
		return false;
	for (uint64_t i = 0; i + 2ULL * elf->word <= dynamic.size; i += 2ULL * elf->word) {
		uint64_t found = num(elf, dynamic.offset + i, elf->word);

		if (found == DT_NULL)
			return false;
		if (found != tag || n-- > 0)
			continue;
		*ret = num(elf, dynamic.offset + i + elf->word, elf->word);
		return true;
	}
	return false;
}

/* The n-th library it names; NULL after the last. */
static const char *needed(const struct elf *elf, unsigned n)
{
	uint64_t strings;
	uint64_t name;

	if (!dynamic_find(elf, DT_STRTAB, 0, &strings) || !dynamic_find(elf, DT_NEEDED, n, &name))
		return NULL;
	return text(elf, offset_of(elf, strings) + name);
}

/* ---- where libraries are ---------------------------------------------------------------------------- */

static const struct {
	uint16_t machine;
	const char *triplet; /* Debian's directory */
} triplets[] = {
	{ EM_X86_64, "x86_64-linux-gnu" },
	{ EM_AARCH64, "aarch64-linux-gnu" },
	{ EM_ARM, "arm-linux-gnueabihf" },
	{ EM_RISCV, "riscv64-linux-gnu" },
};

static const char *triplet_of(uint16_t machine)
{
	for (size_t i = 0; i < sizeof triplets / sizeof triplets[0]; i++)
		if (triplets[i].machine == machine)
			return triplets[i].triplet;
	return "none";
}

static bool is_for(const char *path, uint16_t machine)
{
	own_fd file = open(path, O_RDONLY | O_CLOEXEC);

	return file >= 0 && elf_machine(file) == machine;
}

/* Gives the path as the program sees it, in `ret`. */
static bool library_find(
	const char *name, uint16_t machine, const char *sysroot, char ret[static PATH_SIZE])
{
	static const char *const places[] = { "/lib/%s/", "/usr/lib/%s/", "/lib64/", "/usr/lib64/",
		"/lib/", "/usr/lib/", "/usr/local/lib/" };
	char dir[64];
	char path[PATH_SIZE];

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		const char *percent = strchr(places[i], '%');

		if (percent)
			(void)snprintf(dir, sizeof dir, "%.*s%s/", (int)(percent - places[i]),
				places[i], triplet_of(machine));
		else
			(void)snprintf(dir, sizeof dir, "%s", places[i]);
		if ((size_t)snprintf(ret, PATH_SIZE, "%s%s", dir, name) < PATH_SIZE &&
			(size_t)snprintf(path, sizeof path, "%s%s", sysroot, ret) < sizeof path &&
			is_for(path, machine))
			return true;
	}
	return false;
}

/* ---- the closure -------------------------------------------------------------------------------------- */

static int take(const char *path, struct arena *arena, struct strv *ret)
{
	const char *copy = strv_has(ret, path) ? NULL : arena_strdup(arena, path);

	return copy ? strv_add(ret, arena, copy) : 0;
}

static int take_needed(const struct elf *elf, const char *of, const char *sysroot,
	struct arena *arena, struct strv *ret, struct err *err)
{
	char path[PATH_SIZE];
	const char *name;

	for (unsigned i = 0; (name = needed(elf, i)); i++) {
		if (strchr(name, '/') || ret->n >= LIBRARIES_MAX)
			return err_set(
				err, EINVAL, "%s: cannot follow its library %.100s", of, name);
		if (!library_find(name, elf->machine, sysroot, path))
			return err_set(err, ENOENT,
				"%s needs %.100s, and there is none for its architecture below %s/ "
				"(another architecture's libraries: --sysroot DIR)",
				of, name, sysroot);
		if (take(path, arena, ret) < 0)
			return err_sys(err, ENOMEM, "%s", of);
	}
	return 0;
}

static int take_file(const char *path, const char *sysroot, struct arena *arena, struct strv *ret,
	struct err *err)
{
	struct segment interpreter;
	const char *loader = NULL;
	struct elf elf = { 0 };
	int r = elf_map(path, &elf);

	if (r < 0)
		return r == -ENOEXEC ? err_set(err, ENOEXEC, "%s: not a program", path)
				     : err_sys(err, -r, "read %s", path);
	if (segment_find(&elf, PT_INTERP, 0, &interpreter))
		loader = text(&elf, interpreter.offset);
	if (loader && *loader == '/')
		r = take(loader, arena, ret);
	r = r < 0 ? err_sys(err, -r, "%s", path)
		  : take_needed(&elf, path, sysroot, arena, ret, err);
	elf_unmap(&elf);
	return r;
}

int elf_closure(const char *program, const char *sysroot, struct arena *arena, struct strv *ret,
	struct err *err)
{
	char path[PATH_SIZE];
	size_t done = ret->n;
	int r = take_file(program, sysroot, arena, ret, err);

	for (; r == 0 && done < ret->n; done++) {
		(void)snprintf(path, sizeof path, "%s%s", sysroot, ret->v[done]);
		r = take_file(path, sysroot, arena, ret, err);
	}
	return r;
}
