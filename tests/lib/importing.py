"""What the cases of import.py are made with: a place for each, the oracles, the worker."""
import contextlib
import os
import shutil
import stat
import subprocess
import sys
import time

from layout import Layout, differences, tree

WORKER = os.path.abspath(sys.argv[1])
CASES = []


def case(function):
    CASES.append(function)
    return function


class Place:
    """One case's directory: the store to import into, a canary beside it that must stay as it is.
    `first` is the layout that was begun last."""

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
        self.first = Layout(self.top + "/" + name)
        return self.first

    @contextlib.contextmanager
    def small(self, size):
        """What is imported goes to a file system of that size."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=" + size, "t", self.out],
                       check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", self.out], check=True)

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

    def podman(self, source, ref="t"):
        """As podman's vfs store has it. Its directories have the time of their last change."""
        base = ["podman", "--root", self.top + "/pod", "--runroot", self.top + "/run",
                "--storage-driver", "vfs"]
        done = subprocess.run([*base, "pull", "-q", "oci:%s:%s" % (source, ref)],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        done = subprocess.run([*base, "image", "mount", done.stdout.strip()], check=True,
                              capture_output=True, text=True)
        return tree(done.stdout.strip())

    def same_as_podman(self, ours, theirs):
        for found in (ours, theirs):
            found["."] = None  # 0555 and now
            for what in found.values():
                if what and what[0] == stat.S_IFDIR:
                    what[4] = 0
        lines = differences(ours, theirs)
        assert not lines, "podman: " + "\n".join(lines[:20])

    def same(self, ours, theirs):
        # A directory that no entry speaks of has the time when the unpacker was at work.
        for found in (ours, theirs):
            for path, what in found.items():
                if path == "." or (what[0] == stat.S_IFDIR and what[4] > time.time() - 600):
                    what[4] = 0
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
