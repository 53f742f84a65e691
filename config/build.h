/*
 * The back half of config: from drafts to a checked unit_set. Private to this room.
 *
 * The work is a row of passes over the whole set (unit.c names them in order); each pass lives in a
 * file of its own and sees what the passes before it made. A pass never stops at a mistake: it adds a
 * problem and leaves the zero value, so that one check shows everything that is wrong.
 */
#ifndef BERTH_CONFIG_BUILD_H
#define BERTH_CONFIG_BUILD_H

#include "config/draft.h"
#include "config/problem.h"
#include "config/unit.h"
#include "netns/net.h"

#define UNIT_NONE UINT32_MAX

/* STATE_DIR/ports: "UNIT tcp|udp PORT HOST-PORT" a line, of the ports that berth has chosen. */
enum { PORTS_FILE_MAX = 64 * 1024 };

/* What an image says of itself; all empty when there is no file. */
struct image_config {
	const char *file; /* NULL: none was found */
	bool has_entrypoint;
	struct strv entrypoint, cmd, env;
	const char *user, *cwd;
	int stop_signal; /* 0: not said */
	struct strv health;
	bool health_none;
	uint64_t health_interval, health_timeout, health_start_period;
	uint32_t health_retries;
	struct strv volumes; /* VOLUME: paths that are to be volumes */
	struct strv exposed; /* EXPOSE: "80/tcp" */
	struct strv labels;  /* "key=value"; they never steer berth */
};

/* An address that somebody wrote. */
struct fixed_addr {
	struct net_addr addr;
	struct origin at;
};

/* One Network= of one container that names a bridge. */
struct attachment {
	uint32_t network; /* the unit */
	struct fixed_addr *fixed;
	size_t nfixed;
	const char *ifname;
	uint8_t mac[6]; /* mac=; else all zero */
	struct strv aliases;
	struct origin at;
	struct net_addr *addrs; /* leased: see struct net_iface */
	size_t naddrs;
};

/* What the passes tell each other about one unit. */
struct part {
	const struct unit_draft *draft; /* NULL: built in */
	struct container_spec *spec;    /* the unit's, still writable */
	struct image_config image;
	struct attachment *nets;
	size_t nnets;
	uint32_t shares; /* Network=OTHER.container, or UNIT_NONE */
	uint32_t puller; /* the unit that brings its image, or UNIT_NONE; */
	bool waits;      /* and it waits for that */
	/* Of a container: the unit that publishes its ports; of that one: the container. Or UNIT_NONE. */
	uint32_t proxy;
	/* Of a container: the units that lease its addresses, in the order of its interfaces, those on
	 * networks first; of one of these: the container, or UNIT_NONE. */
	uint32_t *clients;
	size_t nclients;
	uint32_t asks_for;
	/* Of a network. */
	struct net_subnet *subnets; /* the network's, still writable */
	size_t nsubnets;
	bool no_addresses; /* IPAMDriver=none, or dhcp: berth gives none */
	bool leased;       /* IPAMDriver=dhcp */
	bool no_default_route;
	struct net_iface *ifaces;
	struct net_port *ports;
	size_t nports;
	struct edge *after;
	size_t nafter;
	bool root; /* [Install] says that it starts at boot */
};

struct edge {
	uint32_t to;
	struct origin at;
};

struct build {
	struct unit_set *set;
	struct arena *arena;            /* of the set */
	struct arena tmp;               /* dies with the passes */
	struct part *parts;             /* one for each unit */
	const char *config_dir;         /* NULL: the search path */
	const struct strv *image_dirs;  /* searched before ImagePath=; NULL: none */
	const struct strv *bundle_dirs; /* the same of BundlePath= */
	bool pulls;                     /* an image may be missing that a unit pulls */
	bool nomem;                     /* once true, the result is thrown away */
};

#define ERROR_AT(b, at, ...) ((b)->nomem |= problem_at((b)->set, true, (at), __VA_ARGS__) < 0)
#define WARN_AT(b, at, ...)  ((b)->nomem |= problem_at((b)->set, false, (at), __VA_ARGS__) < 0)

