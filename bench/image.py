#!/usr/bin/python3
"""image.py BASE FULL DIR: the image that `make bench` imports, as OCI layouts DIR/gzip and DIR/zstd.

Three layers: Debian's minimal system (the tar file BASE); what FULL has more of than it (python3,
git, nginx-light, ca-certificates and what these need); an application of 84 MB: random bytes, 2000
small files, a sparse file, a hard link, a capability, an opaque directory, whiteouts. The same two
archives give the same bytes.
"""
import hashlib
import io
import os
import random
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../tests/lib")
from layout import (ARCH, CAPABILITY, CONFIG, DIR, HARD, LAYER, MANIFEST, Layout, entry, opaque,  # noqa: E402
                    paxed, white)


def of_member(archive, info):
    data = archive.extractfile(info).read() if info.isreg() else b""
    return (info.type, info.mode, info.uid, info.gid, info.linkname, hashlib.sha256(data).digest())


def second(base, full, out):
    """What is in `full` and not the same in `base`."""
    with tarfile.open(base) as lower:
        known = {info.name: of_member(lower, info) for info in lower}
    with tarfile.open(full) as upper, tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as to:
        for info in upper:
            if known.get(info.name) != of_member(upper, info):
                to.addfile(info, upper.extractfile(info) if info.isreg() else None)


def application(out):
    rng = random.Random(1)
    capable = entry("srv/app/ping", data=rng.randbytes(70000), mode=0o755)
    paxed(capable, **{"SCHILY.xattr.security.capability":
                      CAPABILITY.decode("utf-8", "surrogateescape")})
    made = [entry("srv/app", DIR), entry("srv/app/blob", data=rng.randbytes(30 << 20)),
            entry("srv/app/sparse", data=bytes(50 << 20)), capable,
            entry("srv/app/linked", data=b"two names\n"),
            entry("srv/app/other", HARD, link="srv/app/linked")]
    for i in range(2000):
        if i % 100 == 0:
            made.append(entry("srv/app/d%02d" % (i // 100), DIR))
        made.append(entry("srv/app/d%02d/f%04d" % (i // 100, i), data=rng.randbytes(rng.randrange(3000))))
    made += [opaque("usr/share/doc"), white("etc/issue"), white("etc/debian_version")]
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as to:
        for info, data in made:
            to.addfile(info, io.BytesIO(data))


def digest(path):
    with open(path, "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def layout(path, tars, ending, command):
    made = Layout(path)
    layers = []
    for tar in tars:
        packed = path + "/packed"
        with open(tar, "rb") as plain, open(packed, "wb") as to:
            subprocess.run(command, stdin=plain, stdout=to, check=True)
        name = digest(packed)
        layers.append({"mediaType": LAYER + ending, "digest": name, "size": os.stat(packed).st_size})
        os.rename(packed, path + "/blobs/" + name.replace(":", "/"))
    config = made.json({"os": "linux", "architecture": ARCH, "config": {"Cmd": ["/usr/bin/python3"]},
                        "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in tars]}}, CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
    made.add(made.json(manifest, MANIFEST), "latest").done()


def main():
    base, full, top = sys.argv[1:]
    tars = [base, top + "/second.tar", top + "/application.tar"]
    second(base, full, tars[1])
    application(tars[2])
    layout(top + "/gzip", tars, "+gzip", ["gzip", "-n"])
    layout(top + "/zstd", tars, "+zstd", ["zstd", "-q", "-c"])
    os.unlink(tars[1])
    os.unlink(tars[2])


main()
