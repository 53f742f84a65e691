"""Images that somebody made to do harm, or that were damaged on the way: cases for import.py. After
each the canary beside the store is as it was: Place.run() looks. Where each kind of harm is tested; a
plain archive of a root has its own cases, in unpack.py:

    "..", names too long or deep        slip_*, slip_by_pax, part_too_long, path_too_long, too_deep
    absolute names                      absolute_is_relative (and in unpack.py)
    NUL in a name, in a document        nul_ends_a_name, nul_in_text
    links out of the image              links_out_stay_inside, link_circle, link_to_itself
    a link, then what writes through    links_out_stay_inside, link_then_its_own_name; unpack.py:
                                        write_through_*, mkdir_through_link, link_is_replaced_not_followed
    hard links to files of the host     hardlink_up, hardlink_out, hardlink_through_link
    "." that is a link                  root_as_link, root_as_link_2, root_as_file, root_as_hardlink
    whiteouts through links             whiteouts_through_links, whiteout_of_*
    device nodes, forged attributes     devices_and_forged_attributes
    setuid                              kept, and out of reach: 73-import.bats, "setuid"
    bombs                               gzip_bomb, zstd_bomb, zstd_window, xz_dictionary, sparse_map,
                                        header_bomb, too_many_entries, many_files, many_values
    lying sizes and digests             size_*, digest_*, diff_id_wrong, layers_swapped
    a key twice                         key_twice, key_twice_deep; a registry's: fuzz corpus manifest/twice
    layers and manifests in one         manifest_and_index; a registry's: pull.py manifests_that_are_none
    users beyond 2^31                   uid_wraps, uid_too_large, gid_negative; import_good.py attributes
    cut at every hundredth              cut_anywhere, each_form_cut_anywhere, layer_cut_anywhere
    one flipped bit                     one_bit, each_form_one_bit; on our disk: 73-import.bats, in an
                                        appliance: 70-appliance.bats
    registry: wrong length, digest      pull.py wrong_length, wrong_digest, wrong_ranges
    redirect loops, slow, huge headers  pull.py redirected_without_end, too_slow, headers_without_end
    expired token, name, 404            pull.py a_token_that_expires, nobody_there, errors_that_stay, mirrors
    disk full                           no_room; 73-import.bats, 77-pull.bats, 70-appliance.bats
    read-only disk                      72-store.bats, 77-pull.bats, 70-appliance.bats
    no erofs, squashfs, loop            70-appliance.bats, "the kernel has no way"; vm/guest/media.sh
    no overlay                          vm/guest/media.sh
"""
import gzip
import io
import json
import os
import random
import shutil
import stat
import subprocess
import tarfile
import time

from importing import WORKER, case
from layout import *  # noqa: F403 - the words that images are written in

SANITIZED = "/asan" in WORKER  # the limits of the job are not set then
POINTS = os.environ.get("IMPORT_POINTS", "12")  # bits of each form; all: every one (make soak)
EVERYWHERE = POINTS == "all"


def layered(p, *layers, form=tarfile.PAX_FORMAT):
    layout = p.layout()
    return layout.add(layout.image([tar(list(entries), form) for entries in layers])).done()


def refused(name, words, *layers, **more):
    """A case: an image of these layers is refused with these words."""
    @case
    def run(p):
        p.bad(layered(p, *[[e(p) if callable(e) else e for e in layer] for layer in layers], **more),
              words)
        assert not os.path.exists(p.out + "/id")
    run.__name__ = name


# ---- names and links ----------------------------------------------------------------------------

for number, slip in enumerate(("../canary/new", "a/../../canary/new", "..", "a/..", "/../x",
                               "./../canary/secret", "a//..//../x")):
    refused("slip_%d" % number, "name with ..", [entry("a", DIR)], [entry(slip, data=b"x")])
refused("slip_by_pax", "name with ..", [paxed(entry("ok", data=b"x"), path="../canary/new")])
refused("part_too_long", "too long", [entry("n" * 256, data=b"x")])
refused("path_too_long", "too long", [entry("d/" * 3000 + "f", data=b"x")])
refused("too_deep", "too deep", [entry("d/" * 256 + "f", data=b"x")])
refused("deeper_by_links", "directories deep", [entry("l", SYM, link="d/" * 1800), entry("d/" * 200 + "x", DIR)],
        [entry("l/l", SYM, link="d/" * 1800), entry("l/l/l", SYM, link="d/" * 1800),
         entry("l/l/l/f", data=b"x")])
