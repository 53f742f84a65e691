#include "config/keys.h"

#include <string.h>

#include "supervisor/base/near.h"

/* Which field type goes with which type of value. A row whose field has another type does not
 * compile: _Generic has no association for it. */
#define FIELD_str      struct draft_str
#define FIELD_name     struct draft_str
#define FIELD_lines    struct draft_list
#define FIELD_words    struct draft_list
#define FIELD_env      struct draft_list
#define FIELD_pairs    struct draft_list
#define FIELD_argv     struct draft_argv
#define FIELD_entry    struct draft_argv
#define FIELD_shell    struct draft_argv
#define FIELD_flag     struct draft_bool
#define FIELD_bytes    struct draft_bytes
#define FIELD_time     struct draft_time
#define FIELD_timeout  struct draft_time
#define FIELD_interval struct draft_time
#define FIELD_signal   struct draft_signal
#define FIELD_tasks    struct draft_num
#define FIELD_number   struct draft_num
#define FIELD_integer  struct draft_int
#define FIELD_quota    struct draft_num
#define FIELD_caps     struct draft_caps
#define FIELD_exits    struct draft_exits
#define FIELD_choice   struct draft_choice
#define FIELD_rlimit   struct draft_rlimit
#define FIELD_ulimits  struct draft_rlimit *

#define ROW(owner, section_, name_, type_, field, help_, ...)                                      \
	{                                                                                          \
		.section = (section_), .name = (name_), .class = KEY_SERVED, .type = TYPE_##type_, \
		.offset = _Generic(((struct owner *)0)->field, FIELD_##type_                       \
				   : offsetof(struct owner, field)),                               \
		.help = (help_), __VA_ARGS__                                                       \
	}

#define UNIT(name, type, field, ...) ROW(unit_draft, "Unit", name, type, field, __VA_ARGS__, )
#define CONTAINER(name, type, field, ...) \
	ROW(unit_draft, "Container", name, type, field, __VA_ARGS__, )
#define SERVICE(name, type, field, ...) ROW(unit_draft, "Service", name, type, field, __VA_ARGS__, )
#define NETWORK(name, type, field, ...) ROW(unit_draft, "Network", name, type, field, __VA_ARGS__, )
#define MOUNT(name, type, field, ...)   ROW(unit_draft, "Mount", name, type, field, __VA_ARGS__, )
#define IMAGE(name, type, field, ...)   ROW(unit_draft, "Image", name, type, field, __VA_ARGS__, )
#define VOLUME(name, type, field, ...)  ROW(unit_draft, "Volume", name, type, field, __VA_ARGS__, )
#define BERTH(name, type, field, ...)   ROW(unit_draft, "X-Berth", name, type, field, __VA_ARGS__, )
#define CONF(name, type, field, ...)    ROW(conf_draft, "Supervisor", name, type, field, __VA_ARGS__, )
#define LIMIT(name, resource, help_) \
	SERVICE("Limit" name, rlimit, limit[resource], help_, .min = (resource))

static const struct key_word pull_policy_words[] = { { "missing", PULL_MISSING },
	{ "always", PULL_ALWAYS }, { "newer", PULL_NEWER }, { "never", PULL_NEVER }, { NULL, 0 } };
static const struct key_word restart_words[] = {
	{ "no", RESTART_NO },
	{ "always", RESTART_ALWAYS },
	{ "on-success", RESTART_ON_SUCCESS },
	{ "on-failure", RESTART_ON_FAILURE },
	{ "on-abnormal", RESTART_ON_ABNORMAL },
	{ "on-abort", RESTART_ON_ABORT },
	{ "on-watchdog", RESTART_ON_WATCHDOG },
	{ NULL, 0 },
};
static const struct key_word type_words[] = {
	{ "simple", TYPE_SIMPLE },
	{ "exec", TYPE_EXEC },
	{ "oneshot", TYPE_ONESHOT },
	{ "notify", TYPE_NOTIFY },
	{ NULL, 0 },
};
static const struct key_word notify_words[] = {
	{ "no", NOTIFY_NO },
	{ "false", NOTIFY_NO },
	{ "yes", NOTIFY_YES },
	{ "true", NOTIFY_YES },
	{ "healthy", NOTIFY_HEALTHY },
	{ NULL, 0 },
};
static const struct key_word policy_words[] = {
	{ "strict", POLICY_STRICT },
	{ "best-effort", POLICY_BEST_EFFORT },
	{ NULL, 0 },
};
static const struct key_word stdin_words[] = {
	{ "null", STDIN_NULL },
	{ "tty", STDIN_TTY },
	{ NULL, 0 },
};
static const struct key_word driver_words[] = {
	{ "bridge", NET_BRIDGE },
	{ "macvlan", NET_MACVLAN },
	{ "ipvlan", NET_IPVLAN },
	{ NULL, 0 },
};
static const struct key_word ipam_words[] = {
	{ "host-local", IPAM_LEASED },
	{ "none", IPAM_NONE },
	{ "dhcp", IPAM_DHCP },
	{ NULL, 0 },
};
static const struct key_word verify_words[] = {
	{ "once", VERIFY_ONCE },
	{ "always", VERIFY_ALWAYS },
	{ "never", VERIFY_NEVER },
	{ NULL, 0 },
};
static const struct key_word persist_words[] = {
	{ "no", PERSIST_NO },
	{ "boot", PERSIST_BOOT },
	{ "permanent", PERSIST_PERMANENT },
	{ NULL, 0 },
};
static const struct key_word publish_words[] = {
	{ "nftables", PUBLISH_NFTABLES },
	{ "proxy", PUBLISH_PROXY },
	{ NULL, 0 },
};
static const struct key_word caps_words[] = { { "default", 0 }, { "none", 1 }, { NULL, 0 } };
const struct key_word log_level_words[] = {
	{ "err", 0 },
	{ "warning", 1 },
	{ "notice", 2 },
	{ "info", 3 },
	{ "debug", 4 },
	{ NULL, 0 },
};

