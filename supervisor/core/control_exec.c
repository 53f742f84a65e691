/* Commands in containers: a session for each call of Exec. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "supervisor/base/arena.h"
#include "supervisor/base/signals.h"
#include "supervisor/base/str.h"
#include "supervisor/core/control_call.h"

enum { ARGS_MAX = 4096 };

struct session {
	struct session *next;
	struct control *control;
	struct varlink_call *call;
	struct exec *exec;
	uint64_t id;
	struct arena arena;
	struct process_spec process;
};

static void session_free(struct session *s)
{
	for (struct session **at = &s->control->sessions; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	arena_done(&s->arena);
	free(s);
}

static void session_gone(struct varlink_call *call, void *data)
{
	struct session *s = data;

	(void)call;
	exec_forget(s->exec, true);
	session_free(s);
}

static int exit_code_of_failure(const struct exec_news *news)
{
	if (news->stage != STAGE_EXEC)
		return 125;
	return news->err && news->err->code == ENOENT ? 127 : 126;
}

static json_t *status_json(int status)
{
	if (WIFSIGNALED(status))
		return json_pack("{s:s}", "signal", signal_name(WTERMSIG(status)));
	return json_pack("{s:i}", "code", WEXITSTATUS(status));
}

static void session_news(struct exec *exec, const struct exec_news *news, void *data)
{
	struct session *s = data;
	struct varlink_call *call = s->call;

	(void)exec;
	switch (news->event) {
	case EXEC_STARTED:
		varlink_stream(call,
			json_pack("{s:I,s:i}", "id", (json_int_t)s->id, "pid", (int)news->pid),
			news->fd);
		break;
	case EXEC_FAILED:
		session_free(s);
		varlink_error(call, CONTROL_INTERFACE ".ExecFailed",
			json_pack("{s:s,s:i}", "message", news->err ? news->err->text : "",
				"exit_code", exit_code_of_failure(news)));
		break;
	case EXEC_EXITED:
		session_free(s);
		varlink_reply(call, status_json(news->status));
		break;
	}
}

/* Texts of an array into a list; -EINVAL when it is none. Absent is empty. */
static int list_of(const json_t *array, struct arena *arena, struct strv *ret)
{
	size_t n = json_array_size(array);

	if ((array && !json_is_array(array)) || n > ARGS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(array, i));
		char *copy = text ? arena_strdup(arena, text) : NULL;

		if (!copy || strv_add(ret, arena, copy) < 0)
			return -EINVAL;
	}
	return 0;
}

/* The container's environment with `extra` in front of what it replaces. */
static int environment(struct session *s, const struct strv *own, const json_t *extra)
{
	struct strv env = { 0 };
	int r = list_of(extra, &s->arena, &env);
	size_t n = env.n;

	for (size_t i = 0; i < own->n && r == 0; i++) {
		size_t key = strcspn(own->v[i], "=") + 1;
		bool replaced = false;

		for (size_t j = 0; j < n; j++)
			replaced |= strncmp(env.v[j], own->v[i], key) == 0;
		if (!replaced)
			r = strv_add(&env, &s->arena, own->v[i]);
	}
	s->process.env = env;
	return r;
}

/* "www", "33:33": into user and group. */
static int user(struct session *s, const char *text)
{
	char *copy = arena_strdup(&s->arena, text);
	char *colon = copy ? strchr(copy, ':') : NULL;

	if (!copy)
		return -ENOMEM;
	s->process.user = copy;
	s->process.group = NULL;
	s->process.groups = (struct strv){ 0 };
	if (colon) {
		*colon = '\0';
		s->process.group = colon + 1;
	}
	return *copy ? 0 : -EINVAL;
}

/* What is to run: the container's own process, with what the caller changes. Gives the name of a
 * parameter that is wrong, or NULL. */
static const char *process_of(
	struct session *s, const struct process_spec *own, const json_t *parameters)
{
	const char *cwd = control_text(parameters, "cwd");
	const char *name = control_text(parameters, "user");

	s->process = *own;
	s->process.argv = (struct strv){ 0 };
	s->process.tty_path = NULL;
	s->process.tty = json_is_true(json_object_get(parameters, "tty"));
	if (list_of(json_object_get(parameters, "argv"), &s->arena, &s->process.argv) < 0 ||
		!s->process.argv.n)
		return "argv";
	if (environment(s, &own->env, json_object_get(parameters, "env")) < 0)
		return "env";
	if (name && user(s, name) < 0)
		return "user";
	if (cwd && *cwd != '/')
		return "cwd";
	if (cwd)
		s->process.cwd = arena_strdup(&s->arena, cwd);
	return cwd && !s->process.cwd ? "cwd" : NULL;
}

static void session_start(struct session *s, struct service *service)
{
	struct varlink_call *call = s->call;
	const int *fds;
	size_t n = varlink_fds(call, &fds);
	bool stdio = !s->process.tty && n == 3;
	struct err err = { 0 };
	int r = service_exec(service, &s->process, stdio ? fds[0] : -1, stdio ? fds[1] : -1,
		stdio ? fds[2] : -1, session_news, s, &s->exec, &err);

	if (r < 0) {
		session_free(s);
		if (r == -ESRCH)
			varlink_error(call, CONTROL_INTERFACE ".NotRunning",
				json_pack("{s:s,s:s}", "name", service_unit(service)->stem,
					"message", err.text));
		else
			control_failed(call, &err);
	} else {
		varlink_on_gone(call, session_gone, s);
	}
}

void control_exec(struct varlink_call *call, const json_t *parameters, void *data)
{
	struct control *control = data;
	struct service *service = control_named(control, call, control_text(parameters, "name"));
	const char *wrong;
	struct session *s;

	if (!service)
		return;
	if (!service_unit(service)->spec) {
		varlink_bad_parameter(call, "name");
		return;
	}
	s = calloc(1, sizeof *s);
	if (!s) {
		control_failed(call, &(struct err){ .code = ENOMEM, .text = "out of memory" });
		return;
	}
	s->control = control;
	s->call = call;
	s->id = ++control->next_id;
	s->next = control->sessions;
	control->sessions = s;
	wrong = process_of(s, &service_unit(service)->spec->process, parameters);
	if (wrong) {
		session_free(s);
		varlink_bad_parameter(call, wrong);
		return;
	}
	session_start(s, service);
}

void control_exec_signal(struct varlink_call *call, const json_t *parameters, void *data)
{
	struct control *control = data;
	uint64_t id = (uint64_t)json_integer_value(json_object_get(parameters, "id"));
	json_int_t signal = json_integer_value(json_object_get(parameters, "signal"));

	for (struct session *s = control->sessions; s; s = s->next) {
		if (s->id != id)
			continue;
		if (signal < 1 || signal > 64)
			varlink_bad_parameter(call, "signal");
		else if (exec_signal(s->exec, (int)signal) < 0)
			varlink_bad_parameter(call, "id");
		else
			varlink_reply(call, NULL);
		return;
	}
	varlink_bad_parameter(call, "id");
}
