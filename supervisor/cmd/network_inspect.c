/* `berth network inspect`: links, addresses, routes, rules and counters of a network and its members,
 * as the kernel has them, as a tree or as JSON. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "supervisor/base/own.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/network.h"
#include "supervisor/cmd/show.h"
#include "supervisor/core/control_json.h"

static json_t *address_json(const struct net_addr *addr, bool with_prefix)
{
	return addr && addr->family ? json_string(net_addr_print(addr, with_prefix).text)
				    : json_null();
}

static json_t *counters_json(const struct net_usage *usage)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "rx_bytes", (json_int_t)usage->rx_bytes,
		"rx_packets", (json_int_t)usage->rx_packets, "rx_dropped",
		(json_int_t)usage->rx_dropped, "tx_bytes", (json_int_t)usage->tx_bytes,
		"tx_packets", (json_int_t)usage->tx_packets, "tx_dropped",
		(json_int_t)usage->tx_dropped);
}

static json_t *route_json(const struct net_route *route)
{
	return json_pack("{s:o,s:o}", "to",
		route->to.prefix ? address_json(&route->to, true) : json_string("default"), "via",
		address_json(&route->via, false));
}

static json_t *addresses_json(const struct net_addr *addrs, size_t n, bool with_prefix)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(array, address_json(&addrs[i], with_prefix));
	return array;
}

static json_t *view_json(const char *ifname, const struct net_view *view)
{
	json_t *routes = json_array();
	char mac[20];

	for (size_t i = 0; i < view->nroutes; i++)
		(void)json_array_append_new(routes, route_json(&view->routes[i]));
	(void)snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x", view->mac[0], view->mac[1],
		view->mac[2], view->mac[3], view->mac[4], view->mac[5]);
	return json_pack("{s:s,s:b,s:b,s:s,s:s,s:i,s:s,s:o,s:o,s:o}", "name", ifname, "exists",
		(int)view->found, "up", (int)view->up, "kind", view->kind, "mac", mac, "mtu",
		(int)view->mtu, "alias", view->alias, "addresses",
		addresses_json(view->addrs, view->naddrs, true), "routes", routes, "counters",
		counters_json(&view->usage));
}

static json_t *ports_json(const struct net_spec *net)
{
	json_t *ports = json_array();

	for (size_t i = 0; i < net->nports; i++)
		(void)json_array_append_new(
			ports, json_string(net_port_print(&net->ports[i]).text));
	return ports;
}

static json_t *lease_json(const struct network_member *member)
{
	const struct container_spec *spec = member->unit->spec;

	for (size_t i = 0; i < spec->nleases; i++)
		if (spec->leases[i].own &&
			strcmp(spec->leases[i].ifname, member->iface->ifname) == 0)
			return control_lease_json(member->run_dir, &spec->leases[i]);
	return json_object();
}

static int member_json(const struct network_member *member, void *data, struct err *err)
{
	const struct net_iface *iface = member->iface;
	json_t *o = json_pack("{s:s,s:o,s:o,s:o,s:b,s:o,s:s?}", "unit", member->unit->id, "ipv4",
		address_json(net_addr_first(iface->addrs, iface->naddrs, AF_INET), false), "ipv6",
		address_json(net_addr_first(iface->addrs, iface->naddrs, AF_INET6), false),
		"addresses", addresses_json(iface->addrs, iface->naddrs, false), "default_route",
		(int)iface->default_route, "ports", ports_json(&member->unit->spec->net),
		"publish_mode", net_publish_mode(&member->unit->spec->net));
	own_fd pin = netns_open(member->pin, err);
	struct net_view view;

	(void)json_array_append_new(data, o);
	if (iface->leased)
		(void)json_object_set_new(o, "lease", lease_json(member));
	if (iface->bridge->driver == NET_BRIDGE) {
		if (net_look(-1, iface->host_ifname, &view, err) < 0)
			return -err->code;
		(void)json_object_set_new(o, "host_link", view_json(iface->host_ifname, &view));
	}
	if (pin < 0)
		return pin == -ENOENT ? 0 : pin;
	if (net_look(pin, iface->ifname, &view, err) < 0)
		return -err->code;
	(void)json_object_set_new(o, "link", view_json(iface->ifname, &view));
	(void)json_object_set_new(o, "counters", counters_json(&view.usage));
	return 0;
}

/* ---- the rules that concern it ------------------------------------------------------------------- */

