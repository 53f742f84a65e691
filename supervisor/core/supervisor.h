/*
 * The supervisor: a checked set of units, kept in the state that is wanted.
 *
 * This is the door for verbs, for PID 1 and for `berth run`. Everything here is called from the
 * loop's one thread and never blocks, supervisor_open and supervisor_close excepted.
 */
#ifndef BERTH_CORE_SUPERVISOR_H
#define BERTH_CORE_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/unit.h"
#include "supervisor/base/err.h"
#include "supervisor/core/loop.h"
#include "supervisor/runtime/container.h"

struct service; /* one unit that runs: .container or .service */
struct supervisor;

/* What each state means, what may happen in it, what may not be touched: service.h. */
enum service_state {
	SERVICE_INACTIVE,   /* nothing exists; it is not wanted */
	SERVICE_WAITING,    /* wanted; the units it comes after are not there yet */
	SERVICE_STARTING,   /* a builder is at work; nothing of the payload has run */
	SERVICE_RUNNING,    /* exec happened; not ready yet (a oneshot: at work) */
	SERVICE_READY,      /* running, and ready as Notify= defines it */
	SERVICE_STOPPING,   /* the stop signal is sent, the grace period runs */
	SERVICE_KILLING,    /* cgroup.kill is done, not everything is gone */
	SERVICE_DRAINING,   /* the main process is gone; its cgroup or its log is not empty yet */
	SERVICE_BACKOFF,    /* nothing exists; waits for the next try */
	SERVICE_DONE,       /* ended well, and is not restarted */
	SERVICE_FAILED,     /* ended badly, and is not restarted */
	SERVICE_UNKILLABLE, /* a process survived SIGKILL: no second copy is started */
	SERVICE_HELD,       /* HoldOpen=: the payload ended well, the namespaces are kept */
	SERVICE_EXTERNAL,   /* PreferHost=: the host's own answers, nothing of ours is started */
	SERVICE_STATE_COUNT,
};
/* "inactive", "waiting", … */
const char *service_state_name(enum service_state state);

enum service_health { HEALTH_NONE, HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };
/* "", "starting", "healthy", "unhealthy": docker's and podman's words. */
const char *service_health_name(enum service_health health);

/* How the last run ended. */
struct service_exit {
	bool known;  /* a run has ended */
	bool status; /* the wait status is known; false: adopted, and the kernel cannot tell */
	int code;    /* exit code; -1 when killed by a signal */
	int signal;  /* 0 when it exited */
	bool oom;    /* the kernel killed something in it for memory */
	uint64_t memory_peak; /* bytes, of that run; 0: not known */
};

/* How long the last start took, in nanoseconds from its launch; 0: not known. */
struct service_times {
	uint64_t
		prepare; /* until image or bundle and network were made; 0 also: nothing was to be */
	uint64_t start;  /* until exec */
	uint64_t ready;
};

/* A snapshot for ps, status, why, inspect. Strings are borrowed until the loop turns. Times are
 * CLOCK_REALTIME nanoseconds, 0: never. */
struct service_info {
	const struct unit *unit; /* names, description, file, spec */
	enum service_state state;
	char sub[120];    /* more words: "after db", "next try in 3s", "stage: build the root" */
	bool wanted;      /* what the supervisor works towards */
	bool by_hand;     /* wanted was set by start or stop, not by [Install] */
	pid_t pid;        /* of the main process, 0: none */
	uint64_t run;     /* number of the current or last run, 0: never started */
	char cgroup[300]; /* absolute path of the current leaf, "" */
	struct service_exit last;
	uint32_t restarts;    /* automatic ones since the last start by hand */
	uint64_t next_try;    /* BACKOFF */
	uint64_t since;       /* of the state */
	uint64_t started;     /* exec of the current run */
	uint64_t ready_since; /* READY */
	struct service_times times;
	enum service_health health;
	uint32_t health_failures;    /* in a row */
	char health_text[160];       /* of the last failed probe */
	char status_text[160];       /* STATUS= of sd_notify */
	char failure[ERR_TEXT_SIZE]; /* the last failure, a whole sentence; "" */
	int32_t failure_stage; /* of the last start, when it failed: enum container_stage; or 0 */
	int failure_code;      /* and its errno value */
	char dropped[200];     /* limits that could not be enforced */
	struct cgroup_usage usage; /* filled by service_usage only */
};

