/* Inside the core: what a supervisor and a service are made of. Only files of this room include it. */
#ifndef BERTH_CORE_SERVICE_H
#define BERTH_CORE_SERVICE_H

#include "cgroups/cgroup.h"
#include "netns/linkwatch.h"
#include "netns/watch.h"
#include "supervisor/base/sys.h"
#include "supervisor/core/job.h"
#include "supervisor/core/logwriter.h"
#include "supervisor/core/machine.h"
#include "supervisor/core/state.h"
#include "supervisor/core/supervisor.h"
#include "supervisor/runtime/seccomp.h"

/* Something that container_start or container_exec gave, watched by the loop. */
struct watched {
	struct container c;
	loop_id report_id, builder_id, pidfd_id;
	bool exec_seen;  /* end of the report, and exec happened */
	bool failed;     /* REPORT_FAIL came, or it died before exec */
	int32_t stage;   /* of the failure */
	struct err *err; /* its words; NULL: none, or no memory for them */
};

enum probe_phase { PROBE_OFF, PROBE_IDLE, PROBE_RUNNING, PROBE_KILLED };

struct probe {
	enum probe_phase phase;
	struct watched w;
	struct process_spec process; /* the unit's, with HealthCmd= as argv */
	struct loop_timer timer;     /* IDLE: the next probe; RUNNING: its timeout */
	const char *socket;          /* of a connection: Probe=, or the host's own */
	int output_fd;               /* and its descriptor */
	loop_id output_id;
	char output[160];
	size_t noutput;
	uint64_t serial;  /* names its cgroup: probe-N */
	uint64_t counted; /* when the last failure counted */
	int status;       /* of the wait; -1: not reaped yet */
	bool expired;
	char text[160]; /* of the last failure */
};

/* What recovery found; begin_all makes the first step of it. */
enum recovered {
	RECOVERED_NOTHING,
	RECOVERED_RUNNING, /* adopted */
	RECOVERED_RESTART, /* adopted, but its definition changed, or a restart was under way */
	RECOVERED_FAILING, /* adopted while it was being stopped for not being healthy, or ready */
	RECOVERED_ENDED,   /* its run is over: the restart policy decides */
	RECOVERED_TRY,     /* it was on its way up, or waiting for the next try: that try is now */
};

struct service {
	struct supervisor *sv;
	struct unit *unit;
	uint32_t index; /* of the unit in the set */
	struct machine m;

	struct watched w;
	int events_fd; /* cgroup.events while something is awaited to end */
	loop_id events_id;
	struct loop_timer timer;      /* m.deadline */
	struct loop_timer reap_timer; /* adopted: the kernel is to tell the exit status */
	bool adopted;                 /* the main process is not our child */
	bool log_asked, log_drained;
	bool releasing; /* its devices are on their way back to the host */
	bool removed;   /* the leaf is gone */

	bool by_hand; /* `asked` is from a start or stop by hand, not from [Install] */
	bool asked;   /* to run */
	bool needed;  /* asked for, or required or wanted by one that is */
	enum recovered recovered;
	bool stop_queued;
	bool changed;    /* watchers are to be told */
	uint64_t serial; /* of requests by hand */
	uint64_t starttime;
	uint64_t since, started, ready_since; /* CLOCK_REALTIME */
	uint64_t launched;                    /* CLOCK_MONOTONIC; 0: not by us */
	struct service_times times;
	uint32_t blocked_by; /* WAITING: unit index; UINT32_MAX: the network */
	char leaf[128];
	bool record_due;       /* late work: its state is to be written down, */
	char *old_leaf;        /* this one removed; NULL: none */
	uint8_t failure_stage; /* of the last start, when it failed: enum container_stage */
	uint16_t failure_code; /* and its errno value */
	char *failure,
		*dropped; /* NULL: "". Few services have one, and there may be many services */

	int notify_fd;
	loop_id notify_id;
	char *status_text; /* NULL: "" */

	struct probe *probe; /* NULL: neither HealthCmd= nor Probe= */
	enum service_health health;
	uint32_t health_failures;
};

enum network_state { NETWORK_NONE, NETWORK_WORKING, NETWORK_UP };
/* blocked_by, when it is no unit. */
#define BLOCKED_BY_NETWORK UINT32_MAX
#define BLOCKED_BY_SLOT    (UINT32_MAX - 1)

struct supervisor {
	struct supervisor_options options;
	const struct sys *sys;
	struct unit_set loaded;     /* when we read it ourselves */
	const struct unit_set *set; /* that, or the caller's */
	struct container_env env;
	struct seccomp_cache filters;
	struct cgroup_tree tree;
	char workers_leaf[64];
	struct loop *loop;
	struct logwriter *log;
	int lock_fd, run_fd, state_fd, wanted_fd,
		notify_fd; /* directories below RUN_DIR, and the lock */
	char boot_id[40];

