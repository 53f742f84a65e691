/* Names of capabilities and signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/capability.h"
#include "supervisor/base/signals.h"

static void test_capabilities(void **state)
{
	(void)state;
	assert_int_equal(capability_from_name("CAP_NET_RAW"), 13);
	assert_int_equal(capability_from_name("net_raw"), 13);
	assert_int_equal(capability_from_name("cap_Checkpoint_Restore"), 40);
	assert_int_equal(capability_from_name("CAP_"), -EINVAL);
	assert_int_equal(capability_from_name(""), -EINVAL);
	assert_int_equal(capability_from_name("NET_RAW "), -EINVAL);
	assert_null(capability_name(-1));
	assert_null(capability_name(CAPABILITY_COUNT));
	for (int bit = 0; bit < CAPABILITY_COUNT; bit++)
		assert_int_equal(capability_from_name(capability_name(bit)), bit);
}

static void test_signal_names(void **state)
{
	static const struct {
		const char *name;
		int number;
	} rows[] = {
		{ "SIGTERM", SIGTERM },
		{ "term", SIGTERM },
		{ "15", 15 },
		{ "64", 64 },
		{ "SIGRTMIN", 34 },
		{ "SIGRTMIN+3", 37 },
		{ "rtmax-1", 63 },
		{ "SIGRTMIN+30", 64 },
		{ "SIGPOLL", SIGIO },
		{ "", -EINVAL },
		{ "SIG", -EINVAL },
		{ "0", -EINVAL },
		{ "65", -EINVAL },
		{ "-9", -EINVAL },
		{ "SIGRTMIN-1", -EINVAL },
		{ "SIGRTMIN+31", -EINVAL },
		{ "SIGRTMAX+1", -EINVAL },
		{ "SIGRTMIN+", -EINVAL },
		{ "TERM ", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(signal_from_name(rows[i].name), rows[i].number);
	assert_int_equal(SIGRTMIN, 34);
	for (int number = 1; number <= 64; number++) {
		if (number == 32 || number == 33)
			assert_null(signal_name(number));
		else
			assert_int_equal(signal_from_name(signal_name(number)), number);
	}
	assert_null(signal_name(0));
	assert_null(signal_name(65));
}

/* The word after `key` in our own status file, as a hexadecimal number. */
static unsigned long status_mask(const char *key)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long mask = ~0UL;
	char line[256];

	while (file && fgets(line, sizeof line, file))
		if (strncmp(line, key, strlen(key)) == 0)
			mask = strtoul(line + strlen(key), NULL, 16);
	if (file)
		(void)fclose(file);
	return mask;
}

/* A parent that ignores all it can, libc's own two among them, as some CI runners do. */
static void test_signals_default(void **state)
{
	const unsigned long ignore[16] = { (unsigned long)SIG_IGN };
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		for (int i = 1; i <= 64; i++)
			(void)syscall(SYS_rt_sigaction, i, ignore, NULL, 8);
		if (!(status_mask("SigIgn:") & 1UL << 31))
			_exit(2);
		signals_default();
		_exit(status_mask("SigIgn:") != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_signal_names),
		cmocka_unit_test(test_signals_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
