/* `berth metrics`: the units in numbers, in Prometheus' text format, for a scraper or a text file. */
#include <string.h>

#include "supervisor/base/clock.h"
#include "supervisor/cmd/client.h"
#include "supervisor/cmd/cmd.h"
#include "supervisor/cmd/show.h"
#include "supervisor/cmd/usage.h"

/* Where a metric's value is, and in which unit it is there. */
enum source { FROM_RUNNING, FROM_TIME, FROM_AGE, FROM_COUNT, FROM_USEC };

static const struct metric {
	const char *name, *type;
	const char *key; /* of the unit's JSON; what it does not have is left out */
	enum source source;
	const char *help;
} metrics[] = {
	{ "berth_unit_running", "gauge", "state", FROM_RUNNING,
		"Whether it runs; 1 as well while the host's own answers (PreferHost=)." },
	{ "berth_unit_restarts_total", "counter", "restarts", FROM_COUNT,
		"Restarts without being asked, since the last start by hand." },
	{ "berth_unit_start_time_seconds", "gauge", "started", FROM_TIME,
		"When its process was started, in seconds since 1970." },
	{ "berth_unit_uptime_seconds", "gauge", "started", FROM_AGE, "How long its process runs." },
	{ "berth_unit_prepare_seconds", "gauge", "prepare_usec", FROM_USEC,
		"How long the last start took until image, bundle and network were "
		"made." },
	{ "berth_unit_start_seconds", "gauge", "start_usec", FROM_USEC,
		"How long the last start took until its program ran." },
	{ "berth_unit_ready_seconds", "gauge", "ready_usec", FROM_USEC,
		"How long the last start took until it was ready, as Notify= or Probe= says." },
	{ "berth_unit_memory_bytes", "gauge", "memory_current", FROM_COUNT,
		"Memory of everything in it." },
	{ "berth_unit_tasks", "gauge", "pids_current", FROM_COUNT, "Tasks in it." },
	{ "berth_unit_cpu_seconds_total", "counter", "cpu_usec", FROM_USEC,
		"Processor time of this run, everything in it." },
	{ "berth_unit_io_read_bytes_total", "counter", "io_read_bytes", FROM_COUNT,
		"Read from disks in this run." },
	{ "berth_unit_io_written_bytes_total", "counter", "io_write_bytes", FROM_COUNT,
		"Written to disks in this run." },
	{ "berth_unit_network_received_bytes_total", "counter", "net_rx_bytes", FROM_COUNT,
		"Received by the container since its network was made." },
	{ "berth_unit_network_received_packets_total", "counter", "net_rx_packets", FROM_COUNT,
		"The same in packets." },
	{ "berth_unit_network_received_dropped_total", "counter", "net_rx_dropped", FROM_COUNT,
		"Packets that its interfaces dropped on the way in." },
	{ "berth_unit_network_sent_bytes_total", "counter", "net_tx_bytes", FROM_COUNT,
		"Sent by the container since its network was made." },
	{ "berth_unit_network_sent_packets_total", "counter", "net_tx_packets", FROM_COUNT,
		"The same in packets." },
	{ "berth_unit_network_sent_dropped_total", "counter", "net_tx_dropped", FROM_COUNT,
		"Packets that its interfaces dropped on the way out." },
};

static void value_print(const struct metric *metric, const json_t *unit)
{
	long long value = show_int(unit, metric->key);

	switch (metric->source) {
	case FROM_RUNNING:
		printf("%d\n", show_is_running(unit));
		return;
	case FROM_TIME:
		printf("%.3f\n", (double)show_time(show_text(unit, metric->key)) / NSEC_PER_SEC);
		return;
	case FROM_AGE:
		printf("%.3f\n", ((double)clock_realtime() -
					 (double)show_time(show_text(unit, metric->key))) /
					 NSEC_PER_SEC);
		return;
	case FROM_COUNT:
		printf("%lld\n", value);
		return;
	case FROM_USEC:
		printf("%.6f\n", (double)value / 1e6);
		return;
	}
}

static void metric_print(const struct metric *metric, const json_t *units)
{
	const json_t *unit;
	size_t i;

	printf("# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
		metric->type);
	for (i = 0; (unit = json_array_get(units, i)); i++) {
		if (!json_object_get(unit, metric->key))
			continue;
		printf("%s{unit=\"%s\"} ", metric->name, show_text(unit, "unit"));
		value_print(metric, unit);
	}
}

int cmd_metrics(int argc, char **argv)
{
	static const struct option options[] = { CMD_GLOBAL_OPTIONS, { 0 } };
	struct client client = CLIENT_NONE;
	json_t *answer = NULL;
	json_t *unit;
	struct err err = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (cmd_global(c, "metrics"))
			return CMD_USAGE;
	if (optind != argc)
		return cmd_usage("metrics", "no argument is expected");
	/* A supervisor that does not answer has no numbers: what it left would be told as if it were
	 * true now. */
	if (client_open(&client, &err) < 0 || client_call(&client, "List", NULL, &answer, &err) < 0)
		return client_fail(&client, &err);
	for (size_t i = 0; (unit = json_array_get(json_object_get(answer, "units"), i)); i++)
		usage_add(unit);
	for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++)
		metric_print(&metrics[i], json_object_get(answer, "units"));
	json_decref(answer);
	client_close(&client);
	return CMD_OK;
}
