"""Images that are as they should be, in every form: cases for import.py."""
import gzip
import json
import lzma
import os
import shutil
import socket
import stat
import struct
import subprocess
import tarfile

from importing import case
from layout import *  # noqa: F403 - the words that images are written in

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

def compared(p, tars, umoci=True, podman=True):
    """Import, and hold it against both."""
    layout = p.layout()
    source = layout.add(layout.image(tars), "t").done()
    p.good(source)
    if umoci:
        p.same(p.mount(), p.umoci(source))
    if podman:
        p.same_as_podman(p.mount(), p.podman(source))
    p.verify()
    return p.mount()


@case
def three_layers(p):
    """A directory known to the lower layer only, links to it, whiteouts, opaque directories."""
    tars = [tar(BASE), tar([
        entry("etc/new", data=b"new"), white("d/a"), entry("lib/relative", data=b"v"),
        entry("abs/absolute", data=b"1"), entry("hard", HARD, link="usr/lib/x", uid=1),
        entry("e/keep", data=b"k"), opaque("e"),
    ]), tar([white("w"), entry("w/only", data=b"o"), white("nothing"),
             entry("d/b", SYM, link="../etc"), white("user")])]
    compared(p, tars)
    assert os.listdir(p.layer(1) + "/e") == ["keep"]
    assert os.getxattr(p.layer(1) + "/e", "trusted.overlay.opaque") == b"y"
    assert not os.path.exists(p.layer(2) + "/nothing")
    assert p.read("names") == "t\n"
    config = open(p.out + "/image/config.json", "rb").read()
    assert p.read("id") == "sha256:" + sha(config) + "\n"


def dirs(*names):
    """Directories with a file and a directory with a file in it."""
    made = []
    for name in names:
        made += [entry(name, DIR), entry(name + "/f", data=name.encode()), entry(name + "/s", DIR),
                 entry(name + "/s/g", data=b"g")]
    return made


@case
def whiteouts(p):
    """Marks before and after what they go with, of every type, where there is nothing to hide."""
    names = ["d%d" % i for i in range(10)]
    one = dirs(*names) + [entry("file", data=b"1"), entry("file2", data=b"2"),
                          entry("link", SYM, link="d0"), entry("usr/lib", DIR),
                          entry("usr/lib/so", data=b"so"), entry("lib", SYM, link="usr/lib")]
    hard = white("d6/f")
    hard[0].type, hard[0].linkname = HARD, "file"
    fifo = white("d7/f")
    fifo[0].type = FIFO
    two = [white("file"), white("d0"), white("d1"), entry("d1", DIR, mode=0o700),
           entry("d1/new", data=b"n"), opaque("d3"), entry("d3/new", data=b"n"),
           entry("d4", DIR, mode=0o711), entry("d4/new", data=b"n"), opaque("d4"),
           white("d5/s"), white("d5/f"), white("d5/none"), hard, fifo, white("lib/so"),
           white("file2"), entry("file2", data=b"again"), opaque("d8/s")]
    three = [entry("d0", DIR), entry("d0/back", data=b"b"), entry("file", DIR),
             entry("file/in", data=b"i"), white("d1/new"), opaque("d1"), entry("d3/f", data=b"3"),
             entry("d5/f", DIR), white("file2")]
    merged = compared(p, [tar(one), tar(two), tar(three)])
    assert "d0/f" not in merged and "d4/f" not in merged and "d4/new" in merged


@case
def marks_without_an_effect(p):
    one, two = dirs("a"), [white("missing/x"), white("a/none"), opaque("a/f/x"), opaque("not/here"),
                           entry("a/.wh..wh.plnk/1.2", data=b"of old docker"),
                           entry(".wh..wh.aufs", data=b"too")]
    p.good(p.layout().add(p.first.image([tar(one), tar(two)])).done())
    assert sorted(p.mount()) == [".", "a", "a/f", "a/s", "a/s/g"]
    assert p.mount()["a"][4] == 1000000000


