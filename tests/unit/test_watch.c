/* Who took our packet rules away: the kernel tells of each change first, and of who made it after. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>
#include <sys/socket.h>

#include "netns/watch.h"
#include "supervisor/base/own.h"

enum { INET = 1, BRIDGE = 7 }; /* NFPROTO_… */

/* A watch whose kernel is the other end of a pair. */
struct told {
	struct net_watch watch;
	int kernel;
};

static int begin(void **state)
{
	static struct told told;
	int pair[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	told.kernel = pair[0];
	told.watch = (struct net_watch){ .fd = pair[1], .table = "berth-x" };
	*state = &told;
	return 0;
}

static int end(void **state)
{
	struct told *told = *state;

	fd_close(&told->kernel);
	net_watch_close(&told->watch);
	return 0;
}

static struct nlmsghdr *message(void *buf, unsigned type, uint8_t family)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *info;

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	info = mnl_nlmsg_put_extra_header(h, sizeof *info);
	info->nfgen_family = family;
	return h;
}

static void tell(const struct told *told, const struct nlmsghdr *h)
{
	assert_int_equal(send(told->kernel, h, h->nlmsg_len, 0), h->nlmsg_len);
}

static void change(const struct told *told, unsigned type, uint8_t family, const char *table)
{
	_Alignas(struct nlmsghdr) uint8_t buf[256];
	struct nlmsghdr *h = message(buf, type, family);

	mnl_attr_put_strz(h, NFTA_TABLE_NAME, table);
	tell(told, h);
}

static void committed(const struct told *told, const char *who, uint32_t pid)
{
	_Alignas(struct nlmsghdr) uint8_t buf[256];
	struct nlmsghdr *h = message(buf, NFT_MSG_NEWGEN, 0);

	mnl_attr_put_u32(h, NFTA_GEN_ID, htonl(1));
	mnl_attr_put_u32(h, NFTA_GEN_PROC_PID, htonl(pid));
	mnl_attr_put_strz(h, NFTA_GEN_PROC_NAME, who);
	tell(told, h);
}

static bool hurt(struct told *told)
{
	assert_int_equal(net_watch_read(&told->watch), 0);
	return told->watch.hurt_inet || told->watch.hurt_bridge;
}

static void ours(const struct told *told)
{
	change(told, NFT_MSG_DELTABLE, INET, "berth-x");
	change(told, NFT_MSG_NEWTABLE, INET, "berth-x");
	change(told, NFT_MSG_NEWTABLE, BRIDGE, "berth-x");
	committed(told, "berth", 7);
}

static void a_loss_is_of_who_committed_it(void **state)
{
	struct told *told = *state;

	ours(told);
	assert_false(hurt(told));
	/* Read between the two, it is nobody's yet. */
	change(told, NFT_MSG_DELTABLE, INET, "berth-x");
	assert_false(hurt(told));
	committed(told, "nft", 8);
	assert_true(hurt(told));
	assert_string_equal(told->watch.who, "nft");
	assert_int_equal(told->watch.pid, 8);
	/* Who comes later has not done it, also when he takes the rest. */
	change(told, NFT_MSG_NEWTABLE, INET, "theirs");
	committed(told, "firewalld", 9);
	change(told, NFT_MSG_DELTABLE, BRIDGE, "berth-x");
	committed(told, "other", 10);
	assert_true(hurt(told));
	assert_string_equal(told->watch.who, "nft");
}

static void what_is_written_again_is_whole(void **state)
{
	struct told *told = *state;

	change(told, NFT_MSG_DELCHAIN, BRIDGE, "berth-x");
	committed(told, "nft", 8);
	assert_true(hurt(told));
	ours(told);
	assert_false(hurt(told));
	change(told, NFT_MSG_DELRULE, INET, "berth-x");
	committed(told, "iptables", 11);
	assert_true(hurt(told));
	assert_string_equal(told->watch.who, "iptables");
}

static void others_lose_what_they_like(void **state)
{
	struct told *told = *state;

	change(told, NFT_MSG_DELTABLE, INET, "berth-xy");
	change(told, NFT_MSG_DELTABLE, INET, "berth-");
	change(told, NFT_MSG_DELSETELEM, BRIDGE, "filter");
	committed(told, "nft", 8);
	assert_false(hurt(told));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_loss_is_of_who_committed_it, begin, end),
		cmocka_unit_test_setup_teardown(what_is_written_again_is_whole, begin, end),
		cmocka_unit_test_setup_teardown(others_lose_what_they_like, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