refused("root_as_link", "root is not a directory", [entry(".", SYM, link="../canary")])
refused("root_as_link_2", "root is not a directory", [], [entry("/.", SYM, link="/")])
refused("root_as_file", "root is not a directory", [entry(".", data=b"x")])
refused("root_as_hardlink", "root is not a directory", [entry("f"), entry(".", HARD, link="f")])
refused("link_circle", "Too many levels", [entry("a", SYM, link="b"), entry("b", SYM, link="a")],
        [entry("a/x", data=b"x")])
refused("link_to_itself", "Too many levels", [entry("a", SYM, link="a/a/a")], [entry("a/x")])
refused("hardlink_up", "leaves the root", [entry("h", HARD, link="../canary/secret")])
refused("hardlink_out", "not in the image", [lambda p: entry("h", HARD,
                                                             link=p.top + "/canary/secret")])
refused("hardlink_through_link", "not in the image",
        [lambda p: entry("l", SYM, link=p.top + "/canary")], [entry("h", HARD, link="l/secret")])
refused("hardlink_missing", "not in the image", [entry("a")], [white("a"), entry("h", HARD, link="a")])
refused("hardlink_to_directory", "is a directory", [entry("d", DIR), entry("h", HARD, link="d")])
refused("hardlink_to_lower_directory", "not in the image", [entry("d", DIR)],
        [entry("h", HARD, link="d")])
refused("symlink_to_nothing", "link", [entry("s", SYM, link="")])
refused("uid_wraps", "no user id", [entry("f", uid=(1 << 32) - 1)], form=tarfile.GNU_FORMAT)
refused("uid_too_large", "no user id", [entry("f", uid=1 << 40)], form=tarfile.GNU_FORMAT)
refused("gid_negative", "no user id", [entry("f", gid=-1)], form=tarfile.GNU_FORMAT)
refused("whiteout_of_nothing", "whiteout of nothing", [entry("a")], [entry(".wh.")])
refused("whiteout_of_here", "whiteout of nothing", [entry("d/a")], [entry("d/.wh..")])
refused("whiteout_of_above", "whiteout of nothing", [entry("d/a")], [entry("d/.wh...")])
refused("one_line", "a?b?[31m", [entry("a\nb\x1b[31m/../x", data=b"x")])


@case
def absolute_is_relative(p):
    p.good(layered(p, [entry("/etc/berth-test-absolute", data=b"x"), entry("//b", data=b"y")]))
    assert {"etc/berth-test-absolute", "b"} <= set(p.mount())
    assert not os.path.exists("/etc/berth-test-absolute")


@case
def nul_ends_a_name(p):
    """What is behind a NUL in a name, or in the target of a link, is looked at by nobody."""
    for made in (paxed(entry("ok", data=b"x"), path="ok\0/../../canary/new"),
                 paxed(entry("ok", SYM, link="x"), linkpath="x\0/../canary"),
                 paxed(entry("ok", data=b"x"), **{"SCHILY.xattr.user.a\0b": "x"})):
        layout = p.layout("l%d" % len(os.listdir(p.top)))
        done = p.run(layout.add(layout.image([tar([made])])).done())
        assert done.returncode in (0, 1) and done.stderr.count("\n") == done.returncode, done
        if done.returncode == 0:
            assert sorted(p.mount()) == [".", "ok"], p.mount()
        p.again()


@case
def links_out_stay_inside(p):
    """A parent that is a link to the host is looked up in the image, and made there."""
    one = [entry("abs", SYM, link=p.top + "/canary"), entry("up", SYM, link="../" * 30 + p.top[1:] +
                                                            "/canary"), entry("root", SYM, link="/")]
    two = [entry("abs/secret", data=b"mine"), entry("up/sub/new", data=b"mine"),
           entry("root/etc/mine", data=b"mine"), entry("abs", SYM, link="/"), white("root/none")]
    p.good(layered(p, one, two))
    merged = p.mount()
    assert {p.top[1:] + "/canary/secret", p.top[1:] + "/canary/sub/new", "etc/mine"} <= set(merged)
    assert not os.path.exists("/etc/mine")


