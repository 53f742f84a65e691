/* Good sets of units: networks, addresses, names, ports and walls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>

#include "netns/net.h"
#include "supervisor/base/str.h"
#include "tests/unit/unit_good.h"

static void test_network(void **state)
{
	struct unit_dir dir;
	const struct unit *web;
	const struct unit *db;

	(void)state;
	LOAD(&dir, { "lan.network", "[Network]\nSubnet=10.9.0.0/24\nIPv6=yes\nOptions=mtu=1400\n" },
		{ "vault.network", "[Network]\nInternal=yes\nInterfaceName=vlt0\n" },
		{ "web.container",
			WEB "Network=vault.network\nNetwork=lan.network:ip=10.9.0.9\nHostName=www\n"
			    "NetworkAlias=shop\nPublishPort=127.0.0.1:8080-8081:80-81/udp\n"
			    "AddHost=gw:host-gateway\nDNS=9.9.9.9\nDNSSearch=example.org\n" },
		{ "db.container", WEB "Network=lan.network\n" },
		{ "side.container", WEB "Network=db.container\n" },
		{ "host.container", WEB "Network=host\n" },
		{ "alone.container", WEB "Network=none\n" },
		{ "state/leases/lan", "10.9.0.77 db\n" });
	web = find(&dir, "web");
	db = find(&dir, "db.container");
	assert_int_equal(web->spec->net.nifaces, 2);
	assert_false(web->spec->net.ifaces[0].default_route);
	assert_true(web->spec->net.ifaces[1].default_route);
	assert_string_equal(web->spec->net.ifaces[0].bridge->ifname, "vlt0");
	assert_string_equal(
		net_addr_print(&web->spec->net.ifaces[1].addrs[0], true).text, "10.9.0.9/24");
	assert_string_equal(
		net_addr_print(&db->spec->net.ifaces[0].addrs[0], true).text, "10.9.0.77/24");
	assert_int_equal(db->spec->net.ifaces[0].addrs[1].family, AF_INET6);
	assert_int_equal(db->spec->net.ifaces[0].addrs[1].bytes[0], 0xfd);
	assert_int_equal(web->networks.n, 2);
	HAS(web->spec->hosts, "127.0.0.1\tlocalhost\n");
	HAS(web->spec->hosts, "\tgw\n");
	HAS(web->spec->hosts, "10.9.0.77\tdb\n");
	HAS(db->spec->hosts, "10.9.0.9\tweb www shop\n");
	assert_string_equal(web->spec->resolv_conf, "nameserver 9.9.9.9\nsearch example.org\n");
	assert_int_equal(dir.set.nports, 1);
	assert_int_equal(dir.set.ports[0].count, 2);
	assert_string_equal(net_addr_print(&dir.set.ports[0].addr, false).text, "10.9.0.9");
	assert_int_equal(find(&dir, "side")->spec->net.mode, NET_CONTAINER);
	assert_string_equal(find(&dir, "side")->spec->net.container, "db");
	assert_int_equal(find(&dir, "side")->requires.n, 1);
	assert_ptr_equal(find(&dir, "side")->spec->hosts, db->spec->hosts);
	assert_int_equal(find(&dir, "host")->spec->net.mode, NET_HOST);
	assert_int_equal(find(&dir, "alone")->spec->net.mode, NET_NONE);
	/* Nobody uses the built-in network: it is not made. */
	assert_null(unit_find(&dir.set, "default.network"));
	assert_int_equal(dir.set.nbridges, 2);
	unit_dir_close(&dir);
}

