"""A registry for tests, on loopback: it does what it should, until a test's hook does otherwise."""
import base64
import gzip
import hashlib
import http.server
import io
import json
import random
import tarfile
import threading

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker.distribution.manifest."
MANIFEST = OCI + "manifest.v1+json"
INDEX = OCI + "index.v1+json"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


class Image:
    """An image of random files: one for each size."""

    def __init__(self, *sizes, seed=1, arch="amd64", variant=None, docker=False):
        rng = random.Random(seed)
        self.blobs = {}
        layers, diffs = [], []
        for i, size in enumerate(sizes):
            plain = io.BytesIO()
            with tarfile.open(fileobj=plain, mode="w") as tar:
                info = tarfile.TarInfo("file%d" % i)
                info.size = size
                tar.addfile(info, io.BytesIO(rng.randbytes(size)))
            diffs.append(digest(plain.getvalue()))
            kind = ("application/vnd.docker.image.rootfs.diff.tar.gzip" if docker
                    else OCI + "layer.v1.tar+gzip")
            layers.append(self.add(gzip.compress(plain.getvalue(), 1, mtime=0), kind))
        config = {"os": "linux", "architecture": arch, "config": {"Cmd": ["/file0"]},
                  "rootfs": {"type": "layers", "diff_ids": diffs}}
        if variant:
            config["variant"] = variant
        kind = "application/vnd.docker.container.image.v1+json" if docker else OCI + "config.v1+json"
        self.config = compact(config)
        self.type = DOCKER + "v2+json" if docker else MANIFEST
        self.layers = layers
        self.manifest = {"schemaVersion": 2, "mediaType": self.type,
                         "config": self.add(self.config, kind), "layers": layers}
        self.platform = {"os": "linux", "architecture": arch}
        if variant:
            self.platform["variant"] = variant

    def add(self, data, kind):
        self.blobs[digest(data)] = data
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    @property
    def bytes(self):
        return compact(self.manifest)

    def descriptor(self, **more):
        return {"mediaType": self.type, "digest": digest(self.bytes), "size": len(self.bytes),
                "platform": self.platform, **more}

    @property
    def big(self):
        """The digest and the bytes of the largest blob."""
        return max(self.blobs.items(), key=lambda item: len(item[1]))


class Registry(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address="127.0.0.1"):
        super().__init__((address, 0), Handler)
        self.host = "%s:%d" % self.server_address
        self.url = "http://" + self.host
        self.blobs, self.manifests = {}, {}
        self.seen = []  # (path, headers) of every request
        self.hook = None  # hook(handler, path): True when it has answered itself
        self.auth = None  # None, "basic", "bearer"
        self.users = {"ann": "pass:word"}
        self.tokens = set()
        self.given = 0
        self.open = self.most = 0
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02},
                         daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # the other side went away: tests do that

    def put(self, image, name="x/y", tag="latest"):
        self.blobs.update(image.blobs)
        self.put_manifest(image.bytes, image.type, name, tag)
        return "%s/%s:%s" % (self.host, name, tag)

    def put_manifest(self, data, kind, name="x/y", tag="latest"):
        for which in (tag, digest(data)):
            self.manifests["/v2/%s/manifests/%s" % (name, which)] = (data, kind)
        return "%s/%s:%s" % (self.host, name, tag)

    def paths(self, part=""):
        return [path for path, _ in self.seen if part in path]

    def ranges(self):
        return [head.get("Range") for path, head in self.seen if "/blobs/" in path]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def answer(self, code, data=b"", **head):
        self.send_response(code)
        for name, value in head.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in head and "Transfer_Encoding" not in head:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        return True

    def error(self, code, name="DENIED", words="no", **head):
        return self.answer(code, compact({"errors": [{"code": name, "message": words}]}), **head)

    def cut(self):
        """Ends the connection without another word."""
        self.wfile.flush()
        self.close_connection = True
        return True

    def user(self):
        """Is the request of one of the users, by its Basic header?"""
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            return None
        name, _, password = base64.b64decode(value).decode().partition(":")
        return name if self.server.users.get(name) == password else None

    def give_token(self):
        if self.headers.get("Authorization") and not self.user():
            return self.error(401, "UNAUTHORIZED", "wrong password")
        if not self.user() and self.server.users:
            return self.error(401, "UNAUTHORIZED", "who are you")
        self.server.given += 1
        token = "secret-token-%d" % self.server.given
        self.server.tokens.add(token)
        return self.answer(200, compact({"token": token, "expires_in": 60}))

    def allowed(self):
        if self.server.auth == "basic" and not self.user():
            return not self.error(401, WWW_Authenticate='Basic realm="here"')
        if self.server.auth == "bearer":
            kind, _, value = self.headers.get("Authorization", "").partition(" ")
            if kind != "Bearer" or value not in self.server.tokens:
                challenge = 'Bearer realm="%s/token",service="s&1",scope="repository:x/y:pull"'
                return not self.error(401, WWW_Authenticate=challenge % self.server.url)
        return True

    def do_GET(self):
        server = self.server
        with server.lock:
            server.open += 1
            server.most = max(server.most, server.open)
            server.seen.append((self.path, dict(self.headers)))
        try:
            self.get()
        finally:
            with server.lock:
                server.open -= 1

    do_POST = do_GET

    def get(self):
        server = self.server
        path = self.path
        if path.startswith("http://"):  # asked as a proxy
            path = "/" + path.split("/", 3)[3]
        if server.hook and server.hook(self, path):
            return
        if path.startswith("/token"):
            self.give_token()
        elif self.allowed():
            self.give(path)

    def give(self, path):
        server = self.server
        if path in server.manifests:
            data, kind = server.manifests[path]
            if kind not in self.headers.get("Accept", ""):
                return self.error(404, "MANIFEST_UNKNOWN", "not in that form")
            return self.answer(200, data, Content_Type=kind, Docker_Content_Digest=digest(data))
        name = path.rpartition("/")[2]
        if "/blobs/" not in path or name not in server.blobs:
            return self.error(404, "BLOB_UNKNOWN", "there is none")
        return self.blob(server.blobs[name])

    def blob(self, data):
        asked = self.headers.get("Range")
        if not asked:
            return self.answer(200, data)
        first = int(asked[len("bytes="):].rstrip("-"))
        if first >= len(data):
            return self.error(416, Content_Range="bytes */%d" % len(data))
        whole = "bytes %d-%d/%d" % (first, len(data) - 1, len(data))
        return self.answer(206, data[first:], Content_Range=whole)