@case
def link_then_its_own_name(p):
    """What has the name of a link replaces the link; its mode never reaches the link's target."""
    one = [entry("l", SYM, link=p.top + "/canary/secret"), entry("m", SYM, link=p.top + "/canary")]
    two = [entry("l", data=b"mine", mode=0o777), entry("m", DIR, mode=0o777),
           entry("n", SYM, link=p.top + "/canary/secret"), entry("o", HARD, link="n", mode=0o777)]
    p.good(layered(p, one, two))
    merged = p.mount()
    assert merged["l"][0] == stat.S_IFREG and merged["m"][0] == stat.S_IFDIR
    assert merged["o"][0] == stat.S_IFLNK


@case
def whiteouts_through_links(p):
    """A mark below a link hides what the link leads to in the image; on the host nothing is."""
    one = [entry("etc", SYM, link="/"), entry("passwd", data=b"image"),
           entry("out", SYM, link=p.top + "/canary")]
    two = [white("etc/passwd"), white("out/secret"), opaque("out")]
    p.good(layered(p, one, two))
    assert sorted(p.mount()) == [".", "etc", "out"]


@case
def devices_and_forged_attributes(p):
    """No device is made, not even 0:0, which overlayfs takes for a whiteout; nothing steers it."""
    forged = {"trusted.overlay.redirect": b"/etc", "trusted.overlay.opaque": b"y",
              "trusted.overlay.metacopy": b"", "trusted.overlay.origin": b"x",
              "user.overlay.opaque": b"y", "user.overlay.redirect": b"/etc", "trusted.other": b"x",
              "security.selinux": b"x", "security.ima": b"x", "security.evm": b"x"}
    one = dirs_of("d", "e") + [entry("null", data=b"a file")]
    two = [entry("sda", BLK, device=(8, 0)), entry("mem", CHR, device=(1, 1)),
           entry("d/f", CHR, device=(0, 0)), entry("null", CHR, device=(1, 3)),
           entry("e", DIR, pax=forged), entry("x", data=b"x", pax=forged),
           entry("huge", CHR, device=(2097151, 2097151))]
    p.good(layered(p, one, two))
    merged = p.mount()
    # What a device would have replaced is not there any more.
    assert sorted(merged) == [".", "d", "e", "e/f", "x"], sorted(merged)
    for name in ("x", "e"):
        assert os.listxattr(p.layer(1) + "/" + name) == [], os.listxattr(p.layer(1) + "/" + name)
    assert stat.S_ISCHR(os.lstat(p.layer(1) + "/d/f").st_mode)  # the whiteout that is ours
    assert not [n for n in ("sda", "mem", "huge") if os.path.lexists(p.layer(1) + "/" + n)]


def dirs_of(*names):
    made = []
    for name in names:
        made += [entry(name, DIR), entry(name + "/f", data=b"f")]
    return made


# ---- documents ----------------------------------------------------------------------------------

def spoiled(name, words, spoil):
    """A case: a good layout with one thing wrong in it."""
    @case
    def run(p):
        layout = p.layout()
        tars = [tar([entry("a", data=b"a" * 1000)]), tar([entry("b", data=b"b")])]
        p.bad(spoil(layout, tars) or layout.path, words)
    run.__name__ = name


def with_manifest(layout, tars, change):
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": layout.config(tars),
                "layers": [layout.blob(t, LAYER) for t in tars]}
    manifest = change(manifest) or manifest
    text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    return layout.add(layout.blob(text, MANIFEST)).done()


def change(path, value):
    """Sets one member of a document."""
    def run(manifest):
        at = manifest
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
    return lambda layout, tars: with_manifest(layout, tars, run)


ZEROS = "sha256:" + "0" * 64
spoiled("size_too_small", "bytes, and should have", change(("layers", 0, "size"), 5))
spoiled("size_too_large", "bytes, and should have", change(("layers", 1, "size"), 1 << 50))
spoiled("size_negative", "without digest or size", change(("layers", 1, "size"), -1))
spoiled("size_real", "without digest or size", change(("layers", 1, "size"), 1.5))
spoiled("digest_of_nothing", "is not in it", change(("layers", 0, "digest"), ZEROS))
for bad in ("sha256:" + "0" * 63, "sha256:" + "A" * 64, "sha256:../../../canary/secret", "md5:0",
            "sha512:" + "0" * 128, "", "sha256:" + "0" * 64 + "/", " " + ZEROS):
    spoiled("digest_%d_%s" % (len(bad), bad[:7]), "no sha256 digest",
            change(("layers", 0, "digest"), bad))