static void test_name_server(void **state)
{
	struct unit_dir dir;
	const struct unit *web, *lan, *vault;

	(void)state;
	LOAD(&dir,
		{ "lan.network", "[Network]\nSubnet=10.9.0.0/24\nSubnet=fd00:9::/64\nDNS=9.9.9.9\n"
				 "[X-Berth]\nNameServer=yes\n" },
		{ "vault.network",
			"[Network]\nInternal=yes\nSubnet=fd00:8::/64\nDNS=9.9.9.9\n[X-Berth]\n"
			"NameServer=yes\n" },
		{ "web.container",
			WEB "Network=lan.network:ip=10.9.0.9,ip6=fd00:9::9,alias=shop.example\n" },
		{ "db.container", WEB "Network=vault.network:ip6=fd00:8::2\n" },
		{ ".bundles/dnsmasq/dnsmasq", "0 1 x\n" },
		{ "state/leases/lan", "10.9.0.77 lan.network\nfd00:9::77 lan.network\n" });
	lan = find(&dir, "lan.network");
	vault = find(&dir, "vault.network");
	web = find(&dir, "web");
	assert_string_equal(lan->bridge->name, "lan");
	HAS(unit_dir_spec(&dir, "lan.network"), "argv: --listen-address=10.9.0.77\n"
						"argv: --listen-address=fd00:9::77\n");
	HAS(dir.out, "user: 65534\n");
	HAS(dir.out, "caps of others: NET_BIND_SERVICE\n");
	HAS(dir.out, "secluded: yes\n");
	HAS(dir.out, "restart: always\n");
	assert_string_equal(lan->spec->hosts,
		"127.0.0.1\tlocalhost\n::1\tlocalhost\n"
		"10.9.0.9\tweb shop.example web.dns.podman shop.example.dns.podman\n"
		"fd00:9::9\tweb shop.example web.dns.podman shop.example.dns.podman\n");
	assert_string_equal(lan->spec->resolv_conf,
		"server=9.9.9.9\nserver=//\nserver=/dns.podman/\nserver=/shop.example/\n"
		"rev-server=10.9.0.0/24\nrev-server=fd00:9::/64\n");
	/* Nobody is behind an internal network. */
	assert_string_equal(vault->spec->resolv_conf,
		"server=/#/\nserver=//\nserver=/dns.podman/\nrev-server=fd00:8::/64\n");
	/* Its search line has what the host's has at that time. */
	assert_string_equal(web->spec->resolv_conf, "nameserver 10.9.0.77\n");
	assert_int_equal(web->spec->resolv_host, RESOLV_SEARCH);
	HAS(find(&dir, "db")->spec->resolv_conf, "nameserver fd00:8::");
	/* It is no member that anybody calls, and its containers do without it if they must. */
	assert_null(strstr(web->spec->hosts, "10.9.0.77"));
	assert_int_equal(web->wants.n, 1);
	assert_int_equal(web->after.n, 1);
	assert_int_equal(web->requires.n, 0);
	unit_dir_close(&dir);
}

/* An address that was stored stays, whoever comes; one whose unit is gone is free again. */
static void test_leases(void **state)
{
	struct unit_dir dir;
	struct net_addr first;
	char path[256];
	char text[200];
	FILE *file;

	(void)state;
	LOAD(&dir, { "lan.network", "[Network]\nSubnet=10.9.0.0/29\n" },
		{ "web.container", WEB "Network=lan.network\n" });
	first = find(&dir, "web")->spec->net.ifaces[0].addrs[0];
	assert_int_equal(unit_set_store_leases(&dir.set, &dir.err), 0);
	(void)snprintf(path, sizeof path, "%s/state/leases/lan", dir.path);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof text, file));
	assert_int_equal(fclose(file), 0);
	assert_true(strncmp(text, "10.9.0.", 7) == 0 && strstr(text, " web\n"));
	unit_dir_write(&dir, "a.container", WEB "Network=lan.network\n");
	unit_dir_write(&dir, "b.container", WEB "Network=lan.network\n");
	unit_dir_write(&dir, "c.container", WEB "Network=lan.network\n");
	assert_int_equal(unit_dir_load(&dir), 0);
	assert_int_equal(dir.set.nerrors, 0);
	assert_true(net_addr_equal(&find(&dir, "web")->spec->net.ifaces[0].addrs[0], &first));
	assert_int_equal(unit_set_store_leases(&dir.set, &dir.err), 0);
	unit_dir_close(&dir);
}

