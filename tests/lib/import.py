"""import.py WORKER: images against `berth-worker import`; the last line is the result. Needs a mount
namespace of its own."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from layout import *  # noqa: E402,F403 - the words that images are written in

WORKER = os.path.abspath(sys.argv[1])
ONLY = os.environ.get("ONLY", "")
CASES = []


def case(function):
    CASES.append(function)
    return function


class Place:
    """One case's directory: the store to import into, a canary beside it that must stay as it is."""

    def __init__(self, top):
        self.top = top
        self.store = top + "/store"
        self.out = self.store + "/tmp/1"
        self.merged = top + "/merged"
        for name in (self.store + "/layers", self.store + "/images", self.out, self.merged,
                     top + "/canary/sub"):
            os.makedirs(name)
        with open(top + "/canary/secret", "w") as file:
            file.write("untouched")
        os.chmod(top + "/canary/secret", 0o600)
        self.before = tree(top + "/canary")

    def layout(self, name="layout"):
        return Layout(self.top + "/" + name)

    def run(self, source, *options, stdin=None):
        done = subprocess.run([WORKER, "import", *options, source, self.out, self.store + "/layers"],
                              capture_output=True, text=True, errors="replace", timeout=120,
                              stdin=stdin)
        assert tree(self.top + "/canary") == self.before, "the canary changed"
        return done

    def good(self, source, *options, **more):
        done = self.run(source, *options, **more)
        assert done.returncode == 0, done.stderr
        assert done.stderr == "", done.stderr
        for line in done.stdout.splitlines():
            now, total, what = line.split(" ", 2)
            assert int(now) <= int(total) or total == "0", line
            assert what, line

    def bad(self, source, words, *options, **more):
        done = self.run(source, *options, **more)
        assert done.returncode == 1, (done.returncode, done.stderr)
        assert done.stderr.startswith("berth-worker: import " + source + ": "), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert words in done.stderr, done.stderr
        return done.stderr

    def read(self, name):
        with open(self.out + "/" + name) as file:
            return file.read()

    def records(self):
        return [line.split() for line in self.read("image/layers").splitlines()]

    def keep(self):
        """As the store does it: the layers and the image are its own now."""
        image = self.read("id").strip().split(":")[1]
        for record in self.records():
            if os.path.exists(self.out + "/layers/" + record[0]):
                os.rename(self.out + "/layers/" + record[0], self.store + "/layers/" + record[0])
        if not os.path.exists(self.store + "/images/" + image):
            os.rename(self.out + "/image", self.store + "/images/" + image)
        shutil.rmtree(self.out)
        os.mkdir(self.out)

    def layer(self, i):
        """The directory of the i-th layer, the lowest being 0."""
        chain = self.records()[i][0]
        ours = self.out + "/layers/" + chain
        return ours if os.path.exists(ours) else self.store + "/layers/" + chain

    def mount(self):
        """The layers as overlayfs shows them."""
        dirs = [self.layer(i) for i in reversed(range(len(self.records())))]
        if len(dirs) == 1:  # overlayfs wants two
            dirs.append(self.top + "/none")
            os.makedirs(dirs[1], exist_ok=True)
        options = "lowerdir=" + ":".join(dirs)
        subprocess.run(["mount", "-t", "overlay", "o", "-o", options, self.merged], check=True)
        found = tree(self.merged)
        subprocess.run(["umount", self.merged], check=True)
        return found

    def umoci(self, source, ref="t"):
        bundle = self.top + "/bundle"
        subprocess.run(["umoci", "unpack", "--image", source + ":" + ref, bundle], check=True,
                       capture_output=True)
        found = tree(bundle + "/rootfs")
        shutil.rmtree(bundle)
        return found

    def same(self, ours, theirs):
        ours["."][4] = theirs["."][4] = 0  # when the unpacker was at work
        lines = differences(ours, theirs)
        assert not lines, "\n".join(lines[:20])

    def verify(self):
        """The digests that were written down are those of the trees."""
        for i, record in enumerate(self.records()):
            done = subprocess.run([WORKER, "verify-tree", self.layer(i)], capture_output=True,
                                  text=True, check=True)
            assert done.stdout.split() == record[2:], (done.stdout, record)