spoiled("manifest_and_index", "both manifests and layers", change(("manifests",), []))
spoiled("schema_1", "schemaVersion is not 2", change(("schemaVersion",), 1))
spoiled("other_kind", "and should be", change(("mediaType",), INDEX))
spoiled("encrypted", "encrypted", change(("layers", 0, "mediaType"), LAYER + "+gzip+encrypted"))
spoiled("layer_of_no_kind", "is not known", change(("layers", 0, "mediaType"), "text/html"))
spoiled("config_of_no_kind", "there is no image",
        change(("config", "mediaType"), "application/vnd.oci.empty.v1+json"))
spoiled("no_layers", "0 layers", change(("layers",), []))
spoiled("too_many_layers", "501 layers", change(("layers",), [{}] * 501))
spoiled("layer_too_few", "names 2 layers, and the manifest has 1", lambda layout, tars: with_manifest(
    layout, tars, lambda m: m["layers"].pop() and None))
spoiled("layers_swapped", "diff_id", lambda layout, tars: with_manifest(
    layout, tars, lambda m: m["layers"].reverse()))
spoiled("key_twice", "duplicate", lambda layout, tars: with_manifest(
    layout, tars, lambda m: json.dumps(m).encode()[:-1] + b', "layers": []}'))
spoiled("key_twice_deep", "duplicate", lambda layout, tars: with_manifest(
    layout, tars, lambda m: json.dumps(m).encode().replace(b'"size"', b'"size": 1, "size"', 1)))
spoiled("nul_in_text", "", lambda layout, tars: with_manifest(
    layout, tars, lambda m: json.dumps(m).encode().replace(b'sha256:', b'sha256:\\u0000', 1)))
spoiled("no_utf8", "unable to decode", lambda layout, tars: with_manifest(
    layout, tars, lambda m: json.dumps(m).encode()[:-1] + b', "x": "\xff"}'))
spoiled("two_documents", "end of file expected", lambda layout, tars: with_manifest(
    layout, tars, lambda m: json.dumps(m).encode() * 2))
spoiled("deep", "levels deep", lambda layout, tars: with_manifest(
    layout, tars, lambda m: b'{"a":' * 100 + b"1" + b"}" * 100))
spoiled("large", "larger than 4 MiB", lambda layout, tars: with_manifest(
    layout, tars, lambda m: json.dumps(m).encode() + b" " * (5 << 20)))
if not SANITIZED:
    spoiled("many_values", "memory", lambda layout, tars: with_manifest(
        layout, tars, lambda m: b'{"a":[' + b"[]," * 1300000 + b"0]}"))


def with_config(change_it):
    def run(layout, tars):
        config = {"os": "linux", "architecture": ARCH,
                  "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(t) for t in tars]}}
        change_it(config)
        manifest = {"schemaVersion": 2, "config": layout.json(config, CONFIG),
                    "layers": [layout.blob(t, LAYER) for t in tars]}
        return layout.add(layout.json(manifest, MANIFEST)).done()
    return run


spoiled("rootfs_of_no_kind", "not of layers", with_config(lambda c: c["rootfs"].update(type="tar")))
spoiled("rootfs_missing", "not of layers", with_config(lambda c: c.pop("rootfs")))
spoiled("diff_id_wrong", "diff_id", with_config(lambda c: c["rootfs"]["diff_ids"].reverse()))
spoiled("diff_id_null", "no sha256 digest", with_config(
    lambda c: c["rootfs"].update(diff_ids=[None, None])))
spoiled("diff_ids_more", "names 3 layers", with_config(
    lambda c: c["rootfs"]["diff_ids"].append(ZEROS)))


@case
def index_in_itself_cannot_be(p):
    """Sixteen indexes in each other: no more than eight are followed."""
    layout = p.layout()
    inner = layout.image([tar([entry("a")])])
    for _ in range(16):
        inner = layout.json({"schemaVersion": 2, "manifests": [inner]}, INDEX)
    p.bad(layout.add(inner).done(), "deep")


@case
def one_in_a_directory(p):
    """The form dir: of podman: an index there, and what is missing, damaged or leads out."""
    layout = p.layout()
    inner = layout.image([tar([entry("a", data=b"a")])])
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]})
    flat = p.top + "/flat/"
    shutil.copytree(layout.path + "/blobs/sha256", flat)
    os.rename(flat + inner["digest"][7:], flat + inner["digest"][7:] + ".manifest.json")
    for name, text in (("version", "Directory Transport Version: 1.1\n"), ("manifest.json", index)):
        with open(flat + name, "w") as file:
            file.write(text)
    p.good(p.top + "/flat")
    assert sorted(p.mount()) == [".", "a"]
    for blob in [name for name in os.listdir(flat) if name != "version"]:
        for spoil in (lambda path: open(path, "ab").write(b"x"), os.unlink,
                      lambda path: (os.unlink(path), os.symlink(p.top + "/canary/secret", path))):
            shutil.copytree(p.top + "/flat", p.top + "/bad")
            spoil(p.top + "/bad/" + blob)
            p.again()
            if blob != "manifest.json":
                p.bad(p.top + "/bad", "")
            else:  # it is then just a tree, or other words
                assert p.run(p.top + "/bad").returncode in (0, 1)
            shutil.rmtree(p.top + "/bad")


