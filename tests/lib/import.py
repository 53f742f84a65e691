"""import.py WORKER: images against `berth-worker import`; the last line is the result. Needs a mount
namespace of its own."""
import lzma
import os
import shutil
import socket
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
        self.again()

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

    def umoci_of(self, tars):
        """What umoci makes of these layers."""
        layout = self.layout("oracle")
        source = layout.add(layout.image(tars, ""), "t").done()
        found = self.umoci(source)
        shutil.rmtree(source)
        return found

    def again(self):
        """Away with what was imported."""
        shutil.rmtree(self.out)
        os.mkdir(self.out)

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


# ---- forms --------------------------------------------------------------------------------------

def two_layers():
    return [tar(BASE), tar([white("d/a"), entry("d/c", data=b"c"), entry("h", HARD, link="d/b")])]


def archive(p, directory, name):
    """A tar archive of what is in the directory."""
    subprocess.run(["tar", "-C", directory, "-cf", p.top + "/" + name, *sorted(os.listdir(directory))],
                   check=True)
    return p.top + "/" + name


def docker(p, tars, tags=("one:latest",), name="docker.tar", config=None, **more):
    """As `docker save` or skopeo write it."""
    config = json.dumps(config or {"os": "linux", "architecture": ARCH, "rootfs": {
        "type": "layers", "diff_ids": ["sha256:" + sha(t) for t in tars]}}).encode()
    manifest = [{"Config": sha(config) + ".json", "RepoTags": list(tags),
                 "Layers": [sha(t) + ".tar" for t in tars]}]
    with open(p.top + "/" + name, "wb") as file:
        file.write(tar([entry(sha(t) + ".tar", data=t) for t in tars] +
                       [entry(sha(config) + ".json", data=config),
                        entry("manifest.json", data=json.dumps(manifest).encode())]))
    return p.top + "/" + name


@case
def oci_archive_plain_and_packed(p):
    tars = two_layers()
    layout = p.layout()
    source = layout.add(layout.image(tars, "+zstd"), "t").done()
    wanted = p.umoci_of(tars)
    plain = archive(p, source, "oci.tar")
    packed = plain + ".gz"
    with open(plain, "rb") as file:
        data = file.read()
    with open(packed, "wb") as file:
        file.write(gzip.compress(data, 1))
    for name in (source, plain, packed):
        p.good(name)
        p.same(p.mount(), wanted)
        assert p.read("names") == "t\n"
        p.again()
    with open(packed, "rb") as file:
        p.good("-", stdin=file)
    p.again()
    feed = subprocess.Popen(["cat", packed], stdout=subprocess.PIPE)
    p.good("-", stdin=feed.stdout)
    feed.wait()
    p.same(p.mount(), wanted)


@case
def docker_archive(p):
    tars = two_layers()
    wanted = p.umoci_of(tars)
    p.good(docker(p, tars, ("one:latest", "two:1")))
    p.same(p.mount(), wanted)
    assert p.read("names") == "one:latest\ntwo:1\n"
    p.again()
    with open(p.top + "/docker.tar", "rb") as file, open(p.top + "/docker.tgz", "wb") as packed:
        packed.write(gzip.compress(file.read(), 1))
    p.good(p.top + "/docker.tgz", "--ref", "two:1")
    p.same(p.mount(), wanted)
    p.again()
    p.bad(p.top + "/docker.tar", "no image three in it", "--ref", "three")
    p.again()
    p.bad(p.top + "/docker.tar", "only for linux/" + ARCH, "--platform", "linux/s390x")


@case
def docker_archive_of_old(p):
    """A directory for each layer, its parent in `json`; a layer that is a link to another's."""
    tars = two_layers() + [tar([entry("last", data=b"l")])]
    ids = [sha(b"layer %d" % i) for i in range(3)]
    members = []
    for i, name in enumerate(ids):
        about = {"id": name, "created": "2015-01-01T00:00:00Z", "os": "linux", "architecture": ARCH,
                 "config": {"Cmd": ["/bin/sh"]}}
        if i:
            about["parent"] = ids[i - 1]
        members += [entry(name, DIR), entry(name + "/VERSION", data=b"1.0"),
                    entry(name + "/json", data=json.dumps(about).encode()),
                    entry(name + "/layer.tar", data=tars[i])]
    members.append(entry("repositories", data=json.dumps({"old": {"1": ids[2]}}).encode()))
    with open(p.top + "/old.tar", "wb") as file:
        file.write(tar(members))
    p.good(p.top + "/old.tar")
    p.same(p.mount(), p.umoci_of(tars))
    assert p.read("names") == "old:1\n"
    config = json.loads(p.read("image/config.json"))
    assert config["rootfs"]["diff_ids"] == ["sha256:" + sha(t) for t in tars]
    assert config["config"]["Cmd"] == ["/bin/sh"]
    assert p.read("id") == "sha256:" + sha(open(p.out + "/image/config.json", "rb").read()) + "\n"
    first = p.records()
    p.keep()
    p.good(p.top + "/old.tar")  # the digests come out only now, and the layers are there already
    assert p.records() == first and os.listdir(p.out + "/layers") == []