	struct service *services;
	size_t nservices;
	int32_t *by_unit; /* unit index -> index of the service, or -1 */

	enum network_state network;
	int links_fd; /* of linkwatch.c; -1: closed */
	loop_id links_id;
	/* Of dhcp.c: the watch over records, its descriptor of RUN_DIR, and how far the telling is. */
	int records_fd, records_top;
	loop_id records_id;
	int names;
	struct uplink_work *uplinks; /* of uplink.c, one for each of the set; NULL: none */
	struct job *jobs;
	struct exec *execs;
	enum shutdown_kind shutdown;
	struct reload *reload;     /* NULL: none is under way */
	bool trimmed;              /* memory of the beginning was given back */
	bool killing;              /* no more patience */
	bool stray_children;       /* a zombie that was not ours stood in the way of others */
	bool dirty;                /* dependencies are to be looked at */
	bool late_work;            /* of some service */
	size_t slots, slots_taken; /* starts at once; as counted in this turn */
	struct loop_timer slot_timer;
	bool wanted_mirroring, wanted_changed;
	char network_failure[ERR_TEXT_SIZE]; /* of the rules: all networks */
	char **network_failures;      /* of each bridge of the set, NULL: none; NULL: none at all */
	struct err *network_outcomes; /* WORKING: shared with the worker */
	bool network_retried;         /* WORKING: what is there need not be looked at */
	struct net_watch watch;       /* of the packet rules; while watch_id is not 0 */
	loop_id watch_id;
	struct loop_timer repair_timer;
	uint64_t repair_delay, repaired;
	struct loop_timer shutdown_timer;
	struct service_watch *watches, *watch_next;
	char notes[1024];
};

