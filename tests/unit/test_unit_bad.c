/* What is wrong in a set of units is said with file and line, and what to do about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "tests/unit/unit_dir.h"

#define STORE_ID   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define STORE_NAME "sha256:" STORE_ID "\n"

#define WEB    "[Container]\nRootfs=./root\nExec=httpd -f\n"
#define NATIVE "[Service]\nExecStart=/bin/true\n"

struct bad {
	const char *want;
	struct file files[4];
};

static const struct bad rows[] = {
	/* lines */
	{ "@/web.container:4: Memroy: unknown key; did you mean Memory?\n",
		{ { "web.container", WEB "Memroy=64M\n" } } },
	{ "@/web.container:3: RestartSec: is a key of [Service], not of [Container]\n",
		{ { "web.container", "[Container]\nRootfs=./root\nRestartSec=1\nExec=true\n" } } },
	{ "@/n.network:2: [Match]: that is a systemd-networkd file, and /etc/systemd/network is "
	  "its place; a network of containers has a [Network] section with Subnet=\n",
		{ { "n.network", "[Match]\nName=eth0\n" } } },
	{ "@/a.container:4: ContainerName: \"../b\" cannot be a name: write 1 to 63 letters, "
	  "digits and _ . @ -, no dot first\n",
		{ { "a.container", WEB "ContainerName=../b\n" } } },
	{ "@/a b.container: a unit's name is 1 to 63 letters, digits and _ . @ -, and does not "
	  "begin with \".\" or \"-\": rename the file\n",
		{ { "a b.container", WEB } } },
	{ "@/web.Contaner: warning: not read, for berth knows no .Contaner files; did you mean "
	  ".container?\n",
		{ { "web.Contaner", WEB }, { "web.container~", WEB }, { "web.img", "x" },
			{ "web.container2", WEB } } },
	{ "@/f.container: this is a FIFO, not a file: move it away\n", { { "f.container", "|" } } },
	{ "@/d.container: this is a directory, not a file: move it away\n",
		{ { "d.container", NULL } } },
	{ "@/a.container:4: PidsLimit: \"many\" is not a number\n",
		{ { "a.container", WEB "PidsLimit=many\n" } } },
	{ "@/a.container:4: AddCapability: \"CAP_FLY\" is not a capability: write CAP_NET_RAW, …, "
	  "or all\n",
		{ { "a.container", WEB "AddCapability=CAP_FLY\n" } } },
	/* roots */
	{ "@/web.container:2: Rootfs: @/nowhere: No such file or directory: unpack a root file "
	  "system "
	  "there, or correct the path\n",
		{ { "web.container", "[Container]\nRootfs=./nowhere\n" } } },
	{ "@/web.container:2: Rootfs: @/root.txt is neither a directory nor a .tar archive nor a "
	  ".erofs or .squashfs image\n",
		{ { "web.container", "[Container]\nRootfs=./root.txt\n" }, { "root.txt", "x" } } },
	{ "@/web.container: [Container] has neither Image= nor Rootfs=: add one of them\n",
		{ { "web.container", "[Container]\nExec=true\n" } } },
	{ "@/web.container:4: Image: docker.io/library/web:2 was not found; searched the "
	  "store @/state/store, @/images/docker.io/library/web:2[.tar|.erofs|.squashfs]: put it "
	  "there: berth image pull docker.io/library/web:2, or berth image import --name "
	  "docker.io/library/web:2 FILE\n",
		{ { "web.container", "[Container]\nExec=x\n\nImage=docker.io/library/web:2\n" } } },
	{ "@/web.container:2: Image: docker.io/library/web:2 was not found; searched the store "
	  "@/state/store, @/images/docker.io/library/web:2[.tar|.erofs|.squashfs]: it has "
	  "localhost/web:2: write that, or: berth image tag localhost/web:2 "
	  "docker.io/library/web:2\n",
		{ { "web.container", "[Container]\nImage=docker.io/library/web:2\n" },
			{ "state/store/names/localhost+web:2", STORE_NAME } } },
	{ "@/web.container:2: Image: the image that localhost/web:2 names is not in @/state/store "
	  "any more: import it again\n",
		{ { "web.container", "[Container]\nImage=web:2\n" },
			{ "state/store/names/localhost+web:2", STORE_NAME } } },
	{ "@/web.container:2: Image: @/state/store/images/" STORE_ID
	  "/layers is broken: import the "
	  "image again\n",
		{ { "web.container", "[Container]\nImage=web:2\n" },
			{ "state/store/names/localhost+web:2", STORE_NAME },
			{ "state/store/images/" STORE_ID "/layers", "x\n" } } },
	{ "@/web.container:4: RootSize: the size of a directory on the disk cannot be limited: "
	  "remove it, or write Persist=boot\n",
		{ { "web.container",
			"[Container]\nRootfs=./root\n[X-Berth]\nRootSize=1G\nPersist=permanent\n"
			"[Container]\nExec=x\n" } } },
	{ "@/web.container:6: Persist: with ReadOnly=yes nothing is written: remove one of them\n",
		{ { "web.container", "[Container]\nRootfs=./root\nExec=x\nReadOnly=yes\n"
				     "[X-Berth]\nPersist=boot\n" } } },
	{ "@/web.container:2: Rootfs: Image= is set too (@/web.container:3): remove one of them\n",
		{ { "web.container", "[Container]\nRootfs=./root\nImage=web\nExec=true\n" } } },
	{ "@/web.container: Exec: nothing to run: the image names no program: add Exec=, or "
	  "[X-Berth] "
	  "HoldOpen=yes\n",
		{ { "web.container", "[Container]\nRootfs=./root\n" } } },
	{ "@/web.container:3: warning: Exec: /bin/sh without a terminal ends at once: add "
	  "StandardInput=tty, or a command for it\n",
		{ { "web.container", "[Container]\nRootfs=./root\nExec=/bin/sh\n" } } },
	{ "@/root.image.json:1: image configuration: duplicate object key near '\"Cmd\"'\n",
		{ { "web.container", WEB },
			{ "root.image.json", "{\"Cmd\":[\"a\"],\"Cmd\":[]}" } } },
	{ "@/root.image.json: Env: not what an OCI image configuration has there: correct or "
	  "remove it\n",
		{ { "web.container", WEB },
			{ "root.image.json", "{\"config\":{\"Env\":[\"=x\"]}}" } } },
	/* references */
	{ "@/a.container:2: After: a cycle, each waits for the next: a.container -> b.container -> "
	  "a.container: remove one of these\n",
		{ { "a.container", "[Unit]\nAfter=b.service\n" WEB },
			{ "b.container", "[Unit]\nAfter=a.service\n" WEB } } },
	{ "@/a.container:2: After: a cycle, each waits for the next: a.container -> a.container: "
	  "remove "
	  "one of these\n",
		{ { "a.container", "[Unit]\nAfter=a.service\n" WEB } } },
	{ "@/a.container:2: Requires: there is no unit db.service: add db.container (or .service), "
	  "or "
	  "remove it here\n",
		{ { "a.container", "[Unit]\nRequires=db.service\n" WEB } } },
	{ "@/web.service: @/web.container is web.service too, as with Quadlet: rename one of the "
	  "two "
	  "files\n",
		{ { "web.container", WEB "ContainerName=other\n" }, { "web.service", NATIVE } } },
	{ "@/a.container:2: After: db.service may mean @/db.service or @/db.container: rename one "
	  "of the "
	  "two files\n"
	  "@/db.service: ContainerName: db is the name of @/db.container too: rename one\n",
		{ { "a.container", "[Unit]\nAfter=db.service\n" WEB }, { "db.container", WEB },
			{ "db.service", "[Service]\nExecStart=/bin/true\n" } } },
	/* networks */
	{ "@/b.container:5: IP: 10.9.0.5 is the address of a too (@/a.container:5): change one of "
	  "them\n",
		{ { "n.network", "[Network]\nSubnet=10.9.0.0/24\n" },
			{ "a.container", WEB "Network=n.network\nIP=10.9.0.5\n" },
			{ "b.container", WEB "Network=n.network\nIP=10.9.0.5\n" } } },
	{ "@/a.container:4: IP: 10.10.0.5 is in no subnet of network n (10.9.0.0/24)\n",
		{ { "n.network", "[Network]\nSubnet=10.9.0.0/24\n" },
			{ "a.container", WEB "Network=n.network:ip=10.10.0.5\n" } } },
	{ "@/n.network:2: Subnet: 10.9.3.0/24 overlaps 10.9.0.0/16 (@/m.network:2): change one of "
	  "them\n",
		{ { "n.network", "[Network]\nSubnet=10.9.3.0/24\n" },
			{ "m.network", "[Network]\nSubnet=10.9.0.0/16\n" } } },
	{ "@/n.network:4: NameServer: DisableDNS=true (@/n.network:2) says that names are not "
	  "told: "
	  "remove one of them\n",
		{ { "n.network", "[Network]\nDisableDNS=true\n[X-Berth]\nNameServer=yes\n" },
			{ ".bundles/dnsmasq/dnsmasq", "0 1 x\n" } } },
	{ "@/n.network:4: NameServer: with IPAMDriver=none it has no address to be asked at: "
	  "remove one of them\n",
		{ { "n.network", "[Network]\nIPAMDriver=none\n[X-Berth]\nNameServer=yes\n" },
			{ ".bundles/dnsmasq/dnsmasq", "0 1 x\n" } } },
	{ "@/a.network:2: IPAMDriver: dhcp: no DHCP server is on a bridge of berth's own: remove "
	  "it, or write Driver=macvlan, or Options=mode=unmanaged for a bridge that is there\n"
	  "@/b.network:5: IPAMDriver: dhcp: in this mode of ipvlan no DHCP server is heard: write "
	  "Options=mode=l2, or Driver=macvlan\n"
	  "@/c.network:5: IPAMDriver: dhcp: berth gives no addresses: remove this line, or that "
	  "one\n",
		{ { "a.network", "[Network]\nIPAMDriver=dhcp\n" },
			{ "b.network", "[Network]\nDriver=ipvlan\nOptions=parent=eth0\n"
				       "Options=mode=l3\nIPAMDriver=dhcp\n" },
			{ "c.network", "[Network]\nDriver=macvlan\nOptions=parent=eth1\n"
				       "IPAMDriver=dhcp\nSubnet=192.0.2.0/24\n" } } },
	{ "@/web.container:4: IP: the addresses of network d are leased: have its DHCP server keep "
	  "192.0.2.7 for the container's mac=, or remove this\n",
		{ { "d.network", "[Network]\nDriver=macvlan\nOptions=parent=eth2\n"
				 "IPAMDriver=dhcp\n" },
			{ "web.container", WEB "Network=d.network:ip=192.0.2.7\n" } } },
	{ "@/web.container:5: warning: DNS: then it does not ask its network's name server: write "
	  "DNS= in the .network\n",
		{ { "n.network", "[X-Berth]\nNameServer=yes\n[Network]\nDNS=10.1.1.1\n" },
			{ "web.container", WEB "Network=n.network\nDNS=10.1.1.2\n" },
			{ ".bundles/dnsmasq/dnsmasq", "0 1 x\n" } } },
	{ "@/n.network:3: Gateway: 10.8.0.1 is not within Subnet=10.9.3.0/24\n",
		{ { "n.network", "[Network]\nSubnet=10.9.3.0/24\nGateway=10.8.0.1\n" } } },
	{ "@/n.network:4: Gateway: 10.8.0.1 is not within Subnet=10.9.3.0/24, 10.9.4.0/24\n"
	  "@/n.network:6: Gateway: 10.9.4.2: 10.9.4.1 is that of Subnet=10.9.4.0/24: remove one\n"
	  "@/n.network:8: IPRange: 10.9.3.64/26: Subnet=10.9.3.0/24 has a range already: remove "
	  "one\n"
	  "@/n.network:9: IPRange: 10.9.3.200-10.9.4.9 is not within Subnet=10.9.3.0/24, "
	  "10.9.4.0/24\n",
		{ { "n.network", "[Network]\nSubnet=10.9.3.0/24\nSubnet=10.9.4.0/24\n"
				 "Gateway=10.8.0.1\nGateway=10.9.4.1\nGateway=10.9.4.2\n"
				 "IPRange=10.9.3.0/26\nIPRange=10.9.3.64/26\n"
				 "IPRange=10.9.3.200-10.9.4.9\n" } } },
	{ "@/n.network:4: Subnet: 10.9.3.128/25 overlaps 10.9.3.0/24 of line 2: remove one\n"
	  "@/n.network:12: Subnet: 10.8.9.0/24: a network has at most 8: remove one\n",
		{ { "n.network",
			"[Network]\nSubnet=10.9.3.0/24\nSubnet=10.9.4.0/24\nSubnet=10.9.3.128/25\n"
			"Subnet=fd00:1::/64\nSubnet=fd00:2::/64\nSubnet=10.8.1.0/24\n"
			"Subnet=10.8.2.0/24\nSubnet=10.8.3.0/24\nSubnet=10.8.4.0/24\n\n"
			"Subnet=10.8.9.0/24\n" } } },
	{ "@/n.network:3: Subnet: 10.9.1.0/24 overlaps 10.9.0.0/16 (@/m.network:4): change one of "
	  "them\n",
		{ { "n.network", "[Network]\nSubnet=10.8.1.0/24\nSubnet=10.9.1.0/24\n" },
			{ "m.network",
				"[Network]\nSubnet=fd00:9::/64\n\nSubnet=10.9.0.0/16\n" } } },
	{ "@/a.container:4: IP: 10.9.3.6 is in 10.9.3.0/24 as 10.9.3.5 is, and an interface has "
	  "one "
	  "address of each subnet: remove one\n"
	  "@/b.container:4: IP: 10.9.3.1 is the gateway of network n: choose another\n"
	  "@/c.container:4: IP: 10.8.0.5 is in no subnet of network n (10.9.3.0/24, 10.9.4.0/24)\n"
	  "@/c.container:4: IP: 10.9.4.9 is the address of b too (@/b.container:4): change one of "
	  "them\n",
		{ { "n.network", "[Network]\nSubnet=10.9.3.0/24\nSubnet=10.9.4.0/24\n" },
			{ "a.container", WEB "Network=n.network:ip=10.9.3.5,ip=10.9.3.6\n" },
			{ "b.container", WEB "Network=n.network:ip=10.9.4.9,ip=10.9.3.1\n" },
			{ "c.container", WEB "Network=n.network:ip=10.9.4.9,ip=10.8.0.5\n" } } },
	{ "@/n.network: Subnet: b: the range of subnet 10.9.4.0/24 is full: give the network a "
	  "larger IPRange=\n",
		{ { "n.network", "[Network]\nSubnet=10.9.3.0/24\nSubnet=10.9.4.0/24\n"
				 "IPRange=10.9.4.7-10.9.4.7\n" },
			{ "a.container", WEB "Network=n.network\n" },
			{ "b.container", WEB "Network=n.network\n" } } },
	{ "@/n.network:3: Options: parent=eth0: a bridge has none: write Driver=macvlan or ipvlan, "
	  "or "
	  "remove it\n"
	  "@/n.network:4: Options: \"vlan=5000\": write a number from 1 to 4094\n"
	  "@/n.network:5: Options: \"mode=l3\" is none of this driver's: managed, unmanaged\n"
	  "@/n.network:6: Options: \"bclim=1\" is not served: berth knows mtu= vlan= parent= mode= "
	  "isolate= no_default_route=\n"
	  "@/n.network:7: Options: \"isolate=perhaps\": write true or false\n",
		{ { "n.network",
			"[Network]\nDriver=bridge\nOptions=parent=eth0\nOptions=vlan=5000\n"
			"Options=mode=l3\nOptions=bclim=1\nOptions=isolate=perhaps\n" } } },
	{ "@/n.network:2: warning: Options: isolate=false: networks are kept apart all the same: "
	  "write [X-Berth] AllowNetwork=OTHER.network\n",
		{ { "n.network", "[Network]\nOptions=isolate=false\n" },
			{ "m.network", "[Network]\nOptions=isolate=strict\n" } } },
	{ "@/m.network: Driver: macvlan needs the host's link that it sits on: write "
	  "Options=parent=eth0\n"
	  "@/m.network: Subnet: which addresses are there is known to you only: add it (and "
	  "IPRange=), or write IPAMDriver=dhcp, or none\n"
	  "@/n.network: Options: mode=unmanaged uses a bridge that is there: name it with "
	  "InterfaceName=\n",
		{ { "m.network", "[Network]\nDriver=macvlan\n" },
			{ "n.network",
				"[Network]\nOptions=mode=unmanaged\nSubnet=10.4.0.0/24\n" } } },
	{ "@/n.network:3: IPRange: 10.9.1.0/26 is not within Subnet=10.9.0.0/24\n"
	  "@/n.network:4: IPRange: \"10.9.0.9-10.9.0.2\" is no range: write 10.1.2.64/26, or "
	  "10.1.2.10-10.1.2.50\n"
	  "@/n.network:5: IPRange: fd00::/64 needs a Subnet= of its family: add it\n",
		{ { "n.network", "[Network]\nSubnet=10.9.0.0/24\nIPRange=10.9.1.0/26\n"
				 "IPRange=10.9.0.9-10.9.0.2\nIPRange=fd00::/64\n" } } },
	{ "@/b.network: InterfaceName: eth0 is the link of @/a.network too, which cannot share it: "
	  "name another\n",
		{ { "a.network",
			  "[Network]\nDriver=macvlan\nOptions=parent=eth0\nIPAMDriver=none\n" },
			{ "b.network", "[Network]\nDriver=ipvlan\nOptions=parent=eth0\n"
				       "IPAMDriver=none\n" } } },
	{ "@/b.network:4: Subnet: 10.9.0.128/25 overlaps 10.9.0.0/24 (@/a.network:4): change one "
	  "of "
	  "them\n",
		{ { "a.network",
			  "[Network]\nDriver=macvlan\nOptions=parent=eth0\nSubnet=10.9.0.0/24\n" },
			{ "b.network", "[Network]\nDriver=macvlan\nOptions=parent=eth0\n"
				       "Subnet=10.9.0.128/25\n" } } },
	{ "@/b.container:4: Network: mac=03:00:00:00:00:01 is not the address of one interface: "
	  "write 02:00:00:00:00:01\n"
	  "@/b.container:5: Network: interface_name=lo is not a link's name: at most 15 "
	  "characters, no / : or blank\n"
	  "@/c.container:4: Network: mac= is that of a too: change one of them\n"
	  "@/c.container:5: Network: eth0 is the name of two interfaces: change interface_name=\n",
		{ { "n.network", "[Network]\nSubnet=10.9.0.0/24\n" },
			{ "a.container", WEB "Network=n.network:mac=02:00:00:00:00:01\n" },
			{ "b.container", WEB "Network=n.network:mac=03:00:00:00:00:01\n"
					     "Network=default:interface_name=lo\n" },
			{ "c.container", WEB "Network=n.network:mac=02:00:00:00:00:01\n"
					     "Network=default:interface_name=eth0\n" } } },
	{ "@/a.container:5: PublishPort: the container is on networks of others only, where its "
	  "own "
	  "address is reached: remove it, or add a network that is a bridge of berth's\n",
		{ { "m.network", "[Network]\nDriver=macvlan\nOptions=parent=eth0\n"
				 "Subnet=192.0.2.0/24\n" },
			{ "a.container", WEB "Network=m.network\nPublishPort=80:80\n" } } },
	{ "@/b.container:4: PublishPort: port 8083/tcp of the host is asked for by a.container too "
	  "(@/a.container:4): change one of them\n",
		{ { "a.container", WEB "PublishPort=127.0.0.1:8080-8083:80-83\n" },
			{ "b.container", WEB "PublishPort=8083:80\n" } } },
	{ "@/b.container:4: PublishPort: port 8083/tcp of the host is asked for by a.container too "
	  "(@/a.container:4): change one of them\n",
		{ { "a.container", WEB "PublishPort=127.0.0.1:8083:80\n" },
			{ "b.container", WEB "PublishPort=0.0.0.0:8083:80\n" } } },
	{ "@/a.container:5: warning: PublishPort: port 8080/tcp is published by line 4 too: remove "
	  "one\n",
		{ { "a.container", WEB "PublishPort=8080:80\nPublishPort=0.0.0.0:8080:80\n" } } },
	{ "@/a.container:4: PublishPort: \"[10.0.0.1:80:80\" is not [IP:][HOST:]PORT[/tcp|/udp]\n",
		{ { "a.container", WEB "PublishPort=[10.0.0.1:80:80\n" } } },
	{ "@/a.container:4: PublishPort: \"80:0\": ports are 1 to 65535, and two ranges equally "
	  "long\n",
		{ { "a.container", WEB "PublishPort=80:0\n" } } },
	{ "@/a.container:4: PublishPort: \"65535-65536\": ports are 1 to 65535, and two ranges "
	  "equally long\n",
		{ { "a.container", WEB "PublishPort=65535-65536\n" } } },
	{ "@/a.container:4: PublishPort: no port is left to choose: write HOST:PORT\n",
		{ { "a.container", WEB "PublishPort=1-9999\n" } } },
	{ "@/a.container:4: PublishPort: the container has no IPv6 address: add IPv6=yes to its "
	  ".network\n",
		{ { "a.container", WEB "PublishPort=[::]:80:80\n" } } },
	{ "@/a.container:5: PublishPort: the container is on internal networks only, which nobody "
	  "outside reaches: add a Network= that is not Internal=\n",
		{ { "a.container", WEB "Network=in.network\nPublishPort=80:80\n" },
			{ "in.network", "[Network]\nInternal=yes\n" } } },
	{ "@/a.container:5: AllowHostPort: \"22/sctp\" is not PORT[-PORT][/tcp|/udp]\n",
		{ { "a.container", WEB "[X-Berth]\nAllowHostPort=22/sctp\n" } } },
	{ "@/a.container:6: AllowHostPort: its network is the host's, and so are its packets: "
	  "remove "
	  "it, or give it a network of its own\n",
		{ { "a.container", WEB "Network=host\n[X-Berth]\nAllowHostPort=22\n" } } },
	{ "@/a.container:6: IPAddressDeny: write it in the unit whose network it shares\n",
		{ { "a.container", WEB "Network=b.container\n[Service]\nIPAddressDeny=any\n" },
			{ "b.container", WEB } } },
	{ "@/a.container:5: IPAddressDeny: \"10.0.0.0/33\" is not ADDRESS[/LENGTH], any, "
	  "localhost, "
	  "link-local or multicast\n",
		{ { "a.container", WEB "[Service]\nIPAddressDeny=10.0.0.0/33\n" } } },
	{ "@/a.container:5: warning: IPAddressAllow: has no effect alone, for who is in no list is "
	  "allowed: add IPAddressDeny=any\n",
		{ { "a.container", WEB "[Service]\nIPAddressAllow=10.0.0.0/8\n" } } },
	{ "@/n.network:2: AllowNetwork: there is no other network lan.network: add it\n",
		{ { "n.network", "[X-Berth]\nAllowNetwork=lan.network\n" } } },
	{ "@/n.network:2: AllowNetwork: vault is Internal=, which nobody enters or leaves: attach "
	  "the "
	  "container to both networks instead\n",
		{ { "n.network", "[X-Berth]\nAllowNetwork=vault.network\n" },
			{ "vault.network", "[Network]\nInternal=yes\n" } } },
	{ "@/a.container:4: Network: there is no network lan.network: add the file lan.network, or "
	  "write "
	  "host, none, OTHER.container, ns:/PATH\n",
		{ { "a.container", WEB "Network=lan.network\n" } } },
	{ "@/a.container:5: HostName: the network is that of b.container: set it there, or remove "
	  "it\n",
		{ { "a.container", WEB "Network=b.container\nHostName=x\n" },
			{ "b.container", WEB } } },
	/* mounts */
	{ "@/a.container:4: Volume: nothing may be mounted over /proc of a container\n",
		{ { "a.container", WEB "Volume=/srv:/proc\n" } } },
	{ "@/mnt-x.mount:3: Where: the file of /mnt/my-x is called mnt-my\\x2dx.mount: rename "
	  "mnt-x.mount, or correct the path\n",
		{ { "mnt-x.mount", "[Mount]\nWhat=/dev/sda1\nWhere=/mnt/my-x\n" } } },
	{ "@/mnt.mount: [Mount] has no What=: add it\n",
		{ { "mnt.mount", "[Mount]\nWhere=/mnt\n" } } },
	{ "@/mnt.mount:3: Where: \"mnt\" is not an absolute path without \"..\"\n",
		{ { "mnt.mount", "[Mount]\nWhat=x\nWhere=mnt\n" } } },
	{ "@/mnt.mount: Options: bind shows a directory of this host, and x is no absolute path\n",
		{ { "mnt.mount", "[Mount]\nWhat=x\nWhere=/mnt\nOptions=bind\n" } } },
	{ "@/a.volume:2: Type: says nothing without Device=: add that (Device=tmpfs for a "
	  "tmpfs)\n",
		{ { "a.volume", "[Volume]\nType=tmpfs\n" } } },
	{ "@/a.volume:2: Image: not served: write Rootfs= or Image= in a container, whose Volume= "
	  "gets its content\n",
		{ { "a.volume", "[Volume]\nImage=x\n" } } },
	{ "@/a.container:4: Volume: /x/../.. has \"..\" in it: write the path without it\n",
		{ { "a.container", WEB "Volume=/srv:/x/../..\n" } } },
	{ "@/a.container:4: Volume: there is no unit d.volume: add that file, or write a plain "
	  "name to "
	  "have it made\n",
		{ { "a.container", WEB "Volume=d.volume:/d\n" } } },
	{ "@/a.container:5: Tmpfs: /d is mounted already (@/a.container:4): remove one of them\n",
		{ { "a.container", WEB "Volume=d:/d\nTmpfs=/d/\n" } } },
	{ "@/a.container:4: Secret: key was not found; searched @/secrets/key, "
	  "/etc/berth/secrets/key, "
	  "@/state/secrets/key: put the file there\n",
		{ { "a.container", WEB "Secret=key\n" } } },
	/* twins, and what needs a second key */
	{ "@/a.container:4: PidsLimit: TasksMax= (@/a.container:6) says something else: remove one "
	  "of "
	  "them\n",
		{ { "a.container", WEB "PidsLimit=64\n[Service]\nTasksMax=65\n" } } },
	{ "@/a.container:4: Ulimit: LimitNOFILE= (@/a.container:6) says something else: remove one "
	  "of "
	  "them\n",
		{ { "a.container", WEB "Ulimit=nofile=64\n[Service]\nLimitNOFILE=65\n" } } },
	{ "@/a.container:4: StopTimeout: TimeoutStopSec= (@/a.container:6) says something else: "
	  "remove "
	  "one of them\n",
		{ { "a.container", WEB "StopTimeout=5\n[Service]\nTimeoutStopSec=6\n" } } },
	{ "@/a.container:4: Notify: healthy needs a probe: add HealthCmd=, or write Notify=no\n",
		{ { "a.container", WEB "Notify=healthy\n" } } },
	{ "@/a.container:4: Sysctl: vm.swappiness is not the container's own, it would change the "
	  "host: "
	  "set it on the host\n",
		{ { "a.container", WEB "Sysctl=vm.swappiness=1\n" } } },
	{ "@/a.container:5: Sysctl: net.core.somaxconn belongs to the network, which is the host's "
	  "here: "
	  "remove it, or Network=host\n",
		{ { "a.container", WEB "Network=host\nSysctl=net/core/somaxconn=1\n" } } },
	{ "@/a.container:6: Restart: a Type=oneshot unit that succeeded is done: write on-failure, "
	  "or "
	  "no\n",
		{ { "a.container", WEB "[Service]\nType=oneshot\nRestart=always\n" } } },
	{ "@/a.service:4: Probe: \"/run/a.sock\" is no socket: write unix:/PATH, "
	  "tcp:127.0.0.1:PORT or tcp:[::1]:PORT\n",
		{ { "a.service", NATIVE "[X-Berth]\nProbe=/run/a.sock\n" } } },
	{ "@/a.service:4: ProbeInterval: has no effect without Probe=: add that\n",
		{ { "a.service", NATIVE "[X-Berth]\nProbeInterval=1s\n" } } },
	{ "@/a.service:5: Probe: Type=notify says already when it is ready: remove one of them\n",
		{ { "a.service", NATIVE "Type=notify\n[X-Berth]\nProbe=tcp:127.0.0.1:80\n" } } },
	{ "@/a.service:2: ExecStart: the command must be an absolute path, or [X-Berth] Bundle= "
	  "name the bundle that tool is in\n",
		{ { "a.service", "[Service]\nExecStart=tool\n" } } },
	{ "@/a.service:2: ExecStart: with Bundle=kit the first word is the name of a program in "
	  "the "
	  "bundle, without a path\n",
		{ { "a.service", "[Service]\nExecStart=/bin/tool\n[X-Berth]\nBundle=kit\n" } } },
	{ "@/a.service:2: Bundle: kit was not found: pack it with \"berth pack --bundle "
	  "kit=PROGRAM\", or set BundlePath= in berth.conf\n",
		{ { "a.service", "[X-Berth]\nBundle=kit\n" } } },
	{ "@/a.service:2: ExecStart: the bundle kit has no program kit: correct the name, or put "
	  "it "
	  "there\n",
		{ { "a.service", "[X-Berth]\nBundle=kit\n" },
			{ ".bundles/kit/tool", "0 1 0123456789abcdef\n" } } },
	{ "@/a.container:5: Bundle: is for .service files\n",
		{ { "a.container", WEB "[X-Berth]\nBundle=kit\n" } } },
	{ "@/a.service:4: ConfigFile: @/a.toml: No such file or directory: put the template "
	  "there\n",
		{ { "a.service", NATIVE "[X-Berth]\nConfigFile=a.toml\n" } } },
	{ "@/a.toml:2: ConfigFile: %z is not a specifier: write %% for a percent sign\n",
		{ { "a.service", NATIVE "[X-Berth]\nConfigFile=a.toml\n" },
			{ "a.toml", "x\n%z\n" } } },
	{ "@/a.toml:1: warning: ConfigFile: $X is not set, so nothing is put there: write $$X if "
	  "the "
	  "command inside is to see it, or set it with [Service] Environment=X=…\n",
		{ { "a.service", NATIVE "[X-Berth]\nConfigFile=a.toml\n" },
			{ "a.toml", "${X}\n" } } },
	{ "@/a.service:4: PreferHost: needs Probe=, to see whether it still answers: add that\n",
		{ { "a.service", NATIVE "[X-Berth]\nPreferHost=yes\n" } } },
	{ "@/a.service:5: PreferHost: \"yes\" is neither unix:/PATH nor the path of a program, nor "
	  "yes with Probe=unix:/PATH\n",
		{ { "a.service", NATIVE "[X-Berth]\nProbe=tcp:127.0.0.1:80\nPreferHost=yes\n" } } },
	{ "@/a.service:4: PreferHost: /bin/x: without Bundle= the program is the one of "
	  "ExecStart=: "
	  "write that there\n",
		{ { "a.service", NATIVE "[X-Berth]\nPreferHost=/bin/x\n" } } },
	{ "@/env:2: EnvironmentFile: not KEY=VALUE: correct the line, or begin it with #\n",
		{ { "a.container", WEB "EnvironmentFile=./env\n" }, { "env", "A=1\nB C\n" } } },
};

