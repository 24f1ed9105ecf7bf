"""What the cluster has to know: kinds, rights, drivers and classes."""

from typing import Any

import yaml

from localcluster.gobuild import built
from localcluster.native.storage.offers import OFFERS, SNAPSHOTS, Offer
from localcluster.native.storage.programs import USERS
from localcluster.tools import SNAPSHOT_KINDS, STORAGE

RBAC = "rbac.authorization.k8s.io"
Object = dict[str, Any]


def kinds() -> list[Object]:
    """Return the definitions of the snapshot kinds, as they come with the programs that serve them."""
    return [found for kind in SNAPSHOT_KINDS for found in _documents(f"{kind}.yaml")]


def rights() -> list[Object]:
    """Return what the programs may do, as it comes with them, bound to the users that they are here."""
    return [found for program, user in USERS.items() for found in _rights(_documents(f"{program}.yaml"), user)]


def _rights(documents: list[Object], user: str) -> list[Object]:
    # The others are about leases: there is one of each program.
    roles = [document for document in documents if document["kind"] == "ClusterRole"]
    return [*roles, *(_binding(role["metadata"]["name"], user) for role in roles)]


def _binding(role: str, user: str) -> Object:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": user},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
    }


def classes() -> list[Object]:
    """Return drivers and StorageClasses; the one with snapshots is the default."""
    return [found for offer in OFFERS for found in (_driver(offer), _storage_class(offer))]


def snapshot_class() -> Object:
    """Return the VolumeSnapshotClass."""
    return {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshotClass",
        "metadata": _metadata(SNAPSHOTS, "snapshot.storage.kubernetes.io"),
        "driver": SNAPSHOTS.driver,
        "deletionPolicy": "Delete",
    }


def _driver(offer: Offer) -> Object:
    spec = {"attachRequired": False, "podInfoOnMount": False, "fsGroupPolicy": "File"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": offer.driver},
        "spec": {**spec, "volumeLifecycleModes": ["Persistent"]},
    }


def _storage_class(offer: Offer) -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": _metadata(offer, "storageclass.kubernetes.io"),
        "provisioner": offer.driver,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": offer.full,
    }


def _metadata(offer: Offer, group: str) -> Object:
    return {
        "name": offer.storage_class,
        "annotations": {f"{group}/is-default-class": "true" if offer is SNAPSHOTS else "false"},
    }


def _documents(name: str) -> list[Object]:
    return [document for document in yaml.safe_load_all((built(STORAGE) / name).read_text()) if document]
