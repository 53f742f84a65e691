/* The line syntax: what must end in the right value, and what in a clear error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/reader.h"
#include "supervisor/base/err.h"
#include "supervisor/base/str.h"

/* What the reader told, as "section.key=value@line|" and "!line:complaint|". */
struct heard {
	char text[4096];
	struct strbuf buf;
	size_t longest; /* value */
};

static int on_assign(void *user, const struct reader_line *line)
{
	struct heard *heard = user;
	size_t n = strlen(line->value);

	heard->longest = n > heard->longest ? n : heard->longest;
	strbuf_add(
		&heard->buf, "%s.%s=%.300s@%u|", line->section, line->key, line->value, line->line);
	return 0;
}

static int on_complain(void *user, unsigned line, const char *text)
{
	struct heard *heard = user;

	strbuf_add(&heard->buf, "!%u:%s|", line, text);
	return 0;
}

static void hear(const char *bytes, size_t n, struct heard *heard)
{
	struct reader_sink sink = { on_assign, on_complain, heard };
	char *text = malloc(n + 1);

	assert_non_null(text);
	memcpy(text, bytes, n);
	heard->longest = 0;
	heard->buf = STRBUF(heard->text);
	heard->text[0] = '\0';
	assert_int_equal(reader_text(text, n, &sink), 0);
	free(text);
}

static void test_lines(void **state)
{
	static const struct {
		const char *text;
		const char *heard;
	} rows[] = {
		{ "[A]\nk=v\n", "A.k=v@2|" },
		{ "[A]\nk=v", "A.k=v@2|" },
		{ "[A]\n  k  =  v w  \n", "A.k=v w@2|" },
		{ "[A]\nk=\n", "A.k=@2|" },
		/* What inih alone would cut or misread. */
		{ "[A]\nk=sh -c \"echo a ; echo b\" # no comment\n",
			"A.k=sh -c \"echo a ; echo b\" # no comment@2|" },
		{ "[A]\nk=a:b=c\n", "A.k=a:b=c@2|" },
		{ "[A]\nk=1\n  l=2\n", "A.k=1@2|A.l=2@3|" },
		{ "[A]\nk=;x\n", "A.k=;x@2|" },
		/* Comments and continuations. */
		{ "# x\n; y\n\n[A]\n  # z\nk=v\n", "A.k=v@6|" },
		{ "[A]\nk=a \\\n  b\\\nc\nl=d\n", "A.k=a  b c@2|A.l=d@5|" },
		{ "[A]\nk=a \\\n# not here\n  ; nor here\n b\nl=d\n", "A.k=a  b@2|A.l=d@6|" },
		{ "[A]\nk=a\\\n\nl=d\n", "A.k=a@2|A.l=d@4|" },
		{ "[A]\nk=a\\\\\nl=d\n", "A.k=a\\\\@2|A.l=d@3|" },
		{ "[A]\nk=a\\", "A.k=a@2|" },
		{ "[A]\n# x \\\nk=v\n", "A.k=v@3|" },
		/* Other systems' editors. */
		{ "[A]\r\nk=v\r\nl=a\\\r\nb\r\n", "A.k=v@2|A.l=a b@3|" },
		{ "\xef\xbb\xbf[A]\nk=v\n", "A.k=v@2|" },
		{ "[A]\nk=a\rb\nl=d\n", "!2:a carriage return inside this line: end lines with a "
					"newline|A.l=d@3|" },
		{ "[A]\nk=gr\xc3\xbc\xc3\x9f\n", "A.k=gr\xc3\xbc\xc3\x9f@2|" },
		{ "[A]\nk=gr\xfc\xdf\nl=d\n", "!2:this line is not UTF-8|A.l=d@3|" },
		{ "[A]\nk=\xed\xa0\x80\n", "!2:this line is not UTF-8|" },
		{ "[A]\n# gr\xfc\xdf\nk=v\n", "A.k=v@3|" },
		/* What is no line. */
		{ "k=v\n[A]\nk=v\n", "!1:an assignment before any [Section] header|A.k=v@3|" },
		{ "[A\nk=v\n", "!1:a section header must end with \"]\"|" },
		{ "[]\n", "!1:a section name is 1 to 48 letters, digits, \"-\" and \"_\"|" },
		{ "[A] x]\n", "!1:a section name is 1 to 48 letters, digits, \"-\" and \"_\"|" },
		{ "[A]\nhello\n",
			"!2:neither a [Section] nor KEY=VALUE; a comment begins with # or ;|" },
		{ "[A]\n=v\n", "!2:the key before \"=\" must be 1 to 64 letters, digits, \"-\" and "
			       "\"_\"|" },
		{ "[A]\na b=v\n", "!2:the key before \"=\" must be 1 to 64 letters, digits, \"-\" "
				  "and \"_\"|" },
		{ "", "" },
		{ "\n\n", "" },
	};
	struct heard heard = { .longest = 0 };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		hear(rows[i].text, strlen(rows[i].text), &heard);
		assert_string_equal(heard.text, rows[i].heard);
	}
}

