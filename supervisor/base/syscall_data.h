/* What a seccomp filter of our own looks at: struct seccomp_data of seccomp(2). Macros alone, for what is
 * linked without a C library too. */
#ifndef BERTH_BASE_SYSCALL_DATA_H
#define BERTH_BASE_SYSCALL_DATA_H

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>

/* The architecture that we are built for; 0: none that a filter was written for. */
#if defined(__x86_64__)
#define SYSCALL_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define SYSCALL_ARCH AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define SYSCALL_ARCH AUDIT_ARCH_ARM
#elif defined(__riscv) && __riscv_xlen == 64
#define SYSCALL_ARCH AUDIT_ARCH_RISCV64
#else
#define SYSCALL_ARCH 0
#endif

/* Offsets: of a field, and of the low half of argument `i`, for ints and flags have no more. */
#define SYSCALL_FIELD(field) ((unsigned)offsetof(struct seccomp_data, field))
#define SYSCALL_LOW_HALF     (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0)
#define SYSCALL_ARG(i)       (SYSCALL_FIELD(args) + 8 * (i) + SYSCALL_LOW_HALF)

#endif
