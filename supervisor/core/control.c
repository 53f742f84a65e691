#include "supervisor/core/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/log.h"
#include "supervisor/base/own.h"
#include "supervisor/core/control_call.h"
#include "supervisor/core/control_json.h"
#include "supervisor/core/state.h"

/* The interface's text as it stands in the tree, put here by the assembler. */
__asm__(".pushsection .rodata\n"
	"berth_interface_text:\n"
	".incbin \"supervisor/core/org.berth.Supervisor.varlink\"\n"
	".byte 0\n"
	".popsection\n");
extern const char berth_interface_text[];

enum { NAMES_MAX = 1024 };

/* ---- parameters ------------------------------------------------------------------------------ */

static void no_such_unit(struct varlink_call *call, const char *name)
{
	varlink_error(call, CONTROL_INTERFACE ".NoSuchUnit", json_pack("{s:s}", "name", name));
}

void control_failed(struct varlink_call *call, const struct err *err)
{
	varlink_error(call, CONTROL_INTERFACE ".Failed", json_pack("{s:s}", "message", err->text));
}

struct service *control_named(struct control *control, struct varlink_call *call, const char *name)
{
	struct service *service;

	if (!name) {
		varlink_bad_parameter(call, "name");
		return NULL;
	}
	service = service_find(control->sv, name);
	if (!service)
		no_such_unit(call, name);
	return service;
}

const char *control_text(const json_t *parameters, const char *key)
{
	return json_string_value(json_object_get(parameters, key));
}

/* A list of services for Start, Stop, Restart and Wait; NULL after answering. */
static struct service **names_of(
	struct control *control, struct varlink_call *call, const json_t *parameters, size_t *ret_n)
{
	const json_t *names = json_object_get(parameters, "names");
	size_t n = json_array_size(names);
	struct service **list;