@case
def whiteout_after_its_own_name(p):
    """A mark is about the layers below, wherever it stands: what is in the same layer stays."""
    one = dirs("a", "b", "c")
    two = [entry("a/new", data=b"n"), entry("a", DIR, mode=0o711), white("a"),
           entry("b", data=b"now a file"), white("b"), entry("c/new", data=b"n"), white("c/s"),
           opaque("c")]
    p.good(p.layout().add(p.first.image([tar(one), tar(two)])).done())
    assert sorted(p.mount()) == [".", "a", "a/new", "b", "c", "c/new"]
    # No more marks than needed.
    assert sorted(os.listdir(p.layer(1) + "/c")) == ["new"]


@case
def opaque_root(p):
    """overlayfs merges the top of all layers, whatever they say: every name is hidden instead."""
    one = dirs("a", "b") + [entry("f", data=b"f")]
    two = [entry("a/new", data=b"n"), opaque(""), entry("f", data=b"new")]
    three = [entry("b/again", data=b"x")]
    p.good(p.layout().add(p.first.image([tar(one), tar(two), tar(three)])).done())
    assert sorted(p.mount()) == [".", "a", "a/new", "b", "b/again", "f"]


@case
def kinds_that_change(p):
    """File, directory and link take each other's place, and back."""
    kinds = {"f": lambda n: [entry(n, data=n.encode())],
             "d": lambda n: [entry(n, DIR), entry(n + "/in", data=b"in")],
             "l": lambda n: [entry(n, SYM, link="elsewhere")],
             "p": lambda n: [entry(n, FIFO)]}
    layers = [[], [], []]
    for first in kinds:
        for second in kinds:
            for third in kinds:
                for layer, kind in zip(layers, (first, second, third)):
                    layer += kinds[kind](first + second + third)
    merged = compared(p, [tar(layer) for layer in layers])
    # Of a directory that was something else in between, what it was before does not come back.
    assert "dfd/in" in merged


@case
def twice_in_one_layer(p):
    """The last one wins, also over what the layer below has under that name."""
    one = dirs("d", "e", "k")
    two = [entry("d", data=b"file"), entry("d", DIR), entry("d/new"), entry("e", SYM, link="d"),
           entry("e", DIR, mode=0o700), entry("f", data=b"1"), entry("f", data=b"22", mode=0o600),
           entry("k", DIR, mode=0o711), entry("k", DIR, mode=0o700), entry("g", DIR),
           entry("g/x"), entry("g", data=b"file")]
    compared(p, [tar(one), tar(two)], podman=False)


@case
def parents_that_are_files(p):
    """A name below a file: the file makes room. umoci and podman give up."""
    one = [entry("a", data=b"f"), entry("b", DIR), entry("b/c", data=b"f")]
    two = [entry("a/x", data=b"x"), entry("b/c/d/e", data=b"e")]
    p.good(p.layout().add(p.first.image([tar(one), tar(two)])).done())
    assert sorted(p.mount()) == [".", "a", "a/x", "b", "b/c", "b/c/d", "b/c/d/e"]


@case
def hard_links(p):
    """To the same layer, to lower ones, by way of links, to links; the two are one file."""
    def same(name, kind=REG, **more):  # the headers of all names say the same, as tools write it
        return entry(name, kind, mode=0o4711, uid=7, mtime=77, pax={"user.x": b"y"}, **more)
    one = [entry("d", DIR), same("d/f", data=b"f" * 9000), entry("d/l", SYM, link="f"),
           entry("d/p", FIFO), entry("s", SYM, link="/d"), entry("zeros", data=bytes(1 << 20))]
    two = [same("h1", HARD, link="d/f"), same("h2", HARD, link="h1"),
           entry("h3", HARD, link="/s/l"), same("e/h4", HARD, link="./s/f"),
           entry("z", HARD, link="zeros"), entry("n", data=b"n"), entry("n2", HARD, link="n"),
           entry("p", HARD, link="d/p")]
    merged = compared(p, [tar(one), tar(two)])
    assert merged["h1"][-1] == ["d/f", "e/h4", "h1", "h2"]
    assert os.lstat(p.layer(1) + "/z").st_blocks == 0


