/* Units: what the files say, resolved into one checked set. */
#ifndef BERTH_CONFIG_UNIT_H
#define BERTH_CONFIG_UNIT_H

#include "config/spec.h"
#include "supervisor/base/arena.h"
#include "supervisor/base/err.h"

enum unit_kind {
	UNIT_CONTAINER,
	UNIT_SERVICE,
	UNIT_NETWORK,
	UNIT_VOLUME,
	UNIT_TARGET,
	UNIT_MOUNT,
	UNIT_IMAGE,
	UNIT_PROXY, /* no file: it publishes the ports of a container with PublishMode=proxy */
	UNIT_DHCP,  /* no file: it asks for an address of a container */
};
/* "container": what the names of its units end in. */
const char *unit_kind_suffix(enum unit_kind kind);

enum service_type { TYPE_SIMPLE, TYPE_EXEC, TYPE_ONESHOT, TYPE_NOTIFY };
enum restart_policy {
	RESTART_NO,
	RESTART_ALWAYS,
	RESTART_ON_SUCCESS,
	RESTART_ON_FAILURE,
	RESTART_ON_ABNORMAL,
	RESTART_ON_ABORT,
	RESTART_ON_WATCHDOG,
};
enum notify_mode {
	NOTIFY_NO,      /* ready when started */
	NOTIFY_YES,     /* ready at READY=1 on its notify socket */
	NOTIFY_HEALTHY, /* ready at the first successful health probe */
};

/* Exit codes and signals as a set: SuccessExitStatus= and RestartPreventExitStatus=. */
struct exit_set {
	uint64_t codes[4]; /* bit N: exit code N */
	uint64_t signals;  /* bit N: killed by signal N */
};

struct health_spec {
	struct strv argv;   /* a command; empty: none */
	const char *socket; /* or a connection: supervisor/base/endpoint.h; NULL: none */
	uint64_t interval, timeout, start_period; /* ns */
	uint32_t retries;
};

/* How ports are published. */
enum publish_mode { PUBLISH_NFTABLES, PUBLISH_PROXY };

/* How the supervisor treats it. Times are nanoseconds; NSEC_NEVER: no limit. */
struct service_spec {
	enum service_type type;
	enum restart_policy restart;
	uint64_t restart_delay;     /* RestartSec= */
	uint32_t restart_steps;     /* RestartSteps= */
	uint64_t restart_max_delay; /* RestartMaxDelaySec= */
	uint64_t stable;            /* StableSec=: up this long, the delay starts anew */
	uint64_t start_timeout;     /* TimeoutStartSec= */
	uint64_t stop_timeout;      /* StopTimeout=, TimeoutStopSec= */
	int stop_signal;
	struct exit_set success; /* besides 0 */
	struct exit_set no_restart;
	enum notify_mode notify;
	struct health_spec health;
	struct strv host_sockets; /* PreferHost=: if one of them answers, nothing is started */
	uint64_t log_size;        /* bytes of a segment */
	uint32_t log_count;       /* segments kept */
};

/* Indexes into the set's units. */
struct unit_list {
	const uint32_t *v;
	size_t n;
};

struct unit {
	enum unit_kind kind;
	const char *stem;    /* "web" */
	const char *id;      /* "web.container" */
	const char *file;    /* the main file's path */
	struct strv dropins; /* read after it, in this order */
	const char *description;
	/* Only units that run (containers, services, targets) are in these lists. */
	struct unit_list after; /* Before= of others is folded in */
	struct unit_list requires;
	struct unit_list wants;
	struct unit_list networks; /* the .network units it is attached to */
	bool wanted; /* starts at boot: [Install] WantedBy= of a reached target, or Wants= from one */
	struct container_spec *
		spec; /* UNIT_CONTAINER, UNIT_SERVICE, UNIT_MOUNT, UNIT_IMAGE, UNIT_PROXY, UNIT_DHCP, UNIT_VOLUME with
			 Device=, UNIT_NETWORK with NameServer= */
	struct service_spec service;
	struct net_bridge *bridge; /* UNIT_NETWORK */
	struct strv labels;        /* UNIT_NETWORK: "key=value" */
	const char *volume_path;   /* UNIT_VOLUME: the directory on the host */
	struct strv volume_labels; /* UNIT_VOLUME: "key=value" */
	uint64_t hash;   /* of everything that decides how it is created; equal: it goes on */
	uint64_t around; /* of its ports, names and walls, which change while it goes on */
};