BASE = [
    entry("./", DIR, mode=0o751, uid=7), entry("./etc", DIR, mode=0o750, uid=3, gid=4),
    entry("etc/passwd", data=b"root"), entry("usr", DIR), entry("usr/lib", DIR, mtime=5),
    entry("usr/lib/x", data=b"x" * 100000, uid=1), entry("lib", SYM, link="usr/lib"),
    entry("abs", SYM, link="/usr/lib"), entry("d", DIR), entry("d/a", data=b"a"),
    entry("d/b", data=b"b"), entry("e", DIR, mode=0o700), entry("e/f", DIR),
    entry("e/f/g", data=b"g"), entry("w", DIR), entry("w/x", data=b"x"),
    entry("user", data=b"hi", pax={"user.color": b"blue"}),
    entry("ping", data=b"hi", mode=0o4755, pax={"security.capability": CAPABILITY}),
]


# ---- what must come out as umoci makes it -------------------------------------------------------

@case
def three_layers(p):
    """A directory known to the lower layer only, links to it, whiteouts, opaque directories."""
    tars = [tar(BASE), tar([
        entry("etc/new", data=b"new"), white("d/a"), entry("lib/relative", data=b"v"),
        entry("abs/absolute", data=b"1"), entry("hard", HARD, link="usr/lib/x"),
        entry("e/keep", data=b"k"), opaque("e"),
    ]), tar([white("w"), entry("w/only", data=b"o"), white("nothing"),
             entry("d/b", SYM, link="../etc"), white("user")])]
    layout = p.layout()
    source = layout.add(layout.image(tars), "t").done()
    p.good(source)
    p.same(p.mount(), p.umoci(source))
    p.verify()
    assert os.listdir(p.layer(1) + "/e") == ["keep"]
    assert os.getxattr(p.layer(1) + "/e", "trusted.overlay.opaque") == b"y"
    assert not os.path.exists(p.layer(2) + "/nothing")
    assert p.read("names") == "t\n"
    config = open(p.out + "/image/config.json", "rb").read()
    assert p.read("id") == "sha256:" + sha(config) + "\n"


# ---- the store ----------------------------------------------------------------------------------

@case
def known_layers_are_not_unpacked_again(p):
    base, one, two = tar(BASE), tar([entry("one")]), tar([entry("etc/two")])
    first, second = p.layout("first"), p.layout("second")
    p.good(first.add(first.image([base, one]), "t").done())
    before = p.records()
    p.keep()
    source = second.add(second.image([base, two]), "t").done()
    p.good(source)
    assert p.records()[0] == before[0]
    assert os.listdir(p.out + "/layers") == [p.records()[1][0]]
    p.same(p.mount(), p.umoci(source))
    p.verify()
    # A layer that no image has written down is counted again.
    shutil.rmtree(p.store + "/images")
    shutil.rmtree(p.out)
    os.mkdir(p.out)
    p.good(source)
    assert p.records()[0] == before[0]


def main():
    passed = failed = 0
    base = tempfile.mkdtemp(prefix="berth-test-import-")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g,mode=755", "import", base], check=True)
    for number, run in enumerate(CASES):
        if ONLY not in run.__name__:
            continue
        top = "%s/%d" % (base, number)
        begun = time.time()
        try:
            run(Place(top))
            passed += 1
        except Exception as why:  # a case that fails must not hide the others
            print("import: %s: FAILED: %s: %s" % (run.__name__, type(why).__name__, why))
            failed += 1
        if time.time() - begun > 1:
            print("import: %s in %dms" % (run.__name__, (time.time() - begun) * 1000))
        shutil.rmtree(top, ignore_errors=True)
    subprocess.run(["umount", base], check=True)
    os.rmdir(base)
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
