/* Links of ours, or that ours stand on, which another program deletes: seen, told, and made again. */
#include <string.h>
#include <sys/epoll.h>

#include "netns/net.h"
#include "supervisor/base/log.h"
#include "supervisor/base/own.h"
#include "supervisor/core/service.h"

/* Of a container that is not on its way up: there its preparer makes and deletes links. */
static bool is_settled(const struct service *s)
{
	return s->m.state == SERVICE_RUNNING || s->m.state == SERVICE_READY ||
	       s->m.state == SERVICE_HELD || s->m.state == SERVICE_STOPPING;
}

static const struct net_bridge *bridge_of(const struct supervisor *sv, const char *ifname)
{
	for (size_t i = 0; i < sv->set->nbridges; i++)
		if (net_is_ours(sv->set->bridges[i]) &&
			strcmp(sv->set->bridges[i]->ifname, ifname) == 0)
			return sv->set->bridges[i];
	return NULL;
}

static bool is_used(const struct supervisor *sv, const struct net_bridge *network)
{
	for (size_t i = 0; i < sv->nservices; i++) {
		const struct net_spec *net = &sv->services[i].unit->spec->net;

		for (size_t k = 0; is_settled(&sv->services[i]) && k < net->nifaces; k++)
			if (net->ifaces[k].bridge == network)
				return true;
	}
	return false;
}

/* The network of others that stands on that link, if somebody is on it: "eth0.20" does on eth0 too. */
static const struct net_bridge *stands_on(const struct supervisor *sv, const char *ifname)
{
	size_t n = strlen(ifname);

	for (size_t i = 0; i < sv->set->nbridges; i++) {
		const struct net_bridge *network = sv->set->bridges[i];
		bool vlan = network->driver != NET_BRIDGE && network->ifname[n] == '.';

		if (!net_is_ours(network) && strncmp(network->ifname, ifname, n) == 0 &&
			(!network->ifname[n] || vlan) && is_used(sv, network))
			return network;
	}
	return NULL;
}

static const struct service *container_of(const struct supervisor *sv, const char *ifname)
{
	for (size_t i = 0; i < sv->nservices; i++) {
		const struct net_spec *net = &sv->services[i].unit->spec->net;

		for (size_t k = 0; is_settled(&sv->services[i]) && k < net->nifaces; k++)
			if (net->ifaces[k].bridge->driver == NET_BRIDGE &&
				strcmp(net->ifaces[k].host_ifname, ifname) == 0)
				return &sv->services[i];
	}
	return NULL;
}

static void on_event(enum link_event event, const char *ifname, void *data)
{
	struct supervisor *sv = data;
	const struct net_bridge *bridge = bridge_of(sv, ifname);
	const struct service *s = container_of(sv, ifname);
	const struct net_bridge *others = event == LINKS_LOST ? NULL : stands_on(sv, ifname);

	if (sv->shutdown != SHUTDOWN_NONE)
		return;
	uplinks_event(sv, event, ifname);
	switch (event) {
	case LINK_GONE:
		if (!bridge && !s && !others)
			return;
		if (others)
			log_warning("network %s: %s is gone: its containers are attached again "
				    "when it is back",
				others->name, ifname);
		else if (bridge)
			log_warning("network %s: somebody deleted its bridge %s: it is made again",
				bridge->name, ifname);
		else
			log_warning("%s: somebody deleted its link %s: it is attached again",
				s->unit->stem, ifname);
		break;
	case LINK_LOOSE:
		/* What comes is told in the same way. */
		if (!s && !(others && network_is_missed(sv, others)))
			return;
		/* Of a bridge that goes each port is told, and then the bridge. */
		if (s)
			log_info("%s: its link %s is on no bridge: it is attached again",
				s->unit->stem, ifname);
		break;
	case LINKS_LOST:
		log_info("more links changed than could be told: looking at all of ours");
		break;
	}
	netwatch_repair(sv);
}

static void on_links(struct loop *loop, uint32_t events, void *data)
{
	struct supervisor *sv = data;

	(void)loop;
	(void)events;
	link_watch_read(sv->links_fd, on_event, sv);
}

void linkwatch_begin(struct supervisor *sv)
{
	struct err err = { 0 };

	if (sv->links_fd >= 0)
		return;
	sv->links_fd = link_watch_open(&err);
	if (sv->links_fd < 0)
		log_warning("%s: a loss of them would not be seen", err.text);
	else if (loop_add(sv->loop, sv->links_fd, EPOLLIN, LOOP_NOTICE, on_links, sv,
			 &sv->links_id) < 0)
		fd_close(&sv->links_fd);
}

void linkwatch_end(struct supervisor *sv)
{
	loop_remove(sv->loop, &sv->links_id);
	fd_close(&sv->links_fd);
}