/* How it ends. */
enum shutdown_kind {
	SHUTDOWN_NONE,
	SHUTDOWN_LEAVE,  /* end the supervisor, leave everything running (SIGTERM as a service) */
	SHUTDOWN_RELOAD, /* as LEAVE; the next supervisor begins at once, with supervisor_reloaded */
	SHUTDOWN_STOP,   /* stop everything in reverse order, then end */
	SHUTDOWN_POWEROFF,
	SHUTDOWN_REBOOT,
	SHUTDOWN_HALT, /* these three: as STOP; what follows is PID 1's business */
};

struct supervisor_options {
	const char *config_dir; /* as for unit_set_load */
	const char *run_dir;    /* instead of RunDir=; NULL: that */
	bool log_level_given;   /* LogLevel= does not count */
	const char *ip;         /* process 1: the kernel's ip= words; NULL: none */
	struct unit_set
		*set;       /* a set made by the caller instead (`berth run`, a reload), borrowed */
	const char *worker; /* path of berth-worker */
	bool foreground;    /* `berth run`: no wanted, no control socket, nothing adopted */
	int in, out, err;   /* foreground: the payload's; -1: /dev/null */
	void (*on_console)(struct supervisor *sv, int fd /* taken */, void *data); /* with a tty */
	/* PID 1: signals other than SIGCHLD; true when it is dealt with. NULL: TERM leaves everything
	 * running, INT (twice: without patience) stops everything, HUP reads the configuration anew. */
	bool (*on_signal)(struct supervisor *sv, int signal, void *data);
	void *data;
};

/*
 * supervisor_open - lock the state, make the directories, adopt what runs, begin to start
 *
 * Needs:  nothing of ours set up yet; the process is single-threaded and owns its children.
 * Gives:  a supervisor whose loop has not turned yet.
 * Blocks: on the disk, reading the configuration.
 * Fails:  the set has errors (-EINVAL; the first is in the text, all are logged), another supervisor
 *         holds the lock (the message names its pid), a directory or the cgroup tree cannot be made.
 */
int supervisor_open(
	struct supervisor **ret, const struct supervisor_options *options, struct err *err);
/* Until something ends it. Gives the kind of end. */
enum shutdown_kind supervisor_run(struct supervisor *sv);
/* Leaves the containers as they are. NULL is fine. */
void supervisor_close(struct supervisor *sv);

/* Begin. A second call with a kind other than LEAVE kills what still stops. */
void supervisor_shutdown(struct supervisor *sv, enum shutdown_kind kind);
/* NONE: not shutting down. */
enum shutdown_kind supervisor_shutting_down(const struct supervisor *sv);

/* What a reload makes of the units, by their stems. The lists live until supervisor_close. */
struct reload_plan {
	struct strv added, removed, changed; /* changed: restarted */
	struct strv updated; /* their ports, names or walls are others, and they go on */
};
/* Told once, from the loop. `err`: why nothing is changed; else NULL, and the plan. */
typedef void reload_told_fn(
	struct supervisor *sv, const struct reload_plan *plan, const struct err *err, void *data);

/*
 * supervisor_reload - read the configuration anew, all or nothing
 *
 * Begins only. When it is read and has no error, the units that are gone are stopped; then
 * supervisor_run gives SHUTDOWN_RELOAD, and the caller, who takes the set by supervisor_reloaded,
 * closes this supervisor and opens the next with that set. `told` may be NULL.
 * Fails: -EBUSY: one is under way, or a shutdown.
 */
