/* What can only be seen with the whole set before one's eyes. */
#include <string.h>

#include "config/build.h"

/* What is kept of a unit, its state, log and address, is kept by its stem; and under systemd the two
 * would be one service as well. */
static void check_other(struct build *b, uint32_t unit, uint32_t other, struct origin at)
{
	const struct unit *units = b->set->units;

	if (!b->parts[other].spec)
		return;
	if (strcmp(b->parts[other].spec->name, b->parts[unit].spec->name) == 0)
		ERROR_AT(b, at, "ContainerName: %s is the name of %s too: rename one",
			b->parts[unit].spec->name, units[other].file);
	else if (strcmp(units[other].stem, units[unit].stem) == 0)
		ERROR_AT(b, build_unit_at(b, unit),
			"%s is %s.service too, as with Quadlet: rename one of the two files",
			units[other].file, units[unit].stem);
}

static void check_name(struct build *b, uint32_t unit)
{
	const struct part *part = &b->parts[unit];
	const struct draft_str *given = &part->draft->container_name;
	struct origin at = DRAFT_SET(*given) ? given->at : build_unit_at(b, unit);

	if (!name_valid(part->spec->name))
		ERROR_AT(b, at,
			"ContainerName: \"%s\" is not a name: use letters, digits, _ . - @, at "
			"most "
			"63, no . first",
			part->spec->name);
	for (uint32_t i = 0; i < unit; i++)
		check_other(b, unit, i, at);
}

/* A network namespace that is borrowed is not one's own to name or to configure. */
static void check_shared(struct build *b, uint32_t unit)
{
	const struct part *part = &b->parts[unit];
	const struct unit_draft *draft = part->draft;
	const struct {
		const char *key;
		bool set;
		struct origin at;
	} rows[] = {
		{ "HostName", DRAFT_SET(draft->hostname), draft->hostname.at },
		{ "NetworkAlias", draft->network_alias.n > 0,
			draft->network_alias.n ? draft->network_alias.v[0].at
					       : (struct origin){ 0 } },
		{ "DNS", draft->dns.n > 0,
			draft->dns.n ? draft->dns.v[0].at : (struct origin){ 0 } },
		{ "AddHost", draft->add_host.n > 0,
			draft->add_host.n ? draft->add_host.v[0].at : (struct origin){ 0 } },
	};
	uint32_t other = part->shares;

	if (other == UNIT_NONE)
		return;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].set)
			ERROR_AT(b, rows[i].at,
				"%s: the network is that of %s: set it there, or remove it",
				rows[i].key, b->set->units[other].id);
	if (b->parts[other].shares != UNIT_NONE)
		ERROR_AT(b, draft->network.v[0].at,
			"Network: %s itself uses the network of %s: name that one",
			b->set->units[other].id, b->set->units[b->parts[other].shares].id);
}

void pass_check(struct build *b)
{
	for (uint32_t i = 0; i < b->set->nunits; i++) {
		if (!b->parts[i].spec)
			continue;
		check_name(b, i);
		check_shared(b, i);
	}
}
