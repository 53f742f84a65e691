#include "config/podman_args.h"

#include <stdint.h>
#include <string.h>

#include "supervisor/base/num.h"

/* "--cpus=2" and its line. After `line` comes the argument's value; NULL in `line`: nothing is
 * needed, `note` says why. `takes` is false for a switch, whose value is "yes" if not given. */
static const struct row {
	const char *arg;
	const char *line;
	bool takes;
	const char *note;
} rows[] = {
	{ "--add-host", "[Container] AddHost=", true, NULL },
	{ "--annotation", "[Container] Annotation=", true, NULL },
	{ "--cap-add", "[Container] AddCapability=", true, NULL },
	{ "--cap-drop", "[Container] DropCapability=", true, NULL },
	{ "--cpu-quota", "[Service] CPUQuota=", true, NULL },
	{ "--cpu-shares", "[Service] CPUWeight=", true, NULL },
	{ "--cpus", "[Service] CPUQuota=", true, NULL },
	{ "--device", "[Container] AddDevice=", true, NULL },
	{ "--dns", "[Container] DNS=", true, NULL },
	{ "--dns-search", "[Container] DNSSearch=", true, NULL },
	{ "--entrypoint", "[Container] Entrypoint=", true, NULL },
	{ "--env", "[Container] Environment=", true, NULL },
	{ "-e", "[Container] Environment=", true, NULL },
	{ "--env-file", "[Container] EnvironmentFile=", true, NULL },
	{ "--group-add", "[Container] GroupAdd=", true, NULL },
	{ "--health-cmd", "[Container] HealthCmd=", true, NULL },
	{ "--health-interval", "[Container] HealthInterval=", true, NULL },
	{ "--health-retries", "[Container] HealthRetries=", true, NULL },
	{ "--health-start-period", "[Container] HealthStartPeriod=", true, NULL },
	{ "--health-timeout", "[Container] HealthTimeout=", true, NULL },
	{ "--hostname", "[Container] HostName=", true, NULL },
	{ "-h", "[Container] HostName=", true, NULL },
	{ "--init", "[Container] RunInit=", false, NULL },
	{ "--ip", "[Container] IP=", true, NULL },
	{ "--ip6", "[Container] IP6=", true, NULL },
	{ "--label", "[Container] Label=", true, NULL },
	{ "-l", "[Container] Label=", true, NULL },
	{ "--memory", "[Service] MemoryMax=", true, NULL },
	{ "-m", "[Service] MemoryMax=", true, NULL },
	{ "--no-healthcheck", "[Container] HealthCmd=none", false, NULL },
	{ "--name", "[Container] ContainerName=", true, NULL },
	{ "--network", "[Container] Network=", true, NULL },
	{ "--net", "[Container] Network=", true, NULL },
	{ "--network-alias", "[Container] NetworkAlias=", true, NULL },
	{ "--oom-score-adj", "[Service] OOMScoreAdjust=", true, NULL },
	{ "--pids-limit", "[Container] PidsLimit=", true, NULL },
	{ "--publish", "[Container] PublishPort=", true, NULL },
	{ "-p", "[Container] PublishPort=", true, NULL },
	{ "--read-only", "[Container] ReadOnly=", false, NULL },
	{ "--restart", "[Service] Restart=", true, NULL },
	{ "--secret", "[Container] Secret=", true, NULL },
	{ "--shm-size", "[Container] ShmSize=", true, NULL },
	{ "--stop-signal", "[Container] StopSignal=", true, NULL },
	{ "--stop-timeout", "[Container] StopTimeout=", true, NULL },
	{ "--sysctl", "[Container] Sysctl=", true, NULL },
	{ "--tmpfs", "[Container] Tmpfs=", true, NULL },
	{ "--tz", "[Container] Timezone=", true, NULL },
	{ "--ulimit", "[Container] Ulimit=", true, NULL },
	{ "--user", "[Container] User=", true, NULL },
	{ "-u", "[Container] User=", true, NULL },
	{ "--volume", "[Container] Volume=", true, NULL },
	{ "-v", "[Container] Volume=", true, NULL },
	{ "--workdir", "[Container] WorkingDir=", true, NULL },
	{ "-w", "[Container] WorkingDir=", true, NULL },
	{ "--log-driver", NULL, true, "berth's own log is always written" },
	{ "--log-opt", NULL, true, "berth's own log is always bounded" },
	{ "--pull", NULL, true, "nothing is ever pulled" },
	{ "--memory-reservation", NULL, true, "memory is not reserved; limit the other units" },
	{ "--memory-swap", NULL, true,
		"it counts memory and swap; [Service] MemorySwapMax= counts swap alone" },
	{ "--privileged", NULL, false,
		"name what is needed with [Container] AddCapability=, AddDevice=, Unmask=" },
	{ "--userns", NULL, true, "user namespaces are not made; [Container] User= is served" },
	{ "--pid", NULL, true, "every container has processes of its own" },
	{ "--ipc", NULL, true, "every container has IPC of its own" },
	{ "--uts", NULL, true, "every container has a host name of its own" },
	{ "--cgroup-parent", NULL, true, "every container is below berth's own cgroup" },
	{ "--mount", NULL, true, "[Container] Volume= and Tmpfs= are served" },
	{ "--rm", NULL, false, "a container is always new at its start" },
	{ "--replace", NULL, false, "a container is always new at its start" },
	{ "--detach", NULL, false, "berth supervises it" },
	{ "-d", NULL, false, "berth supervises it" },
};