@case
def links_on_the_way(p):
    """Directories that are links: relative, absolute, upwards, to each other, to what is not there."""
    one = [entry("usr", DIR), entry("usr/lib", DIR), entry("usr/bin", DIR),
           entry("lib", SYM, link="usr/lib"), entry("bin", SYM, link="/usr/bin"),
           entry("usr/lib/up", SYM, link="../../lib"), entry("far", SYM, link="../../../../usr"),
           entry("chain", SYM, link="chain2"), entry("chain2", SYM, link="usr/lib/up")]
    two = [entry("lib/a", data=b"a"), entry("bin/b", data=b"b"), entry("usr/lib/up/c", data=b"c"),
           entry("far/bin/d", data=b"d"), entry("chain/e", data=b"e"),
           entry("own", SYM, link="usr/lib"), entry("own/g", data=b"g")]
    compared(p, [tar(one), tar(two)])


@case
def links_to_what_is_not_there_yet(p):
    """The directory is made where the link leads. podman gives up."""
    one = [entry("later", SYM, link="made/later"), entry("abs", SYM, link="/run/x"),
           entry("up", SYM, link="../../top")]
    two = [entry("later/f", data=b"f"), entry("abs/g", data=b"g"), entry("up/h", data=b"h")]
    p.good(p.layout().add(p.first.image([tar(one), tar(two)]), "t").done())
    assert set(p.mount()) >= {"made/later/f", "run/x/g", "top/h"}


@case
def attributes(p):
    """Owners beyond 2^31, every mode, capabilities, user.*, times, names of all kinds, holes."""
    long = "n" * 90 + "/" + "o" * 120 + "/" + "p" * 250
    one = [entry("big", data=b"1", uid=(1 << 31) + 5, gid=(1 << 32) - 3),
           entry("su", data=b"s", mode=0o4755, uid=1), entry("sg", data=b"s", mode=0o2711, gid=9),
           entry("tmp", DIR, mode=0o1777), entry("sgd", DIR, mode=0o2750, gid=5),
           entry("sgd/mine", data=b"m", gid=0), entry("sgd/made", DIR, mode=0o755), entry("sgd/born", data=b"b", gid=5),
           entry("none", data=b"n", mode=0), entry("wide", data=b"w", mode=0o7777),
           entry(long, data=b"long"), entry("f\u00fc\u2603", data=b"name"),
           entry("to", SYM, link="t" * 1000), entry("a b\tc\\d", data=b"odd"),
           entry("cap", data=b"c", mode=0o755, uid=5, pax={"security.capability": CAPABILITY}),
           entry("x", data=b"x", pax={"user.one": b"1", "user.two": b"two"}),
           entry("xd", DIR, pax={"user.dir": b"d"}), entry("holes", data=bytes(3 << 20)),
           entry("tail", data=b"x" + bytes(1 << 20) + b"y"), entry("empty"),
           entry("old", data=b"o", mtime=1), entry("zero", data=b"o", mtime=0)]
    two = [entry("xd/in", data=b"i"), entry("sgd/in", data=b"i"), entry("n" * 90 + "/new", data=b"n")]
    compared(p, [tar(one), tar(two)])
    assert os.lstat(p.layer(0) + "/holes").st_blocks == 0


@case
def forms_of_tar(p):
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        name = "d" * 70 + "/" + "e" * 70 + "/" + "f" * (120 if form != tarfile.USTAR_FORMAT else 50)
        entries = [entry(name, data=b"x" * 100, uid=1000)]
        if form != tarfile.USTAR_FORMAT:
            entries.append(entry("s", SYM, link="l" * 300))
        layout = p.layout("f%d" % form)
        source = layout.add(layout.image([tar(entries, form)]), "t").done()
        p.good(source)
        p.same(p.mount(), p.umoci(source))
        p.again()


