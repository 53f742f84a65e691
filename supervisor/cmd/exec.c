/* `berth exec`: a further command in a running container, on this terminal or these descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "supervisor/base/own.h"
#include "supervisor/base/signals.h"
#include "supervisor/cmd/client.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/show.h"
#include "supervisor/cmd/terminal.h"

struct exec_command {
	bool input, tty;
	json_t *parameters;
};

/* While the command runs. */
struct exec_session {
	struct client client;
	bool input;
	int master;  /* of the command's terminal; -1: none */
	int signals; /* signalfd */
	long long id;
};

static int parse(int argc, char **argv, struct exec_command *command)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS,
		{ "interactive", no_argument, NULL, 'i' }, { "tty", no_argument, NULL, 't' },
		{ "user", required_argument, NULL, 'u' },
		{ "workdir", required_argument, NULL, 'w' },
		{ "env", required_argument, NULL, 'e' }, { 0 } };
	json_t *env = json_array();
	json_t *words = json_array();
	json_t *o = json_object();
	int c;

	while ((c = getopt_long(argc, argv, "+itu:w:e:", options, NULL)) != -1) {
		if (c == 'i')
			command->input = true;
		else if (c == 't')
			command->tty = true;
		else if (c == 'u')
			(void)json_object_set_new(o, "user", json_string(optarg));
		else if (c == 'w')
			(void)json_object_set_new(o, "cwd", json_string(optarg));
		else if (c == 'e' && strchr(optarg, '='))
			(void)json_array_append_new(env, json_string(optarg));
		else if (c == 'e')
			return cmd_usage("exec", "-e takes KEY=VALUE, not '%s'", optarg);
		else if (cmd_global(c, "exec"))
			return CMD_USAGE;
	}
	if (argc - optind < 2)
		return cmd_usage("exec", "the name of a unit and a command are expected");
	if (command->tty && getenv("TERM"))
		(void)json_array_append_new(env, json_sprintf("TERM=%s", getenv("TERM")));
	(void)json_object_set_new(o, "name", json_string(argv[optind++]));
	for (; optind < argc; optind++)
		(void)json_array_append_new(words, json_string(argv[optind]));
	(void)json_object_set_new(o, "argv", words);
	(void)json_object_set_new(o, "env", env);
	(void)json_object_set_new(o, "tty", json_boolean(command->tty));
	command->parameters = o;
	return 0;
}

/* A signal that was meant for us goes to the command, by a connection of its own. */
static void forward(const struct exec_session *s, int signal)
{
	struct client other = CLIENT_NONE;
	struct err err;

	if (client_open(&other, &err) == 0)
		(void)client_call(&other, "ExecSignal",
			json_pack("{s:I,s:i}", "id", (json_int_t)s->id, "signal", signal), NULL,
			&err);
	client_close(&other);
}

static void signal_read(const struct exec_session *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof info) != sizeof info)
		return;
	if (info.ssi_signo != SIGWINCH)
		forward(s, (int)info.ssi_signo);
	else if (s->master >= 0)
		terminal_copy_size(s->master);
}

static int signals_open(void)
{
	static const int wanted[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2,
		SIGWINCH };
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
		(void)sigaddset(&set, wanted[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* The exit code of the last answer, or of the error that ended it. */
static int result(struct exec_session *s, int r, const json_t *answer, const struct err *err)
{
	terminal_restore();
	if (r == 0 && *show_text(answer, "signal"))
		return CMD_SIGNAL + signal_from_name(show_text(answer, "signal"));
	if (r == 0)
		return (int)show_int(answer, "code");
	if (strcmp(s->client.error, "ExecFailed") == 0)
		return cmd_fail(
			(int)show_int(s->client.error_parameters, "exit_code"), "%s", err->text);
	(void)client_fail(&s->client, err);
	return CMD_BERTH;
}

/* Until the last answer comes: what is typed goes in, what is said comes out. */
static int pump(struct exec_session *s)
{
	struct err err = { 0 };
	json_t *answer = NULL;
	int r;

	/* A command that is over at once: its end came in one read with its beginning. */
	while (!client_has_more(&s->client)) {
		struct pollfd p[] = {
			{ .fd = s->client.sock, .events = POLLIN },
			{ .fd = s->signals, .events = POLLIN },
			{ .fd = s->master, .events = POLLIN },
			{ .fd = s->master >= 0 && s->input ? STDIN_FILENO : -1, .events = POLLIN },
		};

		if (poll(p, 4, -1) < 0 && errno != EINTR)
			return CMD_BERTH;
		if (p[1].revents)
			signal_read(s);
		if (p[2].revents && terminal_copy(s->master, STDOUT_FILENO) <= 0)
			fd_close(&s->master);
		if (p[3].revents && s->master >= 0 && terminal_copy(STDIN_FILENO, s->master) <= 0)
			s->input = false;
		if (p[0].revents)
			break;
	}
	r = client_receive(&s->client, &answer, NULL, NULL, &err);
	if (s->master >= 0) { /* what it said last may still be on its way */
		(void)fcntl(s->master, F_SETFL, O_NONBLOCK);
		while (terminal_copy(s->master, STDOUT_FILENO) > 0)
			continue;
	}
	return result(s, r, answer, &err);
}

int cmd_exec(int argc, char **argv)
{
	struct exec_session s = { .client = CLIENT_NONE, .master = -1, .signals = -1 };
	struct exec_command command = { 0 };
	struct err err = { 0 };
	json_t *answer = NULL;
	bool more = false;
	int fds[3] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };
	int r;

	if (parse(argc, argv, &command))
		return CMD_USAGE;
	if (command.tty && !isatty(STDIN_FILENO))
		return cmd_fail(CMD_BERTH, "exec -t: standard input is no terminal; leave out -t");
	if (!command.input)
		fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	s.input = command.input;
	s.signals = signals_open();
	if (client_open(&s.client, &err) < 0)
		return cmd_fail(CMD_BERTH, "%s", err.text);
	r = client_send(
		&s.client, "Exec", command.parameters, true, fds, command.tty ? 0 : 3, &err);
	if (r == 0)
		r = client_receive(&s.client, &answer, &more, &s.master, &err);
	if (r < 0 || !more)
		return result(&s, r, answer, &err);
	s.id = show_int(answer, "id");
	if (s.master >= 0) {
		terminal_copy_size(s.master);
		(void)terminal_raw();
	}
	return pump(&s);
}
