#!/usr/bin/env python3
"""A block device that logs what is written to it, and what a power cut would have left of it.

In the machine, as root (the kernel's target "log-writes", by the ioctls of device mapper):

  logwrites.py make NAME DEVICE LOG   /dev/dm-N on DEVICE, logged to LOG; prints the device
  logwrites.py mark NAME TEXT         a mark in the log
  logwrites.py remove NAME            the log is complete

Anywhere, with the log as a file:

  logwrites.py list LOG               a line for each entry: number, kind (mark TEXT, flush, fua, write)
  logwrites.py build LOG BASE N SEED OUT
      OUT is the disk BASE after the power was cut behind entry N: all that was written before the last
      flush and all that was forced, and of the rest what SEED chooses, for nothing orders it; SEED
      "all": all of the rest, "none": none of it.

The log is as Documentation/admin-guide/device-mapper/log-writes.rst has it: a superblock (magic,
version, number of entries, size of a sector), then for each entry a sector (sector, number of sectors,
flags, length of a mark; the mark itself) and its data. The kernel writes the entries of a flush's
forerunners before the flush, and a mark at once: what stands before a mark was safe when it was made.
"""
import os
import struct
import sys

FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
MAGIC = 0x6A736677736872
SECTOR = 512


# What only one side needs is imported there: the machine's Python is a minimal one.


def entries(log):
    """(number, flags, sector, bytes of data, where they lie in the log, text of a mark)"""
    magic, _, count, size = struct.unpack_from("<QQQI", log.read(SECTOR))
    if magic != MAGIC:
        sys.exit("logwrites: no log")
    at = size
    for number in range(count):
        log.seek(at)
        head = log.read(size)
        sector, sectors, flags, length = struct.unpack_from("<QQQQ", head)
        at += size
        data = 0 if flags & DISCARD else sectors * size
        yield number, flags, sector * SECTOR, data, at, head[32 : 32 + length].decode() if flags & MARK else ""
        at += data


def list_log(path):
    with open(path, "rb") as log:
        for number, flags, _, data, _, text in entries(log):
            kind = "flush" if flags & FLUSH else "fua" if flags & FUA else "discard" if flags & DISCARD else "write"
            print(number, f"mark {text}" if flags & MARK else kind, data if not flags & MARK else "")


def build(path, base, last, seed, out):
    import random
    import shutil

    chance = random.Random(seed)
    with open(path, "rb") as log:
        log_entries = [e for e in entries(log) if e[0] <= int(last)]
        flushed = max([e[0] for e in log_entries if e[1] & FLUSH], default=-1)
        shutil.copyfile(base, out)
        with open(out, "r+b") as disk:
            for number, flags, sector, data, at, _ in log_entries:
                lasting = number <= flushed or flags & FUA
                if not data or not (lasting or seed == "all" or seed != "none" and chance.random() < 0.5):
                    continue
                log.seek(at)
                disk.seek(sector)
                disk.write(log.read(data))


# ---- the device -------------------------------------------------------------------------------------

DM_CREATE, DM_REMOVE, DM_RESUME, DM_LOAD, DM_MESSAGE = 3, 4, 6, 9, 14
HEAD = "=3I I I I i I I I Q 128s 129s 7x"
SIZE = 16384


def ask(command, name, payload=b"", targets=0):
    """One ioctl of device mapper; gives the number of the device."""
    import fcntl

    head = struct.pack(HEAD, 4, 0, 0, SIZE, struct.calcsize(HEAD), targets, 0, 0, 0, 0, 0, name.encode(), b"")
    block = bytearray((head + payload).ljust(SIZE, b"\0"))
    request = 3 << 30 | struct.calcsize(HEAD) << 16 | 0xFD << 8 | command
    with open("/dev/mapper/control", "r+b", buffering=0) as control:
        fcntl.ioctl(control, request, block)
    return struct.unpack_from(HEAD, block)[10]


def make(name, device, log):
    with open(device, "rb") as disk:
        sectors = disk.seek(0, os.SEEK_END) // SECTOR
    words = f"{device} {log}".encode() + b"\0"
    target = struct.pack("=QQiI16s", 0, sectors, 0, 0, b"log-writes") + words
    ask(DM_CREATE, name)
    ask(DM_LOAD, name, target, 1)
    number = ask(DM_RESUME, name)
    print(f"/dev/dm-{os.minor(number)}")


def main(words):
    if words[:1] == ["make"] and len(words) == 4:
        make(*words[1:])
    elif words[:1] == ["mark"] and len(words) == 3:
        ask(DM_MESSAGE, words[1], struct.pack("=Q", 0) + f"mark {words[2]}".encode() + b"\0")
    elif words[:1] == ["remove"] and len(words) == 2:
        ask(DM_REMOVE, words[1])
    elif words[:1] == ["list"] and len(words) == 2:
        list_log(words[1])
    elif words[:1] == ["build"] and len(words) == 6:
        build(*words[1:])
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
