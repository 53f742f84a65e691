/*
 * Keys of Quadlet and systemd that berth does not serve. A key is inert only when leaving it out
 * changes nothing that somebody could rely on; whatever limits, isolates, orders or runs something
 * is refused, with what to write instead where there is something.
 */
#include "config/keys.h"

#define INERT(section_, name_, help_)                                                       \
	{                                                                                   \
		.section = (section_), .name = (name_), .class = KEY_INERT, .help = (help_) \
	}
#define REFUSED(section_, name_, help_)                                                       \
	{                                                                                     \
		.section = (section_), .name = (name_), .class = KEY_REFUSED, .help = (help_) \
	}
#define SELINUX(section_, name_, help_)                                                       \
	{                                                                                     \
		.section = (section_), .name = (name_), .class = KEY_SELINUX, .help = (help_) \
	}
#define ONLY(section_, name_, words_, help_)                                                  \
	{                                                                                     \
		.section = (section_), .name = (name_), .class = KEY_ONLY, .words = (words_), \
		.help = (help_)                                                               \
	}

static const struct key_word no_words[] = { { "no", 0 }, { "false", 0 }, { "0", 0 }, { NULL, 0 } };
static const struct key_word yes_words[] = { { "yes", 0 }, { "true", 0 }, { "1", 0 }, { NULL, 0 } };
static const struct key_word zero_words[] = { { "0", 0 }, { NULL, 0 } };
static const struct key_word local_words[] = { { "local", 0 }, { NULL, 0 } };
static const struct key_word split_words[] = { { "split", 0 }, { "enabled", 0 }, { NULL, 0 } };
static const struct key_word none_words[] = { { "none", 0 }, { NULL, 0 } };
static const struct key_word log_words[] = {
	{ "k8s-file", 0 },
	{ "json-file", 0 },
	{ "journald", 0 },
	{ "passthrough", 0 },
	{ NULL, 0 },
};
static const struct key_word journal_words[] = {
	{ "journal", 0 },
	{ "inherit", 0 },
	{ "journal+console", 0 },
	{ "tty", 0 },
	{ NULL, 0 },
};
static const struct key_word mixed_words[] = { { "mixed", 0 }, { NULL, 0 } };
static const struct key_word sigkill_words[] = { { "SIGKILL", 0 }, { NULL, 0 } };
static const struct key_word all_words[] = { { "all", 0 }, { "main", 0 }, { "exec", 0 },
	{ NULL, 0 } };
static const struct key_word stop_words[] = { { "stop", 0 }, { "continue", 0 }, { NULL, 0 } };

#define NOT_YET KEY_NOT_SERVED
#define START_LIMIT                                                                                \
	"restarts never stop by themselves, their delay grows; write [Service] RestartSteps= and " \
	"RestartMaxDelaySec="

