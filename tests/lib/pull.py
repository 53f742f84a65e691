"""pull.py FETCH: berth-fetch against registries on loopback; the last line is the result.

Needs a network of its own, for it listens and takes names: tests/suite/27-pull.
"""
import base64
import glob
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

from registry import DOCKER, INDEX, MANIFEST, OCI, Image, Registry, compact, digest

FETCH = os.path.abspath(sys.argv[1])
ROOT = os.geteuid() == 0
SECRETS = ("pass:word", "secret-token", base64.b64encode(b"ann:pass:word").decode())
CASES = []


class Skip(Exception):
    pass


def case(function):
    CASES.append(function)
    return function


class Place:
    """One case's directory, and the registries that it started."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="berth-test-pull-")
        os.chmod(self.top, 0o755)
        self.out = self.top + "/out"
        self.env = {"PATH": os.environ["PATH"], "HOME": self.top + "/home",
                    "XDG_RUNTIME_DIR": self.top + "/runtime"}
        self.registries = []
        self.programs = []

    def registry(self, address="127.0.0.1"):
        self.registries.append(Registry(address))
        return self.registries[-1]

    def file(self, name, data):
        path = self.top + "/" + name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return path

    def start(self, *words, **more):
        program = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, **more)
        self.programs.append(program)
        return program

    def skopeo(self, *words):
        policy = self.file("policy.json", '{"default":[{"type":"insecureAcceptAnything"}]}')
        return subprocess.run(["skopeo", "--policy", policy, *words], check=True, text=True,
                              capture_output=True, env={**self.env, "TMPDIR": self.top}).stdout

    def words(self, ref, *options):
        return [FETCH, "--retry-delay", "10ms", "--tls-verify", "no", *options, ref, self.out]

    def run(self, ref, *options, given=None):
        done = subprocess.run(self.words(ref, *options), env=self.env, capture_output=True,
                              text=True, errors="replace", timeout=60, input=given or "")
        for secret in SECRETS:
            assert secret not in done.stderr + done.stdout, "a secret is told: " + done.stderr
        return done

    def good(self, ref, image, *options, given=None):
        done = self.run(ref, *options, given=given)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        self.whole(image)
        last = done.stdout.splitlines()[-1].split()
        total = sum(len(data) for data in image.blobs.values())
        assert last[:2] == [str(total)] * 2, (last, total)
        return done

    def whole(self, image):
        """The layout is the image, byte for byte, and nothing else is there."""
        index = json.load(open(self.out + "/index.json"))
        entry, = index["manifests"]
        assert entry["digest"] == digest(image.bytes) and entry["size"] == len(image.bytes), entry
        assert entry["mediaType"] == image.type, entry
        assert json.load(open(self.out + "/oci-layout")) == {"imageLayoutVersion": "1.0.0"}
        want = {**image.blobs, digest(image.bytes): image.bytes}
        blobs = self.out + "/blobs/sha256/"
        assert set(os.listdir(blobs)) == {name[7:] for name in want}, os.listdir(blobs)
        for name, data in want.items():
            assert open(blobs + name[7:], "rb").read() == data, name

    def bad(self, ref, *words, options=()):
        done = self.run(ref, *options)
        assert done.returncode == 1, (done.returncode, done.stderr)
        assert done.stderr.startswith("berth-fetch: fetch "), done.stderr
        assert done.stderr.count("\n") == 1 and done.stderr.isprintable() is False, done.stderr
        for word in words:
            assert word in done.stderr, (word, done.stderr)
        assert not os.path.exists(self.out + "/index.json"), "a layout in spite of the failure"
        return done

    def part(self, image, n, data=None):
        """What an interrupted run would have left of the largest blob."""
        name, whole = image.big
        path = self.file("out/blobs/sha256/" + name[7:] + ".part", (data or whole)[:n])
        if ROOT:
            os.chown(path, 65534, 65534)
        return path

    def done(self):
        for program in self.programs:
            program.kill()
            program.wait()
        for registry in self.registries:
            registry.shutdown()
            registry.server_close()
        shutil.rmtree(self.top, ignore_errors=True)


# ---- what an image is ---------------------------------------------------------------------------


@case
def an_image(p):
    image = Image(100000, 10, 3000000)
    ref = p.registry().put(image)
    p.good(ref, image)
    name = json.load(open(p.out + "/index.json"))["manifests"][0]["annotations"]
    assert name == {"org.opencontainers.image.ref.name": ref}, name


@case
def an_image_of_docker(p):
    image = Image(1000, 1000, docker=True)
    p.good(p.registry().put(image), image)


@case
def the_same_layer_twice(p):
    image = Image(5000)
    image.manifest["layers"] = image.layers * 3
    server = p.registry()
    p.good(server.put(image), image)
    assert len(server.paths("/blobs/")) == 2


@case
def an_empty_blob(p):
    image = Image(100)
    image.manifest["layers"] = image.layers + [image.add(b"", OCI + "layer.v1.tar")]
    p.good(p.registry().put(image), image)


def index_of(*entries, kind=INDEX):
    return compact({"schemaVersion": 2, "mediaType": kind, "manifests": list(entries)})


@case
def an_index(p):
    server = p.registry()
    images = [Image(100, seed=n, arch=arch, variant=variant) for n, (arch, variant) in enumerate(
        [("arm64", "v8"), ("arm", "v5"), ("arm", "v7"), ("amd64", None), ("riscv64", None)])]
    for image in images:
        server.put(image, tag="other")
    proof = {"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 9,
             "platform": {"os": "unknown", "architecture": "unknown"}}
    strange = {"mediaType": "application/x", "digest": "sha512:0", "size": -1}
    ref = server.put_manifest(index_of(strange, proof, *[i.descriptor() for i in images]), INDEX)
    for words, image in (("linux/amd64", images[3]), ("linux/arm64", images[0]),
                         ("linux/arm/v6", images[1]), ("armv7l", images[2]),
                         ("riscv64", images[4])):
        shutil.rmtree(p.out, ignore_errors=True)
        p.good(ref, image, "--platform", words)
    shutil.rmtree(p.out)
    p.bad(ref, "none for linux/s390x; there is linux/arm64/v8, linux/arm/v5", "--platform",
          options=["--platform", "linux/s390x"])


@case
def an_index_in_an_index(p):
    server, image = p.registry(), Image(100)
    server.put(image, tag="other")
    inner = index_of(image.descriptor(), kind=DOCKER + "list.v2+json")
    server.put_manifest(inner, DOCKER + "list.v2+json", tag="inner")
    entry = {"mediaType": DOCKER + "list.v2+json", "digest": digest(inner), "size": len(inner)}
    p.good(server.put_manifest(index_of(entry), INDEX), image, "--platform", "amd64")


@case
def indexes_without_end(p):
    server = p.registry()
    for n in range(6):
        data = index_of({"mediaType": INDEX, "size": 1,
                         "digest": digest(index_of(n - 1)) if n == 0 else digest(last)})
        server.put_manifest(data, INDEX, tag="t%d" % n)
        last = data
    p.bad(server.host + "/x/y:t5", "more than 4 indexes")


@case
def manifests_that_are_none(p):
    server = p.registry()
    good = Image(10)
    rows = [
        (b"[", "not JSON: line 1"), (b"[]", "not an object"), (b"{}", "neither layers nor"),
        (b'{"a":1,"a":2}', "duplicate"),
        (compact({"schemaVersion": 1, "fsLayers": []}), "schema 1"),
        (compact({**good.manifest, "manifests": []}), '"layers" and "manifests"'),
        (compact({**good.manifest, "mediaType": INDEX}), "does not look so"),
        (compact({**good.manifest, "artifactType": "application/sig"}), "no image of a container"),
        (compact({**good.manifest, "config": {"mediaType": "application/chart"}}), "no image of a"),
        (compact({**good.manifest, "config": {}}), "its configuration"),
        (compact({**good.manifest, "layers": [{"digest": "sha256:../../x", "size": 1}]}),
         "no digest"),
        (compact({**good.manifest, "layers": [{"digest": "sha512:" + "0" * 128, "size": 1}]}),
         "no digest of SHA-256"),
        (compact({**good.manifest, "layers": [{"digest": digest(b""), "size": -1}]}), "no size"),
        (compact({**good.manifest, "layers": [{"digest": digest(b""), "size": 1 << 60}]}),
         "no size"),
        (compact({**good.manifest, "layers": [{"digest": digest(b""), "size": n}
                                              for n in (1, 2)]}), "two sizes"),
        (compact({**good.manifest, "layers": [{"digest": digest(b"%d" % n), "size": n}
                                              for n in range(1100)]}), "more than 1023 layers"),
        (b" " * (4 << 20) + b"{}", "more than 4 MiB"),
    ]
    for data, words in rows:
        p.bad(server.put_manifest(data, MANIFEST), words)


@case
def references(p):
    for bad in ("", "/x", "x//y", "X", "x:", "x:.a", "x@sha256:12", "x_", "a___b", "h:70000x/y",
                "h:1/../y", "x/-y", "h:1/x?y", "h:1/x y", "[::1/x"):
        done = p.run(bad)
        assert done.returncode == 1 and "berth-fetch: " in done.stderr, (bad, done.stderr)
        assert not os.path.exists(p.out), bad
    # Offline, what is asked is told.
    for ref, whom in (("alpine", "docker.io/library/alpine:latest: registry-1.docker.io"),
                      ("a/b:c", "docker.io/a/b:c: registry-1.docker.io"),
                      ("h.invalid/a-b.c__d/e", "h.invalid/a-b.c__d/e:latest: h.invalid"),
                      ("h.invalid:1/x:t@sha256:" + "a" * 64, "h.invalid:1/x@sha256:" + "a" * 64)):
        p.bad(ref, "fetch " + whom, "does not resolve")


@case
def by_digest(p):
    server, image = p.registry(), Image(10)
    server.put(image)
    p.good("%s/x/y@%s" % (server.host, digest(image.bytes)), image)
    shutil.rmtree(p.out)
    other = "sha256:" + "0" * 64
    server.manifests["/v2/x/y/manifests/" + other] = (image.bytes, MANIFEST)
    p.bad("%s/x/y:latest@%s" % (server.host, other), "the manifest that came is")
    server.hook = lambda h, path: h.answer(200, image.bytes, Docker_Content_Digest=other)
    p.bad(server.host + "/x/y", "the manifest that came is")


@case
def the_image_that_is_there(p):
    server, image = p.registry(), Image(10)
    done = p.run(server.put(image), "--have", digest(image.config))
    assert done.returncode == 0 and os.path.exists(p.out + "/same"), done.stderr
    assert not server.paths("/blobs/") and not os.path.exists(p.out + "/index.json")
    p.good(server.host + "/x/y", image, "--have", "sha256:" + "0" * 64)


# ---- going on -----------------------------------------------------------------------------------


@case
def a_part_goes_on(p):
    server, image = p.registry(), Image(2000000)
    ref = server.put(image)
    p.part(image, 1500001)
    p.good(ref, image)
    assert "bytes=1500001-" in server.ranges()


@case
def a_part_of_something_else(p):
    server, image = p.registry(), Image(2000000)
    ref = server.put(image)
    p.part(image, 1500001, b"x" * 2000000)
    p.good(ref, image)
    assert server.ranges().count(None) == 2  # the configuration, and the layer once more


@case
def parts_that_are_not_short(p):
    image = Image(300000)
    whole = image.big[1]
    for data in (whole, whole + b"x", b"x" * len(whole)):
        server = p.registry()
        p.part(image, len(data), data)
        p.good(server.put(image), image)
        assert len(server.paths("/blobs/")) == 1 + (data != whole)
        shutil.rmtree(p.out)


@case
def a_whole_blob_is_not_believed(p):
    server, image = p.registry(), Image(300000)
    ref = server.put(image)
    p.good(ref, image)
    before = len(server.paths("/blobs/"))
    p.good(ref, image)
    assert len(server.paths("/blobs/")) == before
    path = p.out + "/blobs/sha256/" + image.big[0][7:]
    with open(path, "r+b") as file:
        file.seek(1000)
        file.write(b"flip")
    p.good(ref, image)


@case
def a_server_without_ranges(p):
    server, image = p.registry(), Image(2000000)
    name, data = image.big
    server.hook = lambda h, path: path.endswith(name) and h.answer(200, data)
    p.part(image, 1000)
    p.good(server.put(image), image)


@case
def wrong_ranges(p):
    server, image = p.registry(), Image(20000)
    name, data = image.big
    ref = server.put(image)
    for head, words in (("bytes 0-9/10", "it has 10 bytes"),
                        ("bytes 5-9/%d" % len(data), "sends from 5")):
        server.hook = lambda h, path: path.endswith(name) and h.answer(206, data, Content_Range=head)
        p.part(image, 1000)
        p.bad(ref, words)
    server.hook = lambda h, path: (path.endswith(name) and "Range" in h.headers and
                                   h.error(416, Content_Range="bytes */1000"))
    p.bad(ref, "has 1000 bytes, the manifest says")
    server.hook = lambda h, path: path.endswith(name) and "Range" in h.headers and h.error(416)
    p.part(image, 1000)
    p.good(ref, image)


def cutting(image, step):
    """A hook that sends at most `step` bytes of the largest blob at a time."""
    name, data = image.big

    def hook(h, path):
        if not path.endswith(name):
            return False
        first = int(h.headers.get("Range", "bytes=0-")[6:-1])
        h.send_response(206 if first else 200)
        h.send_header("Content-Length", str(len(data) - first))
        if first:
            h.send_header("Content-Range", "bytes %d-%d/%d" % (first, len(data) - 1, len(data)))
        h.end_headers()
        h.wfile.write(data[first:first + step])
        return h.cut()

    return hook


@case
def cut_again_and_again(p):
    server, image = p.registry(), Image(2000000)
    server.hook = cutting(image, 100000)
    p.good(server.put(image), image, "--retry", "2")
    firsts = [int(r[6:-1]) for r in server.ranges() if r]
    assert len(firsts) >= 19 and firsts == sorted(firsts) and len(set(firsts)) == len(firsts), firsts


@case
def cut_without_getting_on(p):
    server, image = p.registry(), Image(200000)
    server.hook = cutting(image, 10)
    p.bad(server.put(image), "blob sha256:", options=["--retry", "3"])
    assert len(server.ranges()) == 1 + 4


@case
def killed_at_any_point(p):
    server, image = p.registry(), Image(1000, 3000000, 1500000)
    ref = server.put(image)
    rng = random.Random(int(os.environ.get("SEED", "1")))
    points = 12

    def slow(h, path):
        time.sleep(0.002)
        return False

    server.hook = slow
    sizes = []
    for _ in range(points):
        fetch = subprocess.Popen(p.words(ref), env=p.env, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        time.sleep(rng.random() * 0.03)
        fetch.send_signal(signal.SIGKILL)
        fetch.wait()
        blobs = p.out + "/blobs/sha256/"
        for name in os.listdir(blobs) if os.path.isdir(blobs) else ():
            if "." not in name:
                assert digest(open(blobs + name, "rb").read()) == "sha256:" + name
        sizes.append(sum(os.path.getsize(blobs + n) for n in os.listdir(blobs))
                     if os.path.isdir(blobs) else 0)
    p.good(ref, image)
    assert sizes == sorted(sizes), sizes


# ---- errors that pass ---------------------------------------------------------------------------


def failing(times, *answer, **head):
    """A hook that answers the first requests for blobs so."""
    left = [times]

    def hook(h, path):
        if "/blobs/" not in path or left[0] == 0:
            return False
        left[0] -= 1
        return h.error(*answer, **head)

    return hook


@case
def errors_that_pass(p):
    for code in (429, 500, 502, 503, 504, 408):
        server, image = p.registry(), Image(1000)
        server.hook = failing(3, code)
        p.good(server.put(image), image)
        shutil.rmtree(p.out)


@case
def an_error_for_the_manifest_that_passes(p):
    server, image = p.registry(), Image(1000)
    left = [2]

    def hook(h, path):
        left[0] -= 1
        return left[0] >= 0 and h.error(503)

    server.hook = hook
    p.good(server.put(image), image)


@case
def wait_as_it_says(p):
    server, image = p.registry(), Image(1000)
    server.hook = failing(1, 429, Retry_After="1")
    begun = time.monotonic()
    p.good(server.put(image), image)
    assert time.monotonic() - begun > 0.95
    shutil.rmtree(p.out)
    server.hook = failing(1, 429, "TOOMANYREQUESTS", "slow down", Retry_After="86400")
    p.bad(server.host + "/x/y", "too many requests (it says: TOOMANYREQUESTS: slow down)")


@case
def errors_that_stay(p):
    server, image = p.registry(), Image(1000)
    ref = server.put(image)
    server.hook = failing(-1, 500, "UNKNOWN", "disk\x1b[31m\nfull")
    p.bad(ref, "it answers with the error 500 (it says: UNKNOWN: disk?[31m?full)",
          options=["--retry", "2"])
    server.hook = failing(-1, 404)
    p.bad(ref, "it does not have that")
    server.hook = None
    p.bad(server.host + "/no/such", "it does not have that (it says: BLOB_UNKNOWN: there is none)")


@case
def nobody_there(p):
    p.bad("127.0.0.1:1/x", "127.0.0.1:1: no connection")
    p.bad("no.such.name.invalid/x", "no.such.name.invalid: its name does not resolve",
          "/etc/resolv.conf")


# ---- what is not what it should be --------------------------------------------------------------


@case
def wrong_length(p):
    server, image = p.registry(), Image(20000)
    name, data = image.big
    ref = server.put(image)
    for sent, words in ((data + b"x", "the manifest says"), (data[:-1], "the manifest says")):
        server.hook = lambda h, path: path.endswith(name) and h.answer(200, sent)
        p.bad(ref, "it has %d bytes" % len(sent), words)

    def chunked(h, path):
        if not path.endswith(name):
            return False
        h.answer(200, Transfer_Encoding="chunked")
        for part in parts:
            h.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        return True

    server.hook = chunked
    parts = (data, b"x", b"")
    p.bad(ref, "it has more than the %d bytes" % len(data))
    shutil.rmtree(p.out)
    parts = (data[:-1], b"")
    p.bad(ref, "blob", options=["--retry", "2"])
    parts = (data, b"")
    shutil.rmtree(p.out)
    p.good(ref, image)


@case
def wrong_digest(p):
    server, image = p.registry(), Image(20000)
    name, data = image.big
    server.hook = lambda h, path: path.endswith(name) and h.answer(200, b"x" * len(data))
    p.bad(server.put(image), "blob " + name, "what it sent is " + digest(b"x" * len(data)))
    assert os.path.getsize(p.out + "/blobs/sha256/" + name[7:] + ".part") == 0


@case
def redirected(p):
    server, other, image = p.registry(), p.registry("127.0.0.2"), Image(20000)
    name, data = image.big
    other.blobs[name] = data
    server.auth = "bearer"
    p.env["REGISTRY_AUTH_FILE"] = auth_file(p, server)
    server.hook = lambda h, path: path.endswith(name) and h.answer(
        307, Location=other.url + "/elsewhere/blobs/" + name)
    p.part(image, 1000)
    p.good(server.put(image), image)
    (path, head), = other.seen
    assert "Authorization" not in head and head["Range"] == "bytes=1000-", head


@case
def redirected_without_end(p):
    server, image = p.registry(), Image(20000)
    ref = server.put(image)
    server.hook = lambda h, path: "/blobs/" in path and h.answer(307, Location=path)
    p.bad(ref, "more than 5 redirections")
    assert max(map(server.paths().count, server.paths("/blobs/"))) == 6
    server.hook = lambda h, path: "/blobs/" in path and h.answer(307, Location="file:///etc/passwd")
    p.bad(ref, "a redirection to what is not https")


@case
def too_slow(p):
    server, image = p.registry(), Image(20000)
    ref = server.put(image)
    name, data = image.big

    def drip(h, path):
        if not path.endswith(name):
            return False
        h.answer(200, Content_Length=str(len(data)))
        for byte in data[:100]:
            h.wfile.write(bytes([byte]))
            time.sleep(0.1)
        return h.cut()

    server.hook = drip
    begun = time.monotonic()
    p.bad(ref, "too slow", options=["--stall", "1s", "--retry", "0"])
    assert time.monotonic() - begun < 5


@case
def headers_without_end(p):
    server, image = p.registry(), Image(200)
    ref = server.put(image)
    for where in ("/manifests/", "/blobs/"):
        for head in ({"X%d" % n: "y" * 1000 for n in range(70)}, {"X": "y" * 90000}):
            server.hook = lambda h, path: where in path and h.answer(200, b"{}", **head)
            p.bad(ref, "more than 64 kB of headers")


@case
def no_room(p):
    if not ROOT:
        raise Skip("needs root")
    server, image = p.registry(), Image(3000000)
    ref = server.put(image)
    os.makedirs(p.out)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "t", p.out], check=True)
    try:
        p.bad(ref, "2 MiB are to come, and", "MiB are free on the disk")
        assert not server.paths("/blobs/")
    finally:
        subprocess.run(["umount", p.out], check=True)


# ---- who we are ---------------------------------------------------------------------------------


def auth_file(p, *where, name="auth.json", user="ann", password="pass:word", **more):
    code = base64.b64encode(("%s:%s" % (user, password)).encode()).decode()
    hosts = {w if isinstance(w, str) else w.host: {"auth": code, **more} for w in where}
    return p.file(name, json.dumps({"auths": hosts}))


@case
def a_token(p):
    server, image = p.registry(), Image(1000, 2000)
    server.auth = "bearer"
    ref = server.put(image)
    p.bad(ref, "does not let us in", "write them to an auth file")
    auth = auth_file(p, server)
    p.good(ref, image, "--authfile", auth)
    token, = server.paths("/token")[-1:]
    assert token == "/token?service=s%261&scope=repository%3Ax%2Fy%3Apull", token
    assert server.given == 1
    shutil.rmtree(p.out)
    p.bad(ref, "with the credentials for it",
          options=["--authfile", auth_file(p, server, password="wrong")])
    p.good(ref, image, "--creds-stdin", given="ann:pass:word\n")


@case
def a_token_that_expires(p):
    server, image = p.registry(), Image(500000, 400000, 300000, 200000)
    server.auth = "bearer"
    used = []

    def hook(h, path):
        if "/blobs/" in path and h.allowed():
            used.append(path)
            h.give(path)
            if len(used) % 2 == 0:
                server.tokens.clear()
        return "/blobs/" in path

    server.hook = hook
    p.good(server.put(image), image, "--authfile", auth_file(p, server), "--parallel", "2")
    assert 2 <= server.given < 8, server.given
    shutil.rmtree(p.out)

    def never(h, path):
        server.tokens.clear()
        return False

    server.hook = never
    p.bad(server.host + "/x/y", "does not let us in", options=["--authfile", auth_file(p, server)])


@case
def tokens_that_are_none(p):
    server, image = p.registry(), Image(10)
    server.auth = "bearer"
    ref = server.put(image)
    for data in (b"", b"{}", b'{"token":7}', compact({"token": "a\r\nX: y"}), b"x" * 300000):
        server.hook = lambda h, path: path.startswith("/token") and h.answer(200, data)
        p.bad(ref, server.host)
    challenges = ["Bearer", "Bearer realm", 'Bearer realm="', "Bearer realm=%s" % ("x" * 600),
                  'Bearer realm="file:///etc/passwd"', "Negotiate", ", ,", 'Bearer realm="\\']
    for challenge in challenges:
        server.hook = lambda h, path: h.error(401, WWW_Authenticate=challenge)
        p.bad(ref, server.host)


@case
def an_identity_token(p):
    server, image = p.registry(), Image(10)
    server.auth = "bearer"
    posted = []

    def hook(h, path):
        if h.command != "POST":
            return False
        posted.append(h.rfile.read(int(h.headers["Content-Length"])).decode())
        server.tokens.add("secret-token-x")
        return h.answer(200, compact({"access_token": "secret-token-x"}))

    server.hook = hook
    p.good(server.put(image), image, "--authfile",
           p.file("a.json", json.dumps({"auths": {server.host: {"identitytoken": "secret-token&"}}})))
    assert "refresh_token=secret-token%26" in posted[0] and "grant_type=refresh" in posted[0], posted


@case
def basic(p):
    server, image = p.registry(), Image(1000, 2000)
    server.auth = "basic"
    ref = server.put(image)
    p.bad(ref, "does not let us in")
    p.good(ref, image, "--authfile", auth_file(p, server))
    shutil.rmtree(p.out)
    p.bad(ref, "with the credentials for it",
          options=["--authfile", auth_file(p, server, password="wrong")])


@case
def files_of_credentials(p):
    server, image = p.registry(), Image(10)
    server.auth = "basic"
    ref = server.put(image)
    places = ["home/.docker/config.json", "home/.config/containers/auth.json",
              "runtime/containers/auth.json"]
    for i, place in enumerate(places):
        auth_file(p, server, name=place)
        p.good(ref, image)
        # What is asked first wins, and what is next serves what the first does not have.
        auth_file(p, server, name=place, password="wrong")
        shutil.rmtree(p.out)
        p.bad(ref, "credentials")
        if i < 2:
            auth_file(p, server, name=place)
    auth_file(p, "other.invalid", name=places[2])
    auth_file(p, server, name=places[1])
    p.good(ref, image)
    # The entry that says most wins.
    p.env["REGISTRY_AUTH_FILE"] = p.file("one.json", json.dumps({"auths": {
        server.host: {"auth": base64.b64encode(b"ann:wrong").decode()},
        server.host + "/x": {"auth": SECRETS[2]}}}))
    p.good(ref, image)
    p.env["REGISTRY_AUTH_FILE"] = auth_file(p, "https://%s/v1/" % server.host, name="url.json")
    p.good(ref, image)
    shutil.rmtree(p.out)
    for text, words in (("{", "not a JSON object"), ('{"auths":{"%s":{"auth":"!"}}}', "broken"),
                        ('{"auths":{"%s":{"auth":"Og=="}}}', "broken"),
                        ('{"credHelpers":{"%s":"pass"}}', "a helper")):
        p.env["REGISTRY_AUTH_FILE"] = p.file("bad.json", text.replace("%s", server.host))
        p.bad(ref, words, "bad.json")
    p.env["REGISTRY_AUTH_FILE"] = p.top + "/none"
    p.bad(ref, "No such file")


# ---- mirrors and proxies ------------------------------------------------------------------------


@case
def mirrors(p):
    image = Image(1000, 50000)
    name, data = image.big
    origin, first, second = p.registry(), p.registry(), p.registry()
    ref = origin.put(image)
    first.put(image)
    second.put(image)
    origin.auth = "basic"
    auth = ["--authfile", auth_file(p, origin)]
    options = ["--mirror", first.url, "--mirror", second.url + "/"]
    p.good(ref, image, *options)
    assert not origin.seen and not second.seen and first.seen
    assert not any("Authorization" in head for _, head in first.seen)
    # A blob that is broken, or missing, or not to be had there, comes from the next.
    for hook in (lambda h, path: path.endswith(name) and h.answer(200, b"x" * len(data)),
                 lambda h, path: path.endswith(name) and h.error(404),
                 lambda h, path: path.endswith(name) and h.error(500),
                 lambda h, path: path.endswith(name) and h.answer(200, data[:-1])):
        shutil.rmtree(p.out)
        second.seen.clear()
        first.hook = hook
        p.good(ref, image, *options)
        assert len(second.paths("/blobs/")) == 1 and not origin.seen
    shutil.rmtree(p.out)
    first.hook = second.hook = lambda h, path: h.error(404)
    p.good(ref, image, *options, *auth)
    shutil.rmtree(p.out)
    done = p.bad(ref, "does not let us in", "(before that, 127.0.0.1:1: no connection",
                 options=["--mirror", "http://127.0.0.1:1"])
    assert origin.host in done.stderr
    p.bad(ref, "write http[s]://", options=["--mirror", first.host])
    # It is final, and said at once: a wait would be longer than this may take.
    first.hook = lambda h, path: "/blobs/" in path and h.error(404)
    p.bad("no.such.name.invalid/x/y", "its name does not resolve", "(before that, blob sha256:",
          "it does not have that", options=["--mirror", first.url, "--retry-delay", "100s"])
    first.hook = lambda h, path: "/blobs/" in path and h.answer(
        404, b"{}", Content_Length="100") and h.cut()
    p.bad("no.such.name.invalid/x/y", "(before that, blob sha256:", "it does not have that",
          options=["--mirror", first.url, "--retry-delay", "100s"])


@case
def a_proxy(p):
    server, image = p.registry(), Image(1000)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        p.env[name] = server.url
        server.put(image)
        ref = "no.such.name.invalid/x/y"
        p.good(ref, image, "--mirror", "http://no.such.name.invalid")
        assert server.paths("http://no.such.name.invalid/v2/")
        server.seen.clear()
        shutil.rmtree(p.out)
        del p.env[name]


# ---- how it runs --------------------------------------------------------------------------------


@case
def nothing_is_kept_of_root(p):
    server, image = p.registry(), Image(1000)
    seen = {}

    def hook(h, path):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink("/proc/%s/exe" % pid) == FETCH:
                    lines = open("/proc/%s/status" % pid).read().splitlines()
                    seen.update(line.split(":", 1) for line in lines)
                    seen["cmdline"] = open("/proc/%s/cmdline" % pid).read()
            except OSError:
                pass
        return False

    server.hook = hook
    server.auth = "basic"
    p.good(server.put(image), image, "--authfile", auth_file(p, server))
    assert seen["NoNewPrivs"].strip() == "1", seen
    assert seen["Seccomp"].strip() == "2", seen
    for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        assert int(seen[kind], 16) == 0, seen
    if ROOT:
        assert seen["Uid"].split() == seen["Gid"].split() == ["65534"] * 4, seen
        assert not seen["Groups"].split(), seen
    assert "pass" not in seen["cmdline"]


@case
def so_many_at_once(p):
    server, image = p.registry(), Image(*[1000] * 12)

    def slow(h, path):
        time.sleep(0.02)
        return False

    server.hook = slow
    ref = server.put(image)
    for parallel in (1, 4):
        server.most = 0
        p.good(ref, image, "--parallel", str(parallel))
        assert server.most == parallel, (server.most, parallel)
        shutil.rmtree(p.out)


@case
def two_into_one_directory(p):
    server, image = p.registry(), Image(1000)
    ref = server.put(image)
    gate = threading.Event()
    came = threading.Event()

    def hold(h, path):
        came.set()
        gate.wait(20)
        return False

    server.hook = hold
    fetch = subprocess.Popen(p.words(ref), env=p.env, stdout=subprocess.DEVNULL,
                             stdin=subprocess.DEVNULL)
    assert came.wait(20)
    p.bad(ref, "another one fetches into it")
    gate.set()
    assert fetch.wait(20) == 0
    p.whole(image)


@case
def wrong_words(p):
    for words in ([], ["x"], ["x", "y", "z"], ["--parallel", "0", "x", "y"], ["--frob", "x", "y"],
                  ["--parallel", "99", "x", "y"], ["--have", "x", "x", "y"],
                  ["--tls-verify", "perhaps", "x", "y"], ["--platform", "/", "x", "y"]):
        done = subprocess.run([FETCH, *words], capture_output=True, text=True, timeout=10)
        assert done.returncode == 2 and "usage: berth-fetch" in done.stderr, (words, done)


# ---- TLS ----------------------------------------------------------------------------------------


class Authority:
    """A certificate authority, and certificates of it, made by openssl."""

    def __init__(self, p):
        self.p = p
        self.ca = p.top + "/ca.crt"
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-nodes", "-keyout", p.top + "/ca.key", "-out", self.ca, "-subj", "/CN=ours",
                     "-days", "30")

    def openssl(self, *words):
        subprocess.run(["openssl", *words], check=True, capture_output=True)

    def cert(self, name, where):
        """Gives the paths of a certificate for `where`, and of its key."""
        base = self.p.top + "/" + name
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", base + ".key", "-out", base + ".csr", "-subj", "/CN=" + name)
        self.p.file(name + ".ext", "subjectAltName=" + where)
        self.openssl("x509", "-req", "-in", base + ".csr", "-CA", self.ca, "-CAkey",
                     self.p.top + "/ca.key", "-CAcreateserial", "-out", base + ".cert", "-days",
                     "20", "-extfile", base + ".ext")
        return base + ".cert", base + ".key"


def secured(p, server, cert, clients=None):
    """Lets one of our registries speak TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*cert)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.url = "https://" + server.host