	if (!json_is_array(names) || n > NAMES_MAX) {
		varlink_bad_parameter(call, "names");
		return NULL;
	}
	list = calloc(n + 1, sizeof(struct service *));
	if (!list) {
		varlink_bad_parameter(call, "names");
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		list[i] = control_named(control, call, json_string_value(json_array_get(names, i)));
		if (!list[i]) {
			free(list);
			return NULL;
		}
	}
	*ret_n = n;
	return list;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void add_notes(json_t *array, const char *notes)
{
	while (notes && *notes) {
		size_t n = strcspn(notes, "\n");

		if (n)
			(void)json_array_append_new(array, json_stringn(notes, n));
		notes += n + (notes[n] == '\n');
	}
}

static void method_get_status(struct varlink_call *call, const json_t *parameters, void *data)
{
	static const char *const kinds[] = {
		[SHUTDOWN_LEAVE] = "leave",
		[SHUTDOWN_RELOAD] = "reload",
		[SHUTDOWN_STOP] = "stop",
		[SHUTDOWN_POWEROFF] = "poweroff",
		[SHUTDOWN_REBOOT] = "reboot",
		[SHUTDOWN_HALT] = "halt",
	};
	struct control *control = data;
	const struct supervisor_conf *conf = &supervisor_set(control->sv)->conf;
	const struct container_env *env = supervisor_env(control->sv);
	enum shutdown_kind kind = supervisor_shutting_down(control->sv);
	json_t *notes = json_array();
	json_t *o;

	(void)parameters;
	add_notes(notes, supervisor_notes(control->sv));
	o = json_pack("{s:i,s:s,s:s,s:s,s:s,s:o}", "pid", (int)getpid(), "version", BERTH_VERSION,
		"state_dir", conf->state_dir, "run_dir", conf->run_dir, "log_dir", conf->log_dir,
		"notes", notes);
	if (env->tree && env->tree->fd >= 0)
		(void)json_object_set_new(o, "cgroup", json_string(env->tree->path));
	if (kind != SHUTDOWN_NONE)
		(void)json_object_set_new(o, "shutting_down", json_string(kinds[kind]));
	varlink_reply(call, o);
}

static void method_list(struct varlink_call *call, const json_t *parameters, void *data)
{
	struct control *control = data;
	json_t *units = json_array();

	(void)parameters;
	for (size_t i = 0; i < service_count(control->sv); i++)
		(void)json_array_append_new(
			units, control_unit_json(service_at(control->sv, i), false));
	varlink_reply(call, json_pack("{s:o}", "units", units));
}

static void method_inspect(struct varlink_call *call, const json_t *parameters, void *data)
{
	struct service *service = control_named(data, call, control_text(parameters, "name"));

	if (service)
		varlink_reply(call, json_pack("{s:o}", "unit", control_unit_json(service, true)));
}

static void method_log(struct varlink_call *call, const json_t *parameters, void *data)
{
	own_mem char *text = malloc(LOG_RING_SIZE + 1);
	size_t n = text ? log_ring(text, LOG_RING_SIZE + 1) : 0;
	json_t *json = json_stringn(text ? text : "", n);

	(void)parameters;
	(void)data;
	for (size_t i = 0; !json && i < n; i++) /* a message cut within a letter is no UTF-8 */
		if ((unsigned char)text[i] >= 0x80)
			text[i] = '?';
	if (!json)
		json = json_stringn(text ? text : "", n);
	varlink_reply(call, json_pack("{s:o}", "text", json));
}

/* ---- changing -------------------------------------------------------------------------------- */

/* A call that waits for services: what was asked of each, and the watch that looks again. */
struct waiting {
	struct control *control;
	struct varlink_call *call;
	struct service_watch watch;
	struct service **services;
	struct service_ticket *tickets; /* NULL: Wait */
	size_t n;
	bool healthy;
};

static void waiting_free(struct waiting *w)
{
	service_watch_remove(w->control->sv, &w->watch);
	free(w->services);
	free(w->tickets);
	free(w);
}

static void waiting_gone(struct varlink_call *call, void *data)
{
	(void)call;
	waiting_free(data);
}

static json_t *results_json(const struct waiting *w)
{
	static const char *const outcomes[] = {
		[OUTCOME_PENDING] = "pending",
		[OUTCOME_DONE] = "done",
		[OUTCOME_FAILED] = "failed",
		[OUTCOME_OVERTAKEN] = "overtaken",
	};
	json_t *array = json_array();

	for (size_t i = 0; i < w->n; i++) {
		const struct unit *unit = service_unit(w->services[i]);
		struct service_info info = { 0 };
		json_t *o;

		service_info(w->services[i], &info);
		o = json_pack("{s:s,s:s,s:s}", "name", unit->spec ? unit->spec->name : unit->stem,
			"outcome", outcomes[service_outcome(w->services[i], &w->tickets[i])],
			"state", service_state_name(info.state));
		if (info.failure[0])
			(void)json_object_set_new(o, "failure", json_string(info.failure));
		(void)json_array_append_new(array, o);
	}
	return json_pack("{s:o}", "results", array);
}

static bool requests_settled(const struct waiting *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (service_outcome(w->services[i], &w->tickets[i]) == OUTCOME_PENDING)
			return false;
	return true;
}

static void requests_look(struct service *service, void *data)
{
	struct waiting *w = data;
	struct varlink_call *call = w->call;
	json_t *results;

	(void)service;
	if (!requests_settled(w))
		return;
	results = results_json(w);
	waiting_free(w);
	varlink_reply(call, results);
}

static struct waiting *waiting_new(
	struct control *control, struct varlink_call *call, const json_t *parameters)
{
	struct waiting *w = calloc(1, sizeof *w);

	if (!w) {
		varlink_bad_parameter(call, "names");
		return NULL;
	}
	*w = (struct waiting){ .control = control, .call = call };
	w->services = names_of(control, call, parameters, &w->n);
	if (!w->services) {
		free(w);
		return NULL;
	}
	w->watch.data = w;
	return w;
}

static void ask(struct control *control, struct varlink_call *call, const json_t *parameters,
	enum service_request request)
{
	struct waiting *w = waiting_new(control, call, parameters);
	struct err err = { 0 };

