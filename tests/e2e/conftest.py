"""A real cluster with the operator installed by its chart, once for the whole ring."""

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.kubectl import Kubectl
from e2e.gitserver.gitserver import GitServer
from e2e.repository.repository import Repository
from installation import Installation
from localcluster.images.packages import packages_image
from localcluster.selection import choose

CHECKOUT = Path(__file__).parents[2]
SETTINGS = ("idle.intervalSeconds=5", "guest.packLimit=64Mi")
"""Nobody waits for minutes until a sandbox is idle, nor until gigabytes are too much."""


def hack_cluster(*arguments: str) -> str:
    """Run ``hack/cluster`` as a user does, and return what it prints."""
    done = subprocess.run(
        [str(CHECKOUT / "hack" / "cluster"), *arguments], stdout=subprocess.PIPE, text=True, check=True, timeout=3000
    )
    return done.stdout


@pytest.fixture(scope="session")
def kubeconfig() -> Path:
    """Administrator's kubeconfig of the local cluster, which is brought up or repaired first."""
    hack_cluster("up")
    return Path(hack_cluster("kubeconfig").strip())


@pytest.fixture(scope="session")
def kubectl(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """kubectl as the cluster's administrator."""
    return Kubectl(kubeconfig, tmp_path_factory.mktemp("kubectl"))


@pytest.fixture(scope="session")
def installation(kubeconfig: Path) -> Installation:
    """The operator of this checkout, installed by its chart from its image."""
    operator, guest = (hack_cluster("load", image).strip() for image in ("operator", "guest"))
    installation = Installation(kubeconfig, operator, guest, (*choose().chart_values, *SETTINGS))
    installation.install()
    return installation


@pytest.fixture
def namespace(kubectl: Kubectl, installation: Installation) -> Iterator[str]:
    """A namespace of the test's own, in a cluster where the operator runs."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def repository(kubectl: Kubectl) -> Iterator[Repository]:
    """A repository of packages in the cluster, and an image that installs from it."""
    image = hack_cluster("load", str(packages_image())).strip()
    repository = Repository(kubectl, f"repository-{uuid.uuid4().hex[:8]}", image)
    try:
        repository.start()
        yield repository
    finally:
        repository.stop()


@pytest.fixture(scope="session")
def git_server(kubectl: Kubectl) -> Iterator[GitServer]:
    """A Git server in the cluster."""
    server = GitServer(kubectl, f"git-{uuid.uuid4().hex[:8]}")
    try:
        server.start()
        yield server
    finally:
        server.stop()
