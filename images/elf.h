/* What a program is loaded with: read from its file, of any architecture, which is never run. */
#ifndef BERTH_IMAGES_ELF_H
#define BERTH_IMAGES_ELF_H

#include "supervisor/base/arena.h"
#include "supervisor/base/err.h"
#include "supervisor/base/str.h"

/*
 * elf_closure - the interpreter and the libraries of a program, and what those need
 *
 * Needs: `sysroot`: the directory that is "/" to the program; "" for this machine. Libraries are
 *        looked for where Debian's loader and others look without being told; DT_RUNPATH is not read.
 * Gives: paths as the program sees them, appended to ret, each once; a static program has none.
 * Fails: -ENOEXEC: not a little-endian ELF file; -ENOENT with the name of the library and of what
 *        needs it.
 */
int elf_closure(const char *program, const char *sysroot, struct arena *arena, struct strv *ret,
	struct err *err);

/* elf_machine - the machine an open program is for (EM_…); -ENOEXEC for what is no ELF file. */
int elf_machine(int file);

#endif
