/* What process 1 reads from the kernel, and the signals it obeys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>

#include "supervisor/core/boot.h"

static void test_command_line(void **state)
{
	struct boot_request request;

	(void)state;
	boot_parse("", &request);
	assert_false(request.rescue);
	assert_string_equal(request.config_dir, "");
	assert_int_equal(request.log_level, LOG_NOTICE);
	boot_parse("console=ttyS0 quiet berth.config=/etc/box berth.log_level=debug berth.rescue\n",
		&request);
	assert_true(request.rescue);
	assert_string_equal(request.config_dir, "/etc/box");
	assert_int_equal(request.log_level, LOG_DEBUG);
	boot_parse("ip=dhcp quiet ip=eth1:off ip=\n", &request);
	assert_string_equal(request.ip, "dhcp eth1:off ");
	boot_parse("berth.rescued xberth.rescue berth.log_level=loud berth.config=", &request);
	assert_false(request.rescue);
	assert_int_equal(request.log_level, LOG_NOTICE);
	assert_string_equal(request.config_dir, "");
	assert_string_equal(request.ip, "");
}

/* busybox's table: its reboot, poweroff and halt send these. */
static void test_signals(void **state)
{
	(void)state;
	assert_int_equal(boot_signal(SIGTERM), SHUTDOWN_REBOOT);
	assert_int_equal(boot_signal(SIGINT), SHUTDOWN_REBOOT);
	assert_int_equal(boot_signal(SIGUSR1), SHUTDOWN_HALT);
	assert_int_equal(boot_signal(SIGUSR2), SHUTDOWN_POWEROFF);
	assert_int_equal(boot_signal(SIGPWR), SHUTDOWN_POWEROFF);
	assert_int_equal(boot_signal(SIGHUP), SHUTDOWN_NONE);
	assert_int_equal(boot_signal(SIGCHLD), SHUTDOWN_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_line),
		cmocka_unit_test(test_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