int supervisor_reload(struct supervisor *sv, reload_told_fn *told, void *data, struct err *err);
/* Whoever was to be told is gone. */
void supervisor_reload_forget(struct supervisor *sv);
/* After SHUTDOWN_RELOAD: the next set, to be given back by unit_set_done. */
void supervisor_reloaded(struct supervisor *sv, struct unit_set *ret);

struct loop *supervisor_loop(struct supervisor *sv);
const struct unit_set *supervisor_set(const struct supervisor *sv);
const struct container_env *supervisor_env(const struct supervisor *sv);
/* What works less well than it could (read-only state directory, no cgroups, …), a line each. */
const char *supervisor_notes(const struct supervisor *sv);

/* All services, in the set's order: index 0 … count - 1. */
size_t service_count(const struct supervisor *sv);
struct service *service_at(const struct supervisor *sv, size_t index);
/* By the names that unit_find knows. NULL: none, or a unit that does not run (a .network). */
struct service *service_find(const struct supervisor *sv, const char *name);
const struct unit *service_unit(const struct service *service);
void service_info(const struct service *service, struct service_info *ret);
/* Reads the leaf's counters: a handful of small cgroup files. */
void service_usage(const struct service *service, struct cgroup_usage *ret);

enum service_request {
	REQUEST_START, /* and, as needed, what it Requires= and Wants= */
	REQUEST_STOP,  /* and what Requires= it */
	REQUEST_RESTART,
};

/* To ask later what became of a request. */
struct service_ticket {
	enum service_request request;
	uint64_t serial; /* of the service's last request by hand */
	uint64_t run;    /* when it was asked */
};

/*
 * service_request - change what is wanted; harmless to repeat
 *
 * Gives: the ticket. The wanted state is on record before this returns. Fails: -ESHUTDOWN while
 *        shutting down.
 */
int service_request(struct service *service, enum service_request request,
	struct service_ticket *ret, struct err *err);
/* A signal to the main process; wanted is unchanged. -ESRCH with words when nothing runs. */
int service_signal(struct service *service, int signal, struct err *err);

enum service_outcome {
	OUTCOME_PENDING,
	OUTCOME_DONE,      /* ready (a oneshot: done); or stopped */
	OUTCOME_FAILED,    /* the first try failed: service_info's `failure` says why */
	OUTCOME_OVERTAKEN, /* a later request asked for something else */
};
enum service_outcome service_outcome(
	const struct service *service, const struct service_ticket *ticket);

/* Called after each change of a service's state, health or status text, in its own time: never
 * from inside a request. Lives in the struct it belongs to; may remove itself when called. */
struct service_watch {
	void (*fn)(struct service *service, void *data);
	void *data;
	struct service_watch *next;
};
void service_watch_add(struct supervisor *sv, struct service_watch *watch);
void service_watch_remove(struct supervisor *sv, struct service_watch *watch);

/* A further process in a running container. */
struct exec;
enum exec_event {
	EXEC_STARTED, /* `pid`; `fd`: the master of its terminal, taken, or -1 */
	EXEC_FAILED,  /* `err`; it is over */
	EXEC_EXITED,  /* `status` as of wait(2); it is over */
};
struct exec_news {
	enum exec_event event;
	pid_t pid;
	int fd;
	int status;
	int32_t stage; /* EXEC_FAILED: enum container_stage; STAGE_EXEC with ENOENT: exit 127 */
	const struct err *err;
};
typedef void exec_fn(struct exec *exec, const struct exec_news *news, void *data);

/* Needs: `process` lives until EXEC_STARTED or EXEC_FAILED; in, out, err are borrowed for the call.
 * The handle is gone after the event that ends it. */
int service_exec(struct service *service, const struct process_spec *process, int in, int out,
	int errfd, exec_fn *fn, void *data, struct exec **ret, struct err *err);
int exec_signal(struct exec *exec, int signal);
/* The caller is gone: no more news; with `kill` the process gets SIGKILL. */
void exec_forget(struct exec *exec, bool kill);

#endif
