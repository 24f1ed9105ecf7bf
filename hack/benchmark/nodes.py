"""Simulated nodes, larger than any load, whose kubelets are played by kwok."""

from sandkeeper.runtime.resource import Json

ADDRESS = "10.255.0.1"
POD_RANGE = "10.128.0.0/10"
_CAPACITY = {"cpu": "1000", "memory": "4Ti", "ephemeral-storage": "64Ti", "pods": "10000"}


def node(index: int, address: str = ADDRESS, port: int = 10250) -> Json:
    """Return a node as its kubelet would register it; kwok makes it ready."""
    name = f"simulated-{index:03d}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "status": {
            "capacity": _CAPACITY,
            "allocatable": _CAPACITY,
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        },
    }


def namespace(name: str) -> Json:
    """Return a namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
