"""The arguments of the control plane's programs; nothing here starts anything."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ports:
    """Where the programs of one control plane listen."""

    apiserver: int = 6443
    etcd: int = 2379
    etcd_peer: int = 2380
    controller_manager: int = 10257
    scheduler: int = 10259


@dataclass(frozen=True)
class Layout:
    """Addresses and files of one control plane.

    Parameters
    ----------
    folder
        Its folder.
    address
        Address that the apiserver listens at.
    ports
        Its ports.
    service_cidr
        Range of the Services' addresses.
    pod_cidr
        Range of the pods of a single node; None leaves the nodes without.
    logs_folder
        Where the logs go; below the folder where it is None.
    """

    folder: Path
    address: str
    ports: Ports
    service_cidr: str = "10.96.0.0/16"
    pod_cidr: str | None = None
    logs_folder: Path | None = None

    @property
    def url(self) -> str:
        """Return the apiserver's address."""
        return f"https://{self.address}:{self.ports.apiserver}"

    @property
    def pki(self) -> Path:
        """Return the folder of keys and certificates."""
        return self.folder / "pki"

    @property
    def logs(self) -> Path:
        """Return the folder of logs."""
        return self.logs_folder or self.folder / "logs"

    def kubeconfig(self, who: str) -> Path:
        """Return the kubeconfig file of a user or program."""
        return self.folder / f"{who}.kubeconfig"

    def service_address(self, index: int) -> str:
        """Return an address of the Service range: 1 is the apiserver's, 10 by custom the cluster DNS's."""
        return str(ipaddress.ip_network(self.service_cidr)[index])

    @property
    def server_names(self) -> list[str]:
        """Return the names and addresses that the apiserver is called by."""
        inside = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
        return list(dict.fromkeys([self.address, "127.0.0.1", "localhost", self.service_address(1), *inside]))


def etcd(layout: Layout) -> list[str]:
    """Return etcd's arguments. It does not wait for the disk: its data is thrown away with the cluster."""
    client = f"http://127.0.0.1:{layout.ports.etcd}"
    peer = f"http://127.0.0.1:{layout.ports.etcd_peer}"
    return [
        "--name=default",
        f"--data-dir={layout.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        f"--quota-backend-bytes={4 * 1024**3}",
        "--log-level=warn",
    ]


def kube_apiserver(layout: Layout, audit_policy: Path | None = None, extra: Sequence[str] = ()) -> list[str]:
    """Return the apiserver's arguments.

    Parameters
    ----------
    layout
        Addresses and files.
    audit_policy
        File with an audit policy; no audit log without one.
    extra
        Further flags, which come last and so win.
    """
    # The apiserver refuses to publish a loopback address as the endpoints of the kubernetes Service.
    loopback = ipaddress.ip_address(layout.address).is_loopback
    audit = audit_flags(layout, audit_policy) if audit_policy else []
    return [
        f"--etcd-servers=http://127.0.0.1:{layout.ports.etcd}",
        f"--bind-address={layout.address}",
        f"--advertise-address={layout.address}",
        f"--endpoint-reconciler-type={'none' if loopback else 'lease'}",
        f"--secure-port={layout.ports.apiserver}",
        f"--service-cluster-ip-range={layout.service_cidr}",
        *identity_flags(layout.pki),
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        # Without a grace period a stopping apiserver waits a minute for its watches instead of ending them.
        "--shutdown-watch-termination-grace-period=1s",
        *audit,
        *extra,
    ]


def identity_flags(pki: Path) -> list[str]:
    """Return the flags that tell the apiserver who it is and whom it believes."""
    return [
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'kubelet-client.key'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'service-accounts.key'}",
        f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
    ]


def audit_flags(layout: Layout, policy: Path) -> list[str]:
    """Return the flags that make the apiserver write an audit log."""
    return [
        f"--audit-policy-file={policy}",
        f"--audit-log-path={layout.folder / 'audit.log'}",
        # Complete even if the apiserver is killed: an event is written before its request is answered.
        "--audit-log-mode=blocking",
        "--audit-log-maxsize=4096",
    ]


def kube_controller_manager(layout: Layout) -> list[str]:
    """Return the controller manager's arguments."""
    kubeconfig = layout.kubeconfig("kube-controller-manager")
    pods = pod_range_flags(layout.pod_cidr) if layout.pod_cidr else []
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={layout.ports.controller_manager}",
        f"--root-ca-file={layout.pki / 'ca.crt'}",
        f"--service-account-private-key-file={layout.pki / 'service-accounts.key'}",
        f"--service-cluster-ip-range={layout.service_cidr}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        *pods,
    ]


def pod_range_flags(pod_cidr: str) -> list[str]:
    """Return the flags that give the whole range to the single node."""
    size = ipaddress.ip_network(pod_cidr).prefixlen
    return ["--allocate-node-cidrs=true", f"--cluster-cidr={pod_cidr}", f"--node-cidr-mask-size={size}"]


def kube_scheduler(layout: Layout) -> list[str]:
    """Return the scheduler's arguments."""
    kubeconfig = layout.kubeconfig("kube-scheduler")
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={layout.ports.scheduler}",
        "--leader-elect=false",
    ]