static const char *addresses_of(const struct unit *unit, size_t iface)
{
	const struct net_iface *of = &unit->spec->net.ifaces[iface];
	static char text[300];
	struct strbuf all = STRBUF(text);

	text[0] = '\0';
	for (size_t i = 0; i < of->naddrs; i++)
		strbuf_add(&all, "%s ", net_addr_print(&of->addrs[i], true).text);
	return text;
}

/* podman's order of the lines, IPv4 first for us; a lease for each subnet, kept while subnets come and
 * go; ports and gateway are of the first. */
static void test_subnets(void **state)
{
	static const char two[] = "[Network]\nSubnet=fd00:9::/64\nSubnet=10.9.0.0/24\n"
				  "Gateway=10.9.0.254\nIPRange=10.9.0.64/26\n";
	static const char four[] = "[Network]\nSubnet=fd00:9::/64\nSubnet=10.9.0.0/24\n"
				   "Subnet=10.9.7.0/24\nSubnet=fd00:a::/64\n"
				   "Gateway=fd00:a::99\nGateway=10.9.0.254\nGateway=10.9.7.3\n"
				   "IPRange=10.9.7.0/30\nIPRange=10.9.0.64/26\n";
	static const struct {
		const char *net, *gateway;
	} rows[] = { { "10.9.0.0/24", "10.9.0.254/24" }, { "10.9.7.0/24", "10.9.7.3/24" },
		{ "fd00:9::/64", "fd00:9::1/64" }, { "fd00:a::/64", "fd00:a::99/64" } };
	const struct net_bridge *lan;
	struct net_addr was[2];
	struct unit_dir dir;
	uint64_t hash;

	(void)state;
	LOAD(&dir, { "lan.network", two },
		{ "web.container", WEB "Network=lan.network\nPublishPort=8080:80\n" },
		{ "db.container",
			WEB "Network=lan.network:ip=10.9.0.9\nAddHost=gw:host-gateway\n" },
		{ "other.container", WEB },
		{ "state/leases/lan", "10.9.0.77 web\nfd00:9::7 web\n" });
	assert_string_equal(addresses_of(find(&dir, "web"), 0), "10.9.0.77/24 fd00:9::7/64 ");
	memcpy(was, find(&dir, "db")->spec->net.ifaces[0].addrs, sizeof was);
	hash = find(&dir, "other")->hash;
	assert_int_equal(unit_set_store_leases(&dir.set, &dir.err), 0);

	unit_dir_write(&dir, "lan.network", four);
	unit_dir_write(&dir, "db.container",
		WEB "Network=lan.network:ip=10.9.7.1,ip=10.9.0.9\nAddHost=gw:host-gateway\n");
	assert_int_equal(unit_dir_load(&dir), 0);
	assert_int_equal(dir.set.nproblems, 0);
	lan = find(&dir, "lan.network")->bridge;
	assert_int_equal(lan->nsubnets, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(net_addr_print(&lan->subnets[i].net, true).text, rows[i].net);
		assert_string_equal(
			net_addr_print(&lan->subnets[i].gateway, true).text, rows[i].gateway);
	}
	/* Of 10.9.7.0/30 only .2 is left beside the fixed one, the network's own and the gateway. */
	assert_true(strncmp(addresses_of(find(&dir, "web"), 0),
			    "10.9.0.77/24 10.9.7.2/24 fd00:9::7/64 fd00:a::", 46) == 0);
	assert_true(strncmp(addresses_of(find(&dir, "db"), 0),
			    "10.9.0.9/24 10.9.7.1/24 fd00:9::", 32) == 0);
	assert_true(net_addr_equal(&find(&dir, "db")->spec->net.ifaces[0].addrs[2], &was[1]));
	assert_int_equal(find(&dir, "other")->hash, hash);
	HAS(find(&dir, "db")->spec->hosts, "10.9.0.77\tweb\n10.9.7.2\tweb\nfd00:9::7\tweb\n");
	HAS(find(&dir, "db")->spec->hosts, "10.9.0.254\tgw\n");
	assert_string_equal(net_addr_print(&dir.set.ports[0].addr, false).text, "10.9.0.77");
	assert_string_equal(net_addr_print(&dir.set.ports[1].addr, false).text, "fd00:9::7");
	assert_string_equal(
		net_addr_print(
			net_iface_gateway(&find(&dir, "web")->spec->net.ifaces[0], AF_INET6), false)
			.text,
		"fd00:9::1");
	assert_int_equal(unit_set_store_leases(&dir.set, &dir.err), 0);

	/* The first goes: what is left stays. */
	unit_dir_write(&dir, "lan.network", "[Network]\nSubnet=10.9.7.0/24\nSubnet=fd00:9::/64\n");
	unit_dir_write(&dir, "db.container", WEB "Network=lan.network\n");
	assert_int_equal(unit_dir_load(&dir), 0);
	assert_string_equal(addresses_of(find(&dir, "web"), 0), "10.9.7.2/24 fd00:9::7/64 ");
	assert_true(net_addr_equal(&find(&dir, "db")->spec->net.ifaces[0].addrs[1], &was[1]));
	unit_dir_close(&dir);
}

