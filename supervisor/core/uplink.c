/* The links of the host that berth sets up: at the start, and whenever one of them comes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/log.h"
#include "supervisor/core/service.h"
#include "supervisor/runtime/uplink.h"

enum uplink_state { UPLINK_AWAY, UPLINK_WORKING, UPLINK_AGAIN, UPLINK_UP };

struct uplink_work {
	struct supervisor *sv;
	const struct uplink *uplink;
	enum uplink_state state;
	bool here; /* as far as was told */
	bool lost; /* it has been here, and was gone */
};

/* What its record is called. */
static const char *owner_of(const struct uplink *uplink)
{
	return *uplink->link.name ? uplink->link.name : "*";
}

static bool is_declared(const char *owner, void *data)
{
	const struct supervisor_conf *conf = data;

	for (size_t i = 0; i < conf->nuplinks; i++) {
		const char *name = owner_of(&conf->uplinks[i]);
		size_t n = strlen(name);

		if (strncmp(owner, name, n) == 0 &&
			(!owner[n] || (conf->uplinks[i].dhcp && strcmp(owner + n, ":dhcp") == 0)))
			return true;
	}
	return false;
}

/* 0, or -ENODEV: there is none yet. */
static int set_up(const struct supervisor *sv, const struct uplink *uplink, struct err *err)
{
	const struct uplink_set set = { .link = uplink->link, .dns = uplink->dns };
	char name[16];
	const struct uplink_owner owner = uplink_of_host(sv->env.run_dir, owner_of(uplink));
	int r = uplink_put(&owner, &set, name, err);

	if (r == 0)
		return err_set(err, ENODEV, "uplink %s: there is no such link", owner_of(uplink));
	return r < 0 ? r : 0;
}

static int work(const void *data, struct err *err)
{
	const struct uplink_work *work = data;

	return set_up(work->sv, work->uplink, err);
}

static void begin(struct uplink_work *work);

/* It holds on to a link that is no more. */
static void client_restart(const struct uplink_work *work)
{
	char name[40];
	struct service *s;

	(void)snprintf(name, sizeof name, "uplink%s%s", *work->uplink->link.name ? "-" : "",
		work->uplink->link.name);
	s = work->uplink->dhcp ? service_find(work->sv, name) : NULL;
	if (s && machine_alive(&s->m))
		service_dispatch(s, EVENT_RESTART);
}

static void settle(struct uplink_work *work, int r, const struct err *err)
{
	work->state = r == 0 ? UPLINK_UP : UPLINK_AWAY;
	work->here = work->here || r == 0;
	if (r < 0 && r != -ENODEV)
		log_error("%s", err->text);
}

static void was_set_up(struct supervisor *sv, int r, const struct err *err, void *data)
{
	struct uplink_work *work = data;
	bool again = work->state == UPLINK_AGAIN;

	(void)sv;
	if (r == 0 && !work->here)
		log_notice("uplink %s: the link has come, and is set up", owner_of(work->uplink));
	settle(work, r, err);
	if (work->lost && r == 0)
		client_restart(work);
	work->lost = work->lost && r < 0;
	if (again)
		begin(work);
}

static void begin(struct uplink_work *w)
{
	struct err err = { 0 };

	w->state = UPLINK_WORKING;
	if (job_start(w->sv, "set up an uplink", work, was_set_up, w, &err) < 0)
		settle(w, -err.code, &err);
}

static void link_came(struct uplink_work *w)
{
	if (w->state == UPLINK_AWAY)
		begin(w);
	else if (w->state == UPLINK_WORKING)
		w->state = UPLINK_AGAIN;
}

static void link_went(struct uplink_work *w)
{
	if (w->here)
		log_warning("uplink %s: the link is gone: it is set up again when it comes back",
			owner_of(w->uplink));
	w->lost = w->lost || w->here;
	w->here = false;
	w->state = w->state == UPLINK_UP ? UPLINK_AWAY : w->state;
	if (w->state == UPLINK_WORKING)
		w->state = UPLINK_AGAIN;
}

void uplinks_event(struct supervisor *sv, enum link_event event, const char *ifname)
{
	for (size_t i = 0; sv->uplinks && i < sv->set->conf.nuplinks; i++) {
		struct uplink_work *w = &sv->uplinks[i];

		if (event == LINKS_LOST && w->state == UPLINK_UP)
			begin(w);
		else if (event == LINKS_LOST)
			link_came(w);
		else if (*w->uplink->link.name && strcmp(w->uplink->link.name, ifname) != 0)
			continue;
		else if (event == LINK_LOOSE)
			link_came(w);
		else if (*w->uplink->link.name)
			link_went(w);
	}
}

/* Process 1 of a box that has none shows its programs ours. What is there is somebody's. */
static void link_resolv_conf(const struct supervisor *sv)
{
	char path[300];

	(void)snprintf(path, sizeof path, "%s/resolv.conf", sv->env.run_dir);
	if (getpid() == 1 && symlink(path, "/etc/resolv.conf") < 0 && errno != EEXIST)
		log_notice("make /etc/resolv.conf a link to %s: %s: put it into the image", path,
			strerror(errno));
}

void uplinks_begin(struct supervisor *sv)
{
	const struct supervisor_conf *conf = &sv->set->conf;

	uplink_prune(sv->env.run_dir, is_declared, (void *)(size_t)conf);
	if (!conf->nuplinks)
		return;
	sv->uplinks = calloc(conf->nuplinks, sizeof *sv->uplinks);
	if (!sv->uplinks) {
		log_error("no memory for the uplinks");
		return;
	}
	link_resolv_conf(sv);
	/* Before we look: what comes in between is told. */
	linkwatch_begin(sv);
	for (size_t i = 0; i < conf->nuplinks; i++) {
		struct uplink_work *w = &sv->uplinks[i];
		struct err err = { 0 };
		int r;

		*w = (struct uplink_work){ .sv = sv, .uplink = &conf->uplinks[i] };
		r = set_up(sv, w->uplink, &err);
		settle(w, r, &err);
		if (r == -ENODEV)
			log_notice("%s: it is set up when it comes", err.text);
	}
}

void uplinks_end(struct supervisor *sv)
{
	free(sv->uplinks);
	sv->uplinks = NULL;
}