@case
def docker_archive_with_a_layout(p):
    """As docker writes it since 25: both; the layout has digests and is taken."""
    tars = two_layers()
    layout = p.layout()
    source = layout.add(layout.image(tars, ""), "1").done()
    with open(source + "/manifest.json", "w") as file:
        json.dump([{"Config": "blobs/sha256/none", "RepoTags": ["x:1"], "Layers": ["none"]}], file)
    p.good(archive(p, source, "both.tar"))
    p.same(p.mount(), p.umoci_of(tars))


@case
def links_in_an_archive(p):
    tars = two_layers()
    config = json.dumps({"os": "linux", "architecture": ARCH, "rootfs": {
        "type": "layers", "diff_ids": ["sha256:" + sha(t) for t in tars]}}).encode()
    manifest = [{"Config": "c.json", "RepoTags": None, "Layers": ["a/layer.tar", "b/layer.tar"]}]
    with open(p.top + "/links.tar", "wb") as file:
        file.write(tar([entry("a/layer.tar", SYM, link="../one.tar"),
                        entry("b/layer.tar", HARD, link="./two.tar"),
                        entry("one.tar", data=tars[0]), entry("two.tar", data=tars[1]),
                        entry("c.json", data=config),
                        entry("manifest.json", data=json.dumps(manifest).encode())]))
    p.good(p.top + "/links.tar")
    p.same(p.mount(), p.umoci_of(tars))
    assert p.read("names") == ""


@case
def trees(p):
    """Root archives, plain and packed, and a directory: no whiteouts, no configuration."""
    def same_names(info, data):
        info.name = info.name[2:] or "."
        return info, data
    base = [same_names(*e) if e[0].name.startswith("./") else e for e in BASE]
    plain = tar(base + [entry(".wh.user", data=b"a name like others")])
    where = p.top + "/root"
    os.mkdir(where)
    subprocess.run(["tar", "-C", where, "-xf", "-", "--xattrs", "--xattrs-include=*"], input=plain,
                   check=True)
    # A file system that is mounted in there stays outside.
    wanted = tree(where)
    packers = {"gz": lambda d: gzip.compress(d[:5000], 1) + gzip.compress(d[5000:], 1),
               "xz": lzma.compress, "tar": lambda d: d,
               "zst": lambda d: zstd(d[:5000]) + struct.pack("<II", 0x184D2A51, 3) + b"abc" +
               zstd(d[5000:]),
               "skip": lambda d: struct.pack("<II", 0x184D2A50, 5) + b"hello" + zstd(d)}
    for suffix, pack in packers.items():
        with open(p.top + "/root." + suffix, "wb") as file:
            file.write(pack(plain))
        p.good(p.top + "/root." + suffix)
        p.same(p.mount(), wanted)
        assert p.read("id") == "sha256:" + sha(plain) + "\n", suffix
        assert os.listdir(p.out + "/image") == ["layers"]
        p.again()
    subprocess.run(["mount", "-t", "tmpfs", "t", where + "/e/f"], check=True)
    open(where + "/e/f/hidden", "w").close()
    p.good(where)
    subprocess.run(["umount", where + "/e/f"], check=True)
    del wanted["e/f/g"]
    ours = p.mount()
    ours["e/f"] = wanted["e/f"]
    p.same(ours, wanted)
    p.verify()


