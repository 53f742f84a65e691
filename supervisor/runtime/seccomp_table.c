/*
 * The profile has three verdicts. What ordinary programs use is allowed; the kernel's own checks
 * (capabilities, namespaces, cgroups) stand behind it. What is known and dangerous, or needs a
 * capability that the container lacks, gives EPERM, as the kernel would. Everything else, above
 * all calls that are newer than this table, gives ENOSYS, so that a C library falls back to the
 * older call instead of giving up.
 */
#include "supervisor/runtime/seccomp_table.h"

#include <errno.h>
#include <linux/capability.h>

#include "supervisor/base/capability.h"

#define CAP(name) CAPABILITY_BIT(CAP_##name)
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF     39
#endif

const struct seccomp_group seccomp_groups[] = {
	/* ---- allowed to all ---------------------------------------------------------------- */
	{ 0, 0, /* reading, writing, waiting */
		"read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 ioctl "
		"select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64 "
		"epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old "
		"epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4 "
		"timerfd_create timerfd_settime timerfd_settime64 timerfd_gettime "
		"timerfd_gettime64 "
		"inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark "
		"io_setup io_submit io_getevents io_pgetevents io_pgetevents_time64 io_cancel "
		"io_destroy pipe pipe2 splice tee vmsplice sendfile sendfile64 copy_file_range" },
	{ 0, 0, /* descriptors, files and directories */
		"open openat openat2 creat close close_range dup dup2 dup3 fcntl fcntl64 flock "
		"lseek _llseek readahead fadvise64 fadvise64_64 arm_fadvise64_64 fallocate "
		"truncate truncate64 ftruncate ftruncate64 sync syncfs fsync fdatasync "
		"sync_file_range sync_file_range2 arm_sync_file_range cachestat "
		"chdir fchdir getcwd getdents getdents64 readdir mkdir mkdirat rmdir "
		"link linkat symlink symlinkat readlink readlinkat unlink unlinkat "
		"rename renameat renameat2 mknod mknodat umask" },
	{ 0, 0, /* what a file is, whose it is */
		"stat stat64 oldstat lstat lstat64 oldlstat fstat fstat64 oldfstat fstatat64 "
		"newfstatat statx statfs statfs64 fstatfs fstatfs64 statmount listmount "
		"access faccessat faccessat2 chmod fchmod fchmodat fchmodat2 chown chown32 fchown "
		"fchown32 lchown lchown32 fchownat utime utimes futimesat utimensat "
		"utimensat_time64 name_to_handle_at file_getattr file_setattr "
		"getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat "
		"listxattr llistxattr flistxattr listxattrat removexattr lremovexattr "
		"fremovexattr removexattrat" },
	{ 0, 0, /* memory */
		"brk mmap mmap2 munmap mremap mprotect madvise mincore msync mlock mlock2 mlockall "
		"munlock munlockall membarrier memfd_create memfd_secret remap_file_pages "
		"pkey_alloc pkey_free pkey_mprotect map_shadow_stack mseal process_mrelease" },
	{ 0, 0, /* processes and threads; clone is below. Kernels before 4.8, on which ptrace could
		 * walk around a filter, are older than anything berth runs on. */
		"fork vfork execve execveat exit exit_group wait4 waitid waitpid "
		"getpid getppid gettid getpgid setpgid getpgrp getsid setsid prctl arch_prctl "
		"set_tid_address set_robust_list get_robust_list set_thread_area get_thread_area "
		"modify_ldt set_tls rseq restart_syscall ptrace process_vm_readv "
		"process_vm_writev pidfd_open pidfd_send_signal uretprobe uprobe "
		"breakpoint cacheflush riscv_flush_icache riscv_hwprobe" },
	{ 0, 0, /* ids, capabilities, self-restriction */
		"getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid "
		"getresuid32 getresgid getresgid32 getgroups getgroups32 setuid setuid32 setgid "
		"setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32 setresgid "
		"setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 setgroups setgroups32 "
		"capget capset seccomp landlock_create_ruleset landlock_add_rule "
		"landlock_restrict_self getrandom" },
	{ 0, 0, /* scheduling and limits */
		"sched_yield sched_getparam sched_setparam sched_getscheduler sched_setscheduler "
		"sched_get_priority_max sched_get_priority_min sched_rr_get_interval "
		"sched_rr_get_interval_time64 sched_getaffinity sched_setaffinity sched_getattr "
		"sched_setattr getcpu getpriority setpriority nice ioprio_get ioprio_set "
		"getrlimit ugetrlimit setrlimit prlimit64 getrusage times sysinfo uname olduname "
		"oldolduname" },
	{ 0, 0, /* signals */
		"kill tkill tgkill pause alarm sigaltstack signal sgetmask ssetmask sigaction "
		"sigpending sigprocmask sigreturn sigsuspend rt_sigaction rt_sigpending "
		"rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait "
		"rt_sigtimedwait_time64 rt_tgsigqueueinfo" },
	{ 0, 0, /* time; changing it needs CAP_SYS_TIME, which the kernel checks in *_adjtime* */
		"time gettimeofday clock_gettime clock_gettime64 clock_getres "
		"clock_getres_time64 clock_nanosleep clock_nanosleep_time64 nanosleep adjtimex "
		"clock_adjtime clock_adjtime64 getitimer setitimer timer_create timer_settime "
		"timer_settime64 timer_gettime timer_gettime64 timer_getoverrun timer_delete" },
	{ 0, 0, /* between processes */
		"futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue "
		"ipc msgget msgsnd msgrcv msgctl semget semop semctl semtimedop "
		"semtimedop_time64 shmget shmat shmctl shmdt mq_open mq_unlink mq_timedsend "
		"mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64 mq_notify "
		"mq_getsetattr" },
	{ 0, 0, /* sockets; socket itself is below. socketcall hides its arguments, and 32-bit C
		 * libraries know no other way: there the address families are not filtered. */
		"socketcall socketpair bind listen accept accept4 connect getsockname getpeername "
		"getsockopt setsockopt recv recvfrom recvmsg recvmmsg recvmmsg_time64 send sendto "
		"sendmsg sendmmsg shutdown" },

	/* ---- with a capability ------------------------------------------------------------- */
	{ CAP(SYS_ADMIN), EPERM,
		"mount umount umount2 open_tree open_tree_attr move_mount fsopen fsconfig fsmount "
		"fspick mount_setattr unshare setns sethostname setdomainname quotactl "
		"quotactl_fd fanotify_init lookup_dcookie lsm_get_self_attr lsm_set_self_attr "
		"lsm_list_modules" },
	{ CAP(SYS_ADMIN), 0, "clone" },
	{ CAP(SYS_ADMIN), ENOSYS, "clone3" }, /* its flags cannot be seen: callers use clone */
	{ CAP(SYS_ADMIN) | CAP(BPF), EPERM, "bpf" },
	{ CAP(SYS_ADMIN) | CAP(PERFMON), EPERM, "perf_event_open" },
	{ CAP(SYS_ADMIN) | CAP(SYSLOG), EPERM, "syslog" },
	{ CAP(SYS_BOOT), EPERM, "reboot" },
	{ CAP(SYS_CHROOT), EPERM, "chroot" },
	{ CAP(SYS_MODULE), EPERM, "init_module finit_module delete_module" },
	{ CAP(SYS_PACCT), EPERM, "acct" },
	{ CAP(SYS_PTRACE), EPERM, "kcmp pidfd_getfd process_madvise" },
	{ CAP(SYS_RAWIO), EPERM, "iopl ioperm" },
	{ CAP(SYS_TIME), EPERM, "settimeofday stime clock_settime clock_settime64" },
	{ CAP(SYS_TTY_CONFIG), EPERM, "vhangup" },
	{ CAP(SYS_NICE), EPERM, "mbind get_mempolicy set_mempolicy set_mempolicy_home_node" },
	{ CAP(DAC_READ_SEARCH), EPERM, "open_by_handle_at" },

	/* ---- to nobody --------------------------------------------------------------------- */
	{ 0, EPERM, /* keyrings are not in any namespace */
		"add_key keyctl request_key" },
	{ 0, EPERM, /* a second, hardly filtered way to make calls; a help to exploits of races */
		"io_uring_setup io_uring_enter io_uring_register userfaultfd" },
	{ 0, EPERM, /* the whole machine */
		"kexec_load kexec_file_load swapon swapoff pivot_root move_pages migrate_pages "
		"ustat sysfs uselib" },
};
const size_t seccomp_ngroups = sizeof seccomp_groups / sizeof seccomp_groups[0];