const struct key keys_unserved[] = {
	/* ---- [Unit] ---- */
	INERT("Unit", "Documentation", "only for people"),
	INERT("Unit", "SourcePath", "only for people"),
	ONLY("Unit", "DefaultDependencies", yes_words, "units have no implicit dependencies here"),
	INERT("Unit", "CollectMode", "units are never unloaded"),
	INERT("Unit", "IgnoreOnIsolate", "there is no isolate here"),
	INERT("Unit", "StopWhenUnneeded", "units are stopped by hand or with berth only"),
	INERT("Unit", "JobTimeoutSec", "a start ends with TimeoutStartSec="),
	ONLY("Unit", "StartLimitIntervalSec", zero_words, NOT_YET START_LIMIT),
	ONLY("Unit", "StartLimitInterval", zero_words, NOT_YET START_LIMIT),
	ONLY("Unit", "StartLimitBurst", zero_words, NOT_YET START_LIMIT),
	ONLY("Unit", "StartLimitAction", none_words, NOT_YET "restarts never stop by themselves"),
	REFUSED("Unit", "BindsTo", NOT_YET "write Requires= and After="),
	REFUSED("Unit", "Requisite", NOT_YET "write Requires= and After="),
	REFUSED("Unit", "PartOf", NOT_YET "stopping one unit does not stop another; leave it out"),
	REFUSED("Unit", "Upholds", NOT_YET "write Wants= here and Restart=always there"),
	REFUSED("Unit", "Conflicts", NOT_YET "do not start the two together"),
	REFUSED("Unit", "OnFailure", NOT_YET "watch the unit with \"berth wait\""),
	REFUSED("Unit", "OnSuccess", NOT_YET "write After= in the other unit, with Type=oneshot"),
	REFUSED("Unit", "FailureAction", NOT_YET "leave it out"),
	REFUSED("Unit", "SuccessAction", NOT_YET "leave it out"),
	REFUSED("Unit", "PropagatesStopTo", NOT_YET "leave it out"),
	REFUSED("Unit", "JoinsNamespaceOf", NOT_YET "write Network=OTHER.container"),
	REFUSED("Unit", "ConditionPathExists", NOT_YET "test it in the command"),
	REFUSED("Unit", "ConditionPathIsDirectory", NOT_YET "test it in the command"),
	REFUSED("Unit", "ConditionPathIsMountPoint", NOT_YET "test it in the command"),
	REFUSED("Unit", "ConditionFileNotEmpty", NOT_YET "test it in the command"),
	REFUSED("Unit", "ConditionKernelCommandLine", NOT_YET "test it in the command"),
	REFUSED("Unit", "ConditionFirstBoot", NOT_YET "test it in the command"),
	REFUSED("Unit", "ConditionArchitecture", NOT_YET "install the unit where it is meant"),
	REFUSED("Unit", "ConditionVirtualization", NOT_YET "install the unit where it is meant"),
	REFUSED("Unit", "ConditionHost", NOT_YET "install the unit where it is meant"),
	REFUSED("Unit", "ConditionMemory", NOT_YET "install the unit where it is meant"),
	REFUSED("Unit", "AssertPathExists", NOT_YET "test it in the command"),

	/* ---- [Container] ---- */
	INERT("Container", "AutoUpdate",
		"a new image comes by \"berth image pull\", or by a .image unit with Policy=newer"),
	INERT("Container", "Annotation", "kept by podman only; Label= is shown by inspect"),
	INERT("Container", "StartWithPod", "there are no pods"),
	INERT("Container", "HealthMaxLogCount", "the last probes are shown by status"),
	INERT("Container", "HealthMaxLogSize", "the last probes are shown by status"),
	INERT("Container", "HealthLogDestination", "the last probes are shown by status"),
	REFUSED("Image", "AllTags", NOT_YET "write one .image file for each tag"),
	REFUSED("Image", "DecryptionKey", NOT_YET "push the image without encryption"),
	REFUSED("Image", "PodmanArgs", NOT_YET "there is no podman"),
	REFUSED("Image", "GlobalArgs", NOT_YET "there is no podman"),
	INERT("Image", "ContainersConfModule", "berth reads no containers.conf"),
	INERT("Container", "ContainersConfModule", "berth reads no containers.conf"),
	INERT("Container", "SecurityLabelDisable", "berth sets no SELinux labels"),
	ONLY("Container", "LogDriver", log_words,
		NOT_YET
		"berth's own log is always written and bounded; read it with \"berth logs\""),
	REFUSED("Container", "LogOpt",
		NOT_YET "berth's own log keeps 3 segments of 10 MiB; leave it out"),
	ONLY("Container", "CgroupsMode", split_words,
		NOT_YET "every container has a cgroup of its own; leave it out"),
	ONLY("Container", "HttpProxy", no_words,
		NOT_YET "no proxy variables are passed in; write Environment=HTTP_PROXY=…"),
	ONLY("Container", "EnvironmentHost", no_words,
		NOT_YET "write Environment= with the names that are needed"),
	ONLY("Container", "ReadOnlyTmpfs", yes_words,
		NOT_YET "with ReadOnly=yes /run, /tmp and /var/tmp are always writable"),
	ONLY("Container", "HealthOnFailure", none_words,
		NOT_YET
		"unhealthy counts as a failure, which [Service] Restart= answers; leave it out"),
	REFUSED("Container", "UserNS",
		NOT_YET "containers run in the host's user namespace; write User= with "
			"a number other than 0"),
	REFUSED("Container", "UIDMap", NOT_YET "user namespaces are not made; write User="),
	REFUSED("Container", "GIDMap", NOT_YET "user namespaces are not made; write Group="),
	REFUSED("Container", "SubUIDMap", NOT_YET "user namespaces are not made; write User="),
	REFUSED("Container", "SubGIDMap", NOT_YET "user namespaces are not made; write Group="),
	REFUSED("Container", "RemapUid", NOT_YET "user namespaces are not made; write User="),
	REFUSED("Container", "RemapGid", NOT_YET "user namespaces are not made; write Group="),
	REFUSED("Container", "Pod", NOT_YET "write Network=OTHER.container to share a network"),
	REFUSED("Container", "PodmanArgs",
		NOT_YET "berth check says for each argument what to write instead"),
	REFUSED("Container", "GlobalArgs", NOT_YET "there is no podman here; leave it out"),
	REFUSED("Container", "ServiceName",
		NOT_YET "the unit is named as its file; rename the file"),
	REFUSED("Container", "Mount",
		NOT_YET "write Volume=SOURCE:TARGET[:OPTIONS] or Tmpfs=TARGET"),
	REFUSED("Container", "ExposeHostPort", NOT_YET "write PublishPort="),
	REFUSED("Container", "DNSOption",
		NOT_YET "mount a resolv.conf with "
			"Volume=FILE:/etc/resolv.conf:ro"),
	REFUSED("Container", "CgroupParent", NOT_YET "every container is below berth's own cgroup"),
	REFUSED("Container", "AppArmor",
		NOT_YET "no AppArmor profile is loaded; the default "
			"capabilities, seccomp and masks apply"),
	SELINUX("Container", "SecurityLabelType", NOT_YET "berth sets no SELinux labels"),
	SELINUX("Container", "SecurityLabelLevel", NOT_YET "berth sets no SELinux labels"),
	SELINUX("Container", "SecurityLabelFileType", NOT_YET "berth sets no SELinux labels"),
	SELINUX("Container", "SecurityLabelNested", NOT_YET "berth sets no SELinux labels"),
	REFUSED("Container", "HealthStartupCmd", NOT_YET "write HealthStartPeriod="),
	REFUSED("Container", "HealthStartupInterval", NOT_YET "write HealthStartPeriod="),
	REFUSED("Container", "HealthStartupRetries", NOT_YET "write HealthStartPeriod="),
	REFUSED("Container", "HealthStartupSuccess", NOT_YET "write HealthStartPeriod="),
	REFUSED("Container", "HealthStartupTimeout", NOT_YET "write HealthStartPeriod="),
	REFUSED("Container", "ReloadCmd", NOT_YET "use \"berth exec\" or \"berth kill\""),
	REFUSED("Container", "ReloadSignal", NOT_YET "use \"berth kill -s SIGNAL\""),

	/* ---- [Service] ---- */
	INERT("Service", "SyslogIdentifier", "log lines carry the unit's name"),
	INERT("Service", "SyslogFacility", "berth's own log is written"),
	INERT("Service", "SyslogLevel", "berth's own log is written"),
	INERT("Service", "SyslogLevelPrefix", "berth's own log is written"),
	INERT("Service", "LogExtraFields", "berth's own log is written"),
	INERT("Service", "GuessMainPID", "the main process is always known"),
	INERT("Service", "MemoryAccounting", "always on where the controller is"),
	INERT("Service", "CPUAccounting", "always on where the controller is"),
	INERT("Service", "TasksAccounting", "always on where the controller is"),
	INERT("Service", "IOAccounting", "always on where the controller is"),
	INERT("Service", "IPAccounting", "traffic is not counted"),
	ONLY("Service", "Delegate", yes_words, NOT_YET "leave it out"),
	ONLY("Service", "StandardOutput", journal_words,
		NOT_YET "berth's own log is always written; read it with \"berth logs\""),
	ONLY("Service", "StandardError", journal_words,
		NOT_YET "berth's own log is always written; read it with \"berth logs\""),
	ONLY("Service", "KillMode", mixed_words,
		NOT_YET "a stop signals the main process, then kills the whole cgroup (mixed)"),
	ONLY("Service", "SendSIGKILL", yes_words, NOT_YET "what does not stop is always killed"),
	ONLY("Service", "FinalKillSignal", sigkill_words, NOT_YET "what does not stop is killed"),
	ONLY("Service", "SendSIGHUP", no_words, NOT_YET "write [Container] StopSignal=SIGHUP"),
	ONLY("Service", "NotifyAccess", all_words, NOT_YET "leave it out"),
	ONLY("Service", "RemainAfterExit", no_words, NOT_YET "write [X-Berth] HoldOpen=yes"),
	ONLY("Service", "OOMPolicy", stop_words,
		NOT_YET "an OOM kill is seen and named; the rest of the container goes on"),
	INERT("Service", "TTYReset", "the terminal is always reset"),
	INERT("Service", "TTYVHangup", "the terminal is always reset"),
	INERT("Service", "TTYVTDisallocate", "the terminal is always reset"),
	REFUSED("Service", "LogRateLimitIntervalSec",
		NOT_YET "the log is bounded in size; leave it out"),
	REFUSED("Service", "LogRateLimitBurst", NOT_YET "the log is bounded in size; leave it out"),
	REFUSED("Service", "KillSignal", NOT_YET "write [Container] StopSignal="),
	REFUSED("Service", "RestartKillSignal", NOT_YET "write [Container] StopSignal="),
	REFUSED("Service", "TimeoutSec", NOT_YET "write TimeoutStartSec= and TimeoutStopSec="),
	REFUSED("Service", "TimeoutAbortSec", NOT_YET "write TimeoutStopSec="),
	REFUSED("Service", "RuntimeMaxSec", NOT_YET "run the command under timeout(1)"),
	REFUSED("Service", "WatchdogSec", NOT_YET "write [Container] HealthCmd="),
	REFUSED("Service", "RestartForceExitStatus", NOT_YET "write Restart=always"),
	REFUSED("Service", "RestartMode", NOT_YET "leave it out"),
	REFUSED("Service", "ExecStartPre",
		NOT_YET "write a unit of its own with Type=oneshot and "
			"After= here"),
	REFUSED("Service", "ExecStartPost",
		NOT_YET "write a unit of its own with After= and Requires="),
	REFUSED("Service", "ExecStop", NOT_YET "the main process gets the stop signal"),
	REFUSED("Service", "ExecStopPost", NOT_YET "leave it out"),
	REFUSED("Service", "ExecReload", NOT_YET "use \"berth kill -s SIGHUP\""),
	REFUSED("Service", "ExecCondition", NOT_YET "test it in the command"),
	REFUSED("Service", "EnvironmentFile",
		NOT_YET "in a .container write [Container] "
			"EnvironmentFile="),
	REFUSED("Service", "PassEnvironment", NOT_YET "write Environment="),
	REFUSED("Service", "WorkingDirectory",
		NOT_YET "in a .container write [Container] WorkingDir="),
	REFUSED("Service", "RootDirectory", NOT_YET "write a .container with Rootfs="),
	REFUSED("Service", "RootImage", NOT_YET "write a .container with Image="),
	REFUSED("Service", "User", NOT_YET "in a .container write [Container] User="),
	REFUSED("Service", "Group", NOT_YET "in a .container write [Container] Group="),
	REFUSED("Service", "SupplementaryGroups",
		NOT_YET "in a .container write [Container] GroupAdd="),
	REFUSED("Service", "DynamicUser", NOT_YET "write a .container with User="),
	REFUSED("Service", "PIDFile", NOT_YET "run the command in the foreground"),
	REFUSED("Service", "BusName", NOT_YET "write Type=notify"),
	REFUSED("Service", "Sockets", NOT_YET "let the service listen itself"),
	REFUSED("Service", "Slice", NOT_YET "write the limits into each unit"),
	REFUSED("Service", "MemoryMin", NOT_YET "write MemoryMax= in the other units"),
	REFUSED("Service", "MemoryLow", NOT_YET "write MemoryMax= in the other units"),
	REFUSED("Service", "MemoryLimit", "the cgroup v1 name: write MemoryMax="),
	REFUSED("Service", "MemoryZSwapMax", NOT_YET "write MemorySwapMax="),
	REFUSED("Service", "CPUShares", "the cgroup v1 name: write CPUWeight="),
	REFUSED("Service", "CPUQuotaPeriodSec", NOT_YET "the period is 100 ms"),
	REFUSED("Service", "StartupCPUWeight", NOT_YET "write CPUWeight="),
	REFUSED("Service", "AllowedCPUs", NOT_YET "limit the CPU time with CPUQuota="),
	REFUSED("Service", "AllowedMemoryNodes", NOT_YET "leave it out"),
	REFUSED("Service", "IOWeight", NOT_YET "I/O is not limited"),
	REFUSED("Service", "IODeviceWeight", NOT_YET "I/O is not limited"),
	REFUSED("Service", "IOReadBandwidthMax", NOT_YET "I/O is not limited"),
	REFUSED("Service", "IOWriteBandwidthMax", NOT_YET "I/O is not limited"),
	REFUSED("Service", "IOReadIOPSMax", NOT_YET "I/O is not limited"),
	REFUSED("Service", "IOWriteIOPSMax", NOT_YET "I/O is not limited"),
	REFUSED("Service", "DeviceAllow", NOT_YET "in a .container write [Container] AddDevice="),
	REFUSED("Service", "DevicePolicy", NOT_YET "containers have the default devices only"),
	REFUSED("Service", "Nice", NOT_YET "write CPUWeight="),
	REFUSED("Service", "CPUSchedulingPolicy", NOT_YET "use chrt(1) in the command"),
	REFUSED("Service", "CPUSchedulingPriority", NOT_YET "use chrt(1) in the command"),
	REFUSED("Service", "CPUAffinity", NOT_YET "use taskset(1) in the command"),
	REFUSED("Service", "IOSchedulingClass", NOT_YET "use ionice(1) in the command"),
	REFUSED("Service", "IOSchedulingPriority", NOT_YET "use ionice(1) in the command"),
	REFUSED("Service", "UMask", NOT_YET "set it in the command"),
	REFUSED("Service", "NoNewPrivileges",
		NOT_YET "in a .container write [Container] NoNewPrivileges="),
	REFUSED("Service", "CapabilityBoundingSet",
		NOT_YET "in a .container write [Container] DropCapability= and AddCapability="),
	REFUSED("Service", "AmbientCapabilities",
		NOT_YET "in a .container write [Container] AddCapability="),
	REFUSED("Service", "SystemCallFilter",
		NOT_YET "in a .container write [Container] SeccompProfile="),
	REFUSED("Service", "SystemCallErrorNumber",
		NOT_YET "in a .container write [Container] SeccompProfile="),
	REFUSED("Service", "RestrictAddressFamilies",
		NOT_YET "in a .container write [Container] SeccompProfile="),
	REFUSED("Service", "RestrictNamespaces",
		NOT_YET "the default seccomp profile of a .container refuses new ones"),
	REFUSED("Service", "ProtectSystem", NOT_YET "write a .container: it has a root of its own"),
	REFUSED("Service", "ProtectHome", NOT_YET "write a .container: it has a root of its own"),
	REFUSED("Service", "PrivateTmp", NOT_YET "write a .container: it has a root of its own"),
	REFUSED("Service", "PrivateDevices",
		NOT_YET "write a .container: it has devices of its own"),
	REFUSED("Service", "PrivateNetwork", NOT_YET "write a .container with Network=none"),
	REFUSED("Service", "ReadWritePaths", NOT_YET "write a .container with Volume="),
	REFUSED("Service", "ReadOnlyPaths", NOT_YET "write a .container with Volume=…:ro"),
	REFUSED("Service", "InaccessiblePaths", NOT_YET "write a .container with Mask="),
	REFUSED("Service", "BindPaths", NOT_YET "write a .container with Volume="),
	REFUSED("Service", "BindReadOnlyPaths", NOT_YET "write a .container with Volume=…:ro"),
	REFUSED("Service", "TemporaryFileSystem", NOT_YET "write a .container with Tmpfs="),
	REFUSED("Service", "StateDirectory",
		NOT_YET "in a .container write [Container] Volume=NAME:PATH"),
	REFUSED("Service", "RuntimeDirectory",
		NOT_YET "in a .container write [Container] Tmpfs=PATH"),
	REFUSED("Service", "LoadCredential", NOT_YET "in a .container write [Container] Secret="),
	REFUSED("Service", "SetCredential", NOT_YET "in a .container write [Container] Secret="),

	/* ---- [Network], [Volume] ---- */
	INERT("Network", "NetworkDeleteOnStop", "a bridge goes when its unit's file is gone"),
	REFUSED("Network", "PodmanArgs", NOT_YET "there is no podman here; leave it out"),
	REFUSED("Network", "GlobalArgs", NOT_YET "there is no podman here; leave it out"),
	REFUSED("Network", "ServiceName", NOT_YET "the unit is named as its file; rename the file"),
	INERT("Network", "ContainersConfModule", "berth reads no containers.conf"),
	INERT("Volume", "ContainersConfModule", "berth reads no containers.conf"),
	ONLY("Volume", "Driver", local_words,
		NOT_YET "a volume is a directory of this host; write Device= and Type="),
	REFUSED("Volume", "Image",
		NOT_YET "write Rootfs= or Image= in a container, whose Volume= gets its content"),
	REFUSED("Volume", "PodmanArgs", NOT_YET "there is no podman here; leave it out"),
	REFUSED("Volume", "GlobalArgs", NOT_YET "there is no podman here; leave it out"),
	REFUSED("Volume", "ServiceName", NOT_YET "the unit is named as its file; rename the file"),

	/* ---- [Install], [Quadlet] ---- */
	INERT("Install", "Also", "every unit of the configuration is there"),
	REFUSED("Install", "Alias", NOT_YET "the unit is named as its file; rename the file"),
	REFUSED("Install", "RequiredBy", NOT_YET "write WantedBy=, or Requires= in the other unit"),
	REFUSED("Install", "UpheldBy", NOT_YET "write WantedBy= and [Service] Restart=always"),
	REFUSED("Install", "DefaultInstance",
		NOT_YET "link NAME@INSTANCE.container to the template"),
	INERT("Quadlet", "DefaultDependencies", "a hint to podman's generator"),
};
const size_t keys_unserved_count = sizeof keys_unserved / sizeof keys_unserved[0];