/* A link of the host that berth sets up. */
struct uplink {
	struct net_uplink link;
	bool dhcp; /* what is not in `link` is leased */
	struct strv dns;
};

/* [Supervisor] of berth.conf. */
struct supervisor_conf {
	const char *state_dir;        /* /var/lib/berth */
	const char *run_dir;          /* /run/berth */
	const char *log_dir;          /* STATE_DIR/logs */
	const char *store_dir;        /* STATE_DIR/store */
	const char *log_level;        /* NULL: notice */
	struct strv image_path;       /* ImagePath= */
	struct strv registry_mirrors; /* RegistryMirror=: "REGISTRY URL" each */
	uint64_t image_memory;        /* ImageMemory=, bytes */
	struct strv bundle_path;      /* BundlePath= */
	struct strv update_keys;      /* UpdateKey=: public keys, as minisign prints them */
	enum restart_policy default_restart;
	bool default_caps_none;         /* DefaultCapabilities=none */
	enum root_verify verify;        /* Verify= */
	enum publish_mode publish_mode; /* PublishMode=, for who does not say */
	uint64_t watchdog;              /* RuntimeWatchdogSec=, ns; 0: off */
	uint64_t shutdown_max;          /* ShutdownTimeoutSec=, ns */
	struct uplink *uplinks;         /* Uplink=, one for each link, in their order */
	size_t nuplinks;
};

/* A complaint about the set, for `berth check` and the log. */
struct problem {
	bool is_error;
	const char *file; /* NULL: about the set as a whole */
	unsigned line;    /* 0: about the whole file */
	const char *text; /* "Memroy: unknown key; did you mean Memory?" */
};

struct unit_set {
	struct arena arena;
	struct supervisor_conf conf;
	char instance[17]; /* hash of the state directory, hex */
	struct unit *units;
	size_t nunits;
	struct problem *problems;
	size_t nproblems;
	size_t nerrors; /* of those problems */
	/* The network of the whole set, for net_bridge_ensure and net_ruleset_apply. */
	const struct net_bridge **bridges;
	size_t nbridges;
	struct net_port *ports;
	size_t nports;
};

/*
 * unit_set_load - read, resolve and check everything
 *
 * Needs: `config_dir` one directory, or NULL for the search path (/run/berth/units, /etc/berth,
 *        /usr/lib/berth).
 * Gives: a set, also when it has errors: then set->nerrors > 0 and it must not be started. Reads
 *        leases below STATE_DIR/leases and assigns addresses, writes nothing.
 * Blocks: on the disk. Fails: -ENOMEM, or the directory cannot be read at all.
 */
int unit_set_load(struct unit_set *set, const char *config_dir, struct err *err);
/* For who packs them. */
struct unit_sources {
	struct strv images, bundles; /* directories that are searched first */
	bool pulls; /* an image that a .image unit pulls need not be there: the box gets it */
};
/* The same, with images and bundles looked up there. */
int unit_set_load_with(struct unit_set *set, const char *config_dir,
	const struct unit_sources *sources, struct err *err);
/* The same for process 1: `ip` (NULL: none) has the kernel's ip= words, which stand for Uplink= where
 * none is written. */
int unit_set_load_boot(
	struct unit_set *set, const char *config_dir, const char *ip, struct err *err);
/* The same of berth.conf alone: set->conf, no unit. */
int unit_set_load_conf(struct unit_set *set, const char *config_dir, struct err *err);
void unit_set_done(struct unit_set *set);

/*
 * unit_set_store_leases - STATE_DIR/leases/NETWORK says who has which address, STATE_DIR/ports who
 *                         has which chosen port
 *
 * Needs: a set without errors that is now in force. Gives: one file for each network, replaced as a
 *        whole and only when it changes; units that are gone are gone from it.
 * Blocks: on the disk. Fails: mkdir, write, with words; addresses then come from the hash again.
 */
int unit_set_store_leases(const struct unit_set *set, struct err *err);

/* "on-failure", as Restart= has it. */
const char *restart_policy_name(enum restart_policy policy);

/* By "web", "web.container", "web.service" or ContainerName=. NULL: none. */
struct unit *unit_find(const struct unit_set *set, const char *name);

#endif
