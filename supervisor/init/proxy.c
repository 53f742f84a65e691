/*
 * berth-proxy: the published ports of one container, where packet rules do not serve.
 *
 * We are nobody, without capabilities, and see neither files nor processes: the sockets were bound
 * before. One thread waits in epoll; without traffic nothing wakes it.
 *
 * tcp   Two sockets make a connection, and each of its two ways goes through a pipe by splice(2), so
 *       no byte is copied to us. A way reads only while its pipe is empty, and writes until it is: a
 *       reader who is slow stops the writer, by the window of tcp. The end of one way is handed on as
 *       such (a half-closed connection stays one), a reset resets both ends. A pipe is held only
 *       while there is something in it. When all places are taken nobody is accepted, and who calls
 *       waits in the kernel's queue.
 * udp   Who speaks to which address of ours gets a socket of his own towards the container (flow.h),
 *       for as long as there is traffic; the answers come from the address that was asked.
 *
 * A socket that waits for nothing is not in epoll at all: one that both sides have closed would be
 * reported without end.
 */
#include "supervisor/init/proxy.h"

#include <linux/errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "supervisor/base/syscall_data.h"
#include "supervisor/init/flow.h"
#include "supervisor/init/kernel.h"

enum {
	DOORS_MAX = 256,
	CONNECTIONS_MAX = 2048,
	/* Of a connection: two sockets, and two pipes while both ways are stopped. */
	CONNECTION_FDS = 6,
	/* The first three, epoll, and what is held for a moment. */
	OTHER_FDS = 16,
	PIPES_KEPT = 32,
	EVENTS = 64,
	PER_EVENT = 16, /* of anything, before others have their turn */
	CHUNK = 1 << 20,
	DATAGRAM_MAX = 65536,
	PAUSE_MS = 1000,
	SYN_RETRIES = 3, /* 15 s, instead of two minutes */
};
#define SECOND      UINT64_C(1000000000)
#define MILLISECOND (SECOND / 1000)
#define FLOW_IDLE   (60 * SECOND)

enum { KERNEL_SIG_PIPE = 13, IGNORE = 1, LIMIT_FILES = 7 };
enum { NONBLOCK = 04000, CLOEXEC = 02000000, MOVE = 1, DO_NOT_WAIT = 2 };
enum { CLOCK_STEADY = 1, SET_DUMPABLE = 4, SET_PROCESS_NAME = 15, SET_SECCOMP = 22 };

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

/* A published port, and where it leads. */
struct door {
	int fd;
	int protocol;
	bool open; /* in epoll */
	union address to;
};

struct way {
	int in, out; /* the ends of its pipe; -1: it has none */
	uint32_t held;
	bool ended, told; /* no more will come; its reader knows */
};

struct connection {
	int fd[2];         /* the caller, the container */
	struct way way[2]; /* from fd[0] to fd[1], and back */
	uint32_t watched[2];
	uint32_t serial; /* so that an event of an earlier one in this place is known as such */
	bool open, connecting;
	uint16_t next; /* of the free ones, plus one */
};

enum { KIND_DOOR, KIND_CONNECTION, KIND_FLOW };

static struct door doors[DOORS_MAX];
static unsigned ndoors;
static struct connection connections[CONNECTIONS_MAX];
static unsigned connections_max, connections_used, connections_open;
static uint16_t connections_free;
static uint32_t serial;
static struct flow_table flows;
static uint32_t flow_serials[FLOW_MAX];
static int pipes[PIPES_KEPT][2];
static unsigned npipes;
static uint64_t told_full, paused_until, now;
static bool paused;
static int epoll;
static char datagram[DATAGRAM_MAX];

static void fd_shut(int *fd)
{
	if (*fd >= 0)
		(void)CALL(close, *fd, 0, 0, 0, 0);
	*fd = -1;
}

static void clock_read(void)
{
	long time[2] = { 0 }; /* struct timespec, of the kernel */

	(void)CALL(clock_gettime, CLOCK_STEADY, time, 0, 0, 0);
	now = (uint64_t)time[0] * SECOND + (uint64_t)time[1];
}