/* IPv6 alone: no IPv4 is chosen beside it, and what is of the first IPv4 address elsewhere is of it. */
static void test_six_alone(void **state)
{
	struct unit_dir dir;

	(void)state;
	LOAD(&dir, { "six.network", "[Network]\nSubnet=fd00:6::/64\nSubnet=fd00:7::/64\n" },
		{ "both.network", "[Network]\nSubnet=fd00:8::/64\nIPv6=yes\n" },
		{ "web.container", WEB "Network=six.network\nAddHost=gw:host-gateway\n"
				       "PublishPort=8080:80\n" },
		{ "db.container", WEB "Network=both.network\n" });
	assert_int_equal(find(&dir, "six.network")->bridge->nsubnets, 2);
	assert_int_equal(find(&dir, "both.network")->bridge->nsubnets, 2);
	assert_int_equal(find(&dir, "both.network")->bridge->subnets[0].net.family, AF_INET);
	assert_true(find(&dir, "web")->spec->net.ifaces[0].default_route);
	HAS(find(&dir, "web")->spec->hosts, "fd00:6::1\tgw\n");
	assert_int_equal(dir.set.nports, 1);
	assert_int_equal(dir.set.ports[0].addr.family, AF_INET6);
	unit_dir_close(&dir);
}

static void test_walls(void **state)
{
	const struct net_spec *net;
	struct unit_dir dir;

	(void)state;
	LOAD(&dir,
		{ "lan.network", "[Network]\nSubnet=10.9.0.0/24\n[X-Berth]\nAllowNetwork=dmz\n" },
		{ "dmz.network", "[Network]\nSubnet=10.9.1.0/24\n" },
		{ "web.container",
			WEB "Network=lan.network\n[Service]\nIPAddressAllow=10.1.2.3 10.0.0.0/8\n"
			    "IPAddressDeny=any multicast\n[X-Berth]\nAllowHostPort=53/udp "
			    "8000-8009\n" });
	net = &find(&dir, "web")->spec->net;
	assert_int_equal(net->filter.nallow, 2);
	assert_int_equal(net->filter.allow[0].prefix, 32);
	assert_int_equal(net->filter.ndeny, 4);
	assert_int_equal(net->filter.deny[1].family, AF_INET6);
	assert_int_equal(net->nhost_ports, 2);
	assert_int_equal(net->host_ports[0].protocol, 17);
	assert_int_equal(net->host_ports[1].count, 10);
	for (size_t i = 0; i < dir.set.nbridges; i++)
		assert_int_equal(
			dir.set.bridges[i]->nreaches, strcmp(dir.set.bridges[i]->name, "lan") == 0);
	unit_dir_close(&dir);
}

/* A port that nobody wrote is the same for both families, is kept when somebody else comes who would
 * hash to it, and gives way to one that is written. */
