"""What happens in the node's namespaces: mounts, network, programs, images; then tending until the end."""

import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from localcluster.commands import run
from localcluster.errors import ClusterError
from localcluster.native import addons, cgroups, control, mounts, network, node
from localcluster.native.containerd import SOCKET
from localcluster.native.image_store import import_images
from localcluster.native.phase import RUNNING
from localcluster.native.plan import NodePlan
from localcluster.native.policy import report
from localcluster.native.policy.hooks import closed
from localcluster.native.storage import pool
from localcluster.native.storage import programs as storage
from localcluster.native.supervisor import Supervisor
from localcluster.process import wait_until

TEND_SECONDS = 0.2


class InsideNode:
    """The node, from its own point of view.

    Parameters
    ----------
    plan
        The node's plan.
    """

    def __init__(self, plan: NodePlan) -> None:
        self._plan = plan
        self._phase = "preparing mounts and network"
        self._control_plane = node.control_plane(plan)
        self._files = node.write_files(plan, self._control_plane.layout)
        self._supervisor = Supervisor(self._control_plane, node.programs(plan, self._files))

    def start(self, images: list[Path]) -> None:
        """Start everything; the images go in while the control plane comes up."""
        threading.Thread(target=control.serve(self._plan.state, self.answer).serve_forever, daemon=True).start()
        with ThreadPoolExecutor(max_workers=1) as beside:
            imported = beside.submit(self._start_containerd, images)
            for name in node.CONTROL_PLANE:
                self._phase = f"starting {name}"
                self._supervisor.start(name)
            self._control_plane.kubeconfig.rename(self._plan.kubeconfig)
            addons.grant(self._plan.kubeconfig)
            for name in ("network-policy", storage.DRIVER):
                self._supervisor.start(name)
            self._phase = "importing the images that were loaded"
            imported.result()
        for name in ("kubelet", "kube-proxy", *storage.commands(self._plan, self._files)):
            self._phase = f"starting {name}"
            self._supervisor.start(name)
        self._phase = "waiting for network policies to be enforced"
        wait_until(lambda: report.ask()["ready"], "enforcement of network policies", 60.0)
        self._phase = RUNNING

    def tend(self) -> None:
        """Keep the programs running, for ever."""
        while True:
            self._supervisor.tend()
            time.sleep(TEND_SECONDS)

    def answer(self, order: dict[str, str]) -> Any:
        """Carry out one order from outside."""
        match order:
            case {"do": "status"}:
                components = self._supervisor.report()
                return {"phase": self._phase, "components": components, "policies": report.ask()}
            case {"do": "start" | "stop" | "restart" | "kill" as verb, "component": component}:
                return getattr(self._supervisor, verb)(component)
            case {"do": "import", "image": image}:
                return import_images(Path(image), SOCKET)
            case _:
                raise ClusterError(f"the supervisor does not know the order {order}")

    def _start_containerd(self, images: list[Path]) -> None:
        self._supervisor.start("containerd")
        wait_until(SOCKET.exists, "containerd's socket", 30.0)
        for image in images:
            import_images(image, SOCKET)


def main(plan_file: str) -> None:
    """Run a node until this process is ended."""
    plan = NodePlan.load(Path(plan_file))
    wait_until(lambda: network.interface_exists(network.NODE_INTERFACE), "the link to this machine", 30.0)
    socket.sethostname(plan.name)
    mounts.prepare(plan)
    pool.prepare(plan.state / pool.FILE_NAME)
    # Before there is anything that could start a pod.
    run("nft", "-f", "-", stdin=closed(plan.pod_cidr))
    network.configure_inside(plan)
    cgroups.make(plan.cgroup)
    inside = InsideNode(plan)
    inside.start([Path(line) for line in (plan.state / "images.txt").read_text().splitlines()])
    inside.tend()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except ClusterError as failure:
        print(failure, file=sys.stderr)
        sys.exit(1)
