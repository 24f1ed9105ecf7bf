"""The node's file system: /run and /var of its own, so that it uses the standard paths and spoils nothing outside."""

from pathlib import Path

from localcluster.commands import run
from localcluster.native.plan import NodePlan
from localcluster.paths import cache_home

SCRATCH = Path("/run/node")
# Folders at the paths where everybody expects them, kept on a real file system.
STANDARD = {
    "/var/lib/kubelet": "kubelet",
    "/var/lib/containerd": "containerd",
    "/var/log/pods": "logs/pods",
}


def prepare(plan: NodePlan) -> None:
    """Mount everything; called once, in the node's own mount namespace."""
    # Pods with bidirectional mounts (CSI drivers) need shared mounts; nothing is shared with the machine itself.
    run("mount", "--make-rshared", "/")
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "node-run", "/run")
    _own_var([plan.state, cache_home()])
    for path, folder in STANDARD.items():
        source = plan.state / folder
        source.mkdir(parents=True, exist_ok=True)
        Path(path).mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", source, path)
    Path("/var/log/containers").mkdir(parents=True, exist_ok=True)


def _own_var(kept: list[Path]) -> None:
    """Lay a layer over /var that takes all writes, save to the folders that live below /var and are to stay."""
    below = [folder.resolve() for folder in kept if folder.resolve().is_relative_to("/var")]
    for index, folder in enumerate(below):
        aside = SCRATCH / "kept" / str(index)
        aside.mkdir(parents=True)
        run("mount", "--bind", folder, aside)
    upper, work = SCRATCH / "upper", SCRATCH / "work"
    upper.mkdir(parents=True)
    work.mkdir()
    run("mount", "-t", "overlay", "-o", f"lowerdir=/var,upperdir={upper},workdir={work}", "node-var", "/var")
    for index, folder in enumerate(below):
        run("mount", "--bind", SCRATCH / "kept" / str(index), folder)
