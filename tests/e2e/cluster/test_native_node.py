"""The native node beside others, crashed at any moment, and gone without a trace."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from api.kubectl import Kubectl
from e2e.conftest import CHECKOUT
from localcluster.commands import run
from localcluster.identity import ProcessIdentity
from localcluster.images.catalogue import BUSYBOX
from localcluster.native import cgroups
from localcluster.native.network import interface_exists
from localcluster.native.plan import NodePlan
from localcluster.process import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
COMMAND = str(CHECKOUT / "hack" / "cluster")


class NativeNode:
    """A native node with a state folder of its own, as another checkout's would have.

    Parameters
    ----------
    state
        The folder.
    """

    def __init__(self, state: Path) -> None:
        self.state = state
        self._environment = {**os.environ, "SANDKEEPER_STATE": str(state)}

    @property
    def plan(self) -> NodePlan:
        """Return what the node is called and where it is."""
        return NodePlan.load(self.state / "node.json")

    @property
    def first_process(self) -> int:
        """Return the pid of the process that everything in the node ends with."""
        return int(json.loads((self.state / "node-process.json").read_text())["pid"])

    @property
    def kubectl(self) -> Kubectl:
        """Return kubectl as its administrator."""
        return Kubectl(self.state / "kubeconfig", self.state.parent / "kubectl-cache")

    def cluster(self, *arguments: str) -> str:
        """Run ``hack/cluster`` for this node."""
        command = [COMMAND, *arguments]
        done = subprocess.run(
            command, env=self._environment, stdout=subprocess.PIPE, text=True, check=True, timeout=600
        )
        return done.stdout

    def up(self) -> None:
        """Bring it up."""
        self.cluster("up", "--driver", "native")

    def begin_up(self) -> subprocess.Popen[bytes]:
        """Begin to bring it up."""
        command = [COMMAND, "up", "--driver", "native"]
        return subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL, start_new_session=True)

    def processes(self) -> set[int]:
        """Return the pids of everything that runs in the node's namespaces."""
        namespace = os.readlink(f"/proc/{self.first_process}/ns/net")
        return {pid for pid in psutil.pids() if _network_namespace(pid) == namespace}

    def run_pod(self) -> None:
        """Run a pod to its end."""
        name = f"pod-{time.monotonic_ns()}"
        pod = ["run", name, f"--image={BUSYBOX}", "--restart=Never", "--command", "--", "true"]
        self.kubectl(*pod)
        self.kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=50s")


def _network_namespace(pid: int) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return None


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NativeNode]:
    """A native node beside the shared cluster, not up yet."""
    node = NativeNode(tmp_path / "state")
    yield node
    node.cluster("down")


def test_two_checkouts_have_a_node_each_at_once(node: NativeNode, kubectl: Kubectl) -> None:
    node.up()
    node.run_pod()

    ours = node.kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.uid}")
    theirs = kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.uid}")
    assert ours != theirs


def test_down_leaves_no_process_interface_or_cgroup(node: NativeNode) -> None:
    node.up()
    node.run_pod()
    plan, processes = node.plan, node.processes()
    assert len(processes) > 7

    node.cluster("down")

    assert [pid for pid in processes if ProcessIdentity.of(pid)] == []
    assert not interface_exists(plan.host_interface)
    assert [tree for tree in cgroups.hierarchies() if (tree / plan.cgroup.strip("/")).exists()] == []
    assert "network_policy" not in run("nft", "list", "tables")
    assert str(node.state) not in Path("/proc/self/mountinfo").read_text()
    assert str(node.state) not in run("losetup", "--list", "--noheadings", "--output", "BACK-FILE")
    assert not node.state.exists()


@pytest.mark.parametrize("component", ["etcd", "kube-apiserver", "containerd", "kubelet", "kube-proxy"])
def test_a_program_that_crashes_is_started_again(node: NativeNode, component: str) -> None:
    node.up()
    node.cluster("kill", component)

    def back() -> bool:
        told = json.loads(node.cluster("status", "--json"))
        return f"{component}: running" in " ".join(told["components"]) and "Ready" in told.get("nodes", {}).values()

    wait_until(back, f"return of {component}", 60.0, interval=1.0)
    node.run_pod()


def test_up_repairs_a_node_that_was_killed(node: NativeNode) -> None:
    node.up()
    node.run_pod()
    killed = node.processes()
    os.kill(node.first_process, signal.SIGKILL)
    wait_until(lambda: not any(ProcessIdentity.of(pid) for pid in killed), "end of everything in the node", 30.0)

    node.up()

    node.run_pod()


def test_up_repairs_what_an_interrupted_up_left(node: NativeNode) -> None:
    for seconds in (1.5, 4.0, 8.0):
        started = node.begin_up()
        time.sleep(seconds)
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()

    node.up()

    node.run_pod()


def test_up_never_ends_a_process_that_took_a_dead_nodes_pid(node: NativeNode) -> None:
    node.up()
    os.kill(node.first_process, signal.SIGKILL)
    with subprocess.Popen(["sleep", "600"]) as bystander:
        record = json.loads((node.state / "node-process.json").read_text())
        (node.state / "node-process.json").write_text(json.dumps({**record, "pid": bystander.pid}))

        node.up()

        assert bystander.poll() is None
        bystander.terminate()
    node.run_pod()


def test_up_starts_from_a_damaged_state_folder(node: NativeNode) -> None:
    node.up()
    os.kill(node.first_process, signal.SIGKILL)
    for name in ("node.json", "node-process.json", "driver.json", "control-plane/etcd/member/wal"):
        path = node.state / name
        for file in path.iterdir() if path.is_dir() else [path]:
            file.write_text("{")

    node.up()

    node.run_pod()
