"""containerd's and the CNI plugins' configuration."""

import json
from pathlib import Path

SOCKET = Path("/run/containerd/containerd.sock")
CAP_SYS_RESOURCE = 24
# Two handlers, so that runtimeClassName can be tested honestly: each keeps its containers' state in its own folder.
HANDLERS = ("runc", "runc-alt")
DEFAULT_HANDLER = HANDLERS[0]


def may_raise_limits(status: str) -> bool:
    """Tell from a process's /proc status whether it has CAP_SYS_RESOURCE."""
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> CAP_SYS_RESOURCE & 1)


def configuration(*, runc: Path, cni_plugins: Path, cni_networks: Path, pause_image: str, may_raise: bool) -> str:
    """Return containerd's configuration.

    Parameters
    ----------
    runc
        The runc binary.
    cni_plugins
        Folder of the CNI plugins' binaries.
    cni_networks
        Folder of the CNI network lists.
    pause_image
        Name of the image that holds a pod's namespaces open.
    may_raise
        Whether containerd may lower a process's OOM score below its own; where it tries and may not, no pod starts.
    """
    head = f"""version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0

[grpc]
address = "{SOCKET}"

[plugins.'io.containerd.cri.v1.images']
snapshotter = "overlayfs"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{pause_image}"

[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = {str(not may_raise).lower()}

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["{cni_plugins}"]
conf_dir = "{cni_networks}"

[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = "{DEFAULT_HANDLER}"
"""
    return head + "".join(_handler(name, runc) for name in HANDLERS)


def _handler(name: str, runc: Path) -> str:
    section = f"plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.{name}"
    return f"""
[{section}]
runtime_type = "io.containerd.runc.v2"

[{section}.options]
BinaryName = "{runc}"
Root = "/run/containerd/{name}"
SystemdCgroup = false
"""


def network_list(pod_range: str) -> str:
    """Return the CNI network list of a node whose pods have addresses of the range.

    Each pod has a point-to-point link to the node: there is no bridge across which one could speak in another's name.
    """
    content = {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {"type": "host-local", "ranges": [[{"subnet": pod_range}]], "routes": [{"dst": "0.0.0.0/0"}]},
            },
            {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True, "backend": "nftables"},
        ],
    }
    return json.dumps(content, indent=2)
