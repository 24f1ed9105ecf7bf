"""The native node, seen from this machine: bring it up, repair what a crash left, take it down."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil

from localcluster.errors import ClusterError
from localcluster.gobuild import built
from localcluster.identity import ProcessIdentity
from localcluster.images import catalogue
from localcluster.locking import locked
from localcluster.native import addons, cgroups, control, launch, network
from localcluster.native.image_store import image_store
from localcluster.native.phase import RUNNING
from localcluster.native.plan import NodePlan, choose_link
from localcluster.native.policy import report
from localcluster.native.storage import pool
from localcluster.native.storage.stubs import stubs
from localcluster.packages import ensure_packages
from localcluster.paths import path_id, state_home
from localcluster.process import wait_until
from localcluster.progress import say, step
from localcluster.tools import NODE_MODULES

PACKAGES = ("btrfs-progs", "conntrack", "iproute2", "mount", "nftables", "util-linux")
END_SECONDS = 10.0
# What outlives a node in the state folder: images that were loaded, and the logs of the run before.
KEPT = ("driver.json", "images", "logs.previous")


class NativeDriver:
    """One checkout's native node.

    Parameters
    ----------
    state
        Its state folder.
    """

    name = "native"
    chart_values: tuple[str, ...] = ()

    def __init__(self, state: Path | None = None) -> None:
        self.state = state or state_home()
        self._id = path_id(self.state)

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig."""
        return self._plan().kubeconfig

    @property
    def policy_enforcement(self) -> str:
        """Return what enforces NetworkPolicies, and of a running node whether it does."""
        try:
            return report.summary(self.order({"do": "status"})["policies"])
        except ClusterError:
            return "nftables (development)"

    @property
    def running(self) -> bool:
        """Tell whether the node's first process runs."""
        identity = ProcessIdentity.load(self._plan().process_record)
        return identity is not None and identity.alive

    def up(self) -> None:
        """Bring the node up, or do nothing where it is up and well."""
        _require_root()
        with self._lock():
            ensure_packages(PACKAGES, "the native cluster")
            store = image_store(catalogue.archives())
            stubs()
            release = "+".join([*(built(module).name for module in NODE_MODULES), store.name, _own_digest()])
            if self._well(release):
                say("the node is running already")
                return
            self._clear()
            self._start(release, store)

    def down(self) -> None:
        """End the node and remove everything that it left."""
        if self._plan().file.exists():
            _require_root()
        with self._lock(), step("ending the node and removing what it left"):
            self._clear()
            shutil.rmtree(self.state, ignore_errors=True)

    def load(self, image: str) -> list[str]:
        """Give the node the images of an archive and return their names.

        Of each repository the last one is kept, and imported again by every later start.
        """
        plan, archive = self._plan(), Path(image)
        if not archive.is_file():
            raise ClusterError(f"there is no image archive {image}; a native node takes OCI and Docker archives")
        names: list[str] = self.order({"do": "import", "image": str(archive.resolve())})
        plan.images.mkdir(parents=True, exist_ok=True)
        repository = min(names, default=archive.name).rpartition(":")[0]
        unfinished = plan.images / f".{os.getpid()}"
        shutil.copyfile(archive, unfinished)
        unfinished.rename(plan.images / f"{repository.replace('/', '_')}.tar")
        return names

    def log(self, component: str) -> Path:
        """Return a program's log, the last run's where it does not run."""
        for folder in (self._plan().logs, self.state / "logs.previous"):
            if (file := folder / f"{component}.log").exists():
                return file
        raise ClusterError(f"there is no log of {component!r} in {self._plan().logs}")

    def details(self) -> dict[str, object]:
        """Return logs, programs and stand-in images."""
        components: list[str] = []
        with contextlib.suppress(ClusterError):
            for entry in self.order({"do": "status"})["components"]:
                state = f"running as {entry['pid']} in the node" if entry["running"] else "not running"
                components.append(f"{entry['component']}: {state}, {entry['restarts']} restarts")
        return {
            "logs": str(self._plan().logs),
            "components": components,
            "outside": "not reachable: the node has a link to this machine and no way further",
            "standInImages": catalogue.stand_ins(),
        }

    def order(self, order: dict[str, str]) -> Any:
        """Send an order to the node's supervisor and return its answer."""
        if not self.running:
            raise ClusterError("the node is not running; `hack/cluster up` starts it")
        return control.ask(self.state, order)

    def _start(self, release: str, store: Path) -> None:
        link = choose_link(self._id, network.machine_networks())
        plan = NodePlan(self._id, self.state, link, release)
        loaded = sorted(plan.images.glob("[!.]*")) if plan.images.exists() else []
        try:
            launch.start(plan, store, loaded)
            addons.install(plan.kubeconfig, plan)
        except BaseException:
            self._end()
            raise

    def _well(self, release: str) -> bool:
        """Tell whether the node can stay as it is; say why not."""
        if not self.running:
            return False
        if self._plan().release != release:
            say("the node runs other versions than this checkout's: starting afresh")
            return False
        with contextlib.suppress(ClusterError):
            status = self.order({"do": "status"})
            stopped = [entry["component"] for entry in status["components"] if not entry["running"]]
            if status["phase"] == RUNNING and not stopped:
                return True
        say("the node is running but not well: starting afresh")
        return False

    def _clear(self) -> None:
        """Leave nothing of an earlier node but what is kept, however that one ended."""
        self._end()
        if (logs := self._plan().logs).exists():
            shutil.rmtree(self.state / "logs.previous", ignore_errors=True)
            logs.rename(self.state / "logs.previous")
        for entry in self.state.iterdir() if self.state.exists() else []:
            if entry.name not in KEPT:
                shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)

    def _end(self) -> None:
        """End the node's processes, and remove the link and the cgroups."""
        plan = self._plan()
        identity = ProcessIdentity.load(plan.process_record)
        if identity is not None and identity.alive:
            outer = _outer_process(identity)
            identity.end(END_SECONDS)
            wait_until(lambda: outer is None or not outer.alive, "end of the node's outer process", END_SECONDS)
        # The kernel takes the link down a moment after the last process.
        with contextlib.suppress(ClusterError):
            wait_until(lambda: not network.interface_exists(plan.host_interface), "end of the link", 5.0)
        network.disconnect(plan)
        pool.detach(plan.state / pool.FILE_NAME)
        if left := cgroups.remove(plan.cgroup):
            raise ClusterError(f"these cgroups still hold processes: {', '.join(map(str, left))}")

    def _plan(self) -> NodePlan:
        # Whatever a crash left of the file: the names come from the id alone.
        with contextlib.suppress(ClusterError):
            return NodePlan.load(self.state / "node.json")
        return NodePlan(self._id, self.state, "0.0.0.0/30", "")

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        with locked(self.state.with_name(f".{self.state.name}.lock")):
            yield


def _own_digest() -> str:
    """Return digits that change when the code that runs in the node does."""
    content = sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        content.update(file.read_bytes())
    return content.hexdigest()[:8]


def _outer_process(first: ProcessIdentity) -> ProcessIdentity | None:
    """Return the program that made the namespaces; it ends a moment after the first process in them."""
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(first.pid).ppid()
        return ProcessIdentity.of(parent) if parent > 1 else None
    return None


def _require_root() -> None:
    if os.geteuid() != 0:
        raise ClusterError(
            "the native cluster needs root for its namespaces and mounts; run this as root, "
            "start a Docker engine for a kind cluster, or name a cluster that exists with --context"
        )
