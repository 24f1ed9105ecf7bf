"""The programs of a node and the files that they read."""

import os
import sys
from pathlib import Path

from localcluster.components import Layout, Ports
from localcluster.controlplane import ControlPlane
from localcluster.credentials import authority_of, write_credentials, write_user
from localcluster.native import containerd, kubelet
from localcluster.native.plan import NodePlan
from localcluster.native.storage import programs as storage
from localcluster.native.storage.stubs import stubs
from localcluster.paths import SOURCES
from localcluster.process import Program
from localcluster.tools import tool

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
PAUSE_IMAGE = "sandkeeper.local/pause:1"
POLICY_USER = "sandkeeper:network-policy"


def control_plane(plan: NodePlan) -> ControlPlane:
    """Return the control plane that serves a node, at the customary ports."""
    return ControlPlane(
        plan.control_plane,
        CONTROL_PLANE,
        address=plan.address,
        ports=Ports(),
        service_cidr=plan.service_cidr,
        pod_cidr=plan.pod_cidr,
        logs=plan.logs,
    )


def write_files(plan: NodePlan, layout: Layout) -> Path:
    """Write all credentials and configuration of the node's own programs and return their folder."""
    files = plan.state / "files"
    networks = files / "cni"
    networks.mkdir(parents=True, exist_ok=True)
    write_credentials(layout)
    server = authority_of(layout).server(f"system:node:{plan.name}", [plan.name, plan.address])
    server.write(layout.pki, "kubelet-server")
    write_user(layout, files / "kubelet.kubeconfig", f"system:node:{plan.name}", ["system:nodes"])
    write_user(layout, files / "kube-proxy.kubeconfig", "system:kube-proxy", [])
    write_user(layout, files / "network-policy.kubeconfig", POLICY_USER, [])
    storage.write_users(layout, files)
    (networks / "10-pods.conflist").write_text(containerd.network_list(plan.pod_cidr))
    (files / "containerd.toml").write_text(
        containerd.configuration(
            runc=tool("runc"),
            cni_plugins=tool("ptp").parent,
            cni_networks=networks,
            pause_image=PAUSE_IMAGE,
            may_raise=containerd.may_raise_limits(Path("/proc/self/status").read_text()),
        )
    )
    _write_kubelet_files(plan, layout, files)
    return files


def _write_kubelet_files(plan: NodePlan, layout: Layout, files: Path) -> None:
    # The cluster is closed: there is no resolver outside that a pod could be sent to.
    resolver = files / "resolv.conf"
    resolver.write_text("")
    (files / "kubelet.yaml").write_text(kubelet.kubelet_configuration(plan, pki=layout.pki, resolver=resolver))
    proxy = kubelet.kube_proxy_configuration(plan, files / "kube-proxy.kubeconfig")
    (files / "kube-proxy.yaml").write_text(proxy)
    kubelet.write_tunables(files / "tunables")
    wrapper = files / "with-tunables"
    wrapper.write_text(kubelet.wrapper(files / "tunables"))
    wrapper.chmod(0o755)


def programs(plan: NodePlan, files: Path) -> dict[str, Program]:
    """Return the node's own programs by name, in the order in which they start."""
    temporary = plan.state / "tmp"
    temporary.mkdir(exist_ok=True)
    # containerd looks for its shim, the kubelet for mount and nft, on the path.
    path = ":".join([str(tool("containerd").parent), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
    environment = {"PATH": path, "TMPDIR": str(temporary), "HOME": os.environ.get("HOME", "/root")}
    commands = {
        "network-policy": [sys.executable, "-m", "localcluster.native.policy", plan.file],
        "containerd": [tool("containerd"), "--config", files / "containerd.toml"],
        "kubelet": [
            *["unshare", "--mount", "--propagation", "unchanged", files / "with-tunables", tool("kubelet")],
            f"--config={files / 'kubelet.yaml'}",
            f"--kubeconfig={files / 'kubelet.kubeconfig'}",
            f"--hostname-override={plan.name}",
            f"--node-ip={plan.address}",
        ],
        "kube-proxy": [tool("kube-proxy"), f"--config={files / 'kube-proxy.yaml'}"],
        **storage.commands(plan, files),
    }
    own = {
        "network-policy": {"PYTHONPATH": SOURCES, "KUBECONFIG": str(files / "network-policy.kubeconfig")},
        storage.DRIVER: {"PYTHONPATH": f"{SOURCES}:{stubs()}"},
    }
    return {
        name: Program(name, [str(word) for word in words], plan.logs / f"{name}.log", environment | own.get(name, {}))
        for name, words in commands.items()
    }
