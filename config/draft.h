/*
 * Units as their files say them: syntax checked and values parsed one by one, nothing resolved.
 * The front half of config (files, reader, keys, types) makes drafts; the back half (unit.c and its
 * helpers) looks at all of them together and makes the struct unit_set.
 *
 * Done already in a draft: drop-ins merged, repeat-and-reset applied, `%` specifiers and `$`
 * variables expanded, words split and unquoted, templates instantiated. Not done: relative paths,
 * names of other units, image defaults, twins, anything that needs a second key.
 *
 * Memory: every string, and the array inside a struct strv, lives in unit_set.arena and outlives
 * the drafts. The drafts and their lists live in draft_set.arena and die with draft_set_done().
 */
#ifndef BERTH_CONFIG_DRAFT_H
#define BERTH_CONFIG_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include "config/problem.h"
#include "config/unit.h"
#include "supervisor/base/arena.h"
#include "supervisor/base/err.h"
#include "supervisor/base/str.h"

/* One type for each kind of value, so that the key table can be checked at compile time. A value
 * was given if at.file is not NULL; DRAFT_SET asks that. */
struct draft_str {
	const char *v;
	struct origin at;
};

enum pull_policy { PULL_MISSING, PULL_ALWAYS, PULL_NEWER, PULL_NEVER };

struct draft_bool {
	bool v;
	struct origin at;
};

struct draft_num { /* a count; a limit in tasks: UINT64_MAX is "infinity" */
	uint64_t v;
	struct origin at;
};

struct draft_int {
	int64_t v;
	struct origin at;
};

struct draft_bytes { /* UINT64_MAX: "infinity" */
	uint64_t v;
	struct origin at;
};

struct draft_time { /* nanoseconds; UINT64_MAX: "infinity" */
	uint64_t v;
	struct origin at;
};

struct draft_signal {
	int v;
	struct origin at;
};

struct draft_choice { /* a value of the enum that the field's comment names */
	int v;
	struct origin at;
};

struct draft_exits {
	struct exit_set v;
	struct origin at; /* of the last line */
};

struct draft_rlimit {
	struct rlimit_spec v;
	struct origin at;
};

struct draft_caps {
	uint64_t mask; /* bit N: capability N */
	bool all;      /* "all" was among them; mask then holds every capability known here */
	struct origin at;
};

struct draft_argv {
	struct strv v;       /* "$" and "%" expanded */
	bool ignore_failure; /* ExecStart=-… */
	struct origin at;
};

struct draft_item {
	const char *text;
	struct origin at;
};

/* In the order of the files, main file first. An empty assignment has emptied it on the way. */
struct draft_list {
	struct draft_item *v;
	size_t n;
};

#define DRAFT_SET(value) ((value).at.file != NULL)

enum policy_choice { POLICY_STRICT, POLICY_BEST_EFFORT }; /* LimitsPolicy= */
enum ipam_choice { IPAM_LEASED, IPAM_NONE, IPAM_DHCP };   /* IPAMDriver= */
enum stdin_choice { STDIN_NULL, STDIN_TTY };              /* StandardInput= */

struct unit_draft {
	enum unit_kind kind;
	const char *stem;     /* "web", "web@blue" */
	const char *prefix;   /* "web": what is before the "@", else the stem */
	const char *instance; /* "blue"; "" when there is none */
	const char *id;       /* "web.container", "web@blue.container" */
	const char *file;     /* the main file as it was found */
	const char *dir;      /* its directory: relative paths start there */
	struct strv dropins;  /* in the order they were read */

	/* [Unit] */
	struct draft_str description;
	struct draft_list after, before, requires, wants;        /* one word each */
	struct draft_list requires_mounts_for, wants_mounts_for; /* a path each */

	/* [Container] */
	struct draft_str image, rootfs, container_name;
	struct draft_choice pull; /* enum pull_policy */
	struct draft_argv exec;
	struct draft_argv entrypoint;       /* a JSON array, or one word */
	struct draft_list environment;      /* "KEY=value" or "KEY" (from berth's environment) */
	struct draft_list environment_file; /* paths; "-PATH": may be missing */
	struct draft_str working_dir, user, group, hostname, timezone;
	struct draft_list group_add;
	struct draft_list network; /* "host", "none", "NAME.network:ip=…", "OTHER.container" */
	struct draft_list network_alias; /* */
	struct draft_str ip, ip6;
	struct draft_list dns, dns_search, add_host; /* add_host: "NAME:IP" */
	struct draft_list publish_port;              /* "[IP:][HOST:]PORT[/udp]" */
	struct draft_list volume;                    /* "SOURCE:TARGET[:OPTIONS]" */
	struct draft_list tmpfs;                     /* "TARGET[:OPTIONS]" */
	struct draft_bool read_only, no_new_privileges, run_init;
	struct draft_caps add_capability, drop_capability;
	struct draft_str seccomp_profile; /* a path, "unconfined" */
	struct draft_list mask, unmask;   /* one path each, or "ALL" */
	struct draft_list sysctl;         /* "NAME=VALUE" each */
	struct draft_rlimit ulimit[RLIM_NLIMITS];
	struct draft_num pids_limit;
	struct draft_bytes memory, shm_size;
	struct draft_signal stop_signal;
	struct draft_time stop_timeout;
	struct draft_list label;           /* "key=value" each */
	struct draft_list add_device;      /* "[-]HOST[:TARGET][:rwm]" each */
	struct draft_choice notify;        /* enum notify_mode */
	struct draft_argv health_cmd;      /* "/bin/sh" "-c" TEXT, or the JSON array given */
	struct draft_bool health_none;     /* HealthCmd=none: also the image's own is off */
	struct draft_time health_interval; /* UINT64_MAX: "disable": only by hand */
	struct draft_time health_timeout, health_start_period;
	struct draft_num health_retries;
	struct draft_list secret; /* "NAME[,type=mount][,target=…]" each */