static void test_nul(void **state)
{
	static const char text[] = "[A]\nk=a\0b\nl=d\n# x\0\nm=e\n";
	struct heard heard = { .longest = 0 };

	(void)state;
	hear(text, sizeof text - 1, &heard);
	assert_string_equal(heard.text,
		"!2:a NUL byte in this line: is this a text file?|A.l=d@3|"
		"!4:a NUL byte in this line: is this a text file?|A.m=e@5|");
}

static void test_utf16(void **state)
{
	static const char little[] = "\xff\xfe[\0A\0]\0\n\0k\0=\0v\0\n";
	static const char big[] = "\xfe\xff\0[\0A\0]\0\n\0k\0=\0v\0\n";
	struct heard heard = { .longest = 0 };

	(void)state;
	hear(little, sizeof little, &heard);
	assert_string_equal(heard.text, "!1:this file is in UTF-16: save it as UTF-8|");
	hear(big, sizeof big - 1, &heard);
	assert_string_equal(heard.text, "!1:this file is in UTF-16: save it as UTF-8|");
}

static void test_long_lines(void **state)
{
	static const size_t sizes[] = { 199, 200, 201, 5000, READER_LINE_MAX - 2,
		READER_LINE_MAX - 1, READER_LINE_MAX + 10 };
	char *text = malloc(READER_LINE_MAX + 100);
	struct heard heard = { .longest = 0 };

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t n = (size_t)sprintf(text, "[A]\nk=");

		memset(text + n, 'x', sizes[i]);
		n += sizes[i];
		n += (size_t)sprintf(text + n, "\nl=d\n");
		hear(text, n, &heard);
		if (sizes[i] + 2 <= READER_LINE_MAX)
			assert_int_equal(heard.longest, sizes[i]);
		else
			assert_string_equal(
				heard.text, "!2:this line is longer than 1 MiB|A.l=d@3|");
	}
	free(text);
}

static void test_long_names(void **state)
{
	char text[400];
	struct heard heard = { .longest = 0 };

	(void)state;
	(void)snprintf(text, sizeof text, "[%048d]\n%064d=v\n", 0, 0);
	hear(text, strlen(text), &heard);
	assert_int_equal(strlen(heard.text), 48 + 1 + 64 + strlen("=v@2|"));
	(void)snprintf(text, sizeof text, "[%049d]\nk=v\n", 0);
	hear(text, strlen(text), &heard);
	assert_string_equal(
		heard.text, "!1:a section name is 1 to 48 letters, digits, \"-\" and \"_\"|");
}

static int refuse(void *user, const struct reader_line *line)
{
	(void)user;
	(void)line;
	return -ENOMEM;
}

static void test_a_callback_ends_it(void **state)
{
	struct reader_sink sink = { refuse, on_complain, NULL };
	char text[] = "[A]\nk=v\nl=w\n";

	(void)state;
	assert_int_equal(reader_text(text, strlen(text), &sink), -ENOMEM);
}

static void test_not_a_file(void **state)
{
	char dir[] = "/tmp/berth-test-XXXXXX";
	char path[64];
	struct heard heard = { .longest = 0 };
	struct reader_sink sink = { on_assign, on_complain, &heard };
	struct err err = { 0 };
	bool empty = false;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(reader_file(dir, &sink, &empty, &err), -EISDIR);
	assert_string_equal(err.text, "this is a directory, not a file: move it away");
	(void)snprintf(path, sizeof path, "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(reader_file(path, &sink, &empty, &err), -EINVAL);
	assert_string_equal(err.text, "this is a FIFO, not a file: move it away");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(reader_file(path, &sink, &empty, &err), -ENOENT);
	assert_int_equal(reader_file("/dev/null", &sink, &empty, &err), 0);
	assert_true(empty);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_utf16),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_a_callback_ends_it),
		cmocka_unit_test(test_not_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
