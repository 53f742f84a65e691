#include "supervisor/cmd/progress.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/str.h"
#include "supervisor/cmd/show.h"

enum { WIDTH = 80, BAR_MIN = 10, BAR_MAX = 40 };

/* How long nothing is said at first, and between two lines. */
static const struct {
	uint64_t first, next;
} pace[] = {
	[PROGRESS_LINES] = { NSEC_PER_SEC, 5 * NSEC_PER_SEC },
	[PROGRESS_BAR] = { 300 * NSEC_PER_MSEC, 100 * NSEC_PER_MSEC },
	[PROGRESS_JSON] = { NSEC_PER_SEC / 2, NSEC_PER_SEC / 2 },
};

/* What a job says may come from an image or a server. */
static struct show_buf printable(const char *text)
{
	struct show_buf ret = { "" };
	size_t n = 0;

	for (; text[n] && n + 1 < sizeof ret.text; n++)
		ret.text[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
	ret.text[n] = '\0';
	return ret;
}

/* "187M/420M, layer 2 of 3, 4s left" */
static void details(
	struct strbuf *buf, const struct progress *p, const struct work_step *step, uint64_t now)
{
	uint64_t spent = now - p->begun;

	strbuf_add(buf, "%s", show_bytes(step->done).text);
	if (step->total)
		strbuf_add(buf, "/%s", show_bytes(step->total).text);
	if (*step->what)
		strbuf_add(buf, ", %s", printable(step->what).text);
	if (step->done && step->total > step->done && spent > NSEC_PER_SEC) {
		double left = (double)spent / (double)step->done *
			      (double)(step->total - step->done) / (double)NSEC_PER_SEC;

		if (left < 1e6)
			strbuf_add(buf, ", %s left",
				clock_span((uint64_t)(left + 1) * NSEC_PER_SEC).text);
	}
}

static unsigned percent_of(const struct work_step *step)
{
	double share = step->total ? (double)step->done / (double)step->total : 0;

	return share > 1 ? 100 : (unsigned)(share * 100);
}

static size_t terminal_width(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : WIDTH;
}

/* "TITLE [######......]  42% DETAILS", cut at the terminal's edge. */
static void draw(const struct progress *p, const struct work_step *step, uint64_t now)
{
	size_t width = terminal_width();
	unsigned percent = percent_of(step);
	char detail[300] = "";
	char line[600] = "";
	struct strbuf detail_buf = STRBUF(detail);
	struct strbuf buf = STRBUF(line);
	size_t taken, bar;

	details(&detail_buf, p, step, now);
	strbuf_add(&buf, "%s ", printable(p->title).text);
	taken = buf.used + detail_buf.used + strlen("[] 100% ") + 1;
	bar = width > taken ? width - taken : 0;
	if (bar > BAR_MAX)
		bar = BAR_MAX;
	if (step->total && bar >= BAR_MIN) {
		size_t full = bar * percent / 100;

		strbuf_add(&buf, "[");
		for (size_t i = 0; i < bar; i++)
			strbuf_add(&buf, "%c", i < full ? '#' : '.');
		strbuf_add(&buf, "] ");
	}
	if (step->total)
		strbuf_add(&buf, "%3u%% ", percent);
	strbuf_add(&buf, "%s", detail);
	(void)fprintf(stderr, "\r\033[K%.*s", (int)(width > 1 ? width - 1 : 1), line);
	(void)fflush(stderr);
}

static void line_print(const struct progress *p, const struct work_step *step, uint64_t now)
{
	char detail[300] = "";
	struct strbuf buf = STRBUF(detail);

	if (step->total)
		strbuf_add(&buf, "%u%%, ", percent_of(step));
	details(&buf, p, step, now);
	(void)fprintf(stderr, "berth: %s: %s\n", printable(p->title).text, detail);
}

static void json_print(const struct progress *p, const struct work_step *step)
{
	json_t *line = json_pack("{s:{s:s,s:I,s:I,s:s}}", "progress", "title",
		printable(p->title).text, "done", (json_int_t)step->done, "total",
		(json_int_t)step->total, "what", printable(step->what).text);

	(void)json_dumpf(line, stdout, JSON_COMPACT);
	(void)putchar('\n');
	(void)fflush(stdout);
	json_decref(line);
}

void progress_begin(struct progress *p, const char *title, bool json)
{
	const char *term = getenv("TERM");
	bool terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;

	*p = (struct progress){ .title = title, .begun = clock_monotonic() };
	p->form = json ? PROGRESS_JSON : terminal ? PROGRESS_BAR : PROGRESS_LINES;
}

void progress_step(void *progress, const struct work_step *step)
{
	struct progress *p = progress;
	uint64_t now = clock_monotonic();

	if (now < p->begun + pace[p->form].first || (p->said && now < p->said + pace[p->form].next))
		return;
	p->said = now;
	switch (p->form) {
	case PROGRESS_LINES:
		line_print(p, step, now);
		break;
	case PROGRESS_BAR:
		draw(p, step, now);
		p->shown = true;
		break;
	case PROGRESS_JSON:
		json_print(p, step);
		break;
	}
}

void progress_end(struct progress *p)
{
	if (p->shown)
		(void)fprintf(stderr, "\r\033[K");
	(void)fflush(stderr);
	p->shown = false;
}