@case
def links_in_a_directory(p):
    where = p.top + "/root"
    os.makedirs(where + "/a")
    with open(where + "/a/one", "w") as file:
        file.write("x")
    os.link(where + "/a/one", where + "/two")
    os.symlink("/etc/shadow", where + "/link")
    os.link(where + "/link", where + "/link2", follow_symlinks=False)
    os.mkfifo(where + "/pipe", 0o622)
    with open(where + "/holes", "w") as file:
        file.truncate(1 << 20)
    socket.socket(socket.AF_UNIX).bind(where + "/socket")
    os.mknod(where + "/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    wanted = tree(where)
    del wanted["socket"], wanted["null"]
    p.good(where)
    p.same(p.mount(), wanted)
    assert os.lstat(p.layer(0) + "/holes").st_blocks == 0


@case
def file_systems(p):
    """erofs and squashfs stay as they are."""
    os.mkdir(p.top + "/root")
    with open(p.top + "/root/file", "w") as file:
        file.write("in it")
    subprocess.run(["mkfs.erofs", p.top + "/r.erofs", p.top + "/root"], check=True,
                   capture_output=True)
    subprocess.run(["mksquashfs", p.top + "/root", p.top + "/r.squashfs", "-quiet", "-no-progress"],
                   check=True, capture_output=True)
    for name in ("r.erofs", "r.squashfs"):
        p.good(p.top + "/" + name)
        with open(p.top + "/" + name, "rb") as file:
            data = file.read()
        assert open(p.out + "/image/root.img", "rb").read() == data
        assert p.read("id") == "sha256:" + sha(data) + "\n"
        assert sorted(os.listdir(p.out)) == ["id", "image", "names"]
        assert os.listdir(p.out + "/image") == ["root.img"]
        p.again()
        with open(p.top + "/" + name, "rb") as file:
            feed = subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE)
            p.good("-", stdin=feed.stdout)
        assert p.read("id") == "sha256:" + sha(data) + "\n"
        p.again()


@case
def what_is_no_image(p):
    for name, data, words in (("empty", b"", "the file is empty"),
                              ("text", b"hello\n" * 1000, "none of the images that are known"),
                              ("noise", os.urandom(100000), "none of the images"),
                              ("packed", gzip.compress(b"hello\n" * 1000), "not a tar archive"),
                              ("zeros", bytes(100000), "empty")):
        with open(p.top + "/" + name, "wb") as file:
            file.write(data)
        p.bad(p.top + "/" + name, words)
        p.again()
    p.bad(p.top + "/missing", "No such file")
    os.mkdir(p.top + "/nothing")
    p.bad(p.top + "/nothing", "the directory is empty")


# ---- choosing one -------------------------------------------------------------------------------

@case
def platforms(p):
    """Indexes in indexes, attestations, kinds that nobody knows: the right one is found."""
    layout = p.layout()
    tars = {arch: [tar([entry(arch)])] for arch in ("s390x", "arm", "armv6", "armv7", "riscv64")}
    images = {arch: layout.image(t, arch=arch[:3] if arch.startswith("arm") else arch)
              for arch, t in tars.items()}

    def on(arch, variant=None):
        platform = {"os": "linux", "architecture": arch}
        return dict(platform, variant=variant) if variant else platform
    inner = layout.json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        dict(images["s390x"], platform={"os": "unknown", "architecture": "unknown"}, annotations={
            "vnd.docker.reference.type": "attestation-manifest"}),
        {"mediaType": "application/vnd.example.new+json", "digest": "md5:none", "size": -1},
        dict(images["armv6"], platform=on("arm", "v6")),
        dict(images["armv7"], platform=on("arm", "v7")),
        dict(images["s390x"], platform=on("s390x")),
        dict(images["arm"], platform=on("s390x")),
    ]}, INDEX)
    source = layout.add(inner, "many").add(images["riscv64"], "many").done()
    for platform, file in (("linux/arm/v7", "armv7"), ("linux/arm/v6", "armv6"),
                           ("linux/s390x", "s390x"), ("linux/riscv64", "riscv64")):
        p.good(source, "--platform", platform)
        assert file in os.listdir(p.layer(0)), platform
        assert p.read("names") == "many\n", p.read("names")
        p.again()
    p.bad(source, "only for linux/arm/v6, linux/arm/v7, linux/s390x", "--platform", "linux/loong64")
    p.again()
    assert "write OS/ARCH" in p.run(source, "--platform", "linux/").stderr
    p.bad(source, "no image for linux/arm", "--platform", "linux/arm/v5")


@case
def names(p):
    layout = p.layout()
    one, two = layout.image([tar([entry("one")])]), layout.image([tar([entry("two")])])
    source = layout.add(one, "one").add(two, "two").add(one, "uno").done()
    p.bad(source, "several images, name one of them: one, two, uno")
    p.again()
    p.good(source, "--ref", "two")
    assert os.listdir(p.layer(0)) == ["two"] and p.read("names") == "two\n"
    p.again()
    p.good(source, "--ref", "uno")
    assert os.listdir(p.layer(0)) == ["one"] and p.read("names") == "one\nuno\n"
    p.again()
    p.bad(source, "there is no image three in it", "--ref", "three")


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
    p.again()
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
