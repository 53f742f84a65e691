/* The proxy that publishes ports where packet rules do not. */
#ifndef BERTH_INIT_PROXY_H
#define BERTH_INIT_PROXY_H

/*
 * proxy_main - carries what comes to listening sockets to a container, and the answers back
 *
 * Needs: one argument for each socket, "FD PROTOCOL FAMILY PORT ADDRESS": the descriptor, which is
 *        bound (tcp: listens) and does not block, the numbers of IPPROTO_ and AF_, the container's
 *        port, and its address as hex digits in network order.
 * Ends:  at a signal only.
 */
void proxy_main(char **argv) __attribute__((noreturn));

#endif
