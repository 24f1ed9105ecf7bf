"""Volumes of a kind cluster: the CSI project's hostpath driver and snapshot controller, as the projects publish them.

The driver is no Go module: its own script installs it from a clone, and needs git, curl and wget. Beside it stays
kind's own class ``standard``, which has neither snapshots nor growth.
"""

import os
from pathlib import Path
from typing import Any

import yaml

from localcluster.commands import run
from localcluster.gobuild import built
from localcluster.locking import made_once
from localcluster.native.storage.objects import kinds
from localcluster.native.storage.offers import SNAPSHOTS
from localcluster.paths import cache_home
from localcluster.tools import STORAGE, tool

SOURCE = "https://github.com/kubernetes-csi/csi-driver-host-path"
VERSION = "v1.18.0"
DRIVER = "hostpath.csi.k8s.io"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
DEFAULT_SNAPSHOT_CLASS = "snapshot.storage.kubernetes.io/is-default-class"


def install(kubeconfig: Path) -> None:
    """Install driver and snapshot controller, and make the class with snapshots the default."""
    kubectl: list[str | Path] = [tool("kubectl"), f"--kubeconfig={kubeconfig}"]
    apply: list[str | Path] = [*kubectl, "apply", "--server-side", "--force-conflicts", "-f"]
    run(*apply, "-", stdin=yaml.safe_dump_all(kinds()))
    for name in ("snapshot-controller.yaml", "snapshot-controller-deployment.yaml"):
        run(*apply, built(STORAGE) / name)
    clone = made_once(cache_home() / "csi-driver-host-path" / VERSION, _clone)
    path = f"{tool('kubectl').parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(kubeconfig)}
    run(clone / "deploy" / "kubernetes-1.34" / "deploy.sh", environment=environment)
    run(*apply, "-", stdin=yaml.safe_dump_all(classes()))
    run(*kubectl, "annotate", "--overwrite", "storageclass", "standard", f"{DEFAULT_CLASS}=false")


def classes() -> list[dict[str, Any]]:
    """Return the classes of the driver, under the names that they have on a native node."""
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": SNAPSHOTS.storage_class, "annotations": {DEFAULT_CLASS: "true"}},
            "provisioner": DRIVER,
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowVolumeExpansion": True,
        },
        {
            "apiVersion": "snapshot.storage.k8s.io/v1",
            "kind": "VolumeSnapshotClass",
            "metadata": {"name": SNAPSHOTS.storage_class, "annotations": {DEFAULT_SNAPSHOT_CLASS: "true"}},
            "driver": DRIVER,
            "deletionPolicy": "Delete",
        },
    ]


def _clone(target: Path) -> None:
    run("git", "clone", "--quiet", "--depth=1", f"--branch={VERSION}", SOURCE, target)
