/* `berth lease`, and berth as the script of the DHCP client that it runs. */
#ifndef BERTH_CMD_LEASE_H
#define BERTH_CMD_LEASE_H

#include <stdbool.h>

/* Were we executed by that client? Then what follows is no verb of ours. */
bool lease_is_script(void);
int lease_script(int argc, char **argv);

#endif
