#!/usr/bin/env python3
"""Both ends of what a proxy carries, for tests/system/86-proxy.bats.

    proxy.py serve PORT           tcp and udp, both families; the first line of a connection says what it does
    proxy.py CASE HOST PORT [N]   a case below; says what went wrong and ends with 1
"""

import asyncio
import functools
import hashlib
import os
import resource
import select
import socket
import struct
import sys

PART = 1 << 16


@functools.cache
def blob(n):
    """The same n bytes for the same n, that do not repeat."""
    return hashlib.shake_128(str(n).encode()).digest(n)


def digest(data):
    return hashlib.sha256(data).hexdigest().encode()


# ---- the container's end ------------------------------------------------------------------------

last = b""


async def connection(reader, writer):
    global last
    words = (await reader.readline()).split()
    try:
        if words[:1] == [b"digest"]:
            writer.write(digest(await reader.read()))
        elif words[:1] == [b"send"]:
            writer.write(blob(int(words[1])))
        elif words[:1] == [b"first"]:
            writer.write(b"go")
            writer.write_eof()
            last = digest(await reader.read())
        elif words[:1] == [b"last"]:
            writer.write(last)
        elif words[:1] == [b"reset"]:
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            writer.transport.abort()
            return
        elif words[:1] == [b"peer"]:
            writer.write(writer.get_extra_info("peername")[0].encode())
        else:
            while data := await reader.read(PART):
                writer.write(data)
        await writer.drain()
    except ConnectionError:
        pass
    writer.close()


