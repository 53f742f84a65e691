"""unpack.py WORKER: archives made by tarfile, good and hostile; the last line is the result."""
import gzip
import io
import lzma
import os
import resource
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import time

WORKER = os.path.abspath(sys.argv[1])
ROOT = os.geteuid() == 0
CASES = []


def case(function):
    CASES.append(function)
    return function


class Place:
    """One case's directory: out/ to unpack into, canary/ beside it that must stay as it is."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="berth-test-unpack-")
        self.out = self.top + "/out"
        self.tar = self.top + "/a.tar"
        os.mkdir(self.out)
        os.mkdir(self.top + "/canary")
        os.chmod(self.top + "/canary", 0o750)
        with open(self.top + "/canary/secret", "w") as file:
            file.write("untouched")
        os.chmod(self.top + "/canary/secret", 0o600)
        self.before = self.canary()

    def canary(self):
        seen = [sorted(os.listdir(self.top))]
        for name in ("/canary", "/canary/secret"):
            st = os.lstat(self.top + name)
            seen.append((st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, st.st_nlink))
        seen.append(sorted(os.listdir(self.top + "/canary")))
        seen.append(open(self.top + "/canary/secret").read())
        seen[0] = [n for n in seen[0] if n not in ("a.tar",)]
        return seen

    def path(self, name):
        return self.out + "/" + name

    def stat(self, name):
        return os.lstat(self.path(name))

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def run(self):
        return subprocess.run([WORKER, "unpack", self.tar, self.out], capture_output=True,
                              text=True, errors="replace", timeout=120)

    def good(self):
        done = self.run()
        assert done.returncode == 0, done.stderr
        assert done.stderr == "", done.stderr
        assert self.canary() == self.before, "the canary changed"

    def bad(self, words):
        done = self.run()
        assert done.returncode == 1, (done.returncode, done.stderr)
        assert done.stderr.startswith("berth-worker: unpack " + self.tar + ": "), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert words in done.stderr, done.stderr
        assert self.canary() == self.before, "the canary changed"


def entry(name, kind=tarfile.REGTYPE, data=b"", link="", mode=None, uid=0, gid=0, mtime=1000000000,
          pax=None):
    info = tarfile.TarInfo(name)
    if mode is None:
        mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    info.type = kind
    info.size = len(data)
    info.linkname = link
    info.mode = mode
    info.uid = uid
    info.gid = gid
    info.mtime = mtime
    info.pax_headers = pax or {}
    return info, data


def write(place, *entries, form=tarfile.PAX_FORMAT):
    with tarfile.open(place.tar, "w", format=form) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))


def device(name, kind, major, minor):
    info, data = entry(name, kind)
    info.devmajor = major
    info.devminor = minor
    return info, data


DIR, SYM, HARD, FIFO = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE


# ---- what must come out exactly -----------------------------------------------------------------

@case
def plain(p):
    write(p, entry("./", DIR, mode=0o751, uid=7, gid=8), entry("./a/", DIR, mode=0o2755),
          entry("./a/file", data=b"hello", mode=0o640, uid=1000, gid=1001),
          entry("a/link", SYM, link="/etc/../../x"), entry("a/pipe", FIFO, mode=0o622),
          entry("./a/hard", HARD, link="./a/file"), entry("deep/er/file", data=b"x" * 10000),
          entry("other/hard", HARD, link="a/file"))
    p.good()
    assert stat.S_IMODE(p.stat("").st_mode) == 0o751
    assert stat.S_IMODE(p.stat("a").st_mode) == 0o2755
    st = p.stat("a/file")
    assert stat.S_IMODE(st.st_mode) == 0o640 and st.st_mtime == 1000000000 and st.st_nlink == 3
    assert p.stat("a").st_mtime == 1000000000 and p.stat("").st_mtime == 1000000000
    assert p.stat("a/link").st_mtime == 1000000000
    assert os.readlink(p.path("a/link")) == "/etc/../../x"
    assert stat.S_ISFIFO(p.stat("a/pipe").st_mode)
    assert stat.S_IMODE(p.stat("a/pipe").st_mode) == 0o622
    assert p.read("a/hard") == b"hello" and p.read("deep/er/file") == b"x" * 10000
    if ROOT:
        assert (st.st_uid, st.st_gid) == (1000, 1001)
        assert (p.stat("").st_uid, p.stat("").st_gid) == (7, 8)


@case
def formats_and_filters(p):
    long = "d" * 90 + "/" + "e" * 90 + "/" + "f" * 120
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        name = long if form != tarfile.USTAR_FORMAT else "d" * 90 + "/" + "e" * 90
        write(p, entry(name, data=b"long"), form=form)
        p.good()
        assert p.read(name) == b"long"
        shutil.rmtree(p.out)
        os.mkdir(p.out)
    write(p, entry("f\u00fc\u2603", data=b"name"), entry("zz", SYM, link="\u2603"))
    plain_tar = open(p.tar, "rb").read()
    packed = [plain_tar, gzip.compress(plain_tar), lzma.compress(plain_tar)]
    if shutil.which("zstd"):
        packed.append(subprocess.run(["zstd", "-c"], input=plain_tar, capture_output=True,
                                     check=True).stdout)
    for data in packed:
        open(p.tar, "wb").write(data)
        p.good()
        assert p.read("f\u00fc\u2603") == b"name" and os.readlink(p.path("zz")) == "\u2603"
        shutil.rmtree(p.out)
        os.mkdir(p.out)


@case
def name_that_is_no_utf8(p):
    write(p, entry("f\udcff", data=b"bytes"), form=tarfile.GNU_FORMAT)
    p.good()
    assert open(p.out.encode() + b"/f\xff", "rb").read() == b"bytes"


@case
def setuid_kept(p):
    write(p, entry("su", data=b"x", mode=0o4755, uid=0), entry("sg", data=b"x", mode=0o2711, gid=0))
    p.good()
    assert stat.S_IMODE(p.stat("su").st_mode) == 0o4755
    assert stat.S_IMODE(p.stat("sg").st_mode) == 0o2711


@case
def attributes(p):
    capability = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
    pax = {
        "SCHILY.xattr.security.capability": capability.decode("utf-8", "surrogateescape"),
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "SCHILY.xattr.trusted.other": "x",
        "SCHILY.xattr.user.overlay.redirect": "/etc",
        "SCHILY.xattr.security.selinux": "x",
    }
    write(p, entry("f", data=b"x" * 5, mode=0o755, uid=12, pax=pax),
          entry("d", DIR, pax={"SCHILY.xattr.trusted.overlay.opaque": "y"}))
    p.good()
    names = os.listxattr(p.path("f"))
    assert [n for n in names if n != "security.capability"] == [], names
    assert os.listxattr(p.path("d")) == []
    if ROOT:
        assert os.getxattr(p.path("f"), "security.capability") == capability


@case
def holes(p):
    write(p, entry("zeros", data=bytes(8 << 20)), entry("end", data=b"x" + bytes(1 << 20) + b"y"))
    p.good()
    assert p.stat("zeros").st_size == 8 << 20 and p.stat("zeros").st_blocks == 0
    assert p.read("end") == b"x" + bytes(1 << 20) + b"y"


@case
def devices_skipped(p):
    write(p, entry("dev", DIR), device("dev/sda", tarfile.BLKTYPE, 8, 0),
          device("dev/null", tarfile.CHRTYPE, 1, 3), device("gone", tarfile.CHRTYPE, 0, 0),
          entry("dev/fd", SYM, link="/proc/self/fd"))
    p.good()
    assert os.listdir(p.path("dev")) == ["fd"] and os.listdir(p.out) == ["dev"]


@case
def last_one_wins(p):
    write(p, entry("f", data=b"old"), entry("f", data=b"new", mode=0o600),
          entry("d", DIR, mode=0o700), entry("d/x", data=b"kept"), entry("d", DIR, mode=0o755),
          entry("t", DIR), entry("t/y/z", data=b""), entry("t", data=b"file now"),
          entry("s", SYM, link="/etc"), entry("s", DIR), entry("s/in", data=b"in"))
    p.good()
    assert p.read("f") == b"new" and p.read("d/x") == b"kept" and p.read("t") == b"file now"
    assert stat.S_IMODE(p.stat("d").st_mode) == 0o755
    assert stat.S_ISDIR(p.stat("s").st_mode) and p.read("s/in") == b"in"


@case
def whiteout_names_mean_nothing(p):
    write(p, entry("a", data=b"a"), entry(".wh.a", data=b""), entry(".wh..wh..opq", data=b""))
    p.good()
    assert sorted(os.listdir(p.out)) == [".wh..wh..opq", ".wh.a", "a"]


# ---- hostile: names (zip slip) ------------------------------------------------------------------

def refused(name, words, *entries, **options):
    def run(p):
        write(p, *[e(p) if callable(e) else e for e in entries], **options)
        p.bad(words)
    run.__name__ = name
    CASES.append(run)


for number, slip in enumerate(("../canary/new", "a/../../canary/new", "..", "a/..", "/../x",
                               "./../canary/secret", "a//..//../x")):
    refused("slip_%d" % number, "name with ..", entry("a", DIR), entry(slip, data=b"x"))
refused("slip_by_pax", "name with ..", entry("ok", data=b"x", pax={"path": "../canary/new"}))
refused("part_too_long", "too long", entry("n" * 256, data=b"x"))
refused("path_too_long", "too long", entry("d/" * 3000 + "f", data=b"x"))
refused("too_deep", "too deep", entry("d/" * 256 + "f", data=b"x"))


@case
def absolute_is_relative(p):
    write(p, entry("/etc/berth-test-absolute", data=b"x"), entry("//b", data=b"y"))
    p.good()
    assert p.read("etc/berth-test-absolute") == b"x" and p.read("b") == b"y"
    assert not os.path.exists("/etc/berth-test-absolute")


# ---- hostile: links -----------------------------------------------------------------------------

refused("root_as_link", "root is not a directory", entry(".", SYM, link="../canary"))
refused("root_as_link_2", "root is not a directory", entry("./", SYM, link="/"))
refused("root_as_file", "root is not a directory", entry(".", data=b"x"))
refused("root_as_hardlink", "root is not a directory", entry("f"), entry(".", HARD, link="f"))
refused("write_through_link", "is a link", entry("l", SYM, link="../canary"),
        entry("l/new", data=b"x"))
refused("write_through_absolute_link", "is a link",
        lambda p: entry("l", SYM, link=p.top + "/canary"), entry("l/secret", data=b"x"))
refused("write_through_inner_link", "is a link", entry("d", DIR), entry("l", SYM, link="d"),
        entry("l/x", data=b"x"))
refused("mkdir_through_link", "is a link", entry("l", SYM, link="../canary"), entry("l/d", DIR))
refused("write_below_file", "a file", entry("f", data=b"x"), entry("f/g", data=b"x"))
refused("hardlink_up", "leaves the root", entry("h", HARD, link="../canary/secret"))
refused("hardlink_absolute", "not in the archive", lambda p: entry("h", HARD,
                                                                   link=p.top + "/canary/secret"))
refused("hardlink_through_link", "not in the archive", entry("l", SYM, link="../canary"),
        entry("h", HARD, link="l/secret"))
refused("hardlink_missing", "not in the archive", entry("h", HARD, link="nothing"))
refused("hardlink_to_directory", "which is a directory", entry("d", DIR),
        entry("h", HARD, link="d"))
refused("symlink_to_nothing", "link", entry("s", SYM, link=""))


@case
def link_is_replaced_not_followed(p):
    write(p, entry("l", SYM, link="../canary/secret"), entry("l", data=b"mine", mode=0o777),
          entry("m", SYM, link="../canary"), entry("m", DIR, mode=0o777))
    p.good()
    assert p.read("l") == b"mine" and stat.S_ISDIR(p.stat("m").st_mode)


@case
def hardlink_to_link_then_metadata(p):
    """CVE-2021-32760: mode and owner of a hard link must not reach the link's target."""
    write(p, entry("l", SYM, link="../canary/secret"), entry("h", HARD, link="l", mode=0o777, uid=5))
    p.good()
    assert os.readlink(p.path("h")) == "../canary/secret" and p.stat("h").st_nlink == 2


