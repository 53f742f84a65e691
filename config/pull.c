/* .image files: an image that a process of its own pulls, which is `berth image pull`. Who names it by
 * Image=NAME.image waits for it. A container with Pull= has one without a file. */
#include <stdio.h>
#include <string.h>

#include "config/build.h"
#include "images/reference.h"
#include "supervisor/base/clock.h"

uint32_t image_unit(struct build *b, const struct draft_str *image)
{
	uint32_t unit;

	if (!str_ends(image->v, ".image"))
		return UNIT_NONE;
	unit = unit_by_id(b, image->v);
	if (unit == UNIT_NONE)
		ERROR_AT(b, image->at,
			"Image: there is no %s: add that file, or write the image's name",
			image->v);
	return unit;
}

const char *image_unit_ref(struct build *b, uint32_t unit)
{
	const struct unit_draft *draft = b->parts[unit].draft;
	char full[REFERENCE_SIZE];

	/* What is wrong with it is told once: by pass_pull. */
	if (DRAFT_SET(draft->image) && archive_named(draft->image.v))
		return b->parts[unit].spec->root.archive;
	return DRAFT_SET(draft->image) && reference_pull(draft->image.v, full) == 0
		       ? build_text(b, "%s", full)
		       : NULL;
}

bool image_unit_pulls(const struct build *b, uint32_t unit)
{
	return b->parts[unit].draft->image_policy.v != PULL_NEVER;
}

static void option(struct build *b, struct strv *argv, const char *name, const char *value)
{
	build_add(b, argv, name);
	build_add(b, argv, value);
}

static void platform(struct build *b, uint32_t unit, struct strv *argv)
{
	const struct unit_draft *draft = b->parts[unit].draft;
	bool variant = DRAFT_SET(draft->image_variant);

	if (DRAFT_SET(draft->image_arch))
		option(b, argv, "--platform",
			build_text(b, "%s/%s%s%s",
				DRAFT_SET(draft->image_os) ? draft->image_os.v : "linux",
				draft->image_arch.v, variant ? "/" : "",
				variant ? draft->image_variant.v : ""));
	else if (variant)
		ERROR_AT(b, draft->image_variant.at, "Variant: of which architecture? Add Arch=");
	else if (DRAFT_SET(draft->image_os) && strcmp(draft->image_os.v, "linux") != 0)
		ERROR_AT(b, draft->image_os.at, "OS: this machine runs linux: remove it");
}

static void options(struct build *b, uint32_t unit, struct strv *argv)
{
	static const char *const policies[] = { [PULL_MISSING] = "missing",
		[PULL_ALWAYS] = "always",
		[PULL_NEWER] = "newer",
		[PULL_NEVER] = "never" };
	const struct unit_draft *draft = b->parts[unit].draft;

	option(b, argv, "--policy", policies[draft->image_policy.v]);
	if (DRAFT_SET(draft->image_auth))
		option(b, argv, "--authfile", build_path(b, draft->dir, draft->image_auth.v));
	if (DRAFT_SET(draft->image_creds)) {
		struct container_spec *spec = b->parts[unit].spec;

		/* In no list of arguments, and in nobody's environment. */
		spec->config_path = build_text(b, "%s/conf/%s", b->set->conf.run_dir, draft->id);
		spec->config_text = build_text(b, "%s\n", draft->image_creds.v);
		option(b, argv, "--creds-file", spec->config_path);
		if (!strchr(draft->image_creds.v, ':'))
			ERROR_AT(b, draft->image_creds.at,
				"Creds: write USER:PASSWORD, or AuthFile= with the path of a file");
	}
	if (DRAFT_SET(draft->image_certs))
		option(b, argv, "--cert-dir", build_path(b, draft->dir, draft->image_certs.v));
	if (DRAFT_SET(draft->image_tls))
		option(b, argv, "--tls-verify", draft->image_tls.v ? "yes" : "no");
	if (DRAFT_SET(draft->image_retry))
		option(b, argv, "--retry",
			build_text(b, "%llu", (unsigned long long)draft->image_retry.v));
	if (DRAFT_SET(draft->image_retry_delay))
		option(b, argv, "--retry-delay",
			build_text(b, "%lluns", (unsigned long long)draft->image_retry_delay.v));
	platform(b, unit, argv);
}