/*
 * An int argument is compared in its low 32 bits: the kernel drops the upper half of the register,
 * and a comparison of all 64 (as "greater than 40") is walked around by filling it. Ranges are
 * therefore blocks of powers of two.
 */
#define LOW(bits) (UINT64_C(0xffffffff) & ~((UINT64_C(1) << (bits)) - 1))
/* Families FIRST to FIRST + 2^BITS - 1. */
#define FAMILIES(first, bits)                       \
	{                                           \
		"socket", 0, 0, 0, 1,               \
		{                                   \
			{                           \
				0, LOW(bits), first \
			}                           \
		}                                   \
	}
#define NO_FAMILY(family, error)                  \
	{                                         \
		"socket", 0, 0, error, 1,         \
		{                                 \
			{                         \
				0, LOW(0), family \
			}                         \
		}                                 \
	}
/* AF_NETLINK with protocols FIRST to FIRST + 2^BITS - 1. */
#define NETLINK(first, bits)                         \
	{                                            \
		"socket", 0, CAP(AUDIT_WRITE), 0, 2, \
		{                                    \
			{ 0, LOW(0), 16 },           \
			{                            \
				2, LOW(bits), first  \
			}                            \
		}                                    \
	}
#define PERSONALITY(value)                       \
	{                                        \
		"personality", 0, 0, 0, 1,       \
		{                                \
			{                        \
				0, LOW(0), value \
			}                        \
		}                                \
	}