@case
def hardlink_keeps_target(p):
    write(p, entry("f", data=b"x", mode=0o600, uid=1), entry("h", HARD, link="f", mode=0o777, uid=2),
          entry("f", HARD, link="f"))
    p.good()
    assert stat.S_IMODE(p.stat("f").st_mode) == 0o600 and p.read("f") == b"x"
    assert not ROOT or p.stat("f").st_uid == 1


# ---- hostile: numbers, sizes, broken bytes ------------------------------------------------------

refused("uid_wraps", "no user id", entry("f", uid=(1 << 32) - 1), form=tarfile.GNU_FORMAT)
refused("uid_too_large", "no user id", entry("f", uid=1 << 40), form=tarfile.GNU_FORMAT)
refused("gid_negative", "no user id", entry("f", gid=-1), form=tarfile.GNU_FORMAT)
refused("control_bytes_stay_one_line", "a?b?[31m", entry("a\nb\x1b[31m/../x", data=b"x"))


@case
def not_an_archive(p):
    for data in (b"", b"hello", b"\x1f\x8b\x08garbage", os.urandom(4096), bytes(10240)):
        open(p.tar, "wb").write(data)
        p.bad("not a tar archive" if any(data) or not data else "the archive is empty")


@case
def truncated(p):
    write(p, entry("f", data=b"x" * 100000))
    data = open(p.tar, "rb").read()
    packed = gzip.compress(os.urandom(100) + data)
    for cut in (data[:50000], gzip.compress(data)[:-40], packed[:60]):
        open(p.tar, "wb").write(cut)
        p.bad("")


