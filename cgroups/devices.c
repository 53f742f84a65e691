/*
 * The device filter of cgroup v2 is a BPF program that the kernel asks at each open and mknod. It is
 * a list of comparisons without loops or maps, so it is written out here instruction by instruction,
 * and bpf(2) is called directly: no compiler, no library, and no RLIMIT_MEMLOCK (5.11 and later
 * charge the program to the memory cgroup; before, one page of the default 64 KiB).
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroups/impl.h"
#include "supervisor/base/own.h"

/* One instruction; the fields of struct bpf_insn in the order of the kernel's own macros. */
static struct bpf_insn insn(unsigned code, unsigned dst, unsigned src, int off, int imm)
{
	return (struct bpf_insn){ .code = (__u8)code,
		.dst_reg = dst & 0xf,
		.src_reg = src & 0xf,
		.off = (__s16)off,
		.imm = imm };
}

static struct bpf_insn load(unsigned dst, int off)
{
	return insn(BPF_LDX | BPF_W | BPF_MEM, dst, BPF_REG_1, off, 0);
}

/* Skip `off` instructions unless the register is `imm`. */
static struct bpf_insn skip_unless(unsigned reg, int imm, int off)
{
	return insn(BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, off, imm);
}

enum {
	REG_TYPE = BPF_REG_2,
	REG_ACCESS = BPF_REG_3,
	REG_MAJOR = BPF_REG_4,
	REG_MINOR = BPF_REG_5,
	REG_TMP = BPF_REG_6,
};

static bool rule_valid(const struct device_rule *rule)
{
	return (rule->type == 'c' || rule->type == 'b') && rule->major >= -1 &&
	       rule->major <= INT32_MAX && rule->minor >= -1 && rule->minor <= INT32_MAX;
}

/* One rule: a run of tests that each jump behind it, then "allow". Gives the instructions used. */
static size_t rule_program(const struct device_rule *rule, struct bpf_insn ret[static 9])
{
	int allowed = (rule->read ? BPF_DEVCG_ACC_READ : 0) |
		      (rule->write ? BPF_DEVCG_ACC_WRITE : 0) |
		      (rule->mknod ? BPF_DEVCG_ACC_MKNOD : 0);
	int length = 6 + (rule->major >= 0) + (rule->minor >= 0);
	int n = 0;

	/* A jump counts from the instruction after it. */
#define BEHIND (length - n - 1)
	ret[n] = skip_unless(
		REG_TYPE, rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR, BEHIND);
	n++;
	ret[n++] = insn(BPF_ALU | BPF_MOV | BPF_X, REG_TMP, REG_ACCESS, 0, 0);
	ret[n++] = insn(BPF_ALU | BPF_AND | BPF_K, REG_TMP, 0, 0, ~allowed);
	ret[n] = skip_unless(REG_TMP, 0, BEHIND);
	n++;
	if (rule->major >= 0) {
		ret[n] = skip_unless(REG_MAJOR, (int)rule->major, BEHIND);
		n++;
	}
	if (rule->minor >= 0) {
		ret[n] = skip_unless(REG_MINOR, (int)rule->minor, BEHIND);
		n++;
	}
#undef BEHIND
	ret[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1);
	ret[n++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return (size_t)n;
}

int devices_program(const struct device_rule *rules, size_t n, struct bpf_insn *ret, size_t max,
	struct err *err)
{
	size_t used = 0;

	if (max < 8)
		return err_set(err, E2BIG, "device filter: no room");
	ret[used++] = load(REG_TYPE, (int)offsetof(struct bpf_cgroup_dev_ctx, access_type));
	ret[used++] = insn(BPF_ALU | BPF_MOV | BPF_X, REG_ACCESS, REG_TYPE, 0, 0);
	ret[used++] = insn(BPF_ALU | BPF_AND | BPF_K, REG_TYPE, 0, 0, 0xffff);
	ret[used++] = insn(BPF_ALU | BPF_RSH | BPF_K, REG_ACCESS, 0, 0, 16);
	ret[used++] = load(REG_MAJOR, (int)offsetof(struct bpf_cgroup_dev_ctx, major));
	ret[used++] = load(REG_MINOR, (int)offsetof(struct bpf_cgroup_dev_ctx, minor));
	for (size_t i = 0; i < n; i++) {
		if (!rule_valid(&rules[i]))
			return err_set(err, EINVAL, "device filter: rule %zu is not valid", i + 1);
		/* The longest rule and the final answer must fit. */
		if (max - used < 9 + 2)
			return err_set(err, E2BIG, "device filter: %zu rules are too many", n);
		used += rule_program(&rules[i], ret + used);
	}
	ret[used++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0);
	ret[used++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return (int)used;
}

static int bpf(int cmd, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, cmd, attr, sizeof *attr);

	return r < 0 ? -errno : (int)r;
}

static int program_load(const struct bpf_insn *insns, int n)
{
	static const char license[] = "MIT";
	union bpf_attr attr;

	memset(&attr, 0, sizeof attr);
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (__u64)(uintptr_t)insns;
	attr.insn_cnt = (__u32)n;
	attr.license = (__u64)(uintptr_t)license;
	memcpy(attr.prog_name, "berth_devices", sizeof "berth_devices");
	return bpf(BPF_PROG_LOAD, &attr); /* born close-on-exec: bpf(2) */
}

static const char *load_cure(int code)
{
	if (code == EPERM)
		return ": needs CAP_BPF (or CAP_SYS_ADMIN) in the initial user namespace";
	if (code == EINVAL || code == ENOSYS)
		return ": the kernel needs CONFIG_CGROUP_BPF and CONFIG_BPF_SYSCALL";
	return "";
}

int devices_attach(int leaf, const struct cgroup_limits *limits, struct err *err)
{
	struct bpf_insn insns[DEVICES_INSNS_MAX]; /* 32 KiB */
	own_fd program = -1;
	union bpf_attr attr;
	int r;

	r = devices_program(limits->devices, limits->ndevices, insns, DEVICES_INSNS_MAX, err);
	if (r < 0)
		return r;
	program = program_load(insns, r);
	if (program < 0)
		return err_set(err, -program, "load the device filter: %s%s", strerror(-program),
			load_cure(-program));
	memset(&attr, 0, sizeof attr);
	attr.target_fd = (__u32)leaf;
	attr.attach_bpf_fd = (__u32)program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	/* A cgroup that the container makes may only narrow the filter. */
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	r = bpf(BPF_PROG_ATTACH, &attr);
	if (r < 0)
		return err_sys(err, -r, "attach the device filter");
	return 0;
}

int devices_probe(struct err *err)
{
	const struct bpf_insn insns[] = {
		insn(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1),
		insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	own_fd program = program_load(insns, 2);

	if (program >= 0)
		return 0;
	if (program == -EPERM)
		return -EPERM;
	return err_set(err, ENOTSUP, "no device filter here: %s%s", strerror(-program),
		load_cure(-program));
}