static const struct row *find(const char *arg, size_t n)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (strlen(rows[i].arg) == n && memcmp(rows[i].arg, arg, n) == 0)
			return &rows[i];
	return NULL;
}

/* --security-opt is five keys in one. */
static bool security_opt(const char *value, struct strbuf *advice)
{
	static const struct {
		const char *option;
		const char *line;
	} options[] = {
		{ "seccomp=", "[Container] SeccompProfile=" },
		{ "mask=", "[Container] Mask=" },
		{ "unmask=", "[Container] Unmask=" },
	};

	if (str_starts(value, "no-new-privileges")) {
		strbuf_add(advice, "[Container] NoNewPrivileges=%s",
			str_ends(value, "false") ? "no" : "yes");
		return true;
	}
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		if (str_starts(value, options[i].option)) {
			strbuf_add(
				advice, "%s%s", options[i].line, value + strlen(options[i].option));
			return true;
		}
	}
	return false;
}

/* "1.5" CPUs are 150 %; a quota of N microseconds is for periods of 100 ms; 1024 shares are the
 * default, as weight 100 is. */
static void add_value(const struct row *row, const char *value, struct strbuf *advice)
{
	char text[48];
	struct strbuf scaled = STRBUF(text);
	uint64_t n;

	if (strcmp(row->arg, "--cpus") == 0) {
		/* A size has the same fractions: 1.5 x 1024 bytes, of 1024. */
		strbuf_add(&scaled, "%.20sK", value);
		if (num_bytes(text, &n) == 0 && n < UINT32_MAX) {
			strbuf_add(advice, "%llu%%", (unsigned long long)(n * 100 + 512) / 1024);
			return;
		}
	} else if (strcmp(row->arg, "--cpu-shares") == 0 && num_u64(value, &n) == 0 &&
		   n < UINT32_MAX) {
		strbuf_add(advice, "%llu", (unsigned long long)(n * 100 + 1023) / 1024);
		return;
	} else if (strcmp(row->arg, "--no-healthcheck") == 0) {
		return;
	} else if (strcmp(row->arg, "--cpu-quota") == 0 && num_u64(value, &n) == 0) {
		strbuf_add(advice, "%llu%%", (unsigned long long)(n / 1000));
		return;
	}
	strbuf_add(advice, "%.200s", value);
}

/* One argument of args, from *i on; *i is left at its last word. */
static void advise_one(const struct strv *args, size_t *i, struct strbuf *advice)
{
	const char *arg = args->v[*i];
	const char *equals = strchr(arg, '=');
	size_t n = equals ? (size_t)(equals - arg) : strlen(arg);
	bool security = n == strlen("--security-opt") && memcmp(arg, "--security-opt", n) == 0;
	const struct row *row = find(arg, n);
	const char *value = equals ? equals + 1 : "yes";

	if (!equals && (security || (row && row->takes)) && *i + 1 < args->n)
		value = args->v[++*i];
	if (security && security_opt(value, advice))
		return;
	if (row && row->line) {
		strbuf_add(advice, "%s", row->line);
		add_value(row, value, advice);
	} else {
		strbuf_add(advice, "nothing for %.60s (%s)", arg,
			row ? row->note : "berth has no such key");
	}
}

void podman_args_advice(const struct strv *args, struct strbuf *advice)
{
	strbuf_add(advice, "write instead: ");
	for (size_t i = 0; i < args->n; i++) {
		if (i)
			strbuf_add(advice, "; ");
		advise_one(args, &i, advice);
	}
}
