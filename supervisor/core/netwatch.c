/* Our packet rules taken away by somebody else (a firewall's "flush ruleset" is enough): seen, told,
 * and written again. Two that fight are kept from filling the log: the delays grow. */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/log.h"
#include "supervisor/core/service.h"

/* A moment for who flushes and loads: that is one change, seldom one transaction. */
#define REPAIR_FIRST (NSEC_PER_SEC / 5)
#define REPAIR_MOST  (60 * NSEC_PER_SEC)

/* Is it a loss? Our own last change may have been to have no table. */
static bool is_hurt(const struct supervisor *sv)
{
	bool members = false;

	for (size_t i = 0; i < sv->nservices; i++)
		members = members ||
			  (network_needed(&sv->services[i]) && !network_failure(&sv->services[i]));
	return members && (sv->watch.hurt_inet || sv->watch.hurt_bridge);
}

static void repair(struct loop *loop, void *data)
{
	struct supervisor *sv = data;

	(void)loop;
	if (sv->network == NETWORK_WORKING)
		netwatch_repair(sv);
	else
		network_begin(sv);
}

void netwatch_repair(struct supervisor *sv)
{
	uint64_t now = sv->sys->monotonic();

	if (sv->repair_timer.place)
		return;
	if (!sv->repair_delay || now - sv->repaired > REPAIR_MOST)
		sv->repair_delay = REPAIR_FIRST;
	else if (sv->repair_delay < REPAIR_MOST / 2)
		sv->repair_delay *= 2;
	sv->repaired = now + sv->repair_delay;
	sv->repair_timer.fn = repair;
	sv->repair_timer.data = sv;
	(void)loop_timer_set(sv->loop, &sv->repair_timer, sv->repaired);
}

static void look(struct supervisor *sv, bool lost)
{
	if (sv->repair_timer.place || (!lost && !is_hurt(sv)))
		return;
	if (lost)
		log_warning(
			"the kernel told of more changes of the packet rules than could be read: "
			"writing ours again");
	else
		log_warning(
			"%s (pid %u) has removed packet rules of berth (table %s): writing them "
			"again",
			*sv->watch.who ? sv->watch.who : "somebody", sv->watch.pid,
			sv->watch.table);
	netwatch_repair(sv);
}

static void on_change(struct loop *loop, uint32_t events, void *data)
{
	struct supervisor *sv = data;
	int lost = net_watch_read(&sv->watch);

	(void)loop;
	(void)events;
	/* While rules of ours are on their way, so are the messages about them. */
	if (sv->network == NETWORK_UP)
		look(sv, lost);
}

void netwatch_begin(struct supervisor *sv)
{
	struct err err = { 0 };
	int r;

	if (sv->watch_id)
		return;
	r = net_watch_open(&sv->watch, sv->env.instance, &err);
	if (r < 0) {
		/* Where there are no such rules at all the worker tells of it. */
		if (r != -EPROTONOSUPPORT && !sv->network_retried)
			log_warning("%s: a loss of them would not be seen", err.text);
		return;
	}
	if (loop_add(sv->loop, sv->watch.fd, EPOLLIN, LOOP_NOTICE, on_change, sv, &sv->watch_id) <
		0)
		net_watch_close(&sv->watch);
}

void netwatch_settle(struct supervisor *sv)
{
	if (!sv->watch_id)
		return;
	/* What was lost was lost in the crowd of our own. */
	if (net_watch_read(&sv->watch))
		net_watch_forget(&sv->watch);
	look(sv, false);
}

void netwatch_end(struct supervisor *sv)
{
	loop_timer_cancel(sv->loop, &sv->repair_timer);
	if (!sv->watch_id)
		return;
	loop_remove(sv->loop, &sv->watch_id);
	net_watch_close(&sv->watch);
}