@case
def whom_to_trust(p):
    ours, other = Authority(p), p.registry("127.0.0.2")
    server, image = p.registry(), Image(1000, 200000)
    secured(p, server, ours.cert("good", "IP:127.0.0.1"))
    secured(p, other, ours.cert("elsewhere", "DNS:elsewhere"))
    ref = server.put(image)
    yes = ["--tls-verify", "yes"]
    p.bad(ref, "its certificate is not trusted", options=yes)
    p.good(ref, image, *yes, "--ca-file", ours.ca)
    p.file("dir/a.crt", open(ours.ca, "rb").read())
    p.good(ref, image, *yes, "--cert-dir", p.top + "/dir")
    p.file("home/.config/containers/certs.d/%s/ca.crt" % server.host, open(ours.ca, "rb").read())
    p.good(ref, image, *yes)
    p.good(ref, image)
    shutil.rmtree(p.out)
    p.bad(other.put(image), "its certificate is not trusted",
          options=[*yes, "--ca-file", ours.ca])
    p.bad(ref, "/none: No such file", options=[*yes, "--cert-dir", p.top + "/none"])
    # https that is asked for is never exchanged for http.
    plain = p.registry()
    p.bad(plain.put(image), "does it speak plain http?", options=yes)
    server.hook = lambda h, path: "/blobs/" in path and h.answer(307, Location=plain.url + path)
    p.bad(ref, "a redirection to what is not https", options=[*yes, "--ca-file", ours.ca])
    assert not plain.seen