#define CLONE_ALL 0x7e020000U /* NEWNS, CGROUP, UTS, IPC, USER, PID, NET */
#define CLONE_BIT(bit)                                \
	{                                             \
		"clone", 0, CAP(SYS_ADMIN), EPERM, 1, \
		{                                     \
			{                             \
				0, bit, bit           \
			}                             \
		}                                     \
	}

const struct seccomp_case seccomp_cases[] = {
	/* Not AF_ALG (38: kernel crypto) and not AF_VSOCK (40: the hypervisor; in no namespace). */
	FAMILIES(0, 4),
	FAMILIES(17, 0),
	FAMILIES(18, 1),
	FAMILIES(20, 2),
	FAMILIES(24, 3),
	FAMILIES(32, 2),
	FAMILIES(36, 1),
	FAMILIES(39, 0),
	FAMILIES(41, 0),
	FAMILIES(42, 1),
	FAMILIES(44, 2),
	FAMILIES(48, 4),
	NO_FAMILY(38, EAFNOSUPPORT),
	NO_FAMILY(40, EAFNOSUPPORT),
	/* AF_NETLINK, but NETLINK_AUDIT (9) only for who may write to the audit log. Programs take
	 * EINVAL for a kernel without audit, and go on. */
	{ "socket", CAP(AUDIT_WRITE), 0, 0, 1, { { 0, LOW(0), 16 } } },
	NETLINK(0, 3),
	NETLINK(8, 0),
	NETLINK(10, 1),
	NETLINK(12, 2),
	NETLINK(16, 4),
	{ "socket", 0, CAP(AUDIT_WRITE), EINVAL, 2, { { 0, LOW(0), 16 }, { 2, LOW(0), 9 } } },

	/* Asking, Linux, 32-bit Linux, both with UNAME26: not the bits that weaken the memory layout. */
	PERSONALITY(0),
	PERSONALITY(0x8),
	PERSONALITY(0x20000),
	PERSONALITY(0x20008),
	PERSONALITY(0xffffffff),

	/* New processes, but no new namespaces. */
	{ "clone", 0, CAP(SYS_ADMIN), 0, 1, { { 0, CLONE_ALL, 0 } } },
	CLONE_BIT(0x00020000),
	CLONE_BIT(0x02000000),
	CLONE_BIT(0x04000000),
	CLONE_BIT(0x08000000),
	CLONE_BIT(0x10000000),
	CLONE_BIT(0x20000000),
	CLONE_BIT(0x40000000),
};
const size_t seccomp_ncases = sizeof seccomp_cases / sizeof seccomp_cases[0];

const struct seccomp_newer seccomp_newers[] = {
#if defined(__x86_64__)
	{ "uretprobe", 335 },
	{ "uprobe", 336 },
#elif defined(__riscv)
	{ "riscv_hwprobe", 258 },
#endif
	{ "cachestat", 451 },
	{ "fchmodat2", 452 },
	{ "map_shadow_stack", 453 },
	{ "futex_wake", 454 },
	{ "futex_wait", 455 },
	{ "futex_requeue", 456 },
	{ "statmount", 457 },
	{ "listmount", 458 },
	{ "lsm_get_self_attr", 459 },
	{ "lsm_set_self_attr", 460 },
	{ "lsm_list_modules", 461 },
	{ "mseal", 462 },
	{ "setxattrat", 463 },
	{ "getxattrat", 464 },
	{ "listxattrat", 465 },
	{ "removexattrat", 466 },
	{ "open_tree_attr", 467 },
	{ "file_getattr", 468 },
	{ "file_setattr", 469 },
};
const size_t seccomp_nnewers = sizeof seccomp_newers / sizeof seccomp_newers[0];

uint64_t seccomp_table_caps(void)
{
	uint64_t caps = 0;

	for (size_t i = 0; i < seccomp_ngroups; i++)
		caps |= seccomp_groups[i].with;
	for (size_t i = 0; i < seccomp_ncases; i++)
		caps |= seccomp_cases[i].with | seccomp_cases[i].without;
	return caps;
}