/* The number of the thing, its serial against mistaking, and for a connection which end. */
static uint64_t event_name(unsigned kind, unsigned which, unsigned end, uint32_t number)
{
	return (uint64_t)number << 32 | kind << 24 | end << 20 | which;
}

/* `before`: what it was told so far; 0 is not there at all. */
static long watch(int fd, uint32_t before, uint32_t events, uint64_t name)
{
	struct epoll_event event = { .events = events, .data.u64 = name };
	int op = !before ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;

	return before == events ? 0 : CALL(epoll_ctl, epoll, op, fd, &event, 0);
}

static void option(int fd, int level, int name, int value)
{
	(void)CALL(setsockopt, fd, level, name, &value, sizeof value);
}

/* ---- doors --------------------------------------------------------------------------------------- */

static void doors_watch(bool open)
{
	for (unsigned i = 0; i < ndoors; i++) {
		struct door *door = &doors[i];

		if (door->open == open || (!open && door->protocol != IPPROTO_TCP))
			continue;
		(void)watch(door->fd, door->open ? EPOLLIN : 0, open ? EPOLLIN : 0,
			event_name(KIND_DOOR, i, 0, 0));
		door->open = open;
	}
}

/* Nobody is accepted until a connection ends, or, where the machine has no room, for a moment. */
static void doors_pause(bool full)
{
	doors_watch(false);
	paused = true;
	paused_until = full ? 0 : now + SECOND;
	if (told_full && now - told_full < 60 * SECOND)
		return;
	told_full = now;
	say(full ? "berth-proxy: as many connections as it has room for: further callers wait\n"
		 : "berth-proxy: the system has no room for a connection: further callers wait\n");
}

/* Of descriptors or of memory. */
static bool is_short(long r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOBUFS || r == -ENOMEM;
}

static void doors_resume(void)
{
	if (!paused || connections_open >= connections_max || paused_until > now)
		return;
	paused = false;
	doors_watch(true);
}

static uint32_t hex(const char **text)
{
	uint32_t value = 0;

	for (int i = 0; i < 2 && **text; i++, (*text)++)
		value = value << 4 | (uint32_t)(**text >= 'a' ? **text - 'a' + 10 : **text - '0');
	return value;
}

static long field(const char **text)
{
	long value = number(*text);

	while (**text && **text != ' ')
		(*text)++;
	if (**text)
		(*text)++;
	return value;
}

static void door_read(const char *text)
{
	struct door *door = &doors[ndoors++];
	uint8_t *bytes;
	int family;
	uint16_t port;

	door->fd = (int)field(&text);
	door->protocol = (int)field(&text);
	family = (int)field(&text);
	port = htons((uint16_t)field(&text));
	door->to.any.sa_family = (sa_family_t)family;
	door->to.four.sin_port = port; /* in the same place for both */
	bytes = family == AF_INET ? (uint8_t *)&door->to.four.sin_addr
				  : (uint8_t *)&door->to.six.sin6_addr;
	for (int i = 0; *text && i < (family == AF_INET ? 4 : 16); i++)
		bytes[i] = (uint8_t)hex(&text);
}

static unsigned address_size(const union address *address)
{
	return address->any.sa_family == AF_INET ? sizeof address->four : sizeof address->six;
}

/* A socket towards the container; a negative number of the kernel's. */
static int towards(const struct door *door, int type)
{
	int fd = (int)CALL(socket, door->to.any.sa_family, type | NONBLOCK | CLOEXEC, 0, 0, 0);
	long r;

	if (fd < 0)
		return fd;
	if (type == SOCK_STREAM) {
		option(fd, IPPROTO_TCP, TCP_SYNCNT, SYN_RETRIES);
		option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	}
	r = CALL(connect, fd, &door->to, address_size(&door->to), 0, 0);
	if (r < 0 && r != -EINPROGRESS) {
		fd_shut(&fd);
		return (int)r;
	}
	return fd;
}

/* ---- tcp ----------------------------------------------------------------------------------------- */

static bool pipe_get(struct way *way)
{
	int ends[2];

	if (way->in >= 0)
		return true;
	if (npipes) {
		npipes--;
		ends[0] = pipes[npipes][0];
		ends[1] = pipes[npipes][1];
	} else if (CALL(pipe2, ends, NONBLOCK | CLOEXEC, 0, 0, 0) < 0) {
		return false;
	}
	way->out = ends[0];
	way->in = ends[1];
	return true;
}

