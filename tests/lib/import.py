"""import.py WORKER: images against `berth-worker import`; the last line is the result. Needs a mount
namespace of its own. ONLY=WORD chooses cases by a part of their name."""
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from importing import CASES, Place  # noqa: E402
import import_good  # noqa: E402,F401 - brings its cases along
import import_bad  # noqa: E402,F401

ONLY = os.environ.get("ONLY", "")


def main():
    passed = failed = 0
    # podman reads a path as the name of an image, in which an underscore may not stand anywhere.
    base = f"{tempfile.gettempdir()}/berth-test-import-{os.getpid()}"
    os.mkdir(base, 0o700)
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
        subprocess.run(["rm", "-rf", top], check=True)
    subprocess.run(["umount", base], check=True)
    os.rmdir(base)
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
