/* [X-Berth] NameServer= of a .network: its names by DNS, for programs that ask a server and never read
 * /etc/hosts. The server is dnsmasq: a member of the network with an address like all others, run by
 * berth, and told what is in the network's hosts file. */
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "config/build.h"
#include "supervisor/base/capability.h"

#define PROGRAM "dnsmasq"
/* Beside its own few: each question by TCP is answered by a child. */
enum { MEMORY_MAX = 64 << 20, PIDS_MAX = 64 };

bool is_name_server(const struct unit_draft *draft)
{
	return draft->kind == UNIT_NETWORK && draft->name_server.v;
}

const struct net_addr *name_server_of(const struct build *b, uint32_t network)
{
	const struct part *part = &b->parts[network];

	if (!part->spec || part->nnets == 0)
		return NULL;
	return part->nets[0].addrs;
}

void pass_name_server(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	const struct unit_draft *draft = part->draft;
	struct attachment net = { .network = unit, .at = draft->name_server.at };
	struct process_spec *process = &part->spec->process;
	const char *program;

	part->spec->secluded = true;
	program = program_find(b, &part->spec->program, PROGRAM);
	if (!program)
		ERROR_AT(b, draft->name_server.at,
			"NameServer: there is no " PROGRAM
			" here: install it (Debian's dnsmasq-base), or pack it: berth pack "
			"--bundle " PROGRAM "=/usr/sbin/" PROGRAM);
	build_add(b, &process->argv, program ? program : PROGRAM);
	if (draft->disable_dns.v)
		ERROR_AT(b, draft->name_server.at,
			"NameServer: DisableDNS=true (%s:%u) says that names are not told: remove "
			"one of them",
			draft->disable_dns.at.file, draft->disable_dns.at.line);
	if (part->no_addresses)
		ERROR_AT(b, draft->name_server.at,
			"NameServer: with IPAMDriver=%s it has no address to be asked at: remove "
			"one of them",
			part->leased ? "dhcp" : "none");
	BUILD_PUSH(b, part->nets, part->nnets, net);
}

/* What stands behind the command and its own files changes without a new start: see servers_text. */
static void arguments(struct build *b, const struct attachment *net, struct strv *argv)
{
	static const char *const fixed[] = {
		"--keep-in-foreground",
		"--conf-file=/dev/null",
		"--pid-file",
		"--log-facility=-",
		"--no-hosts",
		"--addn-hosts=/run/hosts",
		"--no-resolv",
		"--servers-file=/run/servers",
		"--no-poll",
		"--bind-interfaces",
	};

	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		build_add(b, argv, fixed[i]);
	for (size_t i = 0; i < net->naddrs; i++)
		build_add(b, argv,
			build_text(b, "--listen-address=%s",
				net_addr_print(&net->addrs[i], false).text));
}

void name_server_finish(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	struct container_spec *spec = part->spec;
	struct service_spec *service = &b->set->units[unit].service;

	arguments(b, &part->nets[0], &spec->process.argv);
	spec->process.user = spec->process.group = "65534";
	secluded_bound(spec, CAPABILITY_BIT(CAP_NET_BIND_SERVICE), MEMORY_MAX, PIDS_MAX);
	service->type = TYPE_EXEC;
	service->restart = RESTART_ALWAYS;
}

void graph_name_servers(struct build *b, uint32_t unit)
{
	const struct part *part = &b->parts[unit];

	/* Wanted, not required: who finds names in /etc/hosts does without. */
	for (size_t i = 0; part->spec && !part->spec->native && i < part->nnets; i++)
		if (b->parts[part->nets[i].network].spec)
			graph_need(b, unit, part->nets[i].network, true, part->nets[i].at);
}