static void pipe_put(struct way *way)
{
	if (way->in >= 0 && !way->held && npipes < PIPES_KEPT) {
		pipes[npipes][0] = way->out;
		pipes[npipes][1] = way->in;
		npipes++;
		way->in = way->out = -1;
	}
	fd_shut(&way->in);
	fd_shut(&way->out);
}

/* `reset`: both ends are told that it broke. */
static void connection_end(struct connection *c, bool reset)
{
	static const struct linger at_once = { 1, 0 };

	for (int end = 0; end < 2; end++) {
		if (reset && c->fd[end] >= 0)
			(void)CALL(setsockopt, c->fd[end], SOL_SOCKET, SO_LINGER, &at_once,
				sizeof at_once);
		fd_shut(&c->fd[end]);
		pipe_put(&c->way[end]);
	}
	c->open = false;
	c->next = connections_free;
	connections_free = (uint16_t)(c - connections + 1);
	connections_open--;
}

/* What each end waits for: to be read while its way has room, to be written while the other way holds
 * something. */
static void connection_watch(struct connection *c)
{
	for (unsigned end = 0; end < 2; end++) {
		const struct way *from = &c->way[end];
		const struct way *to = &c->way[!end];
		uint32_t events = 0;

		if (c->connecting)
			events = end ? EPOLLOUT : 0;
		else
			events = (uint32_t)(!from->ended && !from->held ? EPOLLIN : 0) |
				 (to->held ? EPOLLOUT : 0);
		if (watch(c->fd[end], c->watched[end], events,
			    event_name(KIND_CONNECTION, (unsigned)(c - connections), end,
				    c->serial)) < 0) {
			connection_end(c, true);
			return;
		}
		c->watched[end] = events;
	}
}

/* Empties the pipe, fills it, and so on. False: the connection is broken. */
static bool way_pump(struct way *way, int from, int to)
{
	for (int i = 0; i < PER_EVENT; i++) {
		long n;

		if (!way->held && !way->ended) {
			if (!pipe_get(way)) {
				doors_pause(false);
				return false;
			}
			n = CALL6(splice, from, 0, way->in, 0, CHUNK, MOVE | DO_NOT_WAIT);
			if (n == -EAGAIN || n == -EINTR)
				break;
			if (n < 0)
				return false;
			way->ended = n == 0;
			way->held = (uint32_t)n;
		}
		if (!way->held)
			break;
		n = CALL6(splice, way->out, 0, to, 0, way->held, MOVE | DO_NOT_WAIT);
		if (n == -EAGAIN || n == -EINTR)
			break;
		if (n < 0)
			return false;
		way->held -= (uint32_t)n;
	}
	if (!way->held)
		pipe_put(way);
	if (way->ended && !way->held && !way->told) {
		(void)CALL(shutdown, to, SHUT_WR, 0, 0, 0);
		way->told = true;
	}
	return true;
}

