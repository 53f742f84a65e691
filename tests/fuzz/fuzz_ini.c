/* Any bytes as a unit file: the reader, the key table and all value parsers end in the right value
 * or in a problem, and never in a crash, a leak or a hang. The first byte chooses the kind. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/expand.h"
#include "config/parse.h"
#include "config/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_assign(void *user, const struct reader_line *line)
{
	if (strlen(line->value) > READER_LINE_MAX || !*line->key || line->line == 0)
		abort();
	return parse_assign(user, line);
}

static int on_complain(void *user, unsigned line, const char *text)
{
	struct parse *parse = user;

	return problem_add(parse->set, true, parse->file, line, "%s", text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct unit_set set = { 0 };
	struct arena lists = { 0 };
	struct unit_draft unit = { .stem = "web@blue",
		.prefix = "web",
		.instance = "blue",
		.id = "web@blue.container",
		.file = "web@.container",
		.dir = "." };
	struct conf_draft conf = { 0 };
	struct parse parse = { .set = &set, .arena = &lists, .conf = &conf, .file = unit.file };
	struct reader_sink sink = { .assign = on_assign, .complain = on_complain, .user = &parse };
	struct err err = { 0 };
	char *text;

	if (size == 0)
		return 0;
	unit.kind = (enum unit_kind)(data[0] % 5);
	parse.unit = data[0] % 6 == 5 ? NULL : &unit;
	text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	(void)reader_text(text, size - 1, &sink);
	if (parse.unit)
		(void)variables_expand(&set, &unit, &err);
	free(text);
	arena_done(&lists);
	arena_done(&set.arena);
	return 0;
}