class Udp(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(b"heard " + data, addr)


async def serve(port):
    loop = asyncio.get_running_loop()
    for family, host in (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"):
        await asyncio.start_server(connection, host, port, backlog=4096)
        s = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind((host, port))
        await loop.create_datagram_endpoint(Udp, sock=s)
    print("ready", flush=True)
    await asyncio.Event().wait()


# ---- the caller's end ---------------------------------------------------------------------------


def call(host, port, first=b""):
    s = socket.create_connection((host, port), timeout=20)
    s.sendall(first)
    return s


def call_if_let(host, port, first):
    """None: it was let in where there was no room for the other end, and reset, as soon as that."""
    try:
        return call(host, port, first)
    except (ConnectionResetError, BrokenPipeError):
        return None


def read_all(s):
    parts = []
    while part := s.recv(PART):
        parts.append(part)
    return b"".join(parts)


def same(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: got {got[:80]!r}, wanted {wanted[:80]!r}")


def case_up(host, port, n):
    s = call(host, port, b"digest\n")
    s.sendall(blob(n))
    s.shutdown(socket.SHUT_WR)
    same("up", read_all(s), digest(blob(n)))


def case_down(host, port, n):
    s = call(host, port, b"send %d\n" % n)
    same("down", digest(read_all(s)), digest(blob(n)))


def case_first(host, port, n):
    """The container closes its way first; the other one goes on."""
    s = call(host, port, b"first\n")
    same("first", read_all(s), b"go")
    s.sendall(blob(n))
    s.shutdown(socket.SHUT_WR)
    s.close()
    for _ in range(200):
        got = read_all(call(host, port, b"last\n"))
        if got:
            break
        select.select([], [], [], 0.02)
    same("after the other way was closed", got, digest(blob(n)))


def ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def case_slow(host, port, n):
    """Who does not read stops who writes, and costs nothing meanwhile; then all of it comes."""
    pid = int(os.environ["PROXY_PID"])
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    s.connect((host, port))
    s.sendall(b"send %d\n" % n)
    before = -1
    while before != ticks(pid):
        before = ticks(pid)
        select.select([], [], [], 0.3)
    case_down(host, port, 1000)
    after = ticks(pid)
    select.select([], [], [], 0.5)
    if ticks(pid) > after + 2:
        sys.exit(f"slow: {ticks(pid) - after} ticks of work while nothing moved")
    same("slow", digest(read_all(s)), digest(blob(n)))


def case_many(host, port, n):
    all_ = [call(host, port, b"echo\n") for _ in range(n)]
    for turn in range(2):
        for i, s in enumerate(all_):
            s.sendall(b"%06d" % (i + turn))
        for i, s in reversed(list(enumerate(all_))):
            same("many", s.recv(100), b"%06d" % (i + turn))


def answered(sockets):
    poll = select.poll()
    for s in sockets:
        poll.register(s, select.POLLIN)
    return [fd for fd, events in poll.poll(300)]


def case_full(host, port, n):
    """More than it has room for: they wait, and are served when others end."""
    room = 2048
    all_ = [call(host, port, b"echo\nx") for _ in range(n)]
    done = []
    while len(done) < room:
        done = answered(all_)
    now = answered(all_)
    if len(now) != room:
        sys.exit(f"full: {len(now)} of {n} were answered, there is room for {room}")
    rest = []
    for s in all_:
        if s.fileno() in now and len(all_) - len(rest) > n - room:
            s.close()
        else:
            rest.append(s)
    rest = [s for s in rest if s.fileno() >= 0]
    for s in rest:
        same("full", s.recv(1), b"x")


def case_short(host, port, n):
    """The proxy runs out of descriptors: it rests, who is connected goes on, and so do all when it has some."""
    pid, has = int(os.environ["PROXY_PID"]), int(os.environ["PROXY_FDS"])
    first = call(host, port, b"echo\n1")
    same("short: the first", first.recv(1), b"1")
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (has + 13, before[1]))
    waiting = [s for _ in range(n) if (s := call_if_let(host, port, b"echo\nx"))]
    answered(waiting)
    at = ticks(pid)
    select.select([], [], [], 1.5)
    if ticks(pid) > at + 5:
        sys.exit(f"short: {ticks(pid) - at} ticks of work without descriptors")
    first.sendall(b"2")
    same("short: who is connected", first.recv(1), b"2")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    served = 0
    for s in waiting:
        try:
            served += s.recv(1) == b"x"
        except ConnectionResetError:
            pass
    # One for each second of a try may have been let in too far.
    if served < n - 5:
        sys.exit(f"short: only {served} of {n} were served in the end")


def case_reset(host, port, n):
    s = call(host, port, b"reset\n")
    try:
        s.recv(1)
    except ConnectionResetError:
        return
    sys.exit("reset: it was not")


def case_refused(host, port, n):
    """Nobody listens in the container."""
    try:
        socket.create_connection((host, port), timeout=20).recv(1)
    except ConnectionResetError:
        return
    sys.exit("refused: it was not reset")


def case_peer(host, port, n):
    print(read_all(call(host, port, b"peer\n")).decode())


def case_udp(host, port, n):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    all_ = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(n)]
    for turn in range(3):
        for i, s in enumerate(all_):
            s.settimeout(10)
            s.sendto(b"%d of %d" % (turn, i), (host, port))
        for i, s in reversed(list(enumerate(all_))):
            data, who = s.recvfrom(100)
            same("udp", data, b"heard %d of %d" % (turn, i))
            same("udp: the one who answers", who[0].encode(), host.encode())
    s.sendto(blob(9000), (host, port))
    same("udp: a large one", s.recv(PART), b"heard " + blob(9000))


def case_turns(host, port, n):
    """As many callers, one after the other: none of them says that he is done."""
    for i in range(n):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(10)
            s.sendto(b"%d" % i, (host, port))
            same("turns", s.recv(100), b"heard %d" % i)


def case_hold(host, port, n):
    """A connection that is used again whenever a line comes in."""
    s = call(host, port, b"echo\n")
    print("ready", flush=True)
    for line in sys.stdin:
        s.sendall(line.encode())
        print(s.recv(100).decode(), end="", flush=True)


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    if sys.argv[1] == "serve":
        asyncio.run(serve(int(sys.argv[2])))
    n = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    globals()["case_" + sys.argv[1]](sys.argv[2], int(sys.argv[3]), n)


main()