static bool is_connected(struct connection *c)
{
	int error = 0;
	unsigned size = sizeof error;

	if (CALL(getsockopt, c->fd[1], SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error)
		return false;
	c->connecting = false;
	return true;
}

static void on_connection(unsigned which, unsigned end, uint32_t number, uint32_t events)
{
	struct connection *c = &connections[which];
	const uint32_t broken = EPOLLERR | EPOLLHUP;
	bool well = true;

	if (!c->open || c->serial != number)
		return;
	if (c->connecting)
		well = is_connected(c);
	if (well && !c->connecting && (events & (EPOLLIN | broken)) && !c->way[end].ended)
		well = way_pump(&c->way[end], c->fd[end], c->fd[!end]);
	if (well && !c->connecting && (events & (EPOLLOUT | broken)) && c->way[!end].held)
		well = way_pump(&c->way[!end], c->fd[!end], c->fd[end]);
	if (!well || (c->way[0].told && c->way[1].told))
		connection_end(c, !well);
	else
		connection_watch(c);
}

static void connection_begin(const struct door *door, int caller /* taken */)
{
	unsigned which = connections_free ? connections_free - 1U : connections_used++;
	struct connection *c = &connections[which];

	if (connections_free)
		connections_free = c->next;
	connections_open++;
	serial++;
	*c = (struct connection){
		.fd = { caller, towards(door, SOCK_STREAM) },
		.way = { { .in = -1, .out = -1 }, { .in = -1, .out = -1 } },
		.serial = serial,
		.open = true,
		.connecting = true,
	};
	/* This caller is lost, and learns so; the next ones wait. */
	if (is_short(c->fd[1]))
		doors_pause(false);
	if (c->fd[1] < 0)
		connection_end(c, true);
	else
		connection_watch(c);
}

static void on_caller(const struct door *door)
{
	for (int i = 0; i < PER_EVENT; i++) {
		long fd;

		if (connections_open >= connections_max) {
			doors_pause(true);
			return;
		}
		fd = CALL(accept4, door->fd, 0, 0, NONBLOCK | CLOEXEC, 0);
		if (is_short(fd))
			doors_pause(false);
		/* The others are of one caller, who is gone. */
		if (fd == -ECONNABORTED)
			continue;
		if (fd < 0)
			return;
		connection_begin(door, (int)fd);
		if (paused)
			return;
	}
}

/* ---- udp ----------------------------------------------------------------------------------------- */

/* One datagram, with the address of ours that it was sent to, or is to come from. */
struct parcel {
	union address peer;
	struct iovec part;
	struct msghdr head;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control;
};

static void parcel_init(struct parcel *parcel)
{
	parcel->part = (struct iovec){ datagram, sizeof datagram };
	parcel->head = (struct msghdr){ .msg_name = &parcel->peer,
		.msg_namelen = sizeof parcel->peer,
		.msg_iov = &parcel->part,
		.msg_iovlen = 1,
		.msg_control = &parcel->control,
		.msg_controllen = sizeof parcel->control };
}

static void place_of(const union address *address, struct place *ret)
{
	if (address->any.sa_family == AF_INET) {
		__builtin_memcpy(ret->bytes, &address->four.sin_addr, 4);
	} else {
		__builtin_memcpy(ret->bytes, &address->six.sin6_addr, 16);
		ret->scope = address->six.sin6_scope_id;
	}
	ret->port = address->four.sin_port;
}

static void local_of(struct parcel *parcel, struct place *ret)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(&parcel->head);

	if (!c)
		return;
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		const struct in_pktinfo *info = (const void *)CMSG_DATA(c);

		__builtin_memcpy(ret->bytes, &info->ipi_spec_dst, 4);
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		const struct in6_pktinfo *info = (const void *)CMSG_DATA(c);

		__builtin_memcpy(ret->bytes, &info->ipi6_addr, 16);
		/* One of a link alone; any other may answer over another link. */
		if (ret->bytes[0] == 0xfe && (ret->bytes[1] & 0xc0) == 0x80)
			ret->scope = info->ipi6_ifindex;
	}
}

static void parcel_address(struct parcel *parcel, const struct flow *flow, int family)
{
	const struct place *peer = &flow->key.peer;
	const struct place *local = &flow->key.local;
	struct cmsghdr *c = &parcel->control.align;

	parcel->peer = (union address){ .any.sa_family = (sa_family_t)family };
	parcel->peer.four.sin_port = peer->port;
	if (family == AF_INET) {
		struct in_pktinfo info = { 0 };

		__builtin_memcpy(&parcel->peer.four.sin_addr, peer->bytes, 4);
		__builtin_memcpy(&info.ipi_spec_dst, local->bytes, 4);
		*c = (struct cmsghdr){ CMSG_LEN(sizeof info), IPPROTO_IP, IP_PKTINFO };
		__builtin_memcpy(CMSG_DATA(c), &info, sizeof info);
		parcel->head.msg_controllen = CMSG_SPACE(sizeof info);
	} else {
		struct in6_pktinfo info = { .ipi6_ifindex = local->scope };

		__builtin_memcpy(&parcel->peer.six.sin6_addr, peer->bytes, 16);
		parcel->peer.six.sin6_scope_id = peer->scope;
		__builtin_memcpy(&info.ipi6_addr, local->bytes, 16);
		*c = (struct cmsghdr){ CMSG_LEN(sizeof info), IPPROTO_IPV6, IPV6_PKTINFO };
		__builtin_memcpy(CMSG_DATA(c), &info, sizeof info);
		parcel->head.msg_controllen = CMSG_SPACE(sizeof info);
	}
	parcel->head.msg_namelen = address_size(&parcel->peer);
}

