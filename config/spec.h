/* What one container (or native service) is, wholly decided: no key, no image, no default is left
 * to look up. Bundles the shapes of the leaves; all strings and arrays live in the set's arena. */
#ifndef BERTH_CONFIG_SPEC_H
#define BERTH_CONFIG_SPEC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "cgroups/limits.h"
#include "images/program_spec.h"
#include "images/root_spec.h"
#include "netns/net_spec.h"
#include "supervisor/base/str.h"

struct rlimit_spec {
	bool set;
	bool builtin;        /* a default of ours: clamped to what this system allows */
	uint64_t soft, hard; /* RLIM_INFINITY (UINT64_MAX) for infinity */
};

struct process_spec {
	struct strv argv; /* ENTRYPOINT/CMD/Exec=/Entrypoint= resolved; empty only with hold_open */
	struct strv env;  /* "KEY=value"; PATH always there */
	const char *cwd;  /* never NULL */
	/* Resolved inside the root by the builder: a name or a number each; NULL: root, its group. */
	const char *user;
	const char *group;
	struct strv groups; /* GroupAdd=: names or numbers; "keep-groups" is refused by config */

	/* Bit N is capability N. */
	uint64_t
		caps_root; /* bounding, permitted and effective set when the process runs as uid 0 */
	uint64_t caps_other; /* when it does not; then also ambient, as podman's AddCapability= */
	bool no_new_privs;
	bool seccomp_off;         /* SeccompProfile=unconfined */
	const char *seccomp_path; /* a profile in JSON on the host; NULL: the built-in one */
	struct rlimit_spec rlimits[RLIM_NLIMITS];
	int32_t oom_score_adj;
	uint32_t umask;
	bool tty;             /* a terminal of its own (run -t, exec -t) */
	const char *tty_path; /* StandardInput=tty: this host terminal is 0, 1, 2; else NULL */
};

enum mount_kind {
	MOUNT_BIND,   /* source: absolute host path */
	MOUNT_VOLUME, /* source: the volume's directory on the host, made when missing */
	MOUNT_TMPFS,
	MOUNT_FILE, /* source: a host file, read-only, shown at target: secrets */
};

struct mount_spec {
	enum mount_kind kind;
	const char *source;
	const char *target; /* absolute, in the container */
	bool readonly, noexec, nosuid, nodev;
	bool recursive;     /* rbind */
	bool shared, slave; /* propagation; neither: private */
	bool chown;         /* :U: owned by the container's user */
	bool copy_up;       /* a new, empty volume gets what the image has there */
	bool anonymous;     /* MOUNT_VOLUME: named by nobody, but by the image or by its target */
	uint64_t size;      /* MOUNT_TMPFS: bytes; 0: half of the memory */
	uint32_t mode;      /* MOUNT_TMPFS, MOUNT_FILE; MOUNT_VOLUME when made */
	uint32_t uid, gid;  /* MOUNT_FILE; MOUNT_VOLUME when made, from [Volume] User=/Group= */
	const char *origin; /* "web.container:12", for messages */
};

struct device_spec {
	const char *host;   /* /dev/ttyUSB0 */
	const char *target; /* path in the container */
	bool read, write, mknod;
	bool optional; /* "-/dev/x": skipped when missing */
};

/* What a .mount, or a .volume with Device=, mounts on the host, by a process that then keeps it. */
struct filesystem_spec {
	const char *what;        /* a path, LABEL=, UUID=, or what the type wants to hear */
	const char *where;       /* an absolute path without links */
	const char *type;        /* NULL: found out */
	struct strv options;     /* one word each: "ro", "size=64m" */
	uint32_t directory_mode; /* of directories that are missing on the way to `where` */
	bool sloppy;             /* options that the type does not know are left out */
	bool write_only;         /* never read-only instead, when it cannot be written */
	bool lazy, force;        /* when it is unmounted */
	bool owned;              /* its root is given to uid and gid */
	uint32_t uid, gid;
};

/* Ports that a process listens on, and carries to a container. */
struct proxy_spec {
	const char *container;      /* its unit, for messages */
	const struct net_spec *net; /* of the container, with the ports */
};
/* Sockets of one proxy: a port of each family and protocol is one. */
enum { PROXY_SOCKETS_MAX = 256 };

/* Which lines of the host's resolv.conf a container has: they may change at any time. */
enum resolv_host {
	RESOLV_NONE,
	RESOLV_REACHABLE, /* without name servers of the host's loopback */
	RESOLV_ALL,
	RESOLV_SEARCH,  /* not its name servers: its domains, behind ours */
	RESOLV_SERVERS, /* of a name server: those that it asks */
};
/* The domain that podman gives to the names of its networks. */
#define RESOLV_DOMAIN "dns.podman"

/* An interface whose address a DHCP server leases: of a container itself, or of a sibling. */
struct lease_spec {
	const char *client; /* the unit that asks for it: RUN_DIR/lease/CLIENT has what it got */
	const char *ifname;
	const char *names; /* of its container on that network; NULL: it is on none */
	bool own;
};

struct container_spec {
	const char *name; /* ContainerName= or the unit's stem: name_valid() */
	bool native;      /* a .service: no namespaces, no root, host's network */
	const struct filesystem_spec
		*filesystem;            /* native: mounted and kept, instead of a program */
	const struct proxy_spec *proxy; /* native: berth-proxy with these ports */
	/* native, secluded: asks a DHCP server for an address of this container, in its namespace */
	const struct container_spec *asks_for;
	bool own_program; /* native: berth itself is what argv runs */
	bool secluded; /* native: in a network of its own; sees the host's files, and writes none */
	struct root_spec root;
	struct cgroup_limits limits;
	struct net_spec net;
	struct process_spec process;
	struct program_spec program; /* native: where argv[0] comes from */
	const char *config_path;     /* ConfigFile=: this file is written before each start, */
	const char *config_text;     /* with this; NULL: none */

	const struct mount_spec *mounts; /* in the order to mount: shorter targets first */
	size_t nmounts;
	const struct device_spec *devices; /* AddDevice= */
	size_t ndevices;
	const char *hostname;
	struct strv sysctls; /* "net.core.somaxconn=1024", already checked to be namespaced */
	struct strv mask;    /* Mask=: more paths to mask */
	struct strv unmask;  /* Unmask=: paths of the default list that are left open, or "ALL" */
	uint64_t shm_size;   /* bytes of /dev/shm */
	bool run_init;       /* RunInit= */
	bool hold_open; /* HoldOpen=: pause process when there is nothing to run, or after exit 0 */
	bool notify_socket;   /* NOTIFY_SOCKET is bind-mounted and set */
	const char *timezone; /* Timezone=: a zoneinfo name, "local", or NULL */

	/* Text of the files bind-mounted over /etc, and the files' names, the same for all who always
	 * have the same text; NULL: none is mounted. */
	const char *hosts, *hosts_name;
	const char *resolv_conf, *resolv_name;
	enum resolv_host resolv_host; /* beside resolv_conf, when it is written */
	const struct lease_spec *leases;
	size_t nleases;

	struct strv labels; /* "key=value" */

	/* What the image says of itself, for people: no decision follows from it. */
	struct strv image_labels;  /* "key=value" */
	struct strv image_exposed; /* "80/tcp" */
};

#endif