@case
def made_by_buildah_and_skopeo(p):
    """A real tree, changed in three commits, saved as docker-archive and as OCI archive."""
    store = ["--root", p.top + "/b", "--runroot", p.top + "/run", "--storage-driver", "vfs"]

    def buildah(*words):
        return subprocess.run(["buildah", *store, *words], check=True, capture_output=True,
                              text=True).stdout.strip()
    root = subprocess.run(["tests/lib/roots.sh", "busybox"], check=True, capture_output=True,
                          text=True).stdout.strip()
    image = "scratch"
    for i, change in enumerate((
            "", "rm -r $1/bin/[c-z]*; echo x >$1/etc/new; ln $1/bin/busybox $1/bin/second",
            "rm -r $1/www; mkdir $1/www; echo y >$1/www/new; chown 5:6 $1/etc/passwd; mv $1/usr $1/user; ln -s user $1/usr; rm $1/etc/new; mkdir $1/etc/new")):
        box = buildah("from", image)
        if i == 0:
            buildah("copy", box, root, "/")
        mounted = buildah("mount", box)
        subprocess.run(["sh", "-ec", change, "sh", mounted], check=True)
        image = buildah("commit", "-q", box)
    buildah("push", "-q", image, "oci:%s/layout:t" % p.top)
    buildah("push", "-q", image, "docker-archive:%s/d.tar:x:1" % p.top)
    buildah("push", "-q", image, "oci-archive:%s/o.tar:t" % p.top)
    umoci = p.umoci(p.top + "/layout")
    for kind in ("oci", "v2s2"):
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "-f", kind, "oci:%s/layout:t" % p.top,
                        "dir:%s/%s.dir" % (p.top, kind)], check=True)
    for source in ("layout", "o.tar", "d.tar", "oci.dir", "v2s2.dir"):
        p.good(p.top + "/" + source)
        p.same(p.mount(), umoci)
        p.verify()
        p.again()
    p.good(p.top + "/layout")
    p.same_as_podman(p.mount(), p.podman(p.top + "/layout"))


@case
def inserted_by_umoci(p):
    """Its insert ends an archive with the last byte of the last file, without padding or end mark. What
    a digest vouches for is whole all the same; anything shorter, or without a digest, is not."""
    source, new = p.top + "/inserted", p.top + "/new"
    os.makedirs(new + "/sub")
    for name, size in (("a", 700), ("sub/b", 3), ("z", 600001)):
        with open(new + "/" + name, "wb") as file:
            file.write(os.urandom(size))
    for words in (["init", "--layout", source], ["new", "--image", source + ":t"],
                  ["insert", "--image", source + ":t", new, "/srv"],
                  ["insert", "--image", source + ":t", new + "/a", "/srv/sub/c"],
                  ["insert", "--image", source + ":t", "--whiteout", "/srv/a"]):
        subprocess.run(["umoci", *words], check=True, capture_output=True)
    p.good(source)
    p.same(p.mount(), p.umoci(source))
    p.verify()
    p.again()
    whole = tar([entry("a"), entry("b", data=b"b" * 1000)])[:512 + 512 + 1000]
    layout = p.layout()
    for cut, words in ((0, None), (1, "Truncated"), (1000, "Truncated"), (1001, "Truncated")):
        layout.entries = []
        source = layout.add(layout.image([whole[:len(whole) - cut]])).done()
        if words:
            p.bad(source, words)
        else:
            p.good(source)
        p.again()
    with open(p.top + "/tree.tar", "wb") as file:
        file.write(whole)
    p.bad(p.top + "/tree.tar", "Truncated")


@case
def made_by_umoci(p):
    source = p.top + "/layout"

    def umoci(*words):
        subprocess.run(["umoci", *words], check=True, capture_output=True)
    umoci("init", "--layout", source)
    umoci("new", "--image", source + ":t")
    for i, change in enumerate(("mkdir -p a/b c; echo 1 >a/b/f; ln a/b/f c/g; ln -s a/b l",
                                "rm -r a/b; mkdir a/b; echo 2 >a/b/h; setcap cap_net_raw+p c/g",
                                "rm c/g; mv a/b/h c/; mkfifo p; truncate -s 1M holes")):
        bundle = "%s/bundle%d" % (p.top, i)
        umoci("unpack", "--image", source + ":t", bundle)
        subprocess.run(["sh", "-ec", change], cwd=bundle + "/rootfs", check=True)
        umoci("repack", "--image", source + ":t", bundle)
    p.good(source, "--ref", "t")
    p.same(p.mount(), p.umoci(source))
    p.same_as_podman(p.mount(), p.podman(source))


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
    assert "write OS/ARCH" in p.run(source, "--platform", "a/b/c/d").stderr
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