static void flow_end(uint16_t which)
{
	fd_shut(&flows.flows[which].fd);
	flow_remove(&flows, which);
}

/* FLOW_NONE: there is no room for it, and the datagram is lost, as datagrams may be. */
static uint16_t flow_begin(const struct door *door, const struct flow_key *key)
{
	uint16_t which;
	int fd;

	if (flow_is_full(&flows))
		flow_end(flow_oldest(&flows));
	fd = towards(door, SOCK_DGRAM);
	/* As in a full table, the oldest makes room. */
	if (is_short(fd) && flow_oldest(&flows) != FLOW_NONE) {
		flow_end(flow_oldest(&flows));
		fd = towards(door, SOCK_DGRAM);
	}
	if (fd < 0)
		return FLOW_NONE;
	which = flow_add(&flows, key, fd, now);
	flow_serials[which] = ++serial;
	if (watch(fd, 0, EPOLLIN, event_name(KIND_FLOW, which, 0, serial)) == 0)
		return which;
	flow_end(which);
	return FLOW_NONE;
}

static void on_question(unsigned which_door)
{
	const struct door *door = &doors[which_door];
	struct parcel parcel;

	for (int i = 0; i < PER_EVENT; i++) {
		struct flow_key key = { .door = which_door };
		uint16_t which;
		long n;

		parcel_init(&parcel);
		n = CALL(recvmsg, door->fd, &parcel.head, 0, 0, 0);
		if (n < 0)
			return;
		place_of(&parcel.peer, &key.peer);
		local_of(&parcel, &key.local);
		which = flow_find(&flows, &key);
		if (which == FLOW_NONE)
			which = flow_begin(door, &key);
		if (which == FLOW_NONE)
			continue;
		flow_touch(&flows, which, now);
		(void)CALL6(sendto, flows.flows[which].fd, datagram, n, 0, 0, 0);
	}
}

static void on_answer(unsigned which, uint32_t number)
{
	const struct flow *flow = &flows.flows[which];
	const struct door *door = &doors[flow->key.door];
	struct parcel parcel;

	if (flow->fd < 0 || flow_serials[which] != number)
		return;
	for (int i = 0; i < PER_EVENT; i++) {
		long n = CALL6(recvfrom, flow->fd, datagram, sizeof datagram, 0, 0, 0);

		/* Nobody listens there just now: the caller will ask again, or not. */
		if (n == -ECONNREFUSED)
			continue;
		if (n < 0)
			return;
		parcel_init(&parcel);
		parcel.part.iov_len = (size_t)n;
		parcel_address(&parcel, flow, door->to.any.sa_family);
		flow_touch(&flows, (uint16_t)which, now);
		(void)CALL(sendmsg, door->fd, &parcel.head, 0, 0, 0);
	}
}

static void flows_expire(void)
{
	uint16_t which;

	while ((which = flow_oldest(&flows)) != FLOW_NONE &&
		flows.flows[which].last + FLOW_IDLE <= now)
		flow_end(which);
}

/* ---- walls --------------------------------------------------------------------------------------- */

_Static_assert(SYSCALL_ARCH, "the filter would end us at the first call");

/* All that is called from here on; anything else is the end. Of sockets it makes those of IP alone. */
static void calls_limit(void)
{
	static const int calls[] = { __NR_epoll_pwait, __NR_splice, __NR_epoll_ctl, __NR_recvfrom,
		__NR_sendto, __NR_recvmsg, __NR_sendmsg, __NR_accept4, __NR_connect, __NR_close,
		__NR_pipe2, __NR_shutdown, __NR_getsockopt, __NR_setsockopt, __NR_clock_gettime,
		__NR_write, __NR_exit_group };
	enum { NCALLS = sizeof calls / sizeof calls[0], HEAD = 4, TAIL = 7 };
	struct sock_filter code[HEAD + NCALLS + TAIL] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SYSCALL_FIELD(arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)SYSCALL_ARCH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SYSCALL_FIELD(nr)),
	};
	const struct sock_filter tail[TAIL] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SYSCALL_ARG(0)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { HEAD + NCALLS + TAIL, code };

	/* The last of the tail is where an allowed call goes. */
	for (unsigned i = 0; i < NCALLS; i++)
		code[HEAD + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			(uint32_t)calls[i], (uint8_t)(NCALLS - i - 1 + TAIL - 1), 0);
	for (unsigned i = 0; i < TAIL; i++)
		code[HEAD + NCALLS + i] = tail[i];
	if (CALL(prctl, SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0) {
		say("berth-proxy: the kernel has no seccomp filters: going on without\n");
		return;
	}
}

