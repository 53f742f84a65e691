#include "images/jail.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "supervisor/base/syscall_data.h"

/* The C library's choice of calls differs between machines and versions: what is missing is left out. */
static const int common[] = {
	SYS_read,
	SYS_pread64,
	SYS_write,
	SYS_pwrite64,
	SYS_writev,
	SYS_lseek,
	SYS_close,
	SYS_openat,
	SYS_dup,
	SYS_fcntl,
	SYS_fstat,
	SYS_statx,
	SYS_fstatfs,
	SYS_getdents64,
	SYS_ftruncate,
	SYS_fsync,
	SYS_fdatasync,
	SYS_unlinkat,
	SYS_renameat2,
	SYS_readlinkat,
	SYS_faccessat,
	SYS_fchmod,
	SYS_brk,
	SYS_munmap,
	SYS_mremap,
	SYS_madvise,
	SYS_futex,
	SYS_set_robust_list,
	SYS_rseq,
	SYS_gettid,
	SYS_getpid,
	SYS_tgkill,
	SYS_geteuid,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_rt_sigaction,
	SYS_restart_syscall,
	SYS_sched_yield,
	SYS_sched_getaffinity,
	SYS_clock_gettime,
	SYS_clock_nanosleep,
	SYS_getrandom,
	SYS_prlimit64,
	SYS_exit,
	SYS_exit_group,
#ifdef SYS_newfstatat
	SYS_newfstatat,
#endif
#ifdef SYS_renameat
	SYS_renameat,
#endif
#ifdef SYS_faccessat2
	SYS_faccessat2,
#endif
#ifdef SYS_fstat64
	SYS_fstat64,
	SYS_fstatat64,
	SYS_ftruncate64,
	SYS_fcntl64,
	SYS_fstatfs64,
	SYS__llseek,
#endif
#ifdef SYS_futex_time64
	SYS_futex_time64,
	SYS_clock_gettime64,
	SYS_clock_nanosleep_time64,
#endif
#ifdef SYS_ugetrlimit
	SYS_ugetrlimit,
#endif
};
#define NCOMMON (sizeof common / sizeof common[0])

enum { CALLS_MAX = 200, PROGRAM_MAX = CALLS_MAX + 48 };

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short n;
};

static void put(struct program *to, unsigned short code, uint8_t yes, uint8_t no, uint32_t k)
{
	to->code[to->n++] = (struct sock_filter){ .code = code, .jt = yes, .jf = no, .k = k };
}

/* Allow the call when none, or one, of the bits is set in its argument; else EPERM. */
static void put_bits(struct program *to, int call, unsigned arg, uint32_t bits, bool wanted)
{
	put(to, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, (uint32_t)call);
	put(to, BPF_LD | BPF_W | BPF_ABS, 0, 0, SYSCALL_ARG(arg));
	put(to, BPF_JMP | BPF_JSET | BPF_K, !wanted, wanted, bits);
	put(to, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	put(to, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM);
}

/* Allow the call when its first argument is one of these; else EPERM. */
static void put_one_of(struct program *to, int call, const uint32_t *values, size_t n)
{
	put(to, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)(n + 3), (uint32_t)call);
	put(to, BPF_LD | BPF_W | BPF_ABS, 0, 0, SYSCALL_ARG(0));
	for (size_t i = 0; i < n; i++)
		put(to, BPF_JMP | BPF_JEQ | BPF_K, (uint8_t)(n - i), 0, values[i]);
	put(to, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM);
	put(to, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

static void program_make(struct program *to, const struct jail_calls *left)
{
	const size_t ncommon = left->common ? NCOMMON : 0;
	const size_t n = ncommon + left->nany;

	put(to, BPF_LD | BPF_W | BPF_ABS, 0, 0, SYSCALL_FIELD(arch));
	put(to, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, (uint32_t)SYSCALL_ARCH);
	put(to, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
	put(to, BPF_LD | BPF_W | BPF_ABS, 0, 0, SYSCALL_FIELD(nr));
	/* Threads, of which its flags tell; those of clone3 cannot be looked at: the library then
	 * takes clone. */
	put_bits(to, SYS_clone, 0, CLONE_THREAD, true);
	put(to, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_clone3);
	put(to, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS);
#ifdef SYS_mmap
	put_bits(to, SYS_mmap, 2, PROT_EXEC, false);
#else
	put_bits(to, SYS_mmap2, 2, PROT_EXEC, false);
#endif
	put_bits(to, SYS_mprotect, 2, PROT_EXEC, false);
	if (left->families)
		put_one_of(to, SYS_socket, left->families, left->nfamilies);
	for (size_t i = 0; i < n; i++)
		put(to, BPF_JMP | BPF_JEQ | BPF_K, (uint8_t)(n - i), 0,
			(uint32_t)(i < ncommon ? common[i] : left->any[i - ncommon]));
	put(to, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM);
	put(to, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

int jail_calls(const struct jail_calls *left, struct err *err)
{
	struct program program = { .n = 0 };
	struct sock_fprog load;

	if (SYSCALL_ARCH == 0)
		return 0;
	if (NCOMMON + left->nany > CALLS_MAX || left->nfamilies > 8)
		return err_sys(err, E2BIG, "seccomp");
	program_make(&program, left);
	load = (struct sock_fprog){ .len = program.n, .filter = program.code };
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &load) < 0 && errno != EINVAL)
		return err_sys(err, errno, "seccomp");
	return 0;
}

void jail_file_size(int dir)
{
	struct statvfs fs;
	struct rlimit size;

	if (dir < 0 || fstatvfs(dir, &fs) < 0 || !fs.f_blocks)
		return;
	size.rlim_cur = size.rlim_max = (rlim_t)fs.f_bavail * fs.f_frsize;
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)setrlimit(RLIMIT_FSIZE, &size);
}