	if (!w)
		return;
	w->tickets = calloc(w->n + 1, sizeof *w->tickets);
	for (size_t i = 0; w->tickets && i < w->n; i++)
		if (service_request(w->services[i], request, &w->tickets[i], &err) < 0)
			break;
	if (!w->tickets)
		(void)err_sys(&err, ENOMEM, "ask for %zu units", w->n);
	service_watch_add(control->sv, &w->watch);
	if (err.code) {
		waiting_free(w);
		control_failed(call, &err);
	} else if (json_is_true(json_object_get(parameters, "no_block")) || requests_settled(w)) {
		json_t *results = results_json(w);

		waiting_free(w);
		varlink_reply(call, results);
	} else {
		w->watch.fn = requests_look;
		varlink_on_gone(call, waiting_gone, w);
	}
}

static void method_start(struct varlink_call *call, const json_t *parameters, void *data)
{
	ask(data, call, parameters, REQUEST_START);
}

static void method_stop(struct varlink_call *call, const json_t *parameters, void *data)
{
	ask(data, call, parameters, REQUEST_STOP);
}

static void method_restart(struct varlink_call *call, const json_t *parameters, void *data)
{
	ask(data, call, parameters, REQUEST_RESTART);
}

static void method_kill(struct varlink_call *call, const json_t *parameters, void *data)
{
	struct service *service = control_named(data, call, control_text(parameters, "name"));
	json_int_t signal = json_integer_value(json_object_get(parameters, "signal"));
	struct err err = { 0 };
	int r;

	if (!service)
		return;
	if (signal < 1 || signal > 64) {
		varlink_bad_parameter(call, "signal");
		return;
	}
	r = service_signal(service, (int)signal, &err);
	if (r == -ESRCH)
		varlink_error(call, CONTROL_INTERFACE ".NotRunning",
			json_pack("{s:s,s:s}", "name", service_unit(service)->stem, "message",
				err.text));
	else if (r < 0)
		control_failed(call, &err);
	else
		varlink_reply(call, NULL);
}

static json_t *texts_json(const struct strv *texts)
{
	json_t *array = json_array();

	for (size_t i = 0; i < texts->n; i++)
		(void)json_array_append_new(array, json_string(texts->v[i]));
	return array;
}

static void reload_told(
	struct supervisor *sv, const struct reload_plan *plan, const struct err *err, void *data)
{
	struct varlink_call *call = data;

	(void)sv;
	if (err)
		control_failed(call, err);
	else
		varlink_reply(call,
			json_pack("{s:o,s:o,s:o,s:o}", "added", texts_json(&plan->added), "removed",
				texts_json(&plan->removed), "changed", texts_json(&plan->changed),
				"updated", texts_json(&plan->updated)));
}

static void reload_gone(struct varlink_call *call, void *data)
{
	struct control *control = data;

	(void)call;
	supervisor_reload_forget(control->sv);
}

static void method_reload(struct varlink_call *call, const json_t *parameters, void *data)
{
	struct control *control = data;
	struct err err = { 0 };

	(void)parameters;
	if (supervisor_reload(control->sv, reload_told, call, &err) < 0)
		control_failed(call, &err);
	else
		varlink_on_gone(call, reload_gone, control);
}

/* ---- waiting --------------------------------------------------------------------------------- */

enum reached { REACHED_NO, REACHED_YES, REACHED_NEVER };

/* What each state means for who waits for `ready`, and for who waits for the end. A unit that will
 * be tried again (backoff) is neither ended nor hopeless. */
static const struct {
	enum reached ready, end;
} reached_table[SERVICE_STATE_COUNT] = {
	[SERVICE_INACTIVE] = { REACHED_NEVER, REACHED_YES },
	[SERVICE_WAITING] = { REACHED_NO, REACHED_NO },
	[SERVICE_STARTING] = { REACHED_NO, REACHED_NO },
	[SERVICE_RUNNING] = { REACHED_NO, REACHED_NO },
	[SERVICE_READY] = { REACHED_YES, REACHED_NO },
	[SERVICE_STOPPING] = { REACHED_NO, REACHED_NO },
	[SERVICE_KILLING] = { REACHED_NO, REACHED_NO },
	[SERVICE_DRAINING] = { REACHED_NO, REACHED_NO },
	[SERVICE_BACKOFF] = { REACHED_NO, REACHED_NO },
	[SERVICE_DONE] = { REACHED_YES, REACHED_YES },
	[SERVICE_FAILED] = { REACHED_NEVER, REACHED_YES },
	[SERVICE_UNKILLABLE] = { REACHED_NEVER, REACHED_NO },
	[SERVICE_HELD] = { REACHED_YES, REACHED_YES },
	[SERVICE_EXTERNAL] = { REACHED_YES, REACHED_NO },
};

static enum reached service_reached(const struct service *service, bool healthy)
{
	struct service_info info = { 0 };

	service_info(service, &info);
	if (!healthy)
		return reached_table[info.state].end;
	if (info.state == SERVICE_READY && info.health != HEALTH_NONE)
		return info.health == HEALTH_HEALTHY ? REACHED_YES : REACHED_NO;
	return reached_table[info.state].ready;
}

static void wait_look(struct service *service, void *data)
{
	struct waiting *w = data;
	struct varlink_call *call = w->call;
	bool reached = true;
	json_t *units;

	(void)service;
	for (size_t i = 0; i < w->n; i++) {
		enum reached one = service_reached(w->services[i], w->healthy);

		if (one == REACHED_NO)
			return;
		if (one == REACHED_NEVER)
			reached = false;
	}
	units = json_array();
	for (size_t i = 0; i < w->n; i++)
		(void)json_array_append_new(units, control_unit_json(w->services[i], false));
	waiting_free(w);
	varlink_reply(call, json_pack("{s:o,s:b}", "units", units, "reached", reached));
}

/* No names: all that are wanted. */
static int wait_for_all(struct waiting *w)
{
	size_t n = service_count(w->control->sv);
	struct service **all = calloc(n + 1, sizeof(struct service *));

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct service *service = service_at(w->control->sv, i);
		struct service_info info = { 0 };

		service_info(service, &info);
		if (info.wanted)
			all[w->n++] = service;
	}
	free(w->services);
	w->services = all;
	return 0;
}