/* service.c */
/* 0 or -ENOMEM. */
int service_init(struct service *s, struct supervisor *sv, struct unit *unit, uint32_t index);
void service_done(struct service *s);
/* A copy in *text; what was there goes. NULL or "" give NULL. */
void service_text(char **text, const char *value);
/* The one way in which anything happens to a service. */
void service_dispatch(struct service *s, enum machine_event event);
/* KILLING, DRAINING, UNKILLABLE: if nothing is left, it is EVENT_GONE. */
void service_check_gone(struct service *s);
/* Its state is written down at the end of this turn. */
void service_record(struct service *s);
void service_late_work(struct service *s);
void service_changed(struct service *s);
void service_fail(struct service *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool service_has_pid(const struct service *s, pid_t pid);
/* After adoption: s->w.c has pid, pidfd, cgroup_fd. */
int service_watch_leader(struct service *s);

/* request.c */
/* Marks it and what it needs, except what was stopped by hand. */
void service_mark_needed(struct service *s);
/* Not wanted from now on; the stop itself comes when those after it are gone. */
void service_stop_queue(struct service *s);

/* The words of its failure. */
const char *watched_words(const struct watched *w);
void watched_fail(struct watched *w, const struct err *err);
/* watched.c: read what there is to read; true when the report has just ended. */
typedef void watched_warn_fn(void *owner, const struct report *report, int console);
bool watched_read(struct loop *loop, struct watched *w, watched_warn_fn *fn, void *owner);
/* After its process was reaped: the same, and the report ends with that. A process that we forked in the
 * meantime may hold the other end for a moment more, so that no end of file comes. */
bool watched_last_words(struct loop *loop, struct watched *w, watched_warn_fn *fn, void *owner);
int watched_add(struct loop *loop, struct watched *w, loop_fd_fn *on_report, loop_fd_fn *on_builder,
	void *owner);
/* The main process, once it is there; harmless to repeat. 0 or -errno. */
int watched_add_pidfd(struct loop *loop, struct watched *w, loop_fd_fn *on_exit, void *owner);
/* After its death and the last message: it died before it was done. The report is over then. */
bool watched_died_preparing(struct loop *loop, struct watched *w);
/* The builder's death; gives false when it has not died. */
bool watched_reap_builder(struct supervisor *sv, struct watched *w);
void watched_kill(struct supervisor *sv, struct watched *w);
void watched_done(struct loop *loop, struct watched *w);
bool watched_has_pid(const struct watched *w, pid_t pid);

/* probe.c */
int probe_init(struct service *s);
void probe_done(struct service *s);
void probes_on(struct service *s);
void probes_off(struct service *s);
bool probe_busy(const struct service *s);
/* PreferHost=: does the host's own answer? Then its socket is what is probed. */
bool probe_host(struct service *s);

/* notify.c */
int notify_open(struct service *s, char *ret_path, size_t size, struct err *err);
void notify_read(struct service *s);
void notify_close(struct service *s);

/* exec.c */
bool execs_have_pid(const struct supervisor *sv, pid_t pid);
void execs_done(struct supervisor *sv);

/* supervisor.c: what the loop calls, for open.c. */
void supervisor_on_slot_timer(struct loop *loop, void *data);
bool supervisor_on_turn(struct loop *loop, void *data);
void supervisor_on_shutdown_timer(struct loop *loop, void *data);
void supervisor_on_signal(struct loop *loop, int signal, pid_t pid, void *data);
/* A note for supervisor_notes and the log. */
void supervisor_note(struct supervisor *sv, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* open.c: before each process that is born in a cgroup. Where a service manager has made our cgroup
 * anew, the new one is taken; -ENOENT: there is none. */
int supervisor_renew_cgroups(struct supervisor *sv, struct err *err);
/* What was cut off when volumes were made, by a process of its own: it may be many files. */
void supervisor_sweep_volumes(struct supervisor *sv);
/* Everything that has to happen between two events: stops, starts, watchers. */
bool supervisor_turn(struct supervisor *sv);

/* recover.c */
int supervisor_adopt(struct supervisor *sv, struct err *err);
/* After the last stop: kills what works for us, lets the log writer finish. Blocks. */
void workers_end(struct supervisor *sv);

/* images.c: at the start of a supervisor that is not `berth run` */
void images_begin(struct supervisor *sv);

/* reload.c */
/* Is everything stopped that the next set lacks? */
bool reload_is_due(const struct supervisor *sv);
/* Forgets it. Nothing happens where none is under way. */
void reload_end(struct supervisor *sv);

/* wanted.c: what was asked for by hand, over death and reboot. */
void wanted_load(struct supervisor *sv);
void wanted_save(struct service *s);

/* network.c */
bool network_needed(const struct service *s);
/* Bridges and rules, by a worker; those who wait for it are told. */
void network_begin(struct supervisor *sv);
/* Must its start wait? Then the network is being set up, or set up once more where one of its
 * networks failed. */
bool network_await(struct service *s);
/* Who shares its network namespace and runs. */
enum net_others network_others(const struct service *s);
/* Why a network of its cannot be had; NULL: they are there, or none is needed. */
const char *network_failure(const struct service *s);
/* Is it a network of others whose link was not there when a container was to be attached again? */
bool network_is_missed(const struct supervisor *sv, const struct net_bridge *network);
void network_end(struct supervisor *sv);

/* netwatch.c */
/* Watch our packet rules; harmless to repeat. */
void netwatch_begin(struct supervisor *sv);
/* Our own change of them is done: what the kernel told until now is about that, mostly. */
void netwatch_settle(struct supervisor *sv);
/* Set the network up again in a moment. */
void netwatch_repair(struct supervisor *sv);
void netwatch_end(struct supervisor *sv);
/* /etc/hosts of what runs already, in place. */
void network_names(const struct supervisor *sv);
/* network_begin when something that has links runs already. */
void network_take_up(struct supervisor *sv);
/* What does not run gives the host's devices back, by a worker; until then it is not started. */
void network_release(struct service *s);
/* Links of definitions that are gone, by a worker. */
void network_prune(struct supervisor *sv);
/* linkwatch.c: bridges and links that somebody else deletes are told of and made again. */
void linkwatch_begin(struct supervisor *sv);
void linkwatch_end(struct supervisor *sv);
/* uplink.c: the links of Uplink=. Blocks for netlink answers, before the loop turns. They stay as they
 * are when we end: the host goes on being reached. */
void uplinks_begin(struct supervisor *sv);
void uplinks_event(struct supervisor *sv, enum link_event event, const char *ifname);
void uplinks_end(struct supervisor *sv);
/* dhcp.c: does the container run that s, which asks for its address, is for; and must that one still give
 * its devices back? */
bool clients_in_use(const struct service *s);
bool clients_wait(const struct service *s);
/* Its links are other ones: who asks for its addresses ends, and begins anew. From a process beside the
 * loop. */
void clients_renew(const struct service *s);
/* Why an address that it needs is not there; NULL: they are. */
const char *clients_failure(const struct service *s);
/* The state of s was `old`: what asks for its addresses ends with it, and begins anew where each run has
 * a new namespace; and who waits for one that there is not fails with those words, to try again by its
 * own delays. */
void clients_follow(struct service *s, enum service_state old);
/* What is leased is seen, and those that run are told (network_names), also of what others of us began. */
void records_begin(struct supervisor *sv);
void records_end(struct supervisor *sv);
/* After the last stop: nothing of ours is left. Blocks. */
void network_remove(struct supervisor *sv);

/* supervisor.c */
struct service *service_of_unit(const struct supervisor *sv, uint32_t unit);

#endif
