/* `berth logs`: the files of the log writer; without a name, berth's own last messages. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "config/types.h"
#include "supervisor/base/clock.h"
#include "supervisor/base/num.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/show.h"
#include "supervisor/core/logfile.h"

enum { FOLLOW_LINES = 100 };

struct logs {
	bool follow, times, json;
	bool tty[2]; /* stdout, stderr */
	uint64_t lines;
	const char *since; /* as the records have it; NULL: from the beginning */
};

/* On a terminal only colours pass: a container must not move its reader's cursor or title. */
static void put_safe(FILE *to, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		size_t end = i + 2;

		if (c == 0x1b && i + 1 < n && text[i + 1] == '[') {
			while (end < n && (strchr("0123456789;", text[end]) && text[end]))
				end++;
			if (end < n && text[end] == 'm') {
				(void)fwrite(text + i, 1, end - i + 1, to);
				i = end;
				continue;
			}
		}
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			(void)fprintf(to, "^%c", c ^ 0x40);
		else
			(void)fputc(c, to);
	}
}

static void put_json(const struct log_record *record)
{
	json_t *o = json_pack("{s:s#,s:s,s:b}", "time", record->time, LOG_TIME_SIZE, "stream",
		record->is_stderr ? "stderr" : "stdout", "partial", (int)record->partial);
	json_t *text = json_stringn(record->text, record->n);

	(void)json_object_set_new(o, "text", text ? text : json_string(""));
	(void)json_dumpf(o, stdout, JSON_COMPACT);
	(void)fputc('\n', stdout);
	json_decref(o);
}

static int put(const struct log_record *record, void *data)
{
	const struct logs *logs = data;
	FILE *to = record->is_stderr ? stderr : stdout;

	if (logs->json) {
		put_json(record);
	} else {
		if (logs->times)
			(void)fprintf(to, "%.*s ", LOG_TIME_SIZE, record->time);
		if (logs->tty[record->is_stderr])
			put_safe(to, record->text, record->n);
		else
			(void)fwrite(record->text, 1, record->n, to);
		if (!record->partial)
			(void)fputc('\n', to);
	}
	if (logs->follow)
		(void)fflush(stdout);
	return ferror(stdout) ? 1 : 0;
}

/* berth's own ring. */
static int own(const struct logs *logs)
{
	struct client client = CLIENT_NONE;
	struct err err = { 0 };
	json_t *answer = NULL;
	const char *text;
	uint64_t n = 0;

	if (logs->follow || logs->since)
		return cmd_usage(
			"logs", "%s needs the name of a unit", logs->follow ? "-f" : "--since");
	if (client_open(&client, &err) < 0 || client_call(&client, "Log", NULL, &answer, &err) < 0)
		return client_fail(&client, &err);
	text = show_text(answer, "text");
	for (const char *p = text + strlen(text); p > text; p--)
		if (p[-1] == '\n' && n++ == logs->lines) {
			text = p;
			break;
		}
	(void)fputs(text, stdout);
	return CMD_OK;
}

/* The directory is named by ContainerName=; the user may have said "web.container". */
static const char *log_name(const char *name)
{
	struct client client = CLIENT_NONE;
	json_t *answer = NULL;
	struct err err;

	if (client_open(&client, &err) == 0 &&
		client_call(&client, "Inspect", json_pack("{s:s}", "name", name), &answer, &err) ==
			0)
		name = show_text(json_object_get(answer, "unit"), "name");
	client_close(&client);
	return name;
}

/* Nothing was written: is that because there is no such unit? */
static int nothing(const char *name)
{
	struct client client = CLIENT_NONE;
	struct err err = { 0 };

	if (client_open(&client, &err) < 0)
		return cmd_fail(CMD_NO_UNIT, "%s: there is no log in %s", name, client_log_dir());
	if (client_call(&client, "Inspect", json_pack("{s:s}", "name", name), NULL, &err) < 0)
		return client_fail(&client, &err);
	return CMD_OK;
}

static int one(struct logs *logs, const char *name)
{
	struct logfile_place place = { 0 };
	struct err err = { 0 };
	int r;

	name = log_name(name);
	r = logfile_tail(client_log_dir(), name, logs->lines, logs->since, put, logs, &place, &err);
	if (r == -ENOENT || r == -EINVAL) {
		r = nothing(name);
		if (r || !logs->follow)
			return r;
	} else if (r < 0) {
		return cmd_fail(CMD_FAILED, "%s", err.text);
	}
	if (r > 0 || !logs->follow)
		return CMD_OK;
	(void)fflush(stdout);
	r = logfile_follow(client_log_dir(), name, &place, put, logs, &err);
	return r < 0 ? cmd_fail(CMD_FAILED, "%s", err.text) : CMD_OK;
}

/* "10min": so long ago. "2026-11-22", "2026-11-22T10:20", …: UTC, what is left out is zero. */
static const char *parse_since(const char *text)
{
	static char since[LOG_TIME_SIZE + 1] = "0000-01-01T00:00:00.000000000Z";
	static const char digits[] = "0000-00-00T00:00:00.000000000Z";
	uint64_t span;
	size_t n = strlen(text);

	if (value_time(text, &span, NULL) >= 0) {
		uint64_t now = clock_realtime();

		memcpy(since, clock_rfc3339(span < now ? now - span : 0).text, LOG_TIME_SIZE);
		return since;
	}
	n -= n && text[n - 1] == 'Z';
	if (n < strlen("2026-11-22") || n >= LOG_TIME_SIZE)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		bool is_digit = text[i] >= '0' && text[i] <= '9';

		if (digits[i] == '0' ? !is_digit
				     : text[i] != digits[i] && (i != 10 || text[i] != ' '))
			return NULL;
		since[i] = digits[i] == '0' ? text[i] : digits[i];
	}
	return since;
}

int cmd_logs(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "follow", no_argument, NULL, 'f' }, { "tail", required_argument, NULL, 'n' },
		{ "lines", required_argument, NULL, 'n' }, { "timestamps", no_argument, NULL, 't' },
		{ "since", required_argument, NULL, 'S' }, { "json", no_argument, NULL, 'j' },
		{ 0 } };
	struct logs logs = { .lines = LOGFILE_ALL };
	bool given = false;
	int code = CMD_OK;
	int c;

	while ((c = getopt_long(argc, argv, "fn:t", options, NULL)) != -1) {
		if (c == 'f') {
			logs.follow = true;
		} else if (c == 't') {
			logs.times = true;
		} else if (c == 'j') {
			logs.json = true;
		} else if (c == 'n') {
			given = true;
			if (strcmp(optarg, "all") != 0 && num_u64(optarg, &logs.lines) < 0)
				return cmd_usage("logs", "'%s' is no number of lines", optarg);
		} else if (c == 'S') {
			logs.since = parse_since(optarg);
			if (!logs.since)
				return cmd_usage("logs",
					"--since '%s': use a time like 2026-11-22T10:20 (UTC), or "
					"10min",
					optarg);
		} else if (cmd_global(c, "logs")) {
			return CMD_USAGE;
		}
	}
	if (logs.follow && !given && !logs.since)
		logs.lines = FOLLOW_LINES;
	logs.tty[0] = isatty(STDOUT_FILENO) != 0;
	logs.tty[1] = isatty(STDERR_FILENO) != 0;
	if (optind == argc)
		return own(&logs);
	if (logs.follow && optind + 1 < argc)
		return cmd_usage("logs", "-f takes one name");
	for (; optind < argc && code == CMD_OK; optind++)
		code = one(&logs, argv[optind]);
	return code;
}
