"""The programs that serve claims: the driver, and those that stand between it and the apiserver."""

import sys
from pathlib import Path

from localcluster.components import Layout
from localcluster.credentials import write_user
from localcluster.native.plan import NodePlan
from localcluster.native.storage.offers import PLAIN, SNAPSHOTS
from localcluster.tools import tool

DRIVER = "storage"
# Made for clusters of many tenants, they ask five times a second and repeat what failed after a second.
EAGER = ("--kube-api-qps=200", "--kube-api-burst=400", "--retry-interval-start=100ms", "--retry-interval-max=10s")
# Who each program is; its rights are those that come with it.
USERS = {
    program: f"sandkeeper:{program}"
    for program in ("csi-provisioner", "csi-resizer", "csi-snapshotter", "snapshot-controller")
}


def write_users(layout: Layout, files: Path) -> None:
    """Write a kubeconfig for each of the programs."""
    for program, user in USERS.items():
        write_user(layout, _kubeconfig(files, program), user, [])


def commands(plan: NodePlan, files: Path) -> dict[str, list[object]]:
    """Return the commands by the names of the node's components."""
    full, plain = f"--csi-address={SNAPSHOTS.socket}", f"--csi-address={PLAIN.socket}"
    return {
        DRIVER: [sys.executable, "-m", "localcluster.native.storage", plan.file],
        "csi-provisioner": [*_command("csi-provisioner", files), full],
        "csi-provisioner-plain": [*_command("csi-provisioner", files), plain],
        "csi-resizer": [*_command("csi-resizer", files), full],
        "csi-snapshotter": [*_command("csi-snapshotter", files), full],
        "snapshot-controller": _command("snapshot-controller", files),
    }


def _command(program: str, files: Path) -> list[object]:
    return [tool(program), f"--kubeconfig={_kubeconfig(files, program)}", *EAGER]


def _kubeconfig(files: Path, program: str) -> Path:
    return files / f"{program}.kubeconfig"