@case
def null_is_nothing(p):
    """Any optional field may be null, and fields that nobody knows are no error."""
    layout = p.layout()
    tars = [tar([entry("a")])]
    manifest = {"schemaVersion": 2, "mediaType": None, "artifactType": None, "annotations": None,
                "subject": None, "unknown": {"x": [1]},
                "config": layout.config(tars, config=None, history=None, variant=None, created=None),
                "layers": [layout.blob(tars[0], LAYER, annotations=None, urls=None)]}
    p.good(layout.add(layout.json(manifest, MANIFEST), platform=None, annotations=None).done(
        mediaType=None, annotations=None))


@case
def blobs_that_are_no_files(p):
    """A blob that is a link to the host, a FIFO, a directory."""
    for make in (lambda path: os.symlink(p.top + "/canary/secret", path), os.mkfifo, os.mkdir):
        layout = p.layout("l%d" % len(os.listdir(p.top)))
        layout.add(layout.image([tar([entry("a")])])).done()
        for name in os.listdir(layout.path + "/blobs/sha256"):
            os.unlink(layout.path + "/blobs/sha256/" + name)
            make(layout.path + "/blobs/sha256/" + name)
        p.bad(layout.path, "")
        p.again()


# ---- damage -------------------------------------------------------------------------------------

