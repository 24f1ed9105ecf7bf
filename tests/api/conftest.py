"""A real apiserver for the whole ring, with our kinds and those of VolumeSnapshots installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from api.kubectl import Kubectl
from localcluster.controlplane import ControlPlane
from localcluster.native.storage import objects as storage

CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="session")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd, apiserver and controller-manager of plain processes; one for all tests of the ring."""
    with ControlPlane(tmp_path_factory.mktemp("apiserver") / "control-plane") as control_plane:
        kubectl = Kubectl(control_plane.kubeconfig, tmp_path_factory.mktemp("kubectl-installs"))
        kubectl("apply", "--server-side", "-f", str(CRDS))
        foreign = yaml.safe_dump_all(storage.kinds())
        kubectl("apply", "--server-side", "-f", "-", given=foreign)
        kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", "-", given=foreign)
        yield control_plane


@pytest.fixture(scope="session")
def kubectl(apiserver: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """kubectl as the cluster's administrator."""
    return Kubectl(apiserver.kubeconfig, tmp_path_factory.mktemp("kubectl"))