@case
def a_certificate_of_ours(p):
    ours = Authority(p)
    server, image = p.registry(), Image(1000)
    secured(p, server, ours.cert("good", "IP:127.0.0.1"), clients=ours.ca)
    ref = server.put(image)
    p.bad(ref, server.host, options=["--ca-file", ours.ca, "--retry", "0"])
    for path in (*ours.cert("dir-client", "DNS:us"), ours.ca):
        end = ".crt" if path == ours.ca else path[-4:].replace("cert", ".cert")
        p.file("dir/client" + end, open(path, "rb").read())
    p.good(ref, image, "--tls-verify", "yes", "--cert-dir", p.top + "/dir")


@case
def a_clock_that_is_not_set(p):
    libs = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not libs or "/asan" in FETCH:
        raise Skip("libfaketime is not there, or its build has another first library")
    ours = Authority(p)
    server, image = p.registry(), Image(1000)
    secured(p, server, ours.cert("good", "IP:127.0.0.1"))
    p.env.update(LD_PRELOAD=libs[0], FAKETIME="1999-12-31 23:00:00")
    p.bad(server.put(image), "the clock says 1999-12-31, which is before this program was built (20",
          "): set it", options=["--tls-verify", "yes", "--ca-file", ours.ca])


# ---- real registries ----------------------------------------------------------------------------