const struct key keys_served[] = {
	UNIT("Description", str, description, "What the unit is, for people."),
	UNIT("After", words, after,
		"Start only when these units are started, ready or healthy, as their Notify= or "
		"Type= "
		"says; stop before them. \"db.service\" also means db.container."),
	UNIT("Before", words, before, "The same from the other side."),
	UNIT("Requires", words, requires,
		"Start these units too; if one cannot be started, neither is this one. Say After= "
		"as "
		"well to wait for them."),
	UNIT("Wants", words, wants,
		"Start these units too; go on without one that cannot be started."),
	UNIT("RequiresMountsFor", words, requires_mounts_for,
		"Require the .mount units of these paths, and wait for them. What a container "
		"mounts needs not be said: it waits by itself."),
	UNIT("WantsMountsFor", words, wants_mounts_for,
		"The same; go on without one that cannot be mounted."),

	CONTAINER("Image", str, image,
		"The image: a reference, looked up in the store (see berth-image(1)) and in "
		"ImagePath=. A bare name is localhost/NAME:latest; with @sha256:DIGEST it is the "
		"image that was pulled by that digest, or has that id. Or where it lies: a path "
		"that begins with / or ./, or docker-archive:PATH, oci-archive:PATH, oci:PATH, "
		"each with :NAME for one of several, or dir:PATH. An archive is imported into the "
		"store once for its content, by a unit UNIT.image that the container waits for; a "
		"directory and a "
		"file of erofs or squashfs are used as they lie."),
	CONTAINER("Pull", choice, pull,
		"never: the image is there, or the unit is refused; missing: it is pulled unless "
		"the name is in the store; always: at each start, and a registry that cannot be "
		"asked is a failure; newer: the same, and what is there will do. What pulls is a "
		"unit UNIT.image, as if it were written: see berth.image(5); a name without a "
		"registry is then of docker.io. never, unlike podman's missing.",
		.words = pull_policy_words),
	CONTAINER("Retry", number, image_retry, "Of Pull=: see Retry= of berth.image(5).", .min = 0,
		.max = 1000),
	CONTAINER("RetryDelay", time, image_retry_delay, "Of Pull=: see berth.image(5)."),
	CONTAINER("Rootfs", str, rootfs,
		"A directory or a tar archive as the root, instead of Image=. NAME.image.json "
		"beside it is its image configuration. An archive of an image is imported as with "
		"Image=. One of a tree is unpacked once for its content and boot into RunDir=, "
		"which is in memory most often: berth image import and Image= keep it on the "
		"disk."),
	CONTAINER("ContainerName", name, container_name,
		"The container's name; the unit's stem if not given."),
	CONTAINER("Exec", argv, exec,
		"The command, or the arguments of the image's entrypoint; replaces the image's "
		"CMD."),
	CONTAINER("Entrypoint", entry, entrypoint,
		"Replaces the image's ENTRYPOINT and drops its CMD: one word, or a JSON array."),
	CONTAINER("Environment", env, environment,
		"KEY=value words for the container's environment; KEY alone takes berth's own "
		"value."),
	CONTAINER("EnvironmentFile", words, environment_file,
		"Files of KEY=value lines; relative to the unit file; -PATH may be missing. "
		"Environment= wins."),
	CONTAINER("WorkingDir", str, working_dir, "Where the command starts; the image's, or /."),
	CONTAINER("User", str, user,
		"A name or number of the image's passwd file, also as USER:GROUP; the image's own "
		"if "
		"not given."),
	CONTAINER("Group", str, group, "A name or number of the image's group file."),
	CONTAINER("GroupAdd", lines, group_add, "One more group of the process."),
	CONTAINER("HostName", str, hostname, "The host name inside; the container's name."),
	CONTAINER("Network", lines, network,
		"NAME.network, OTHER.container to share its network, ns:/PATH of a network "
		"namespace that is there, host, or none. Without it: the built-in bridge. "
		"Repeated: one interface for each, and the first that leads outside gives the "
		"default route. After NAME.network: options, as in "
		"site.network:ip=10.1.2.3,alias=db; ip= ip6= mac= alias= interface_name=."),
	CONTAINER("NetworkAlias", lines, network_alias,
		"One more name under which the siblings on its networks find it."),
	CONTAINER("IP", str, ip, "Its fixed IPv4 address."),
	CONTAINER("IP6", str, ip6, "Its fixed IPv6 address."),
	CONTAINER("DNS", lines, dns, "A name server for resolv.conf, instead of the host's."),
	CONTAINER("DNSSearch", lines, dns_search, "A search domain for resolv.conf."),
	CONTAINER("AddHost", lines, add_host, "NAME:ADDRESS, one more line of /etc/hosts."),
	CONTAINER("PublishPort", lines, publish_port,
		"[IP:][HOST:]PORT[/tcp|udp] or ranges of the same length: the host's port leads to "
		"the container's. Without IP: on every address of the host, by IPv4 and IPv6 as "
		"the container has them, loopback included. Without HOST: a port from 61000 on, "
		"kept over restarts; \"berth port\" prints it. The container sees who asks, but "
		"for the host's loopback and its own siblings, which come from the gateway."),
	CONTAINER("Volume", lines, volume,
		"SOURCE:TARGET[:OPTIONS]: a host path, NAME.volume, or a plain name (the volume is "
		"made); TARGET alone: a volume of this container's own. An empty volume first gets "
		"what the image has there. Options: ro, rw, U, noexec, nosuid, nodev, rbind, "
		"rshared, rslave, nocopy. See berth.volume(5)."),
	CONTAINER("Tmpfs", lines, tmpfs, "TARGET[:OPTIONS], as size=64M, mode=1777, ro, noexec."),
	CONTAINER("ReadOnly", flag, read_only,
		"Mount the root read-only, without an upper layer; /run, /tmp and /var/tmp stay "
		"writable."),
	CONTAINER("AddCapability", caps, add_capability,
		"Capabilities on top of the default ones, with or without CAP_."),
	CONTAINER("DropCapability", caps, drop_capability,
		"Capabilities to take away; all leaves what AddCapability= names."),
	CONTAINER("NoNewPrivileges", flag, no_new_privileges,
		"Whether set-uid programs gain nothing. On unless switched off here."),
	CONTAINER("SeccompProfile", str, seccomp_profile,
		"A profile in JSON on the host, or unconfined; the built-in one if not given."),
	CONTAINER("Mask", words, mask, "Paths to hide in the container, besides the default ones."),
	CONTAINER("Unmask", words, unmask, "Paths to leave open of the default ones, or ALL."),
	CONTAINER("Sysctl", pairs, sysctl,
		"NAME=VALUE, only those that belong to the container's namespaces: net.*, IPC "
		"ones, "
		"kernel.domainname."),
	CONTAINER("Ulimit", ulimits, ulimit,
		"NAME=SOFT[:HARD], as nofile=1024:4096. The same as [Service] LimitNAME=."),
	CONTAINER("PidsLimit", tasks, pids_limit,
		"How many tasks at most; 1024 if not given, -1 for no limit. The same as "
		"TasksMax=."),
	CONTAINER("Memory", bytes, memory, "The same as [Service] MemoryMax=."),
	CONTAINER("ShmSize", bytes, shm_size, "The size of /dev/shm; 64M."),
	CONTAINER("StopSignal", signal, stop_signal,
		"What asks it to stop; the image's STOPSIGNAL, or SIGTERM."),
	CONTAINER("StopTimeout", time, stop_timeout,
		"How long it may take to stop before it is killed; 10 s. The same as "
		"TimeoutStopSec=."),
	CONTAINER("RunInit", flag, run_init,
		"A small init as process 1, which reaps what is orphaned and passes signals on."),
	CONTAINER("Label", pairs, label, "KEY=value words, shown by inspect and used by --filter."),
	CONTAINER("AddDevice", words, add_device,
		"[-]HOST[:TARGET][:rwm]: a device of the host; with - it may be missing."),
	CONTAINER("Timezone", str, timezone, "A zoneinfo name, or local for the host's."),
	CONTAINER("Notify", choice, notify,
		"When it counts as started: no (when it runs), yes (at READY=1 on its notify "
		"socket), "
		"healthy (at the first good probe).",
		.words = notify_words),
	CONTAINER("HealthCmd", shell, health_cmd,
		"The probe, run inside the container: text for /bin/sh -c, a JSON array, or none. "
		"Exit status 0 is healthy."),
	CONTAINER("HealthInterval", interval, health_interval,
		"The time between probes; 30 s. disable: no probe by itself."),
	CONTAINER("HealthTimeout", time, health_timeout, "When a probe is given up; 30 s."),
	CONTAINER("HealthRetries", number, health_retries,
		"How many bad probes in a row make it unhealthy, which counts as a failure; 3.",
		.min = 1, .max = 1000000),
	CONTAINER("HealthStartPeriod", time, health_start_period,
		"How long after the start bad probes do not count; 0."),
	CONTAINER("Secret", words, secret,
		"NAME[,type=mount][,target=PATH][,mode=0444][,uid=N][,gid=N]: a file of secrets/ "
		"beside the units, in /etc/berth or in the state directory, read-only in "
		"/run/secrets."),

	SERVICE("Type", choice, type,
		"When a start is done: simple, exec (once execve succeeded), oneshot (once it "
		"exited), notify (at READY=1).",
		.words = type_words),
	SERVICE("Restart", choice, restart,
		"Whether to start again what has ended: no, always, on-success, on-failure, "
		"on-abnormal, on-abort, on-watchdog. DefaultRestart= of berth.conf if not given.",
		.words = restart_words),
	SERVICE("RestartSec", time, restart_sec, "The first delay before a restart; 100 ms."),
	SERVICE("RestartSteps", number, restart_steps,
		"In how many steps the delay grows to RestartMaxDelaySec=; 10.", .min = 0,
		.max = 1000),
	SERVICE("RestartMaxDelaySec", time, restart_max_delay, "The longest delay; 60 s."),
	SERVICE("SuccessExitStatus", exits, success_exit_status,
		"Exit codes and signals that count as success, besides 0."),
	SERVICE("RestartPreventExitStatus", exits, restart_prevent_exit_status,
		"Exit codes and signals after which it is not started again, whatever Restart= "
		"says."),
	SERVICE("TimeoutStartSec", timeout, timeout_start,
		"How long a start may take; 90 s. Preparing an image does not count. 0 is "
		"infinity."),
	SERVICE("TimeoutStopSec", timeout, timeout_stop,
		"How long a stop may take before everything left is killed; 10 s."),
	SERVICE("ExecStart", argv, exec_start, "The command of a native service.",
		.kinds = KIND(UNIT_SERVICE)),
	SERVICE("Environment", pairs, service_environment,
		"KEY=value words. In a .container they serve ${KEY} in Exec= and HealthCmd= only; "
		"the "
		"container's own environment is [Container] Environment=."),
	SERVICE("MemoryMax", bytes, memory_max,
		"The most memory of the container or service, with everything in it: memory.max."),
	SERVICE("MemoryHigh", bytes, memory_high,
		"Above this it is slowed down and its memory reclaimed: memory.high."),
	SERVICE("MemorySwapMax", bytes, memory_swap_max, "The most swap: memory.swap.max."),
	SERVICE("CPUQuota", quota, cpu_quota,
		"The share of one CPU at most: 50%, 200% for two CPUs."),
	SERVICE("CPUWeight", number, cpu_weight, "Its weight against the siblings; 100.", .min = 1,
		.max = 10000),
	SERVICE("TasksMax", tasks, tasks_max, "How many tasks at most: pids.max."),
	LIMIT("CPU", RLIMIT_CPU, "Seconds of CPU time of each process."),
	LIMIT("FSIZE", RLIMIT_FSIZE, "The size of a file it may write."),
	LIMIT("DATA", RLIMIT_DATA, "The size of the data segment."),
	LIMIT("STACK", RLIMIT_STACK, "The size of the stack."),
	LIMIT("CORE", RLIMIT_CORE, "The size of a core file."),
	LIMIT("RSS", RLIMIT_RSS, "No effect on Linux."),
	LIMIT("NOFILE", RLIMIT_NOFILE, "Open files of each process."),
	LIMIT("AS", RLIMIT_AS, "The address space of each process."),
	LIMIT("NPROC", RLIMIT_NPROC,
		"Processes of its user on the whole machine; TasksMax= is usually meant."),
	LIMIT("MEMLOCK", RLIMIT_MEMLOCK, "Locked memory."),
	LIMIT("LOCKS", RLIMIT_LOCKS, "File locks; no effect on Linux."),
	LIMIT("SIGPENDING", RLIMIT_SIGPENDING, "Queued signals."),
	LIMIT("MSGQUEUE", RLIMIT_MSGQUEUE, "Bytes in POSIX message queues."),
	LIMIT("NICE", RLIMIT_NICE, "The lowest nice value, as 20 minus it."),
	LIMIT("RTPRIO", RLIMIT_RTPRIO, "The highest real-time priority."),
	LIMIT("RTTIME", RLIMIT_RTTIME, "Real-time CPU time without a blocking call."),
	SERVICE("OOMScoreAdjust", integer, oom_score_adjust,
		"-1000 to 1000: how gladly the kernel kills it when memory is short.", .min = -1000,
		.max = 1000),
	SERVICE("IPAddressAllow", words, ip_allow,
		"Whom the container may talk to although IPAddressDeny= names them: "
		"ADDRESS[/LENGTH], "
		"any, localhost, link-local, multicast. Packets of both directions are looked at "
		"where they enter and leave the container; its own loopback, ARP and neighbour "
		"discovery are not concerned."),
	SERVICE("IPAddressDeny", words, ip_deny,
		"Whom the container may not talk to, unless IPAddressAllow= names them; who is in "
		"neither list may. any is the usual word."),
	SERVICE("StandardInput", choice, standard_input,
		"null, or tty: the terminal TTYPath= of the host is its input, output and "
		"controlling "
		"terminal.",
		.words = stdin_words),
	SERVICE("TTYPath", str, tty_path, "The terminal for StandardInput=tty; /dev/console."),

	NETWORK("NetworkName", name, network_name, "The network's name; the unit's stem."),
	NETWORK("Driver", choice, driver,
		"bridge: a bridge on the host and a veth pair for each container. macvlan: the "
		"containers are on the network of a link of the host, each with a MAC address of "
		"its own; they do not reach the host itself. ipvlan: the same with the link's own "
		"MAC address. bridge if not given.",
		.words = driver_words),
	NETWORK("InterfaceName", str, interface_name,
		"The bridge's interface name on the host; of macvlan and ipvlan the same as "
		"Options=parent=."),
	NETWORK("Subnet", lines, subnet,
		"ADDRESS/LENGTH; repeated for more of each family, at most 8: a container has an "
		"address in each. A bridge's is chosen from a free range if not given."),
	NETWORK("Gateway", lines, gateway,
		"The router of the subnet that it lies in; the subnet's first address. It is the "
		"host's own address on a bridge that berth makes. The default route of a family "
		"leads to that of the first subnet."),
	NETWORK("IPRange", lines, ip_range,
		"The part of the subnet that addresses are leased from, once for each: "
		"10.1.2.64/26, or 10.1.2.10-10.1.2.50. Fixed addresses may lie outside of it. The "
		"whole subnet if not given."),
	NETWORK("IPAMDriver", choice, ipam_driver,
		"host-local: addresses are leased by berth. dhcp: the containers ask a DHCP server "
		"of "
		"the network, which must not be a bridge of berth's own. none: they get none.",
		.words = ipam_words),
	NETWORK("Internal", flag, internal, "No default route and no way out of the host."),
	NETWORK("IPv6", flag, ipv6, "Also an IPv6 subnet, chosen if none is given."),
	NETWORK("DNS", lines, network_dns,
		"A name server for resolv.conf of the containers that have no DNS= of their own."),
	NETWORK("DisableDNS", flag, disable_dns,
		"The members' names are not written into each other's hosts files."),
	NETWORK("Options", pairs, options,
		"mtu=N: of the bridge and its containers. vlan=N: the containers are in this VLAN. "
		"parent=LINK: what macvlan and ipvlan sit on; it is never guessed. mode=WORD: of "
		"macvlan bridge, private, vepa, passthru; of ipvlan l2, l3, l3s; of a bridge "
		"unmanaged. isolate=true: kept from other networks, which is always so. "
		"no_default_route=true."),
	NETWORK("Label", pairs, network_label, "KEY=value words, shown by network inspect."),

	VOLUME("VolumeName", name, volume_name, "The volume's name; the unit's stem."),
	VOLUME("User", str, volume_user,
		"Who owns it when it is made, or, with Device=, when it is mounted: a number."),
	VOLUME("Group", str, volume_group, "Which group owns it: a number; that of User=."),
	VOLUME("UID", str, volume_uid, "The same as User=."),
	VOLUME("GID", str, volume_gid, "The same as Group=."),
	VOLUME("Copy", flag, volume_copy,
		"Whether it first gets what the image has at its target, while it is empty; yes."),
	VOLUME("Device", str, volume_device,
		"What is mounted on the volume's directory for its containers: a block device, "
		"LABEL= or UUID=, a file with a file system in it, a directory (with "
		"Options=bind), HOST:/PATH, or tmpfs."),
	VOLUME("Type", str, volume_type,
		"The type of the file system of Device=; found out if not given. bind: a "
		"directory."),
	VOLUME("Options", str, volume_options,
		"Mount options of Device=, separated by commas, as in Options= of [Mount]."),
	VOLUME("Label", pairs, label, "KEY=value words, shown by \"berth volume inspect\"."),

	IMAGE("Image", str, image,
		"What to pull: [REGISTRY/]NAME[:TAG][@DIGEST]; without a registry it is of "
		"docker.io. Or what to import: a path, docker-archive:PATH, oci-archive:PATH, "
		"oci:PATH, dir:PATH, as in Image= of a container. A container takes it by "
		"Image=NAME.image, and waits for it."),
	IMAGE("ImageTag", str, image_tag,
		"Of an archive: the image of that name in it, which is its name in the store too."),
	IMAGE("Policy", choice, image_policy,
		"missing: only if the name is not in the store, so that no network is needed; "
		"always: "
		"at each start, and a registry that cannot be asked is a failure; newer: the same, "
		"and what is there will do; never; missing.",
		.words = pull_policy_words),
	IMAGE("AuthFile", str, image_auth,
		"Credentials, as podman login writes them; otherwise /run/containers/0/auth.json."),
	IMAGE("Creds", str, image_creds,
		"USER:PASSWORD, instead of AuthFile=. Who can read this file can read them; no "
		"list of processes shows them."),
	IMAGE("CertDir", str, image_certs,
		"Certificates: *.crt of authorities, NAME.cert and NAME.key of ours; otherwise "
		"/etc/containers/certs.d/HOST:PORT."),
	IMAGE("TLSVerify", flag, image_tls,
		"no: any certificate will do, and plain http where there is no https; yes."),
	IMAGE("Arch", str, image_arch, "Another architecture than this machine's: arm64, amd64."),
	IMAGE("OS", str, image_os, "linux."),
	IMAGE("Variant", str, image_variant, "Of the architecture: v7. It needs Arch=."),
	IMAGE("Retry", number, image_retry,
		"How often a failure that may pass is tried again in one attempt; 5. After the "
		"attempt "
		"comes another one, in 5 s and then ever more, up to a minute.",
		.min = 0, .max = 1000),
	IMAGE("RetryDelay", time, image_retry_delay,
		"The wait before the first of these tries; it doubles; 1 s."),
	MOUNT("What", str, mount_what,
		"What is mounted: a block device, LABEL=, UUID=, PARTLABEL= or PARTUUID=, a file "
		"with a file system in it, a directory (with Options=bind), HOST:/PATH, or a name "
		"for a type without a device. A device that is missing is waited for."),
	MOUNT("Where", str, mount_where,
		"The directory, made if missing; no part of it may be a link. The file must be "
		"called after it, as systemd-escape --path --suffix=mount says it: "
		"/mnt/data is mnt-data.mount."),
	MOUNT("Type", str, mount_type,
		"The type of the file system; found out if not given. Where there is a "
		"/sbin/mount.TYPE, that program mounts it (nfs, cifs, fuse.sshfs)."),
	MOUNT("Options", str, mount_options,
		"Mount options, separated by commas: ro, noexec, nosuid, nodev, noatime, bind, "
		"rbind, loop, and those of the type. auto, nofail, _netdev and x-… say nothing "
		"here."),
	MOUNT("DirectoryMode", str, mount_mode, "The mode of directories that are made; 0755."),
	MOUNT("TimeoutSec", timeout, mount_timeout,
		"How long mounting may take, with the wait for the device, and how long "
		"unmounting; 90 s and 10 s. 0 is for ever."),
	MOUNT("LazyUnmount", flag, mount_lazy,
		"Detach it at once when it is stopped, also while it is in use."),
	MOUNT("ForceUnmount", flag, mount_force,
		"Give up what it waits for when it is stopped: for a server that is gone."),
	MOUNT("ReadWriteOnly", flag, mount_write_only,
		"Fail when it cannot be written, instead of mounting it read-only."),
	MOUNT("SloppyOptions", flag, mount_sloppy,
		"Leave out options that the type does not know."),

	ROW(unit_draft, "Install", "WantedBy", words, wanted_by,
		"default.target or multi-user.target: started with berth. Without it the unit is "
		"started by hand or by another unit.", ),

	BERTH("StableSec", time, stable,
		"How long it must run for the restart delay to begin at RestartSec= again; 10 s."),
	BERTH("LimitsPolicy", choice, limits_policy,
		"strict: a limit that cannot be enforced here refuses the start. best-effort: it "
		"is a "
		"warning.",
		.words = policy_words),
	BERTH("RootSize", bytes, root_size,
		"The size of the root's writable upper layer, in memory; half of the memory."),
	BERTH("Persist", choice, persist,
		"What becomes of what the container writes to its root: no: each start begins with "
		"the image; boot: it is kept in memory, until the machine ends, or berth with all "
		"its containers; permanent: it is kept in STATE_DIR/upper/NAME, above whatever the "
		"image is by then (stop the unit and remove that directory to begin anew); no.",
		.words = persist_words),
	BERTH("Device", words, device,
		"Links of the host that are moved into the container while it runs: eth1, or "
		"eth1:wan to name it wan there; eth1,dhcp and eth1:wan,dhcp ask a DHCP server for "
		"its address (ADDRESSES BY DHCP in berth.network(5)). They come back under their "
		"own name when it has "
		"stopped, down, without addresses, with the MTU they had. One that the host's "
		"default route needs is "
		"refused.",
		.kinds = KIND(UNIT_CONTAINER)),
	BERTH("HoldOpen", flag, hold_open,
		"With nothing to run, or after a clean exit, keep the container's namespaces, for "
		"exec."),
	BERTH("Bundle", name, bundle,
		"A bundle of the appliance file (berth pack --bundle), or a directory of that name "
		"in "
		"BundlePath=. The first word of ExecStart= is then the name of a program in it; "
		"without ExecStart= the one that is called as the bundle. The other programs are "
		"beside it and first in its PATH.",
		.kinds = KIND(UNIT_SERVICE)),
	BERTH("ConfigFile", str, config_file,
		"A template of the program's configuration, relative to the unit file. Before each "
		"start "
		"it is written to conf/ in the run directory, for root alone, with % specifiers "
		"and "
		"${X} replaced as in ExecStart=, where ${CONFIG_FILE} is its path.",
		.kinds = KIND(UNIT_SERVICE)),
	BERTH("Probe", str, probe,
		"unix:/PATH or tcp:ADDRESS:PORT: the service is ready when a connection to this "
		"socket "
		"succeeds, and unhealthy, which counts as a failure, when three in a row do not.",
		.kinds = KIND(UNIT_SERVICE)),
	BERTH("PreferHost", words, prefer_host,
		"Use the host's own where there is one. Before each start these are tried, sockets "
		"first: unix:/PATH, or yes for the one of Probe=: if it answers, nothing is "
		"started and the unit is external, until it does not answer any more and Restart= "
		"decides; then /PATH: this program is run instead of the one of Bundle=; then the "
		"bundle.",
		.kinds = KIND(UNIT_SERVICE)),
	BERTH("ProbeInterval", interval, probe_interval,
		"The time between connections to the socket of Probe=, once it is ready; 10 s.",
		.kinds = KIND(UNIT_SERVICE)),

	BERTH("PublishMode", choice, publish_mode,
		"How PublishPort= is done. nftables: by packet rules, which keep the caller's "
		"address and cost least. proxy: by a process, NAME.proxy, for kernels without "
		"nf_tables; the container sees all callers under its gateway's address. "
		"PublishMode= of berth.conf; nftables.",
		.words = publish_words, .kinds = KIND(UNIT_CONTAINER)),
	BERTH("AllowHostPort", words, allow_host_port,
		"PORT[-PORT][/tcp|udp]: a service of the host itself that the container may use, "
		"at "
		"any of the host's addresses. Without it a container gets ICMP and answers from "
		"the host, and published ports, but no service. Under podman it reaches every "
		"service that listens on the bridge or on all addresses, where a management "
		"page or a database is easily forgotten: that is why berth differs.",
		.kinds = KIND(UNIT_CONTAINER)),
	BERTH("AllowForeignSource", flag, foreign_source,
		"It forwards for others, as a router does: its packets may carry addresses that "
		"are "
		"not its own, and its frames any MAC address. Otherwise such are dropped, in ARP "
		"and neighbour discovery too, as are router advertisements and redirects.",
		.kinds = KIND(UNIT_CONTAINER)),
	BERTH("AllowNetwork", words, allow_network,
		"OTHER.network: its containers may call those of this other network, which see "
		"their true addresses; say it there too for the way back. Otherwise networks do "
		"not reach each other.",
		.kinds = KIND(UNIT_NETWORK)),
	BERTH("NameServer", flag, name_server,
		"Its names are told by DNS too, for programs that only ask a server: berth runs a "
		"dnsmasq on the network, which its containers ask first.",
		.kinds = KIND(UNIT_NETWORK)),

	CONF("StateDir", str, state_dir,
		"Volumes, the store, logs, leases; /var/lib/berth. May be read-only."),
	CONF("RunDir", str, run_dir, "What need not outlive the boot; /run/berth."),
	CONF("LogDir", str, log_dir, "Logs of the containers; logs below StateDir=."),
	CONF("StoreDir", str, store_dir,
		"Images: see berth-image(1); store below StateDir=. Best a file system of its "
		"own."),
	CONF("LogLevel", choice, log_level,
		"What berth itself says: err, warning, notice, info, debug; notice.",
		.words = log_level_words),
	CONF("DefaultRestart", choice, default_restart, "Restart= for units that do not say; no.",
		.words = restart_words),
	CONF("DefaultCapabilities", choice, default_capabilities,
		"default: podman's eleven for a process that runs as root; none: nobody gets any "
		"without AddCapability=.",
		.words = caps_words),
	CONF("ImagePath", lines, image_path, "Directories with images, separated by \":\"."),
	CONF("BundlePath", lines, bundle_path,
		"Directories with bundles, separated by \":\": for Bundle= without an appliance "
		"file."),
	CONF("ImageMemory", bytes, image_memory,
		"How far back a compressed image may make its decoder look, at the price of as "
		"much "
		"memory: the window of zstd, the dictionary of xz; 8M."),
	CONF("RegistryMirror", lines, registry_mirrors,
		"REGISTRY URL: ask there before the registry itself, in the order of the lines: "
		"docker.io http://mirror.lan:5000. A directory of files behind any web server "
		"will do: below the URL, v2/NAME/manifests/TAG and v2/NAME/blobs/DIGEST."),
	CONF("Uplink", lines, uplinks,
		"LINK [dhcp] [ADDRESS/LENGTH[,GATEWAY]] [dns=ADDRESS[,ADDRESS]] [mtu=BYTES]: set "
		"up this link of the host. Further lines of one link add to it, of IPv4 and IPv6; "
		"LINK alone is brought up. For machines where nobody else does that: see "
		"berth(8), UPLINKS."),
	CONF("Verify", choice, verify,
		"When the digest of an image in an appliance file is compared: once, before the "
		"image "
		"is mounted, which happens once a boot; always: before each start too; never; "
		"once. A bundle is always compared once a boot.",
		.words = verify_words),
	CONF("PublishMode", choice, publish_mode,
		"PublishMode= for containers that do not say: nftables or proxy; nftables.",
		.words = publish_words),
	CONF("UpdateKey", words, update_keys,
		"Public keys of minisign's, as its key file has them in its second line. With "
		"them, "
		"berth bundle install takes only files that are signed by one. Public, so it may "
		"lie "
		"in the appliance itself."),
	CONF("RuntimeWatchdogSec", time, watchdog,
		"Feed /dev/watchdog, set to this time, from the loop (init only); off."),
	CONF("ShutdownTimeoutSec", time, shutdown_max,
		"How long the ordered shutdown may take in all; 90 s."),
};
const size_t keys_served_count = sizeof keys_served / sizeof keys_served[0];