static void method_wait(struct varlink_call *call, const json_t *parameters, void *data)
{
	struct waiting *w = waiting_new(data, call, parameters);

	if (!w)
		return;
	w->healthy = json_is_true(json_object_get(parameters, "healthy"));
	w->watch.fn = wait_look;
	service_watch_add(w->control->sv, &w->watch);
	if (w->n == 0 && wait_for_all(w) < 0) {
		waiting_free(w);
		varlink_bad_parameter(call, "names");
		return;
	}
	varlink_on_gone(call, waiting_gone, w);
	wait_look(NULL, w);
}

static void method_shutdown(struct varlink_call *call, const json_t *parameters, void *data)
{
	static const struct {
		const char *name;
		enum shutdown_kind kind;
	} kinds[] = {
		{ "leave", SHUTDOWN_LEAVE },
		{ "stop", SHUTDOWN_STOP },
		{ "poweroff", SHUTDOWN_POWEROFF },
		{ "reboot", SHUTDOWN_REBOOT },
		{ "halt", SHUTDOWN_HALT },
	};
	struct control *control = data;
	const char *name = control_text(parameters, "kind");

	for (size_t i = 0; name && i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(name, kinds[i].name) == 0) {
			varlink_reply(call, NULL);
			supervisor_shutdown(control->sv, kinds[i].kind);
			return;
		}
	varlink_bad_parameter(call, "kind");
}

static const struct varlink_method methods[] = {
	{ .name = "GetStatus", .run = method_get_status },
	{ .name = "List", .run = method_list },
	{ .name = "Inspect", .run = method_inspect },
	{ .name = "Start", .run = method_start },
	{ .name = "Stop", .run = method_stop },
	{ .name = "Restart", .run = method_restart },
	{ .name = "Kill", .run = method_kill },
	{ .name = "Wait", .run = method_wait },
	{ .name = "Exec", .run = control_exec, .fds = true, .more = true },
	{ .name = "ExecSignal", .run = control_exec_signal },
	{ .name = "Log", .run = method_log },
	{ .name = "Reload", .run = method_reload },
	{ .name = "Shutdown", .run = method_shutdown },
};

/* ---- who may ask ------------------------------------------------------------------------------ */

/*
 * Not a process of a container, were it root's and the socket bind-mounted into it. A pid that is 0
 * is of a process that we cannot see, so it is not in any container of ours. Native services may:
 * somebody's login shell is one.
 */
static bool admit(const struct unix_peer *peer, void *data)
{
	struct control *control = data;
	char name[64];
	const struct cgroup_tree *tree = supervisor_env(control->sv)->tree;
	int r = peer->pid ? proc_container_of(tree, peer->pid, name, sizeof name) : 0;

	for (size_t i = 0; r > 0 && i < service_count(control->sv); i++) {
		const struct unit *unit = service_unit(service_at(control->sv, i));

		if (strcmp(unit->spec->name, name) == 0 && unit->spec->native)
			return true;
	}
	/* Once: it could flood us. */
	if (r > 0 && !control->refused) {
		control->refused = true;
		log_warning("%s: one of its processes (pid %d) wants to command berth: refused",
			name, peer->pid);
	}
	return r == 0;
}

int control_open(struct control **ret, struct supervisor *sv, const char *run_dir, struct err *err)
{
	struct control *control = calloc(1, sizeof *control);
	int r;

	if (!control)
		return err_sys(err, ENOMEM, "open the control socket");
	control->sv = sv;
	control->interface = (struct varlink_interface){
		.name = CONTROL_INTERFACE,
		.description = berth_interface_text,
		.methods = methods,
		.nmethods = sizeof methods / sizeof methods[0],
		.data = control,
		.admit = admit,
	};
	(void)snprintf(control->path, sizeof control->path, "%s/berth.sock", run_dir);
	r = varlink_server_open(
		&control->server, supervisor_loop(sv), control->path, &control->interface, err);
	if (r < 0) {
		free(control);
		return err_wrap(err, "open the control socket");
	}
	*ret = control;
	return 0;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	varlink_server_close(control->server);
	(void)unlink(control->path);
	free(control);
}
