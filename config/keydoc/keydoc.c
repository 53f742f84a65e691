/*
 * keydoc PAGE - print a manual page: the template on standard input, with the line @KEYS@ replaced
 * by what the key table says of the sections that this page is for, in mdoc(7)
 *
 * Built for the build machine, from the table and libc alone.
 */
#include <stdio.h>
#include <string.h>

#include "config/keys.h"

/* All other sections are in berth.container(5). */
static const struct {
	const char *section;
	const char *page;
} pages[] = {
	{ "Network", "berth.network" },
	{ "Volume", "berth.volume" },
	{ "Mount", "berth.volume" },
	{ "Image", "berth.image" },
};

static const char *the_page;

static bool on_page(const char *section)
{
	const char *page = "berth.container";

	for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
		if (strcmp(pages[i].section, section) == 0)
			page = pages[i].page;
	return strcmp(page, the_page) == 0;
}

/* What stands for the value in the heading of a key. */
static const char *const arguments[] = {
	[TYPE_str] = "text",
	[TYPE_name] = "name",
	[TYPE_lines] = "item",
	[TYPE_words] = "item ...",
	[TYPE_env] = "KEY=value ...",
	[TYPE_pairs] = "KEY=value ...",
	[TYPE_argv] = "command",
	[TYPE_entry] = "command",
	[TYPE_shell] = "command",
	[TYPE_flag] = "yes | no",
	[TYPE_bytes] = "size",
	[TYPE_time] = "time",
	[TYPE_timeout] = "time",
	[TYPE_interval] = "time",
	[TYPE_signal] = "signal",
	[TYPE_tasks] = "number",
	[TYPE_number] = "number",
	[TYPE_integer] = "number",
	[TYPE_quota] = "percent",
	[TYPE_caps] = "capability ...",
	[TYPE_exits] = "status ...",
	[TYPE_choice] = "word",
	[TYPE_rlimit] = "soft:hard",
	[TYPE_ulimits] = "name=soft:hard",
};

/* Text as mdoc wants it: a backslash is \e, a line never begins with a control character, and a new
 * sentence begins a new line. */
static void put_text(const char *text)
{
	bool begins = true;

	for (const char *p = text; *p; p++) {
		if (begins && (*p == '.' || *p == '\''))
			(void)fputs("\\&", stdout);
		begins = false;
		if (*p == '\\') {
			(void)fputs("\\e", stdout);
		} else if (p[0] == '.' && p[1] == ' ' && p[2]) {
			(void)fputs(".\n", stdout);
			p++;
			begins = true;
		} else if (strncmp(p, "…", strlen("…")) == 0) {
			(void)fputs("...", stdout);
			p += strlen("…") - 1;
		} else {
			(void)putchar(*p);
		}
	}
	(void)putchar('\n');
}

static bool has_keys(const char *section)
{
	for (size_t i = 0; i < keys_served_count; i++)
		if (strcmp(keys_served[i].section, section) == 0)
			return true;
	return false;
}

static void put_section(const struct key_section *section)
{
	if (!has_keys(section->name) || !on_page(section->name))
		return;
	(void)printf(".Ss [%s]\n", section->name);
	put_text(section->help);
	(void)puts(".Bl -tag -width Ds");
	for (size_t i = 0; i < keys_served_count; i++) {
		const struct key *key = &keys_served[i];

		if (strcmp(key->section, section->name) != 0)
			continue;
		(void)printf(".It Cm %s= Ns Ar %s\n", key->name, arguments[key->type]);
		put_text(key->help);
	}
	(void)puts(".El");
}

/* The values that are accepted; then follows why no other one is. */
static void put_words(const struct key_word *words)
{
	(void)fputs("Accepted:", stdout);
	for (const struct key_word *word = words; word->word; word++)
		(void)printf("%s %s", word == words ? "" : ",", word->word);
	(void)puts(".\nElse:");
}

/* Under a heading that says it already, "not served" need not be said again. */
static const char *plain(const char *help)
{
	size_t n = strlen(KEY_NOT_SERVED);

	return strncmp(help, KEY_NOT_SERVED, n) == 0 ? help + n : help;
}

static void put_unserved(const char *heading, bool refused)
{
	(void)printf(".Ss %s\n.Bl -tag -width Ds\n", heading);
	for (size_t i = 0; i < keys_unserved_count; i++) {
		const struct key *key = &keys_unserved[i];
		bool refuses = key->class == KEY_REFUSED || key->class == KEY_ONLY;

		if (refuses != refused || !on_page(key->section))
			continue;
		(void)printf(".It [%s] Cm %s=\n", key->section, key->name);
		if (key->class == KEY_ONLY)
			put_words(key->words);
		put_text(plain(key->help));
	}
	(void)puts(".El");
}

static void put_keys(void)
{
	(void)puts(".Sh KEYS");
	for (size_t i = 0; i < key_sections_count; i++)
		put_section(&key_sections[i]);
	put_unserved("Keys without effect", false);
	put_unserved("Keys that are refused", true);
}

int main(int argc, char **argv)
{
	char line[1024];

	if (argc != 2)
		return 2;
	the_page = argv[1];
	while (fgets(line, sizeof line, stdin)) {
		if (strcmp(line, "@KEYS@\n") == 0)
			put_keys();
		else
			(void)fputs(line, stdout);
	}
	return ferror(stdin) || fflush(stdout) != 0 || ferror(stdout);
}