/* Text in the set's arena; "" (and nomem) when there is no memory: never NULL. */
const char *build_text(struct build *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *build_ntext(struct build *b, const char *text, size_t n);
void build_add(struct build *b, struct strv *list, const char *text);
/* Room for one more element behind n: the array, moved when n is a power of two; NULL and nomem. */
void *build_room(struct build *b, const void *array, size_t n, size_t size);

#define BUILD_PUSH(b, array, n, ...)                                          \
	do {                                                                  \
		void *room_ = build_room((b), (array), (n), sizeof *(array)); \
		if (room_) {                                                  \
			(array) = room_;                                      \
			(array)[(n)++] = (__typeof__(*(array)))__VA_ARGS__;   \
		}                                                             \
	} while (0)

/* The first line of a unit's file, for what no single key says. */
struct origin build_unit_at(const struct build *b, uint32_t unit);

/* "a:b:c": cuts the next field off *text at `mark`; NULL at the end. The result is in the arena. */
const char *build_field(struct build *b, const char **text, char mark);

/* An absolute path without "//", "." and a trailing "/"; relative ones start at `dir`. ".." stays. */
const char *build_path(struct build *b, const char *dir, const char *path);

/* Can a link be called so? */
bool ifname_valid(const char *name);

/* network_options.c, for network.c: how the containers of a .network are attached. */
void network_options(struct build *b, uint32_t unit);

/* subnets.c, for network.c: what a .network says of its addresses; what nobody wrote, once all are
 * read; two networks that may not share an address. */
void network_subnets(struct build *b, uint32_t unit);
void network_builtin_subnet(struct build *b, uint32_t unit);
void network_choose_subnets(struct build *b, uint32_t unit);
void network_compare_subnets(struct build *b, uint32_t one, uint32_t two);
/* "10.1.2.0/24, 10.1.3.0/24": those of a family. */
const char *network_subnets_text(struct build *b, const struct net_bridge *bridge, int family);

/* nameserver.c: does berth run a name server for it; the address that it is asked at, or NULL; what is
 * known when all addresses are; and its containers want it. */
bool is_name_server(const struct unit_draft *draft);
const struct net_addr *name_server_of(const struct build *b, uint32_t network);
void name_server_finish(struct build *b, uint32_t unit);
void graph_name_servers(struct build *b, uint32_t unit);
/* dhcp.c: the units that ask DHCP servers, of all containers, and how many one may have at most; what is
 * known of the nth of a container when that interface is (shared_mac: its alias, where others have the
 * same MAC address; else NULL); the address that it gets, told to a container; and who waits for whom. */
void clients_begin(struct build *b);
/* Can a DHCP server be heard on this network? */
void network_leased_check(struct build *b, uint32_t unit);
size_t clients_most(const struct unit_draft *draft);
void client_finish(struct build *b, uint32_t unit, size_t nth, const char *ifname,
	const char *shared_mac, bool default_route);
void leases_add(struct build *b, uint32_t unit, uint32_t of, size_t nth, const char *ifname,
	const char *names);
void graph_clients(struct build *b, uint32_t unit);
/* One word of Device=: does it end in ",dhcp"; and without that. */
bool device_is_leased(const char *text);
const char *device_name(struct build *b, const char *text);
/* bundle.c: a program that berth needs without being told of one: out of the bundle that is called so,
 * else of the host. Gives: argv[0], or NULL: there is none. */
const char *program_find(struct build *b, struct program_spec *program, const char *name);

/* image_config.c: what the file says; false: it is not there. What is wrong in it is a problem. */
bool image_config_read(struct build *b, const char *path, struct image_config *ret);

/* ---- the passes, in order ----------------------------------------------------------------------- */
void pass_networks(struct build *b);                /* network.c: .network to bridges */
void pass_volumes(struct build *b);                 /* mounts.c: .volume to directories */
void pass_image(struct build *b, uint32_t unit);    /* image.c: Image=, Rootfs=, their config */
void pass_process(struct build *b, uint32_t unit);  /* process.c: argv, environment, user */
void pass_bundle(struct build *b, uint32_t unit);   /* bundle.c: Bundle=, ConfigFile= */
void pass_security(struct build *b, uint32_t unit); /* defaults.c: capabilities, masks, sysctls */
void pass_limits(struct build *b, uint32_t unit);   /* limits.c: cgroup, rlimits, devices */
void pass_fs(struct build *b, uint32_t unit);       /* filesystem.c: [Mount], Device= */
void pass_pull(struct build *b, uint32_t unit);     /* pull.c: [Image] */
void pass_proxy(struct build *b, uint32_t unit);    /* proxy.c: PublishMode= */
void pass_name_server(struct build *b, uint32_t unit); /* nameserver.c: NameServer= */
void pass_service(struct build *b, uint32_t unit);     /* service.c: how it is supervised */
void pass_mounts(struct build *b, uint32_t unit);      /* mounts.c: Volume=, Tmpfs=, Secret= */
void pass_attach(struct build *b, uint32_t unit);      /* attach.c: Network=, IP= */
void pass_addresses(struct build *b);                  /* attach.c: leases and interfaces */
void pass_devices(struct build *b);                    /* lent.c: Device= */
void pass_ports(struct build *b);                      /* ports.c: PublishPort= */
void pass_walls(struct build *b);                      /* walls.c: who may talk to whom */
void pass_names(struct build *b);                      /* hosts.c: texts of hosts and resolv.conf */
void pass_graph(struct build *b);                      /* resolve.c: After=, Requires=, [Install] */
void pass_check(struct build *b);                      /* check.c: what needs the whole set */
void pass_hashes(struct build *b);                     /* dump.c */

/*
 * unit_resolve - which unit a name in After=, Requires=, Wants=, Network= means
 *
 * Gives: its index, or UNIT_NONE: a target that is always reached (*ret_inert), or unknown and a
 *        problem was added.
 */
uint32_t unit_resolve(
	struct build *b, const char *key, const struct draft_item *item, bool *ret_inert);
/* A unit that runs needs another, or wants it, and waits for it. */
void graph_need(struct build *b, uint32_t unit, uint32_t other, bool wants, struct origin at);
/* Without waiting for it: it ends with that one. */
void graph_require(struct build *b, uint32_t unit, uint32_t other);
/* The mounts that the unit's paths lie below: filesystem.c. */
void graph_filesystems(struct build *b, uint32_t unit);
/* The name that a .mount, or a .volume with Device=, goes by: filesystem.c. */
const char *filesystem_name(struct build *b, const char *id);
/* User= and Group= of a .volume, or UID= and GID=: mounts.c. False: none of them is set. */
bool volume_owner(
	struct build *b, const struct unit_draft *volume, uint32_t *ret_uid, uint32_t *ret_gid);
/* pull.c: the .image that Image= names, or UNIT_NONE; what it names, in full (NULL: a mistake that was
 * told); may it be pulled; and who uses it waits for it. */
uint32_t image_unit(struct build *b, const struct draft_str *image);
const char *image_unit_ref(struct build *b, uint32_t unit);
bool image_unit_pulls(const struct build *b, uint32_t unit);
void graph_image(struct build *b, uint32_t unit);
/* Does Pull= ask for that; and the unit that does it then, as if it were written. */
bool image_pulls(const struct unit_draft *draft);
void image_puller(struct build *b, uint32_t unit, bool is_there);
/* A .image of a container's own, STEM.image, that is in no file: UNIT_NONE after a mistake that was
 * told. And the beginning of its command: berth image VERB. */
uint32_t image_helper(struct build *b, uint32_t unit, const struct draft_str *asked,
	enum pull_policy policy, const char *description);
struct strv *image_command(struct build *b, uint32_t helper, const char *verb);
/* unit.c: one more unit, which is in no file; there is room for two for each draft, and clients_most. */
uint32_t unit_generate(struct build *b, const struct unit_draft *draft);
/* The draft of one beside `of`, because of the line at `at`; NULL and nomem. */
struct unit_draft *draft_beside(struct build *b, const struct unit_draft *of, enum unit_kind kind,
	const char *id, const char *description, struct origin at);
/* defaults.c: such a helper, secluded, has these capabilities, whoever it is, the default seccomp filter,
 * and at most that memory (bytes) and so many processes. */
void secluded_bound(
	struct container_spec *spec, uint64_t caps, uint64_t memory_max, uint64_t pids_max);

/* archive.c: does Image= say where an image lies instead of what it is called: a path, or one behind
 * docker-archive:, oci-archive:, oci: or dir: ? Then where, and which one of several. */
bool archive_named(const char *image);
const char *archive_place(
	struct build *b, const char *dir, const char *image, const char **ret_which);
/* What a file is by its content: ROOT_FILE, ROOT_TAR, or none; and is it compressed? */
enum root_kind archive_look(const char *path);
bool archive_packed(const char *path);
/* Not a root file system, but images in the form in which they are carried about. */
bool archive_carries(struct build *b, const char *path, enum root_kind kind);
/* A .image of one: its command. */
void archive_unit(struct build *b, uint32_t unit);
/* The container's root out of the store, where an import brings it that the container waits for. */
void archive_root(struct build *b, uint32_t unit, const struct draft_str *asked, const char *path,
	const char *which, const char **ret_config);
/* image.c: an image of the store as the root; false: it is not there, or not whole. */
bool image_stored(
	struct build *b, const char *ref, struct root_spec *root, const char **ret_config);

/* proxy.c: does this container have a proxy; the draft of it, which no file says; and, after pass_ports,
 * the ports of one. */
bool proxy_wanted(const struct build *b, const struct unit_draft *draft);
const struct unit_draft *proxy_draft(struct build *b, const struct unit_draft *container);
void proxy_ports(struct build *b, uint32_t unit);
/* By id alone; UNIT_NONE without words. */
uint32_t unit_by_id(const struct build *b, const char *id);
/* A .network by its file's name, or by its NetworkName=; UNIT_NONE. */
uint32_t network_by_name(const struct build *b, const char *name);
/* "80", "80-89/udp": port, count and protocol of *ret. */
bool port_range_parse(struct build *b, const char *text, struct net_port *ret);

#endif