@case
def header_bomb(p):
    """A pax header of 200 MiB: refused, with little memory."""
    info = tarfile.TarInfo("PaxHeader")
    info.type = tarfile.XHDTYPE
    info.size = 200 << 20
    with open(p.tar, "wb") as file:
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        file.write(bytes(1 << 20))
    p.bad("")


@case
def too_many_entries(p):
    # Device nodes: counted, but nothing is made.
    header = device("f", tarfile.CHRTYPE, 1, 3)[0].tobuf(tarfile.USTAR_FORMAT)
    with gzip.open(p.tar, "wb", compresslevel=1) as file:
        for _ in range(100):
            file.write(header * 10010)
    start = time.time()
    p.bad("more than 1000000 entries")
    assert time.time() - start < 60


@case
def content_bomb(p):
    """More content than fits on a small tmpfs, as zeros that compress a thousandfold."""
    if not ROOT or shutil.which("unshare") is None:
        raise unittest_skip("needs root and unshare")
    with gzip.open(p.tar, "wb", compresslevel=1) as file:
        info = entry("bomb")[0]
        info.size = 1 << 28
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(256):
            file.write(bytes(1 << 20))
        file.write(bytes(1024))
    script = 'mount -t tmpfs -o size=16m t "$3" && exec "$0" unpack "$2" "$3"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, WORKER, "-", p.tar, p.out],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "does not fit" in done.stderr, done
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak < (1 << 20 if "/asan" in WORKER else 48 << 10), peak  # KiB, all cases together


class unittest_skip(Exception):
    pass


def main():
    passed = failed = skipped = 0
    for run in CASES:
        place = Place()
        try:
            run(place)
            passed += 1
        except unittest_skip as why:
            print("unpack: %s: skipped: %s" % (run.__name__, why))
            skipped += 1
        except Exception as why:  # a case that fails must not hide the others
            print("unpack: %s: FAILED: %s: %s" % (run.__name__, type(why).__name__, why))
            failed += 1
        finally:
            shutil.rmtree(place.top, ignore_errors=True)
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0


sys.exit(main())
