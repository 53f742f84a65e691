#include "supervisor/cmd/usage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netns/net.h"
#include "supervisor/base/fd.h"
#include "supervisor/cmd/client.h"
#include "supervisor/cmd/show.h"
#include "supervisor/core/json_put.h"

/* "8:0 rbytes=4096 wbytes=0 rios=1 …", a line for each disk. */
static uint64_t io_sum(const char *text, const char *key)
{
	uint64_t sum = 0;

	for (const char *p = text; (p = strstr(p, key)); p += strlen(key))
		if (p > text && p[-1] == ' ')
			sum += strtoull(p + strlen(key), NULL, 10);
	return sum;
}

static void add_io(json_t *unit)
{
	char path[400];
	char text[8192];

	(void)snprintf(path, sizeof path, "%s/io.stat", show_text(unit, "cgroup"));
	if (file_read_at(AT_FDCWD, path, text, sizeof text) < 0)
		return;
	json_put_int(unit, "io_read_bytes", io_sum(text, "rbytes="));
	json_put_int(unit, "io_write_bytes", io_sum(text, "wbytes="));
}

void usage_add(json_t *unit)
{
	struct net_usage net;
	char pin[400];

	if (*show_text(unit, "cgroup"))
		add_io(unit);
	(void)snprintf(pin, sizeof pin, "%s/pin/%s.net", client_run_dir(), show_text(unit, "name"));
	if (!show_is_running(unit) || json_array_size(json_object_get(unit, "addresses")) == 0 ||
		net_usage(pin, &net, NULL) < 0)
		return;
	json_put_int(unit, "net_rx_bytes", net.rx_bytes);
	json_put_int(unit, "net_rx_packets", net.rx_packets);
	json_put_int(unit, "net_rx_dropped", net.rx_dropped);
	json_put_int(unit, "net_tx_bytes", net.tx_bytes);
	json_put_int(unit, "net_tx_packets", net.tx_packets);
	json_put_int(unit, "net_tx_dropped", net.tx_dropped);
}