struct concern {
	const struct network_command *c;
	const struct net_bridge *network;
	json_t *rules;
};

static int is_port_of(const struct network_member *member, void *data, struct err *err)
{
	(void)err;
	return strcmp(member->iface->host_ifname, data) == 0;
}

static bool is_about(const struct concern *concern, const struct net_rule *rule)
{
	const struct net_bridge *network = concern->network;
	char ifname[sizeof rule->ifname];

	if (rule->addr.family)
		return net_subnet_of(network, &rule->addr);
	memcpy(ifname, rule->ifname, sizeof ifname);
	return strcmp(ifname, network->ifname) == 0 ||
	       network_members(concern->c, network, is_port_of, ifname, NULL) != 0;
}

static void rule_take(const struct net_rule *rule, void *data)
{
	const struct concern *concern = data;

	if (is_about(concern, rule))
		(void)json_array_append_new(concern->rules,
			json_pack("{s:s,s:s}", "kind", rule->kind, "text", rule->text));
}

static json_t *rules_json(
	const struct network_command *c, const struct net_bridge *network, struct err *err)
{
	struct concern concern = { c, network, json_array() };

	if (net_rules_look(c->set.instance, rule_take, &concern, err) == 0)
		return concern.rules;
	json_decref(concern.rules);
	return NULL;
}

/* ---- one network --------------------------------------------------------------------------------- */

static json_t *labels_json(const struct strv *labels)
{
	json_t *o = json_object();

	for (size_t i = 0; i < labels->n; i++) {
		size_t n = strcspn(labels->v[i], "=");

		(void)json_object_setn_new(o, labels->v[i], n,
			json_string(labels->v[i][n] ? labels->v[i] + n + 1 : ""));
	}
	return o;
}

/* The first subnet of a family, as it was before there were several: see "subnets". */
static void family_json(const struct net_bridge *network, int family, const char *net,
	const char *gateway, json_t *o)
{
	const struct net_subnet *subnet = net_subnet_first(network, family);

	(void)json_object_set_new(o, net, address_json(subnet ? &subnet->net : NULL, true));
	(void)json_object_set_new(
		o, gateway, address_json(subnet ? &subnet->gateway : NULL, false));
}

static json_t *subnets_json(const struct net_bridge *network)
{
	json_t *array = json_array();

	for (size_t i = 0; i < network->nsubnets; i++)
		(void)json_array_append_new(
			array, json_pack("{s:o,s:o}", "subnet",
				       address_json(&network->subnets[i].net, true), "gateway",
				       address_json(&network->subnets[i].gateway, false)));
	return array;
}

static json_t *network_json(
	const struct network_command *c, const struct unit *unit, struct err *err)
{
	const struct net_bridge *network = unit->bridge;
	json_t *members = json_array();
	json_t *rules = rules_json(c, network, err);
	struct net_view view;
	json_t *o;

	if (!rules || net_look(-1, network->ifname, &view, err) < 0 ||
		network_members(c, network, member_json, members, err) < 0)
		return NULL;
	o = json_pack("{s:s,s:s,s:s,s:b,s:b,s:b,s:o}", "name", network->name, "unit", unit->id,
		"driver", network_driver(network), "managed", (int)net_is_ours(network), "internal",
		(int)network->internal, "isolate", (int)network->isolate, "subnets",
		subnets_json(network));
	family_json(network, AF_INET, "subnet4", "gateway4", o);
	family_json(network, AF_INET6, "subnet6", "gateway6", o);
	(void)json_object_set_new(o, "labels", labels_json(&unit->labels));
	(void)json_object_set_new(o, "link", view_json(network->ifname, &view));
	(void)json_object_set_new(o, "rules", rules);
	(void)json_object_set_new(o, "members", members);
	return o;
}

/* ---- as a tree ----------------------------------------------------------------------------------- */