	/* [Service] */
	struct draft_choice type;    /* enum service_type */
	struct draft_choice restart; /* enum restart_policy */
	struct draft_time restart_sec, restart_max_delay;
	struct draft_num restart_steps;
	struct draft_exits success_exit_status, restart_prevent_exit_status;
	struct draft_time timeout_start, timeout_stop;
	struct draft_argv exec_start;
	struct draft_list service_environment; /* "KEY=value" each */
	struct draft_bytes memory_max, memory_high, memory_swap_max;
	struct draft_num cpu_quota; /* CPUQuota= as microseconds in each 100 ms */
	struct draft_num cpu_weight;
	struct draft_num tasks_max;
	struct draft_rlimit limit[RLIM_NLIMITS];
	struct draft_int oom_score_adjust;
	struct draft_list ip_allow, ip_deny; /* "ADDRESS[/LENGTH]" or a word of systemd's each */
	struct draft_choice standard_input;  /* enum stdin_choice */
	struct draft_str tty_path;

	/* [Network] */
	struct draft_str network_name, interface_name;
	struct draft_choice driver;      /* enum net_driver */
	struct draft_choice ipam_driver; /* enum ipam_choice */
	struct draft_list subnet, gateway, ip_range;
	struct draft_bool internal, ipv6, disable_dns;
	struct draft_list network_dns;
	struct draft_list options;       /* "mtu=1500" */
	struct draft_list network_label; /* "key=value" each */

	/* [Volume] */
	struct draft_str volume_name, volume_user, volume_group, volume_uid, volume_gid;
	struct draft_str volume_device, volume_type, volume_options;
	struct draft_bool volume_copy;

	/* [Image]; its Image= is `image`. Retry= and RetryDelay= are [Container]'s too */
	struct draft_str image_arch, image_os, image_variant, image_auth, image_certs;
	struct draft_str image_creds, image_tag;
	struct draft_bool image_tls;
	struct draft_choice image_policy; /* enum pull_policy */
	struct draft_num image_retry;
	struct draft_time image_retry_delay;

	/* [Mount] */
	struct draft_str mount_what, mount_where, mount_type, mount_options, mount_mode;
	struct draft_time mount_timeout;
	struct draft_bool mount_lazy, mount_force, mount_write_only, mount_sloppy;

	/* [Install] */
	struct draft_list wanted_by;

	/* [X-Berth] */
	struct draft_time stable;
	struct draft_choice limits_policy; /* enum policy_choice */
	struct draft_choice publish_mode;  /* enum publish_mode */
	struct draft_list allow_host_port; /* "PORT[-PORT][/udp]" each */
	struct draft_list allow_network;   /* "OTHER.network" each */
	struct draft_bool name_server;
	struct draft_bool foreign_source;
	struct draft_bytes root_size;
	struct draft_choice persist; /* enum root_persist */
	struct draft_bool hold_open;
	struct draft_list device; /* "eth1", "eth1:wan" each */
	struct draft_str bundle;
	struct draft_str config_file; /* the template */
	const char *config_path;      /* where what is made of it lies; NULL: there is none */
	struct draft_str probe;       /* "unix:/PATH", "tcp:ADDRESS:PORT" */
	struct draft_time probe_interval;
	struct draft_list prefer_host; /* "yes", "unix:/PATH", or the path of a program */

	bool leases; /* berth's own: the DHCP client of an uplink, or of a container */
};

struct draft_set {
	struct arena arena;
	struct unit_draft *v; /* sorted by id */
	size_t n;
};

/* uplink.c: Uplink= of berth.conf. 0 or -ENOMEM; what is wrong is a problem. */
int conf_uplinks(struct unit_set *set, const struct draft_list *lines);
/* The unit that asks a DHCP server for the addresses of an uplink, but for its names and drop-ins; and
 * its stem. 0 or -ENOMEM. */
int uplink_draft(struct unit_set *set, struct draft_set *drafts, const struct uplink *uplink,
	struct unit_draft *ret, const char **ret_stem);
/* The same of the kernel's "ip=…" words (what follows the "="), where no Uplink= is written. What is
 * wrong is a warning: the machine must boot. */
int conf_uplinks_kernel(struct unit_set *set, const char *words);

/* Finds all files, reads berth.conf and its drop-ins alone: set->conf and its problems. */
int conf_load(struct unit_set *set, const char *config_dir, struct err *err);

/*
 * draft_set_load - find, read and parse every file of the configuration
 *
 * Needs: `set` zeroed; its arena, conf and problems are filled here. ip: as for unit_set_load_boot.
 * Gives: set->conf complete (defaults included) and the drafts, also when some lines were wrong:
 *        then set->nerrors > 0, and the value in question is not set.
 * Blocks: on the disk. Fails: -ENOMEM, or `config_dir` cannot be read at all.
 */
int draft_set_load(struct unit_set *set, const char *config_dir, const char *ip,
	struct draft_set *ret, struct err *err);
void draft_set_done(struct draft_set *drafts);

#endif