#define ALL_KINDS                                                                             \
	(KIND(UNIT_CONTAINER) | KIND(UNIT_SERVICE) | KIND(UNIT_NETWORK) | KIND(UNIT_VOLUME) | \
		KIND(UNIT_TARGET) | KIND(UNIT_MOUNT) | KIND(UNIT_IMAGE))

const struct key_section key_sections[] = {
	{ "Unit", ALL_KINDS, false, NULL, "What it is, and what it needs." },
	{ "Container", KIND(UNIT_CONTAINER), false, NULL, "What runs, and how it is isolated." },
	{ "Service", KIND(UNIT_CONTAINER) | KIND(UNIT_SERVICE), false, NULL,
		"How it is supervised and limited. The limits hold the payload itself." },
	{ "Network", KIND(UNIT_NETWORK), false, NULL, "What containers are attached to." },
	{ "Volume", KIND(UNIT_VOLUME), false, NULL, "A directory that outlives the containers." },
	{ "Mount", KIND(UNIT_MOUNT), false, NULL,
		"A file system of this host, for whoever uses a path below it." },
	{ "Image", KIND(UNIT_IMAGE), false, NULL, "An image that is pulled from a registry." },
	{ "Install", ALL_KINDS, false, NULL, "What starts it." },
	{ "X-Berth", ALL_KINDS, false, NULL,
		"What only berth knows; podman and systemd pass over it." },
	{ "Quadlet", ALL_KINDS, false, NULL, "Hints to podman's generator." },
	{ "Supervisor", 0, true, "it belongs into berth.conf", "berth itself, in berth.conf." },
	{ "Match", 0, false,
		"that is a systemd-networkd file, and /etc/systemd/network is its place; a network "
		"of containers has a [Network] section with Subnet=",
		"" },
	{ "Pod", 0, false, "not served: share a network with Network=OTHER.container", "" },
	{ "Kube", 0, false, "not served: write one .container file for each container", "" },
	{ "Build", 0, false, "not served: build elsewhere, put the image into ImagePath=", "" },
	{ "Artifact", 0, false, "not served: bind-mount the files with Volume=", "" },
	{ "Timer", 0, false, "not served: let a container wait between its runs", "" },
	{ "Socket", 0, false, "not served: publish the port with PublishPort=", "" },
};
const size_t key_sections_count = sizeof key_sections / sizeof key_sections[0];

