"""What lies about: tokens, variables, folders of the node, other sandboxes' files."""

import os
from collections.abc import Callable
from pathlib import Path

from .kit import ClosedError, Group, Scene
from .namespaces import MARK

GROUP = Group()
ABSENT = "nothing there"


def absent(*paths: str) -> Callable[[Scene], str]:
    """Return a way that looks whether any of these can be seen."""

    def way(scene: Scene) -> str:
        there = [path for path in (scene.get("root", "") + path for path in paths) if os.path.exists(path)]
        if not there:
            raise ClosedError(ABSENT)
        return f"{there[0]}: {os.listdir(there[0])[:3] if os.path.isdir(there[0]) else 'a file'}"

    return way


TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"
GROUP.add(
    "reads the token of its service account",
    ABSENT,
    way=absent(TOKEN, "/run/secrets", "/var/run/secrets"),
    control="open",
)
for words, paths in {
    "the kubelet's folder, with every pod's volumes and tokens": ("/var/lib/kubelet",),
    "the runtime's folder, with every image and root file system": ("/var/lib/containerd", "/var/lib/docker"),
    "the runtime's socket, which starts any container": (
        "/run/containerd/containerd.sock", "/run/docker.sock", "/run/crio/crio.sock", "/run/containerd",
    ),
    "other pods' logs": ("/var/log/pods", "/var/log/containers"),
}.items():  # fmt: skip
    GROUP.add(f"sees {words}", ABSENT, way=absent(*paths), control="watchtower")
GROUP.add("sees the cluster's keys and the node's own credentials", ABSENT, control="",
          way=absent("/etc/kubernetes", "/etc/cni", "/root/.kube", "/etc/rancher"),
          note="no control: each distribution has them elsewhere")  # fmt: skip


@GROUP.attempt("finds Services in its variables, beyond the apiserver's address", "none", control="open",
               note="the kubelet always tells the apiserver's address, which the fence keeps out of reach")  # fmt: skip
def service_variables(_scene: Scene) -> str:
    names = [name for name in os.environ if name.endswith("_SERVICE_HOST") and not name.startswith("KUBERNETES_")]
    if not names:
        raise ClosedError("none")
    return ", ".join(names)


@GROUP.attempt("finds a credential in its variables", "none", control="neighbour")
def secret_variables(_scene: Scene) -> str:
    names = [name for name in os.environ if any(word in name for word in ("TOKEN", "SECRET", "PASSWORD"))]
    if not names:
        raise ClosedError("none")
    return ", ".join(names)


@GROUP.attempt("finds the neighbour's file in its workspace, /tmp and /dev/shm", ABSENT, control="neighbour",
               note="volumes are one's own: what is left there, setuid or not, nobody else meets")  # fmt: skip
def others_files(scene: Scene) -> str:
    return absent(*(f"{folder}/{MARK}" for folder in ("/workspace", "/tmp", "/dev/shm")))(scene)


def mounts() -> list[tuple[str, str, str]]:
    """Return the mounts: what is shown, where, and of which kind."""
    lines = [line.split(" - ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [(left.split()[3], left.split()[4], right.split()[0]) for left, right in lines]


@GROUP.attempt("is shown a folder of the node by a mount", "its own only")
def host_mounts(_scene: Scene) -> str:
    kept = {"/workspace", "/.sandkeeper/bin", "/.sandkeeper/system"}
    own = kept | {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/termination-log", "/"}
    virtual = {"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "devtmpfs"}
    strange = [(shown, where) for shown, where, kind in mounts() if where not in own and kind not in virtual]
    if not strange:
        raise ClosedError("its own only")
    return str(strange[:3])


@GROUP.attempt("follows a link in its workspace out to the node", "below its own root", control="",
               note="a link is read where it is followed; the operator reads nothing of a sandbox's files")  # fmt: skip
def symlink(_scene: Scene) -> str:
    link = Path(f"/workspace/link-{os.getpid()}")
    link.symlink_to("/" + "../" * 40 + "var/lib")
    names = set(os.listdir(link))
    link.unlink()
    if names.isdisjoint({"kubelet", "containerd"}):
        raise ClosedError("below its own root")
    return str(names)