static void test_chosen_ports(void **state)
{
	static const char lan[] = "[Network]\nSubnet=10.9.0.0/24\nIPv6=yes\n";
	const struct net_port *ports;
	struct unit_dir dir;
	uint16_t chosen;
	char text[64];

	(void)state;
	LOAD(&dir, { "lan.network", lan },
		{ "web.container",
			WEB "Network=lan.network\nPublishPort=80\nPublishPort=0:53/udp\n" });
	ports = find(&dir, "web")->spec->net.ports;
	assert_int_equal(find(&dir, "web")->spec->net.nports, 4);
	chosen = ports[0].host_port;
	assert_in_range(chosen, 61000, 65535);
	assert_int_equal(ports[0].addr.family, AF_INET);
	assert_int_equal(ports[1].addr.family, AF_INET6);
	assert_int_equal(ports[1].host_port, chosen);
	assert_int_equal(ports[2].protocol, 17);
	assert_int_equal(unit_set_store_leases(&dir.set, &dir.err), 0);

	/* Another one has the record of that very port: who is on record keeps it. */
	(void)snprintf(text, sizeof text, "aaa tcp 80 %u\n", chosen);
	unit_dir_write(&dir, "state/ports", text);
	unit_dir_write(&dir, "aaa.container", WEB "Network=lan.network\nPublishPort=:80\n");
	assert_int_equal(unit_dir_load(&dir), 0);
	assert_int_equal(find(&dir, "aaa")->spec->net.ports[0].host_port, chosen);
	assert_int_not_equal(find(&dir, "web")->spec->net.ports[0].host_port, chosen);

	(void)snprintf(text, sizeof text, WEB "PublishPort=%u:80\n", chosen);
	unit_dir_write(&dir, "fix.container", text);
	assert_int_equal(unit_dir_load(&dir), 0);
	assert_int_equal(dir.set.nerrors, 0);
	assert_int_not_equal(find(&dir, "aaa")->spec->net.ports[0].host_port, chosen);
	unit_dir_close(&dir);
}

/* PublishMode=proxy makes a unit beside the container, and the ports its business. */
static void test_proxied_ports(void **state)
{
	const struct unit *web;
	const struct unit *proxy;
	struct unit_dir dir;
	uint64_t hash;

	(void)state;
	LOAD(&dir,
		{ "berth.conf", "[Supervisor]\nStateDir=/nowhere/state\nRunDir=/nowhere/run\n"
				"PublishMode=proxy\n" },
		{ "lan.network", "[Network]\nSubnet=10.9.0.0/24\nIPv6=yes\n" },
		{ "web.container",
			WEB "Network=lan.network\nPublishPort=8080:80\n[Install]\nWantedBy="
			    "default.target\n" },
		{ "old.container",
			WEB "Network=lan.network\nPublishPort=8081:80\n[X-Berth]\nPublishMode="
			    "nftables\n" });
	web = find(&dir, "web");
	proxy = find(&dir, "web.proxy");
	assert_int_equal(dir.set.nports, 4);
	assert_int_equal(web->spec->net.nports, 2);
	assert_true(web->spec->net.ports[0].proxied);
	assert_false(find(&dir, "old")->spec->net.ports[0].proxied);
	assert_null(unit_find(&dir.set, "old.proxy"));
	assert_int_equal(proxy->kind, UNIT_PROXY);
	assert_string_equal(proxy->spec->name, "web.proxy");
	assert_true(proxy->wanted);
	assert_int_equal(proxy->spec->proxy->net->nports, 2);
	assert_string_equal(proxy->spec->process.user, "65534");
	assert_int_equal(proxy->spec->process.caps_other, 0);
	assert_true(proxy->spec->process.no_new_privs);
	assert_int_equal(proxy->service.restart, RESTART_ALWAYS);
	assert_int_equal(proxy->service.type, TYPE_EXEC);
	assert_int_equal(web->wants.n, 1);
	assert_int_equal(web->after.n, 1);
	assert_int_equal(web->requires.n, 0);
	assert_int_equal(proxy->requires.n, 1);
	hash = proxy->hash;

	unit_dir_write(&dir, "web.container", WEB "Network=lan.network\nPublishPort=8082:80\n");
	assert_int_equal(unit_dir_load(&dir), 0);
	assert_int_not_equal(find(&dir, "web.proxy")->hash, hash);
	assert_false(find(&dir, "web.proxy")->wanted);

	/* With nothing to carry (which is told) there is nothing to run. */
	unit_dir_write(&dir, "web.container", WEB "Network=host\nPublishPort=8082:80\n");
	assert_int_equal(unit_dir_load(&dir), 0);
	assert_null(find(&dir, "web.proxy")->spec);
	unit_dir_close(&dir);
}