const struct key_section *section_find(const char *name)
{
	for (size_t i = 0; i < key_sections_count; i++)
		if (strcmp(key_sections[i].name, name) == 0)
			return &key_sections[i];
	return NULL;
}

/* Both tables as one. */
static const struct key *key_at(size_t i)
{
	if (i < keys_served_count)
		return &keys_served[i];
	i -= keys_served_count;
	return i < keys_unserved_count ? &keys_unserved[i] : NULL;
}

const struct key *key_find(const char *section, const char *name)
{
	const struct key *key;

	for (size_t i = 0; (key = key_at(i)); i++)
		if (strcmp(key->name, name) == 0 && strcmp(key->section, section) == 0)
			return key;
	return NULL;
}

/* How many letters must be put in, left out, exchanged or swapped with their neighbour to come from
 * one name to the other, whatever the case. More than `NEAR_MAX` long names are never near. */
static unsigned tolerance(const char *name)
{
	return (unsigned)(strlen(name) / 3);
}

const char *section_suggest(const char *name)
{
	unsigned best = tolerance(name) + 1;
	const char *found = NULL;

	for (size_t i = 0; i < key_sections_count; i++) {
		unsigned d = near_distance(name, key_sections[i].name);

		if (d < best && key_sections[i].kinds) {
			best = d;
			found = key_sections[i].name;
		}
	}
	return found;
}

const struct key *key_suggest(const char *section, const char *name)
{
	unsigned best = tolerance(name) + 1;
	const struct key *found = NULL;
	const struct key *key;

	for (size_t i = 0; (key = key_at(i)); i++) {
		unsigned d = strcmp(key->section, section) == 0 ? near_distance(name, key->name)
								: NEAR_MAX;

		if (d < best) {
			best = d;
			found = key;
		}
	}
	return found;
}

const struct key *key_elsewhere(const char *section, const char *name, enum unit_kind kind)
{
	const struct key *key;

	for (size_t i = 0; (key = key_at(i)); i++) {
		const struct key_section *in = section_find(key->section);

		if (strcmp(key->name, name) == 0 && strcmp(key->section, section) != 0 && in &&
			(in->kinds & KIND(kind)))
			return key;
	}
	return NULL;
}

const char *restart_policy_name(enum restart_policy policy)
{
	const struct key_word *word = restart_words;

	while (word->word && word->value != (int)policy)
		word++;
	return word->word;
}
