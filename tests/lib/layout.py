"""Images written by hand: layers as lists of tar entries, OCI layouts, trees compared."""
import gzip
import hashlib
import io
import json
import os
import stat
import struct
import subprocess
import tarfile

DIR, SYM, HARD, FIFO = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE
REG, CHR, BLK = tarfile.REGTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
REF = "org.opencontainers.image.ref.name"
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)

CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)


def entry(name, kind=REG, data=b"", link="", mode=None, uid=0, gid=0, mtime=1000000000,
          pax=None, device=(0, 0)):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(data)
    info.linkname = link
    info.mode = mode if mode is not None else 0o755 if kind == DIR else 0o644
    info.uid, info.gid, info.mtime = uid, gid, mtime
    info.devmajor, info.devminor = device
    info.pax_headers = {"SCHILY.xattr." + name: value.decode("utf-8", "surrogateescape")
                        for name, value in (pax or {}).items()}
    return info, data


def paxed(made, **headers):
    """The entry with these pax headers."""
    made[0].pax_headers.update(headers)
    return made


def white(name):
    head, _, tail = name.rpartition("/")
    return entry((head + "/" if head else "") + ".wh." + tail)


def opaque(name):
    return entry((name + "/" if name else "") + ".wh..wh..opq")


def tar(entries, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def sha(data):
    return hashlib.sha256(data).hexdigest()


def zstd(data, *options):
    return subprocess.run(["zstd", "-c", *options], input=data, capture_output=True,
                          check=True).stdout


PACK = {"": lambda data: data, "+gzip": lambda data: gzip.compress(data, 1, mtime=0), "+zstd": zstd}


class Layout:
    """An OCI layout in a directory: blobs first, index.json by done()."""

    def __init__(self, path):
        self.path = path
        os.makedirs(path + "/blobs/sha256")
        self.entries = []
        with open(path + "/oci-layout", "w") as file:
            file.write('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, data, media, **more):
        with open("%s/blobs/sha256/%s" % (self.path, sha(data)), "wb") as file:
            file.write(data)
        return dict({"mediaType": media, "digest": "sha256:" + sha(data), "size": len(data)}, **more)

    def json(self, value, media, **more):
        return self.blob(json.dumps(value).encode(), media, **more)

    def config(self, tars, arch=ARCH, **more):
        return self.json(dict({"os": "linux", "architecture": arch, "config": {}, "rootfs": {
            "type": "layers", "diff_ids": ["sha256:" + sha(t) for t in tars]}}, **more), CONFIG)

    def image(self, tars, packing="+gzip", arch=ARCH, **more):
        """Blobs of an image; gives its manifest's descriptor."""
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": self.config(tars, arch),
                    "layers": [self.blob(PACK[packing](t), LAYER + packing) for t in tars]}
        return self.json(dict(manifest, **more), MANIFEST)

    def add(self, descriptor, ref=None, **more):
        descriptor = dict(descriptor, **more)
        if ref:
            descriptor["annotations"] = {REF: ref}
        self.entries.append(descriptor)
        return self

    def done(self, **more):
        with open(self.path + "/index.json", "w") as file:
            json.dump(dict({"schemaVersion": 2, "manifests": self.entries}, **more), file)
        return self.path


def kept(name):
    return name == "security.capability" or (
        name.startswith("user.") and not name.startswith(("user.overlay.", "user.umoci")))


def tree(top):
    """What is below a directory: path -> all that an image says of it."""
    found, inodes = {}, {}
    for at, dirs, files in os.walk(top):
        for name in ["."] * (at == top) + dirs + files:
            path = os.path.normpath(at + "/" + name)
            st = os.lstat(path)
            kind = stat.S_IFMT(st.st_mode)
            what = [kind, stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid]
            if kind == stat.S_IFREG:
                with open(path, "rb") as file:
                    what += [st.st_size, hashlib.file_digest(file, "sha256").hexdigest()]
            if kind == stat.S_IFLNK:
                what.append(os.readlink(path))
            if kind in (stat.S_IFCHR, stat.S_IFBLK):
                what.append(st.st_rdev)
            what.append(int(st.st_mtime))
            what.append({n: os.getxattr(path, n, follow_symlinks=False)
                         for n in os.listxattr(path, follow_symlinks=False) if kept(n)})
            inside = os.path.relpath(path, top)
            if kind != stat.S_IFDIR and st.st_nlink > 1:
                inodes.setdefault((st.st_dev, st.st_ino), []).append(inside)
            found[inside] = what
    for names in inodes.values():
        for name in names:
            found[name].append(sorted(names))
    return found


def differences(ours, theirs):
    """Lines that tell where two trees differ."""
    lines = []
    for path in sorted(set(ours) | set(theirs)):
        if ours.get(path) != theirs.get(path):
            lines.append("%s: %s, and should be %s" % (path, ours.get(path), theirs.get(path)))
    return lines