static void test_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct unit_dir dir;

		unit_dir_open(&dir);
		for (size_t k = 0; k < 4 && rows[i].files[k].name; k++)
			unit_dir_write(&dir, rows[i].files[k].name, rows[i].files[k].text);
		assert_int_equal(unit_dir_load(&dir), 0);
		assert_string_equal(unit_dir_problems(&dir), rows[i].want);
		unit_dir_close(&dir);
	}
}

/* Everything that is wrong is said at once, and the set must not be started. */
static void test_all_at_once(void **state)
{
	struct unit_dir dir;

	(void)state;
	unit_dir_open(&dir);
	unit_dir_write(&dir, "a.container", WEB "ContainerName=x\nIP=1.2.3\n");
	unit_dir_write(&dir, "b.container", WEB "ContainerName=x\nVolume=:/x\n");
	assert_int_equal(unit_dir_load(&dir), 0);
	assert_int_equal(dir.set.nerrors, 3);
	assert_string_equal(unit_dir_problems(&dir),
		"@/a.container:5: IP: \"1.2.3\" is not an IPv4 address\n"
		"@/b.container:4: ContainerName: x is the name of @/a.container too: rename one\n"
		"@/b.container:5: Volume: \":/x\" names no source: write NAME:/x, or /x alone for "
		"a volume of its own\n");
	unit_dir_close(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_all_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