struct strv *image_command(struct build *b, uint32_t helper, const char *verb)
{
	struct container_spec *spec = b->parts[helper].spec;
	struct strv *argv = &spec->process.argv;

	spec->own_program = true;
	build_add(b, argv, "berth");
	build_add(b, argv, "image");
	build_add(b, argv, verb);
	build_add(b, argv, "--reload");
	/* The same store and mirrors, whoever runs it. */
	if (b->config_dir)
		option(b, argv, "--config", b->config_dir);
	return argv;
}

void pass_pull(struct build *b, uint32_t unit)
{
	struct part *part = &b->parts[unit];
	const struct unit_draft *draft = part->draft;
	struct strv *argv = &part->spec->process.argv;
	const char *ref = image_unit_ref(b, unit);

	if (DRAFT_SET(draft->image) && archive_named(draft->image.v)) {
		archive_unit(b, unit);
		return;
	}
	if (DRAFT_SET(draft->image_tag))
		ERROR_AT(b, draft->image_tag.at,
			"ImageTag: is for an archive, and a registry has the name: remove it");
	if (!DRAFT_SET(draft->image))
		ERROR_AT(b, build_unit_at(b, unit), "[Image] has no Image=: add it");
	else if (!ref)
		ERROR_AT(b, draft->image.at,
			"Image: \"%s\" is not the name of an image: write [REGISTRY/]NAME[:TAG], "
			"or the path of one",
			draft->image.v);
	options(b, unit, image_command(b, unit, "pull"));
	build_add(b, argv, ref ? ref : "");
}

/* ---- without a file ----------------------------------------------------------------------------- */

bool image_pulls(const struct unit_draft *draft)
{
	return DRAFT_SET(draft->pull) && draft->pull.v != PULL_NEVER;
}

uint32_t image_helper(struct build *b, uint32_t unit, const struct draft_str *asked,
	enum pull_policy policy, const char *description)
{
	const struct unit_draft *container = b->parts[unit].draft;
	const char *id = build_text(b, "%s.image", container->stem);
	uint32_t other = unit_by_id(b, id);
	struct unit_draft *draft;

	if (other != UNIT_NONE) {
		ERROR_AT(b, asked->at,
			"Image: what brings it would be called %s, which is %s: rename one of the "
			"two files",
			id, b->set->units[other].file);
		return UNIT_NONE;
	}
	draft = draft_beside(b, container, UNIT_IMAGE, id, description, asked->at);
	if (!draft)
		return UNIT_NONE;
	draft->image = *asked;
	draft->image_policy = (struct draft_choice){ (int)policy, asked->at };
	draft->image_retry = container->image_retry;
	draft->image_retry_delay = container->image_retry_delay;
	return unit_generate(b, draft);
}

void image_puller(struct build *b, uint32_t unit, bool is_there)
{
	struct part *part = &b->parts[unit];
	const struct unit_draft *draft = part->draft;

	if (part->puller != UNIT_NONE) {
		ERROR_AT(b, draft->pull.at,
			"Pull: %s says by Policy= when it is pulled: remove one of them",
			draft->image.v);
		return;
	}
	part->puller = image_helper(b, unit, &draft->image, (enum pull_policy)draft->pull.v,
		build_text(b, "pulls %s", draft->image.v));
	if (part->puller == UNIT_NONE)
		return;
	pass_pull(b, part->puller);
	part->waits = !is_there || draft->pull.v != PULL_MISSING;
}

void graph_image(struct build *b, uint32_t unit)
{
	const struct part *part = &b->parts[unit];

	if (part->waits && part->puller != UNIT_NONE)
		graph_need(b, unit, part->puller, false, part->draft->image.at);
}
