"""A kind cluster, where a Docker engine answers; its node image is the one that this version of kind pins by digest."""

import shutil
from pathlib import Path

import yaml

from localcluster import kind_storage
from localcluster.commands import run
from localcluster.errors import ClusterError
from localcluster.images.catalogue import BUSYBOX
from localcluster.native.addons import runtime_classes
from localcluster.native.containerd import HANDLERS
from localcluster.native.kubelet import KUBELET_CONFIGURATION, LIMITS_ON_PODS
from localcluster.paths import path_id, state_home
from localcluster.progress import say, step
from localcluster.tools import tool

BUSYBOX_SOURCE = "docker.io/library/busybox:1.37"
"""What the image that tests use for a shell is here; elsewhere it is made from Debian's package."""


class KindDriver:
    """One checkout's kind cluster.

    Parameters
    ----------
    state
        Its state folder.
    """

    name = "kind"
    policy_enforcement = "kindnet"
    # The kubelet signs its serving certificate itself.
    chart_values: tuple[str, ...] = ("idle.insecureSkipVerify=true",)

    def __init__(self, state: Path | None = None) -> None:
        self.state = state or state_home()
        self.cluster = f"sandkeeper-{path_id(self.state)}"

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig."""
        return self.state / "kubeconfig"

    def up(self) -> None:
        """Create the cluster, or do nothing where it is there and answers."""
        self.state.mkdir(parents=True, exist_ok=True)
        if self.cluster in run(tool("kind"), "get", "clusters").split():
            if self._answers():
                say(f"the kind cluster {self.cluster} is running already")
                return
            say(f"the kind cluster {self.cluster} does not answer: starting afresh")
            run(*self.delete_command())
        with step(f"creating the kind cluster {self.cluster}"):
            run(*self.create_command(), stdin=yaml.safe_dump(cluster_configuration()))
            objects = yaml.safe_dump_all(runtime_classes())
            run(*self._kubectl(), "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=objects)
        with step(f"installing the volumes' driver {kind_storage.DRIVER}"):
            kind_storage.install(self.kubeconfig)
        with step(f"loading {BUSYBOX}"):
            run("docker", "pull", "-q", BUSYBOX_SOURCE)
            run("docker", "tag", BUSYBOX_SOURCE, BUSYBOX)
            run(*self.load_command(BUSYBOX))

    def down(self) -> None:
        """Delete the cluster and the state folder."""
        with step(f"deleting the kind cluster {self.cluster}"):
            run(*self.delete_command())
            shutil.rmtree(self.state, ignore_errors=True)

    def load(self, image: str) -> list[str]:
        """Give the node an image: an archive's, or one that the Docker engine has."""
        run(*self.load_command(image))
        return [image]

    def details(self) -> dict[str, object]:
        """Return the cluster's name."""
        return {"cluster": self.cluster}

    def create_command(self) -> list[str | Path]:
        """Return the command that creates the cluster; its configuration comes on standard input."""
        command: list[str | Path] = [tool("kind"), "create", "cluster", "--name", self.cluster]
        return [*command, "--kubeconfig", self.kubeconfig, "--wait", "180s", "--config", "-"]

    def delete_command(self) -> list[str | Path]:
        """Return the command that deletes the cluster."""
        return [tool("kind"), "delete", "cluster", "--name", self.cluster, "--kubeconfig", self.kubeconfig]

    def load_command(self, image: str) -> list[str | Path]:
        """Return the command that gives the node an image."""
        kind = "image-archive" if Path(image).is_file() else "docker-image"
        return [tool("kind"), "load", kind, image, "--name", self.cluster]

    def _kubectl(self) -> list[str | Path]:
        return [tool("kubectl"), f"--kubeconfig={self.kubeconfig}"]

    def _answers(self) -> bool:
        try:
            run(tool("kind"), "export", "kubeconfig", "--name", self.cluster, "--kubeconfig", self.kubeconfig)
            run(*self._kubectl(), "--request-timeout=10s", "get", "--raw", "/readyz")
        except ClusterError:
            return False
        return True


def cluster_configuration() -> dict[str, object]:
    """Return kind's configuration: one node, with the second runtime handler and the kubelet's limits on pods."""
    runtimes = "plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes"
    patches = [f"[{runtimes}.{name}]\nruntime_type = 'io.containerd.runc.v2'\n" for name in HANDLERS[1:]]
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": "control-plane"}],
        "containerdConfigPatches": patches,
        "kubeadmConfigPatches": [yaml.safe_dump({**KUBELET_CONFIGURATION, **LIMITS_ON_PODS})],
    }
