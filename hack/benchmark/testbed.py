"""Everything that a measurement runs on: a control plane, kwok's nodes, and the operator as a plain process."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from benchmark import audit, chart
from benchmark.errors import BenchmarkError
from benchmark.kubelets import KubeletStandIns
from benchmark.nodes import ADDRESS, POD_RANGE, namespace, node
from benchmark.scenarios import SPREAD
from benchmark.scenarios import namespace as namespace_name
from localcluster.controlplane import ControlPlane
from localcluster.paths import CHECKOUT
from localcluster.ports import free_ports
from localcluster.process import Program, wait_until
from localcluster.tools import tool
from sandkeeper.runtime.resource import Json

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
CLIENT = "benchmark-client"
OPERATOR = (sys.executable, "-m", "sandkeeper", "operator")
# Kubernetes' own clients wait for their turn by default (50 binds a second); then a burst would measure that.
_UNLIMITED = ("--kube-api-qps=5000", "--kube-api-burst=10000")
# The apiserver takes up changes of policies and bindings once a second.
_POLICY_SECONDS = 1.0
# The simulated nodes send no heartbeats.
_PATIENT = ("--node-monitor-grace-period=24h",)
_NO_BINDER = "--controllers=*,-persistentvolume-binder-controller"
# The simulated nodes' address is nobody's.
_NOBODY_ASKED = {"SANDKEEPER_IDLE_ACCOUNT": ""}
# No gateway runs here, and one that does not tell who had traffic keeps every sandbox awake.
_ALONE = {"SANDKEEPER_GATEWAY_SELECTOR": ""}
# kwok fills in no defaults for what a configuration of one's own leaves out.
_KWOK_OPTIONS = {
    "manageAllNodes": True,
    "cidr": POD_RANGE,
    "nodeIP": ADDRESS,
    "nodeLeaseDurationSeconds": 0,
    "nodePlayStageParallelism": 4,
    "podPlayStageParallelism": 16,
    "podsOnNodeSyncParallelism": 4,
}


class Testbed:
    """A cluster that is made for one measurement and removed after it.

    Parameters
    ----------
    folder
        Where data, keys and logs go.
    nodes
        Number of simulated nodes.
    counted
        Whether the apiserver writes an audit log, which costs it time.
    operator
        The operator's command; none for raw pods alone.
    kubelets
        Who tells how busy sandboxes are; without them nobody is asked.
    """

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 100,
        counted: bool = False,
        operator: Sequence[str] | None = OPERATOR,
        kubelets: KubeletStandIns | None = None,
    ) -> None:
        self.plane = ControlPlane(folder, COMPONENTS, audit_policy=audit.POLICY if counted else None)
        self._folder = folder
        self._nodes = nodes
        self._kubelets = kubelets
        self._command = list(operator or ())
        self._programs: dict[str, Program] = {}
        self._installation: chart.Installation | None = None
        self._guarded = False

    def __enter__(self) -> Self:
        """Start everything, and end what was started if that fails."""
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything; the folder is its maker's."""
        self._stop()

    @property
    def has_operator(self) -> bool:
        """Whether sandboxes can be measured."""
        return bool(self._command)

    @property
    def client(self) -> Path:
        """Return the kubeconfig of the one who creates and watches."""
        return self.plane.credentials(CLIENT, ["system:masters"])

    @property
    def audit_log(self) -> Path:
        """Return the apiserver's audit log.

        Raises
        ------
        BenchmarkError
            If it writes none.
        """
        if self.plane.audit_log is None:
            raise BenchmarkError("the counting testbed has no audit log")
        return self.plane.audit_log

    @property
    def users(self) -> dict[str, str]:
        """Return which client an audit log's user name stands for."""
        operator = {self._installation.user: "operator"} if self._installation else {}
        return operator | {CLIENT: "client", "kwok": "kwok"}

    @property
    def pids(self) -> dict[str, int]:
        """Return the processes whose use of the machine is measured."""
        own = {name: program.pid for name, program in self._programs.items()}
        control = {name.removeprefix("kube-"): self.plane.pid(name) for name in COMPONENTS}
        return own | control | {"client": os.getpid()}

    def _start(self) -> None:
        for name in ("kube-controller-manager", "kube-scheduler"):
            self.plane.programs[name].command.extend(_UNLIMITED)
        self.plane.programs["kube-controller-manager"].command.extend(_PATIENT)
        if self._kubelets:
            # Whoever brings kubelets binds claims as well.
            self.plane.programs["kube-controller-manager"].command.append(_NO_BINDER)
        self.plane.start()
        self._run("kwok", self._kwok_command(), {})
        self._apply(self._node(index) for index in range(self._nodes))
        self._make_namespaces([namespace_name(index) for index in range(SPREAD)])
        if self.has_operator:
            self._install()
            self.start_operator()

    def _node(self, index: int) -> Json:
        kubelets = self._kubelets
        return node(index, kubelets.address(index), kubelets.port) if kubelets else node(index)

    def _make_namespaces(self, names: Sequence[str]) -> None:
        self._apply(namespace(name) for name in names)
        for name in names:
            # Until it is there, admission refuses every pod.
            self._kubectl("wait", "--for=create", "--timeout=60s", f"--namespace={name}", "serviceaccount/default")

    def _stop(self) -> None:
        for program in reversed(self._programs.values()):
            program.stop()
        self.plane.stop(keep=True)

    def _kwok_command(self) -> list[str]:
        settings = {
            "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
            "kind": "KwokConfiguration",
            "options": _KWOK_OPTIONS,
        }
        stages = (Path(__file__).parent / "kwok-stages.yaml").read_text()
        config = self._folder / "kwok.yaml"
        config.write_text(f"{yaml.safe_dump(settings)}---\n{stages}")
        user = self.plane.credentials("kwok", ["system:masters"])
        return [str(tool("kwok")), f"--kubeconfig={user}", f"--config={config}"]

    def _install(self) -> None:
        self._installation = chart.installation()
        self._apply([namespace(chart.NAMESPACE)])
        crds = [yaml.safe_load(path.read_text()) for path in sorted((CHECKOUT / "crds").glob("*.yaml"))]
        self._apply([*crds, *self._installation.objects])
        self._kubectl("wait", "--for=condition=Established", "crds", "--all", "--timeout=60s")
        self._await_policies(in_force=True)

    def guard(self, wanted: bool) -> None:
        """Put the chart's admission policies in force or out of it, and return when they are."""
        if self._installation is None or wanted == self._guarded:
            return
        bindings = self._installation.bindings
        if wanted:
            self._apply(bindings)
        else:
            self._kubectl("delete", "-f", "-", given=yaml.safe_dump_all(bindings))
        self._await_policies(in_force=wanted)

    def _await_policies(self, *, in_force: bool) -> None:
        wait_until(lambda: self._refused() is in_force, "change of the admission policies", 60, _POLICY_SECONDS)
        # The one that was asked for may have come a turn before the last.
        time.sleep(_POLICY_SECONDS)
        self._guarded = in_force

    def _refused(self) -> bool:
        """Whether the policies keep a client from a name of the operator's."""
        pod = ("run", "sbx-probe", "--image=probe", "--dry-run=server", f"--namespace={namespace_name(0)}")
        try:
            self._kubectl(*pod)
        except BenchmarkError as error:
            if "ValidatingAdmissionPolicy" not in str(error):
                raise
            return True
        return False

    def start_operator(self, through: Sequence[str] = ()) -> None:
        """Start the operator, or start it anew.

        Parameters
        ----------
        through
            Arguments of the interpreter that go before ``-m``, such as a profiler's.
        """
        if self._installation is None:
            raise BenchmarkError("this testbed has no operator")
        self.stop_operator()
        python, *rest = self._command
        self._run("operator", [python, *through, *rest], self._operator_environment(self._installation))

    def stop_operator(self) -> None:
        """End the operator as Kubernetes would, with time to clean up."""
        if program := self._programs.pop("operator", None):
            program.stop()

    def _operator_environment(self, installed: chart.Installation) -> dict[str, str]:
        ports = free_ports("127.0.0.1")
        asked = _ALONE | {"SANDKEEPER_IDLE_KUBELET_CA": str(self._kubelets.ca)} if self._kubelets else _NOBODY_ASKED
        return (
            installed.settings
            | asked
            | {
                "SANDKEEPER_NAMESPACE": chart.NAMESPACE,
                "SANDKEEPER_POD_NAME": "benchmark",
                "SANDKEEPER_METRICS_PORT": str(ports.apiserver),
                "SANDKEEPER_PROBES_PORT": str(ports.etcd),
                "KUBECONFIG": str(self._token_kubeconfig(installed)),
                "PYTHONPATH": os.pathsep.join([str(CHECKOUT / "operator"), str(CHECKOUT / "hack")]),
            }
        )

    def _token_kubeconfig(self, installed: chart.Installation) -> Path:
        # With a token, as a pod has it: the apiserver verifies a certificate anew with every request, a token rarely.
        request = ("create", "token", installed.account, f"--namespace={chart.NAMESPACE}", "--duration=6h")
        token = self._kubectl(*request).strip()
        content = yaml.safe_load(self.plane.kubeconfig.read_text())
        content["users"][0]["user"] = {"token": token}
        path = self._folder / "operator.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content))
        return path

    def _run(self, name: str, command: Sequence[str], settings: dict[str, str]) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SANDKEEPER_")}
        program = Program(name, command, self.plane.logs / f"{name}.log", environment | settings)
        self._programs[name] = program
        program.start()

    def check(self) -> None:
        """Complain about an own program that has ended by itself.

        Raises
        ------
        BenchmarkError
            With the end of its log.
        """
        for name, program in self._programs.items():
            if not program.running:
                raise BenchmarkError(
                    f"{name} ended with status {program.exit_status}; the end of {program.log}:\n{program.last_words()}"
                )

    def _apply(self, objects: Iterable[Json]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self._kubectl("apply", "--server-side", "-f", "-", given=yaml.safe_dump(items))

    def _kubectl(self, *arguments: str, given: str = "") -> str:
        command = [str(tool("kubectl")), f"--kubeconfig={self.plane.kubeconfig}", *arguments]
        done = subprocess.run(command, input=given, text=True, capture_output=True, check=False)
        if done.returncode:
            raise BenchmarkError(f"kubectl {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout
