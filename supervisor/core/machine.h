/*
 * The heart of a service: what it is in, what happens, what is to be done. Pure: no call of the
 * system, no clock; the time is an argument. The table of all states by all events is in machine.c.
 *
 * What may happen in each state, and what may not be touched:
 *
 *   INACTIVE    Nothing exists: no process, no leaf. Only a request leads out.
 *   WAITING     Nothing exists. Dependencies decide; a stop leads back at once.
 *   STARTING    A builder works; the payload may exist but has not run (container_go comes after
 *               its pid is on record). A stop kills both: there is nothing to ask nicely. The start
 *               timeout runs.
 *   RUNNING     The payload runs, but is not ready. The start timeout runs, probes run.
 *   READY       As RUNNING, without a timer. The longest state: it must cost nothing.
 *   STOPPING    The stop signal is sent; the grace period runs. Never cut short by guessing.
 *   KILLING     cgroup.kill is written. Nothing new may enter the leaf: it kills at birth.
 *   DRAINING    The main process is reaped. Helpers are killed, log pipes are read to the end. The
 *               leaf may not be removed, no new run may start.
 *   BACKOFF     Nothing exists; a timer runs to the next try.
 *   DONE FAILED Nothing exists; the result stays to be shown until a request.
 *   UNKILLABLE  Something survived SIGKILL (stuck in the kernel). Only its end leads out.
 *   HELD        The pause process keeps the namespaces for exec. No probes, no timer.
 *   EXTERNAL    Nothing of ours exists: the host's own service answers instead (PreferHost=). As good
 *               as READY for who waits. Probes run; when they fail, Restart= decides.
 */
#ifndef BERTH_CORE_MACHINE_H
#define BERTH_CORE_MACHINE_H

#include "supervisor/core/restart.h"

enum machine_event {
	EVENT_START,        /* asked for by hand, at boot, or pulled in */
	EVENT_STOP,         /* asked for; also by shutdown */
	EVENT_RESTART,      /* asked for */
	EVENT_DEPS_MET,     /* all it comes after are there */
	EVENT_DEPS_FAILED,  /* a unit that it Requires= is FAILED */
	EVENT_CLONE_FAILED, /* the launch gave nothing to wait for */
	EVENT_EXTERNAL,     /* no launch was needed: the host's own answers */
	EVENT_SETUP_FAILED, /* builder or child ended before exec */
	EVENT_STARTED,      /* exec happened */
	EVENT_READY,        /* READY=1, or the first healthy probe */
	EVENT_UNHEALTHY,    /* HealthRetries= probes in a row failed */
	EVENT_EXITED,       /* the main process is reaped; machine->last is filled */
	EVENT_GONE,         /* nothing is left: main process, builder, probes, leaf, log */
	EVENT_TIMEOUT,      /* machine->deadline has passed */
	EVENT_KILL,         /* no more patience: a second shutdown */
	EVENT_COUNT,
};
const char *machine_event_name(enum machine_event event);

/* What the caller has to do, in the order of the bits. */
enum machine_action {
	ACTION_LAUNCH = 1,      /* container_start with machine->run and ->hold */
	ACTION_SIGNAL = 2,      /* the stop signal to the main process */
	ACTION_KILL = 4,        /* the builder, and everything in the leaf */
	ACTION_CLEAN = 8,       /* remove what the run left: leaf, sockets, state */
	ACTION_PROBES_ON = 16,  /* health checks begin */
	ACTION_PROBES_OFF = 32, /* and end; one in flight is killed */
	ACTION_CHECK_DEPS = 64, /* answer with EVENT_DEPS_* when it is decided */
	ACTION_STRANGE = 128,   /* an event that cannot come in this state: log it */
};

struct machine {
	/* Given by the caller, constant. */
	const struct service_spec *spec;
	uint64_t seed;       /* for jitter */
	bool hold_open;      /* HoldOpen= */
	bool nothing_to_run; /* there is no payload: every run is the pause process */

	enum service_state state;
	bool wanted;
	bool again;   /* begin anew when this run is gone: asked by hand while it was ending */
	bool hold;    /* this run is the pause process */
	bool early;   /* READY came before STARTED was seen */
	bool arrived; /* was ready at least once since the start by hand */
	bool stable;  /* the run that ends was ready for StableSec= */
	enum end_reason reason; /* of the end of the current or last run */
	uint64_t run;           /* number of the current or last run */
	uint32_t failures;      /* early deaths in a row */
	uint32_t restarts;      /* automatic ones since the start by hand */
	uint64_t deadline;      /* of the state's timer; NSEC_NEVER: none */
	uint64_t since;         /* of the state */
	uint64_t ready_at;      /* 0: this run was never ready */
	struct service_exit last;
};

/* A machine that is INACTIVE. */
void machine_init(struct machine *machine, const struct service_spec *spec, uint64_t seed);

/* machine_step - the next state and what is to be done: a set of enum machine_action. */
unsigned machine_step(struct machine *machine, enum machine_event event, uint64_t now);

/* For tests: is this cell written down? */
bool machine_cell_exists(enum service_state state, enum machine_event event);

/* May a process of the run exist? */
bool machine_alive(const struct machine *machine);

/* How long after SIGKILL something counts as unkillable. */
#define KILL_PATIENCE (5 * 1000000000ULL)

#endif