@case
def cut_anywhere(p):
    """An archive that ends at every hundredth of its length, and a layer that does."""
    layout = p.layout()
    layout.add(layout.image([tar([entry("a", data=os.urandom(3000)), entry("b")])])).done()
    whole = p.top + "/o.tar"
    # Without the archive's padding at the end, which nobody misses.
    subprocess.run(["tar", "-b1", "-C", layout.path, "-cf", whole, "oci-layout", "index.json",
                    "blobs"], check=True)
    with open(whole, "rb") as file:
        data = file.read()[:-1024]
    for percent in range(100):
        with open(p.top + "/cut", "wb") as file:
            file.write(data[:len(data) * percent // 100])
        # Cut so early that it is another kind of archive, it is still none with a tree in it, or
        # one that ends too early.
        done = p.run(p.top + "/cut")
        if done.returncode == 0:
            assert len(data[:len(data) * percent // 100]) % 512 == 0, percent
            assert not os.path.exists(p.out + "/image/config.json"), percent
        else:
            assert done.returncode == 1 and done.stderr.count("\n") == 1, (percent, done)
        p.again()


def packed_forms(p):
    """The same small tree in each form that a file may have; and from where on nobody misses a byte."""
    tree = p.top + "/tree"
    os.makedirs(tree + "/d")
    for name, size in (("a", 3000), ("d/b", 2000)):
        with open(tree + "/" + name, "wb") as file:
            file.write(os.urandom(size))
    plain = tar([entry("a", data=os.urandom(3000)), entry("d/b", data=os.urandom(2000))])
    layout = p.layout("packed")
    layout.add(layout.image([plain])).done()
    members = [("blobs/sha256/" + n, layout.path) for n in os.listdir(layout.path + "/blobs/sha256")]
    yield "oci", tar_of([("oci-layout", layout.path), ("index.json", layout.path), *members])
    config = {"os": "linux", "architecture": ARCH, "config": {},
              "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(plain)]}}
    saved = p.top + "/saved"
    os.mkdir(saved)
    for name, data in (("l.tar", plain), ("c.json", json.dumps(config).encode()), ("manifest.json", json.dumps(
            [{"Config": "c.json", "RepoTags": ["web:1"], "Layers": ["l.tar"]}]).encode())):
        with open(saved + "/" + name, "wb") as file:
            file.write(data)
    yield "docker", tar_of([(n, saved) for n in ("l.tar", "c.json", "manifest.json")])
    plain = plain[:512 * 3 + 3072 + 2048 - 512]  # two files, no end mark
    yield "gzip", gzip.compress(plain, 1, mtime=0)
    yield "zstd", zstd(plain)
    yield "xz", subprocess.run(["xz", "-c"], input=plain, capture_output=True, check=True).stdout
    for name, words in (("squashfs", ["mksquashfs", tree, p.top + "/fs", "-noappend", "-quiet", "-no-progress"]),
                        ("erofs", ["mkfs.erofs", "-T0", p.top + "/fs", tree])):
        if shutil.which(words[0]):
            subprocess.run(words, check=True, capture_output=True)
            with open(p.top + "/fs", "rb") as file:
                yield name, file.read()


def tar_of(members):
    """An archive of these files, without the padding at its end."""
    made = []
    for name, top in members:
        with open(top + "/" + name, "rb") as file:
            made.append(entry(name, data=file.read()))
    return tar(made, tarfile.USTAR_FORMAT)[:sum(512 + (len(data) + 511) // 512 * 512 for _, data in made)]


def outcome(p, source):
    """What an import of it comes to: None and one line when it is refused, or the digests."""
    done = p.run(source)
    assert done.returncode in (0, 1), done
    assert done.stderr.count("\n") == done.returncode, done
    found = p.read("id") if done.returncode == 0 else None
    p.again()
    return found


@case
def each_form_cut_anywhere(p):
    """Every form, cut at every hundredth of its length: refused, or what is missing is nothing. A file
    system is mounted and not read: what is cut off it the kernel refuses, and verify finds."""
    for name, data in packed_forms(p):
        with open(p.top + "/cut", "wb") as file:
            file.write(data)
        whole = outcome(p, p.top + "/cut")
        assert whole, name
        for percent in range(0, 100, 1 if EVERYWHERE else 9):
            part = data[:len(data) * percent // 100]
            with open(p.top + "/cut", "wb") as file:
                file.write(part)
            found = outcome(p, p.top + "/cut")
            assert found is None or (found == whole and name == "gzip" and len(data) - len(part) <= 8) or \
                (found != whole and name in ("squashfs", "erofs", "oci", "docker")), (name, percent, found)


@case
def each_form_one_bit(p):
    """One flipped bit anywhere, in any form: refused in one line, or the result is the same, or another
    one that says so by its digest; the host is as it was. All bits in soak, some in check: SEED= chooses."""
    seed = random.Random(int(os.environ.get("SEED", "1")))
    for name, data in packed_forms(p):
        data = bytearray(data)
        places = range(len(data) * 8)
        if not EVERYWHERE:
            places = [seed.randrange(len(places)) for _ in range(int(POINTS))]
        with open(p.top + "/bit", "wb") as file:
            file.write(data)
        whole = outcome(p, p.top + "/bit")
        refused_ones = 0
        for at in places:
            data[at // 8] ^= 1 << at % 8
            with open(p.top + "/bit", "wb") as file:
                file.write(data)
            found = outcome(p, p.top + "/bit")
            data[at // 8] ^= 1 << at % 8
            refused_ones += found is None
            # What is digested inside comes out as it was, or not at all.
            assert found in (None, whole) or name not in ("gzip", "xz", "zstd"), (name, at)
        assert refused_ones or name in ("squashfs", "erofs"), name


@case
def layer_cut_anywhere(p):
    layout = p.layout()
    descriptor = layout.image([tar([entry("a", data=os.urandom(30000)), entry("b")])])
    layout.add(descriptor).done()
    blobs = layout.path + "/blobs/sha256/"
    largest = max(os.listdir(blobs), key=lambda n: os.path.getsize(blobs + n))
    with open(blobs + largest, "rb") as file:
        data = file.read()
    for percent in range(0, 100, 4):
        with open(blobs + largest, "wb") as file:
            file.write(data[:len(data) * percent // 100])
        p.bad(layout.path, "bytes, and should have")
        p.again()


@case
def one_bit(p):
    """One flipped bit in any blob, wherever it is, in every packing."""
    for packing in ("", "+gzip", "+zstd"):
        layout = p.layout("l" + packing)
        tars = [tar([entry("a", data=os.urandom(2000)), entry("d/b", data=b"b" * 3000)])]
        layout.add(layout.image(tars, packing)).done()
        for blob in os.listdir(layout.path + "/blobs/sha256"):
            path = layout.path + "/blobs/sha256/" + blob
            with open(path, "rb") as file:
                data = bytearray(file.read())
            for at in range(0, len(data), len(data) // 12 + 1):
                data[at] ^= 1 << at % 8
                with open(path, "wb") as file:
                    file.write(data)
                done = p.run(layout.path)
                assert done.returncode == 1 and done.stderr.count("\n") == 1, (packing, at, done)
                p.again()
                data[at] ^= 1 << at % 8
            with open(path, "wb") as file:
                file.write(data)
        p.good(layout.path)
        p.again()


@case
def more_after_the_end(p):
    """What follows the archive's end, or the packed stream, belongs to the digest."""
    layout = p.layout()
    plain = tar([entry("a", data=b"a")]) + b"more" * 1000
    packed = gzip.compress(plain) + b"\0" * 100
    manifest = {"schemaVersion": 2, "config": layout.config([plain]),
                "layers": [layout.blob(packed, LAYER + "+gzip")]}
    p.good(layout.add(layout.json(manifest, MANIFEST)).done())
    p.again()
    other = p.layout("other")
    manifest = {"schemaVersion": 2, "config": other.config([plain[:-4]]),
                "layers": [other.blob(packed, LAYER + "+gzip")]}
    p.bad(other.add(other.json(manifest, MANIFEST)).done(), "diff_id")


# ---- bombs --------------------------------------------------------------------------------------

def peak(p, source, words, limit_kib):
    """Refused, and with so much memory at most."""
    script = ("import os,resource,sys\npid = os.spawnv(os.P_WAIT, sys.argv[1], sys.argv[1:])\n"
              "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\nsys.exit(pid)")
    done = subprocess.run(["python3", "-c", script, WORKER, "import", source, p.out,
                           p.store + "/layers"], capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == (words is None), done
    assert not words or words in done.stderr, done
    used = int(done.stdout.split("\n")[-2])
    assert SANITIZED or used < limit_kib, "%d KiB of memory" % used


def streamed(path, parts, command):
    feed = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=open(path, "wb"))
    for part in parts:
        feed.stdin.write(part)
    feed.stdin.close()
    assert feed.wait() == 0


def header(name, size, kind=REG):
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def zeros(size):
    block = bytes(1 << 20)
    return [block] * (size >> 20)


@case
def gzip_bomb(p):
    """4 GiB of zeros: more than there is room for, said before it is written."""
    streamed(p.top + "/bomb", [header("bomb", 4 << 30), *zeros(16 << 20)], ["gzip", "-1"])
    peak(p, p.top + "/bomb", "does not fit into the free space", 16 << 10)


@case
def zstd_bomb(p):
    """Far more behind the end of the archive than in it."""
    streamed(p.top + "/bomb", [header("a", 0), bytes(1024), *zeros(256 << 20)], ["zstd", "-c", "-1"])
    with p.small("64m"):
        peak(p, p.top + "/bomb", "more than there is room for", 24 << 10)


@case
def zstd_window(p):
    """A window of 128 MiB is refused by the name of the key; when it is allowed, it unpacks."""
    source = p.top + "/window"
    streamed(source, [tar([entry("a", data=os.urandom(1 << 20))])], ["zstd", "-c", "--long=27"])
    assert "ImageMemory=" in p.bad(source, "zstd window takes 128 MiB")
    p.again()
    for memory in ("128M", "infinity"):
        p.good(source, "--memory", memory)
        p.again()
    if SANITIZED:
        return
    # Only the first frame's is read beforehand; the limit of the job ends the others.
    with open(source, "rb") as file:
        later = zstd(tar([entry("b")])[:512]) + file.read()
    with open(source, "wb") as file:
        file.write(later)
    assert "ImageMemory=" in p.bad(source, "")


@case
def xz_dictionary(p):
    source = p.top + "/dictionary"
    streamed(source, [tar([entry("a", data=bytes(1 << 20))])], ["xz", "-c", "-9"])
    if not SANITIZED:
        assert "ImageMemory=" in p.bad(source, "")
        p.again()
    p.good(source, "--memory", "80M")


@case
def sparse_map(p):
    """Old GNU sparse headers: 10^6 pieces, and a file of 2^60 bytes that holds nothing."""
    info = tarfile.TarInfo("sparse")
    info.size = 512
    info.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[386:386 + 96] = bytes(96)
    block[386:398], block[398:410] = b"00000000000\0", b"00000001000\0"
    block[483:495] = b"\x80" + (1 << 60).to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    with open(p.top + "/sparse", "wb") as file:
        file.write(bytes(block) + bytes(512 + 1024))
    peak(p, p.top + "/sparse", "does not fit", 16 << 10)
    pieces = "".join("%d\n0\n" % (i * 512) for i in range(1000000)).encode()
    pieces = b"1000000\n" + pieces
    info = tarfile.TarInfo("GNUSparseFile.0/x")
    info.size = len(pieces)
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x",
                        "GNU.sparse.realsize": "1000"}
    with open(p.top + "/pieces", "wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as out:
            out.addfile(info, io.BytesIO(pieces))
    done = p.run(p.top + "/pieces")
    assert done.returncode in (0, 1), done


@case
def header_bomb(p):
    """A pax header of 200 MiB, and a long name of 100."""
    for kind, name in ((tarfile.XHDTYPE, "PaxHeader"), (tarfile.GNUTYPE_LONGNAME, "././@LongLink")):
        info = tarfile.TarInfo(name)
        info.type, info.size = kind, 200 << 20
        streamed(p.top + "/bomb", [info.tobuf(tarfile.GNU_FORMAT), *zeros(16 << 20)], ["gzip", "-1"])
        peak(p, p.top + "/bomb", "", 16 << 10)
        p.again()


@case
def too_many_entries(p):
    """10^6 entries that nothing is made of, in soak 10^7: counted all the same."""
    block = header(".wh..wh.x", 0)
    streamed(p.top + "/bomb", [block * 10010] * (1000 if EVERYWHERE else 100), ["zstd", "-1", "-c"])
    layout = p.layout()
    with open(p.top + "/bomb", "rb") as file:
        blob = layout.blob(file.read(), LAYER + "+zstd")
    manifest = {"schemaVersion": 2, "config": layout.config([b""]), "layers": [blob]}
    peak(p, layout.add(layout.json(manifest, MANIFEST)).done(), "more than 1000000 entries", 24 << 10)


@case
def many_files(p):
    """20000 files and directories: memory does not grow with them."""
    parts = []
    for i in range(400):
        parts += [b"".join(header("d%d/f%d" % (i, j), 0, DIR if j % 2 else REG) for j in range(50))]
    streamed(p.top + "/many", [*parts, bytes(1024)], ["gzip", "-1"])
    peak(p, p.top + "/many", None, 12 << 10)


@case
def no_room(p):
    """A file system that is full in the middle: one line, and nothing that could be taken for whole."""
    source = layered(p, [entry("f%d" % i, data=os.urandom(100000)) for i in range(40)])
    with p.small("2m"):
        assert "space" in p.bad(source, "")
        assert not os.path.exists(p.out + "/id")


# ---- what the job may do ------------------------------------------------------------------------

@case
def confined(p):
    """While it waits for the rest of its input: what the kernel says of it."""
    reader, writer = os.pipe()
    job = subprocess.Popen([WORKER, "import", "-", p.out, p.store + "/layers"], stdin=reader,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.close(reader)
    status = {}
    end = time.time() + 20
    while time.time() < end and status.get("Seccomp") != "2" and not SANITIZED:
        with open("/proc/%d/status" % job.pid) as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        time.sleep(0.01)
    if not SANITIZED:
        kept = int(status["CapEff"], 16)
        allowed = sum(1 << n for n in (0, 1, 2, 3, 4, 21, 31))
        assert kept & ~allowed == 0 and status["NoNewPrivs"] == "1", status
        assert os.getpriority(os.PRIO_PROCESS, job.pid) == 10
        with open("/proc/%d/limits" % job.pid) as file:
            data = next(line.split() for line in file if line.startswith("Max data size"))
        assert int(data[3]) <= 64 << 20, data
    with os.fdopen(writer, "wb") as file:
        file.write(tar([entry("a", data=b"a")]))
    out, err = job.communicate(timeout=60)
    assert job.returncode == 0, err