static void test_dhcp(void **state)
{
	struct unit_dir dir;
	const struct unit *a, *first;

	(void)state;
	LOAD(&dir,
		{ "plant.network",
			"[Network]\nDriver=macvlan\nOptions=parent=eth0\nIPAMDriver=dhcp\n" },
		{ "cell.network",
			"[Network]\nDriver=ipvlan\nOptions=parent=eth1\nIPAMDriver=dhcp\n" },
		{ "a.container",
			WEB "Network=plant.network:alias=pump\nNetwork=cell.network\n[X-Berth]\n"
			    "Device=eth2:wan,dhcp\n[Install]\nWantedBy=default.target\n" },
		{ "b.container", WEB "Network=plant.network\nDNS=192.0.2.53\n" });
	a = find(&dir, "a");
	first = find(&dir, "a.dhcp");
	/* It comes first, is what the container needs, and ends with it. */
	assert_int_equal(a->requires.n, 3);
	assert_int_equal(a->after.n, 3);
	assert_ptr_equal(&dir.set.units[first->requires.v[0]], a);
	assert_true(first->wanted);
	assert_ptr_equal(first->spec->asks_for, a->spec);
	/* The first has the default route; on an ipvlan all have one MAC address. */
	HAS(unit_dir_spec(&dir, "a.dhcp"), "argv: berth\nargv: lease\nargv: container\n"
					   "argv: a.dhcp\nargv: 0\nargv: eth0\nargv: a\nenv");
	HAS(dir.out, "user: 65534\n");
	HAS(dir.out, "caps of others: NET_BIND_SERVICE NET_ADMIN NET_RAW\n");
	HAS(dir.out, "seccomp: default\n");
	HAS(dir.out, "secluded: yes\n");
	HAS(dir.out, "restart: always\n");
	HAS(dir.out, "start timeout: 30000000000\n");
	HAS(unit_dir_spec(&dir, "a.dhcp2"), "argv: none\nargv: eth1\nargv: a\nargv: 00");
	HAS(unit_dir_spec(&dir, "a.dhcp3"), "argv: none\nargv: wan\nargv: a\nenv");
	assert_true(a->spec->net.ifaces[0].leased && a->spec->net.ifaces[0].default_route);
	assert_true(a->spec->net.devices[0].leased);
	assert_string_equal(a->spec->net.devices[0].ifname, "wan");
	/* Whom it is told of: itself and its sibling on one, itself alone on the other, no name there. */
	assert_int_equal(a->spec->nleases, 4);
	assert_string_equal(a->spec->leases[0].client, "a.dhcp");
	assert_string_equal(a->spec->leases[0].names, "a pump");
	assert_string_equal(a->spec->leases[1].client, "b.dhcp");
	assert_false(a->spec->leases[1].own);
	assert_string_equal(a->spec->leases[2].client, "a.dhcp2");
	assert_null(a->spec->leases[3].names);
	assert_string_equal(find(&dir, "b")->spec->resolv_conf, "nameserver 192.0.2.53\n");
	unit_dir_close(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_name_server),
		cmocka_unit_test(test_dhcp),
		cmocka_unit_test(test_leases),
		cmocka_unit_test(test_subnets),
		cmocka_unit_test(test_six_alone),
		cmocka_unit_test(test_walls),
		cmocka_unit_test(test_chosen_ports),
		cmocka_unit_test(test_proxied_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
