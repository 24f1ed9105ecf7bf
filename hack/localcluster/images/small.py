"""Images of a single program: the one that holds a pod's namespaces, the cluster DNS, a shell for tests,
the one that Kubernetes' own tests ask for, and the one that watches operator and gateway.
"""

import shutil
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from localcluster.commands import run
from localcluster.images.oci import Settings, write_image, write_layer
from localcluster.locking import made_once
from localcluster.packages import ensure_package_lists, ensure_packages
from localcluster.paths import cache_home
from localcluster.tools import tool

PAUSE_SOURCE = r"""
#include <signal.h>
#include <unistd.h>
#include <sys/wait.h>
static void end(int signal) { (void)signal; _exit(0); }
static void reap(int signal) { (void)signal; while (waitpid(-1, 0, WNOHANG) > 0) {} }
int main(void) {
  signal(SIGINT, end);
  signal(SIGTERM, end);
  signal(SIGCHLD, reap);
  for (;;) pause();
}
"""


def pause_image(name: str) -> Path:
    """Return the archive of the image whose process waits for ever."""

    def make(target: Path) -> None:
        ensure_packages(["gcc", "libc6-dev"], "making the pause image")
        root = target / "root"
        root.mkdir()
        compiler = ["cc", "-Os", "-static", "-s", "-x", "c", "-", "-o"]
        run(*compiler, root / "pause", stdin=PAUSE_SOURCE)
        _finish(target, name, Settings(entrypoint=["/pause"], user="65535:65535"))

    return _cached("pause", [name, PAUSE_SOURCE], make)


def coredns_image(name: str) -> Path:
    """Return the archive of the image of the cluster DNS."""
    return _program_image("coredns", name, Settings(entrypoint=["/coredns"]))


def busybox_image(name: str) -> Path:
    """Return the archive of an image with the usual commands in a few megabytes."""

    def make(target: Path) -> None:
        root = target / "root"
        for folder in ("bin", "etc", "root", "tmp"):
            (root / folder).mkdir(parents=True)
        (root / "tmp").chmod(0o1777)
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
        (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
        _add_busybox(root, target)
        _finish(target, name, Settings(command=["sh"]))

    return _cached("busybox", [name], make)


def agnhost_image(name: str) -> Path:
    """Return the archive of the image that the pods of Kubernetes' tests run, with its program alone."""
    return _program_image("agnhost", name, Settings(entrypoint=["/agnhost"], command=["pause"]))


def prometheus_image(name: str) -> Path:
    """Return the archive of an image with Prometheus alone."""
    return _program_image("prometheus", name, Settings(entrypoint=["/prometheus"], user="65534:65534"))


def _program_image(which: str, name: str, settings: Settings) -> Path:
    program = tool(which)

    def make(target: Path) -> None:
        root = target / "root"
        root.mkdir()
        shutil.copy2(program, root / which)
        _finish(target, name, settings)

    return _cached(which, [name, program.parent.name], make)


def _add_busybox(root: Path, scratch: Path) -> None:
    ensure_package_lists("making the test image")
    run("apt-get", "-q", "download", "busybox-static", cwd=scratch)
    (package,) = scratch.glob("busybox-static_*.deb")
    run("dpkg-deb", "--extract", package, scratch / "busybox")
    program = root / "bin" / "busybox"
    shutil.copy2(scratch / "busybox/bin/busybox", program)
    for command in run(program, "--list").split():
        if command != program.name:
            (program.parent / command).symlink_to(program.name)
    package.unlink()
    shutil.rmtree(scratch / "busybox")


def _finish(target: Path, name: str, settings: Settings) -> None:
    layer = write_layer(target / "root", target / "layer.tar")
    write_image(target / "image.tar", [name], [layer], settings)
    shutil.rmtree(target / "root")
    layer.file.unlink()


def _cached(kind: str, inputs: Sequence[str], make: Callable[[Path], None]) -> Path:
    key = sha256(repr(inputs).encode()).hexdigest()[:12]
    return made_once(cache_home() / "images" / f"{kind}-{key}", make) / "image.tar"
