"""A Kubernetes control plane of plain processes: etcd, apiserver and whichever of its companions are asked for.

It serves the tests and the benchmark on loopback as it is, and the native node as its first part.
"""

import shutil
import signal
import ssl
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from types import TracebackType

from localcluster import components as arguments_of
from localcluster.components import Layout, Ports
from localcluster.credentials import write_credentials, write_user
from localcluster.errors import ClusterError
from localcluster.ports import free_ports
from localcluster.process import Program, wait_until
from localcluster.tools import tool

READY_SECONDS = 120.0
ORDER = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
DEFAULT_COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager")


class ControlPlane:
    """A control plane that ends with the process that started it.

    Parameters
    ----------
    folder
        Its folder for keys, data and logs; made if missing.
    components
        Which programs run, of etcd, kube-apiserver, kube-controller-manager and kube-scheduler.
    audit_policy
        An audit policy as YAML; without one there is no audit log.
    apiserver_flags
        Further flags of the apiserver.
    address
        Where the apiserver listens.
    ports
        Ports of the programs; free ones where it is None.
    service_cidr
        Range of the Services' addresses.
    pod_cidr
        Range of the pods of a single node; nodes get none where it is None.
    logs
        Where the logs go; below the folder where it is None.
    """

    def __init__(
        self,
        folder: Path,
        components: Sequence[str] = DEFAULT_COMPONENTS,
        *,
        audit_policy: str | None = None,
        apiserver_flags: Sequence[str] = (),
        address: str = "127.0.0.1",
        ports: Ports | None = None,
        service_cidr: str = "10.96.0.0/16",
        pod_cidr: str | None = None,
        logs: Path | None = None,
    ) -> None:
        if unknown := set(components) - set(ORDER):
            raise ClusterError(f"no such control-plane component: {', '.join(sorted(unknown))}; there are {ORDER}")
        folder.mkdir(parents=True, exist_ok=True)
        self.layout = Layout(folder, address, ports or free_ports(address), service_cidr, pod_cidr, logs)
        self._audit_policy = audit_policy
        self._apiserver_flags = list(apiserver_flags)
        self.programs = {name: self._program(name) for name in ORDER if name in components}

    def __enter__(self) -> "ControlPlane":
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it; what a failure left stays in the folder."""
        self.stop(keep=error is not None)

    @property
    def url(self) -> str:
        """Return the apiserver's address."""
        return self.layout.url

    @property
    def ca(self) -> Path:
        """Return the certificate that the apiserver's is verified by."""
        return self.layout.pki / "ca.crt"

    @property
    def kubeconfig(self) -> Path:
        """Return a cluster administrator's kubeconfig."""
        return self.layout.kubeconfig("admin")

    @property
    def logs(self) -> Path:
        """Return the folder with a log for each program."""
        return self.layout.logs

    @property
    def audit_log(self) -> Path | None:
        """Return the audit log, None if there is no policy."""
        return self.layout.folder / "audit.log" if self._audit_policy else None

    def start(self) -> None:
        """Start every component and return when the apiserver is ready.

        Raises
        ------
        ClusterError
            If a component ends, or is not ready in time; the message has the end of its log.
        """
        write_credentials(self.layout)
        if self._audit_policy:
            (self.layout.folder / "audit-policy.yaml").write_text(self._audit_policy)
        try:
            for name in self.programs:
                self.start_component(name)
        except BaseException:
            self.stop(keep=True)
            raise

    def stop(self, *, keep: bool = False) -> None:
        """End every program, the last started first; the folder goes too unless it is kept."""
        for name in reversed(self.programs):
            self.stop_component(name)
        if not keep:
            shutil.rmtree(self.layout.folder, ignore_errors=True)

    def pid(self, name: str) -> int:
        """Return a component's process id."""
        return self._named(name).pid

    def start_component(self, name: str) -> None:
        """Start a component with the same ports and data as ever, and wait until it is ready."""
        program = self._named(name)
        program.start()
        probe = {"kube-apiserver": self.ready, "kube-controller-manager": self._service_accounts_served}.get(name)
        if probe:
            self._await(program, probe)

    def stop_component(self, name: str, sent: signal.Signals = signal.SIGTERM) -> None:
        """End a component by a signal."""
        self._named(name).stop(sent)

    def restart(self, name: str, sent: signal.Signals = signal.SIGTERM) -> None:
        """End a component and start it again."""
        self.stop_component(name, sent)
        self.start_component(name)

    def credentials(self, user: str, groups: Iterable[str] = ()) -> Path:
        """Return a kubeconfig for a user of the given name and groups; what it may do is up to RBAC."""
        path = self.layout.kubeconfig(f"user-{user.replace(':', '-').replace('/', '-')}")
        return write_user(self.layout, path, user, list(groups))

    def ready(self) -> bool:
        """Tell whether the apiserver says that it is ready."""
        return self._answers("/readyz")

    def _service_accounts_served(self) -> bool:
        # Until it exists, admission refuses every pod of the namespace.
        return self._answers("/api/v1/namespaces/default/serviceaccounts/default")

    def _answers(self, path: str) -> bool:
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.layout.pki / "admin.crt", self.layout.pki / "admin.key")
        connection = HTTPSConnection(self.layout.address, self.layout.ports.apiserver, timeout=5, context=context)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def _await(self, program: Program, probe: Callable[[], bool]) -> None:
        wait_until(lambda: probe() or not program.running, f"readiness of {program.name}", READY_SECONDS, 0.05)
        if not program.running:
            raise ClusterError(
                f"{program.name} ended with status {program.exit_status}; "
                f"the end of {program.log}:\n{program.last_words()}"
            )

    def _named(self, name: str) -> Program:
        if name not in self.programs:
            raise ClusterError(f"{name} is not among this control plane's components: {', '.join(self.programs)}")
        return self.programs[name]

    def _program(self, name: str) -> Program:
        policy = self.layout.folder / "audit-policy.yaml" if self._audit_policy else None
        arguments = {
            "etcd": lambda: arguments_of.etcd(self.layout),
            "kube-apiserver": lambda: arguments_of.kube_apiserver(self.layout, policy, self._apiserver_flags),
            "kube-controller-manager": lambda: arguments_of.kube_controller_manager(self.layout),
            "kube-scheduler": lambda: arguments_of.kube_scheduler(self.layout),
        }[name]()
        return Program(name, [str(tool(name)), *arguments], self.layout.logs / f"{name}.log")