def port_free():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_open(port):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("nothing listens on %d" % port)


class Debian:
    """Debian's docker-registry, on a port of its own."""

    def __init__(self, p, **http):
        if not shutil.which("docker-registry") or not shutil.which("skopeo"):
            raise Skip("docker-registry and skopeo are not installed")
        self.p, self.port = p, port_free()
        self.host = "127.0.0.1:%d" % self.port
        conf = {"version": "0.1", "log": {"level": "error"},
                "storage": {"filesystem": {"rootdirectory": p.top + "/store"}},
                "http": {"addr": self.host, **http.pop("http", {})}, **http}
        p.start("docker-registry", "serve", p.file("registry.yml", json.dumps(conf)))
        wait_open(self.port)

    def push(self, image, name="x/y", *options):
        """By skopeo, out of a layout."""
        layout = self.p.top + "/layout"
        for blob, data in {**image.blobs, digest(image.bytes): image.bytes}.items():
            self.p.file("layout/blobs/sha256/" + blob[7:], data)
        self.p.file("layout/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
        self.p.file("layout/index.json", index_of(image.descriptor()))
        self.p.skopeo("copy", "--dest-tls-verify=false", *options, "oci:" + layout,
                      "docker://%s/%s" % (self.host, name))
        return "%s/%s:latest" % (self.host, name)


@case
def debians_registry(p):
    server, image = Debian(p), Image(1000, 3000000)
    ref = server.push(image)
    p.part(image, 1000000)
    p.good(ref, image)
    # What another tool says of the layout.
    said = json.loads(p.skopeo("inspect", "oci:" + p.out))
    assert said["Layers"] == [layer["digest"] for layer in image.layers], said
    shutil.rmtree(p.out)
    p.bad(server.host + "/no/such", "it does not have that (it says: MANIFEST_UNKNOWN")
    server.push(image, "d/e", "--format", "v2s2")
    assert p.run(server.host + "/d/e").returncode == 0
    kind = json.load(open(p.out + "/index.json"))["manifests"][0]["mediaType"]
    assert kind == DOCKER + "v2+json", kind


@case
def debians_registry_with_password_and_tls(p):
    if not shutil.which("htpasswd"):
        raise Skip("htpasswd is not installed")
    p.file("users", subprocess.run(["htpasswd", "-nbB", "ann", "pass:word"], check=True,
                                   capture_output=True).stdout)
    cert, key = Authority(p).cert("good", "IP:127.0.0.1")
    server = Debian(p, auth={"htpasswd": {"realm": "here", "path": p.top + "/users"}},
                    http={"tls": {"certificate": cert, "key": key}})
    auth = auth_file(p, server.host)
    image = Image(1000, 300000)
    ref = server.push(image, "x/y", "--dest-creds", "ann:pass:word")
    yes = ["--tls-verify", "yes", "--ca-file", p.top + "/ca.crt"]
    p.bad(ref, "does not let us in", options=yes)
    p.good(ref, image, *yes, "--authfile", auth)


def nginx(p, text):
    """One worker, in the foreground, with these lines in its server; gives the port."""
    if not shutil.which("nginx"):
        raise Skip("nginx is not installed")
    port = port_free()
    p.file("nginx.conf", """
        daemon off; pid %(top)s/nginx.pid; error_log %(top)s/nginx.log; worker_processes 1;
        events {}
        http {
            access_log off; client_body_temp_path %(top)s/t1; proxy_temp_path %(top)s/t2;
            fastcgi_temp_path %(top)s/t3; uwsgi_temp_path %(top)s/t4; scgi_temp_path %(top)s/t5;
            limit_req_zone $binary_remote_addr zone=z:64k rate=100r/s;
            server { listen 127.0.0.1:%(port)d; %(text)s }
        }""" % {"top": p.top, "port": port, "text": text})
    program = p.start("nginx", "-e", p.top + "/nginx.log", "-c", p.top + "/nginx.conf")
    wait_open(port)
    return port, program


@case
def behind_nginx_that_cuts(p):
    image = Image(1000, 8000000)
    server = Debian(p)
    server.push(image)
    lines = "location / { proxy_pass http://%s; limit_rate 4m; }" % server.host
    port, program = nginx(p, lines)
    fetch = subprocess.Popen(p.words("127.0.0.1:%d/x/y" % port, "--retry", "9"), env=p.env,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
    part = p.out + "/blobs/sha256/" + image.big[0][7:] + ".part"
    sizes = []
    for wanted in (1000000, 3000000):
        end = time.monotonic() + 20
        while time.monotonic() < end and not (os.path.exists(part) and
                                              os.path.getsize(part) > wanted):
            time.sleep(0.01)
        sizes.append(os.path.getsize(part))
        program.terminate()  # at once: every connection is cut
        program.wait()
        program = p.start("nginx", "-e", p.top + "/nginx.log", "-c", p.top + "/nginx.conf")
    said = fetch.communicate(timeout=30)[1]
    assert fetch.returncode == 0, said
    p.whole(image)
    assert 1000000 < sizes[0] < sizes[1] < len(image.big[1]), sizes


@case
def behind_nginx_that_limits(p):
    image = Image(*[1000] * 12)
    server = Debian(p)
    server.push(image)
    for status in (429, 503):
        port, program = nginx(p, "limit_req zone=z; limit_req_status %d;"
                              "location / { proxy_pass http://%s; }" % (status, server.host))
        p.good("127.0.0.1:%d/x/y" % port, image, "--parallel", "6", "--retry", "9")
        assert "limiting requests" in open(p.top + "/nginx.log").read()
        shutil.rmtree(p.out)
        program.terminate()
        program.wait()


@case
def files_behind_nginx_as_a_mirror(p):
    image = Image(1000, 300000)
    p.file("files/v2/x/y/manifests/latest", image.bytes)
    for name, data in image.blobs.items():
        p.file("files/v2/x/y/blobs/" + name, data)
    port, _ = nginx(p, "root %s/files;" % p.top)
    p.part(image, 100000)
    p.good("no.such.name.invalid/x/y", image, "--mirror", "http://127.0.0.1:%d" % port)


def main():
    passed = failed = skipped = 0
    only = os.environ.get("ONLY")
    for run in CASES:
        if only and only not in run.__name__:
            continue
        place = Place()
        begun = time.monotonic()
        try:
            run(place)
            passed += 1
            print("%s in %dms" % (run.__name__, (time.monotonic() - begun) * 1000))
        except Skip as why:
            print("pull: %s: skipped: %s" % (run.__name__, why))
            skipped += 1
        except Exception as why:  # a case that fails must not hide the others
            line = why.__traceback__
            while line.tb_next:
                line = line.tb_next
            print("pull: %s: FAILED: line %d: %s: %s" % (
                run.__name__, line.tb_lineno, type(why).__name__, why))
            failed += 1
        finally:
            place.done()
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0


sys.exit(main())