static void print_counters(const json_t *counters, int depth)
{
	printf("%*sreceived %s in %lld packets (%lld dropped), sent %s in %lld (%lld dropped)\n",
		2 * depth, "", show_bytes((uint64_t)show_int(counters, "rx_bytes")).text,
		show_int(counters, "rx_packets"), show_int(counters, "rx_dropped"),
		show_bytes((uint64_t)show_int(counters, "tx_bytes")).text,
		show_int(counters, "tx_packets"), show_int(counters, "tx_dropped"));
}

static void print_link(const json_t *link, int depth)
{
	const json_t *addresses = json_object_get(link, "addresses");
	const json_t *routes = json_object_get(link, "routes");

	if (!json_is_true(json_object_get(link, "exists"))) {
		printf("%*slink %s: missing\n", 2 * depth, "", show_text(link, "name"));
		return;
	}
	printf("%*slink %s: %s%s%s, %s, mtu %lld\n", 2 * depth, "", show_text(link, "name"),
		show_text(link, "kind"), *show_text(link, "kind") ? ", " : "",
		json_is_true(json_object_get(link, "up")) ? "up" : "down", show_text(link, "mac"),
		show_int(link, "mtu"));
	for (size_t i = 0; i < json_array_size(addresses); i++)
		printf("%*saddress %s\n", 2 * depth + 2, "",
			json_string_value(json_array_get(addresses, i)));
	for (size_t i = 0; i < json_array_size(routes); i++) {
		const json_t *one = json_array_get(routes, i);

		printf("%*sroute %s%s%s\n", 2 * depth + 2, "", show_text(one, "to"),
			*show_text(one, "via") ? " via " : "", show_text(one, "via"));
	}
	print_counters(json_object_get(link, "counters"), depth + 1);
}

static void print_member(const json_t *member)
{
	const json_t *inner = json_object_get(member, "link");
	const json_t *outer = json_object_get(member, "host_link");
	const json_t *ports = json_object_get(member, "ports");
	const json_t *lease = json_object_get(member, "lease");

	printf("  member %s%s\n", show_text(member, "unit"), inner ? "" : ": is not up");
	if (*show_text(lease, "address"))
		printf("    address %s, leased by %s%s%s\n", show_text(lease, "address"),
			*show_text(lease, "from") ? show_text(lease, "from") : "a DHCP server",
			*show_text(lease, "until") ? ", for another " : "",
			*show_text(lease, "until") ? show_until(show_text(lease, "until")).text
						   : "");
	else if (lease)
		printf("    no address: no DHCP server has leased one (berth why %s)\n",
			show_text(lease, "client"));
	for (size_t i = 0; i < json_array_size(ports); i++)
		printf("    publishes %s (%s)\n", json_string_value(json_array_get(ports, i)),
			show_text(member, "publish_mode"));
	if (inner)
		print_link(inner, 2);
	if (inner && outer)
		print_link(outer, 2);
}

static void print_tree(const json_t *network)
{
	const json_t *rules = json_object_get(network, "rules");
	const json_t *members = json_object_get(network, "members");

	printf("network %s: %s of %s%s\n", show_text(network, "name"), show_text(network, "driver"),
		show_text(network, "unit"),
		json_is_true(json_object_get(network, "internal")) ? ", internal" : "");
	print_link(json_object_get(network, "link"), 1);
	for (size_t i = 0; i < json_array_size(rules); i++)
		printf("  rule (%s) %s\n", show_text(json_array_get(rules, i), "kind"),
			show_text(json_array_get(rules, i), "text"));
	for (size_t i = 0; i < json_array_size(members); i++)
		print_member(json_array_get(members, i));
}

int network_inspect(struct network_command *c)
{
	json_t *array = json_array();
	struct err err = { 0 };

	for (size_t i = 0; i < c->set.nunits; i++) {
		json_t *network = NULL;

		if (!network_is_named(c, &c->set.units[i]))
			continue;
		network = network_json(c, &c->set.units[i], &err);
		if (!network)
			return cmd_fail(CMD_FAILED, "network: %s", err.text);
		(void)json_array_append_new(array, network);
	}
	if (c->json)
		show_json(array);
	for (size_t i = 0; !c->json && i < json_array_size(array); i++)
		print_tree(json_array_get(array, i));
	json_decref(array);
	return CMD_OK;
}