/* Where the kernel has Landlock no file can be opened either; the calls for it are not on the list
 * anyhow. */
static void files_limit(void)
{
#ifdef __NR_landlock_create_ruleset
	const uint64_t all_of_the_first = (1 << 13) - 1;
	long rules =
		CALL(landlock_create_ruleset, &all_of_the_first, sizeof all_of_the_first, 0, 0, 0);

	if (rules < 0)
		return;
	(void)CALL(landlock_restrict_self, rules, 0, 0, 0, 0);
	(void)CALL(close, rules, 0, 0, 0, 0);
#endif
}

/* ---- all of it ----------------------------------------------------------------------------------- */

/* How many connections the descriptors are enough for. */
static void rooms_count(void)
{
	uint64_t limit[2] = { 1024, 1024 };
	uint64_t taken = ndoors + OTHER_FDS + 2 * PIPES_KEPT;
	bool udp = false;

	(void)CALL(prlimit64, 0, LIMIT_FILES, 0, limit, 0);
	for (unsigned i = 0; i < ndoors; i++)
		udp = udp || doors[i].protocol == IPPROTO_UDP;
	if (udp)
		taken += FLOW_MAX;
	connections_max = limit[0] > taken + CONNECTION_FDS
				  ? (unsigned)((limit[0] - taken) / CONNECTION_FDS)
				  : 1;
	if (connections_max > CONNECTIONS_MAX)
		connections_max = CONNECTIONS_MAX;
}

/* In milliseconds; -1: for ever. */
static int patience(void)
{
	uint16_t which = flow_oldest(&flows);
	uint64_t until = which == FLOW_NONE ? 0 : flows.flows[which].last + FLOW_IDLE;

	if (paused_until > now)
		return PAUSE_MS;
	if (which == FLOW_NONE)
		return -1;
	return until <= now ? 0 : (int)((until - now) / MILLISECOND) + 1;
}

static void on_event(const struct epoll_event *event)
{
	uint32_t number = (uint32_t)(event->data.u64 >> 32);
	unsigned kind = event->data.u64 >> 24 & 0xff;
	unsigned end = event->data.u64 >> 20 & 0xf;
	unsigned which = event->data.u64 & 0xfffff;

	if (kind == KIND_CONNECTION)
		on_connection(which, end, number, event->events);
	else if (kind == KIND_FLOW)
		on_answer(which, number);
	else if (doors[which].protocol == IPPROTO_UDP)
		on_question(which);
	else if (doors[which].open)
		on_caller(&doors[which]);
}

void proxy_main(char **argv)
{
	const uint64_t ignore[8] = { IGNORE };
	struct epoll_event events[EVENTS];

	(void)CALL(prctl, SET_PROCESS_NAME, "berth-proxy", 0, 0, 0);
	(void)CALL(prctl, SET_DUMPABLE, 0, 0, 0, 0);
	(void)CALL(rt_sigaction, KERNEL_SIG_PIPE, ignore, 0, 8, 0);
	while (*argv && ndoors < DOORS_MAX)
		door_read(*argv++);
	rooms_count();
	epoll = (int)CALL(epoll_create1, CLOEXEC, 0, 0, 0, 0);
	files_limit();
	calls_limit();
	doors_watch(true);
	for (;;) {
		long n = CALL6(epoll_pwait, epoll, events, EVENTS, patience(), 0, 8);

		clock_read();
		for (long i = 0; i < n; i++)
			on_event(&events[i]);
		flows_expire();
		doors_resume();
	}
}
