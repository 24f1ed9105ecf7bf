"""Pods and policies as values, parsed from what the apiserver says."""

from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address
from typing import Any

from localcluster.native.policy.networks import ranges_of
from localcluster.native.policy.selectors import Labels, Selector, labels_of, selector_of

ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Pod:
    """What policies can say of a pod that has an address of its own.

    Parameters
    ----------
    named_ports
        Name, protocol and number of the ports that its containers declare.
    leaving
        Whether it is being deleted.
    """

    namespace: str
    name: str
    labels: Labels
    address: str
    named_ports: frozenset[tuple[str, str, int]] = frozenset()
    leaving: bool = False


@dataclass(frozen=True)
class Group:
    """Pods that a peer selects.

    Parameters
    ----------
    namespace
        The only namespace that they are in; None where the namespaces are selected.
    """

    namespace: str | None
    namespaces: Selector
    pods: Selector

    def has(self, pod: Pod, namespace: Labels | None) -> bool:
        """Tell whether a pod belongs to it; None for its namespace's labels says that they are not known yet."""
        if self.namespace is not None:
            return self.namespace == pod.namespace and self.pods.matches(pod.labels)
        return namespace is not None and self.namespaces.matches(namespace) and self.pods.matches(pod.labels)


@dataclass(frozen=True)
class Port:
    """A port, a range, a name, or with none of them every port of a protocol."""

    protocol: str
    first: int | None = None
    last: int | None = None
    name: str | None = None


@dataclass(frozen=True)
class Clause:
    """One entry of a policy's ``ingress`` or ``egress``.

    Parameters
    ----------
    anyone
        Whether it names no peers, which allows everybody; groups and ranges are empty then.
    ports
        Ports of the server; none of them allow everything.
    """

    anyone: bool
    groups: tuple[Group, ...]
    ranges: tuple[IPv4Network, ...]
    ports: tuple[Port, ...]


@dataclass(frozen=True)
class Policy:
    """A NetworkPolicy.

    Parameters
    ----------
    ingress, egress
        What it allows; None where it says nothing about that direction.
    """

    namespace: str
    name: str
    generation: int
    version: str
    pods: Selector
    ingress: tuple[Clause, ...] | None
    egress: tuple[Clause, ...] | None

    def selects(self, pod: Pod) -> bool:
        """Tell whether it speaks of a pod."""
        return self.namespace == pod.namespace and self.pods.matches(pod.labels)


def slim_pod(obj: dict[str, Any]) -> dict[str, Any]:
    """Drop what :func:`pod_of` does not read."""
    metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    kept = ("namespace", "name", "uid", "resourceVersion", "labels", "deletionTimestamp")
    return {
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {key: spec[key] for key in ("hostNetwork",) if key in spec} | _slim_containers(spec),
        "status": {key: status[key] for key in ("phase", "podIP", "podIPs") if key in status},
    }


def _slim_containers(spec: dict[str, Any]) -> dict[str, Any]:
    # A sidecar is an init container that stays.
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    everything = [*(spec.get("containers") or ()), *sidecars]
    return {"containers": [{"ports": one["ports"]} for one in everything if one.get("ports")]}


def pod_of(obj: dict[str, Any]) -> Pod | None:
    """Return a slim pod as a value, None where it has no address of its own (any more)."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    address = _address(status)
    if obj["spec"].get("hostNetwork") or status.get("phase") in ENDED or address is None:
        return None
    ports = [port for container in obj["spec"].get("containers") or () for port in container.get("ports") or ()]
    named = {(p["name"], p.get("protocol", "TCP"), int(p["containerPort"])) for p in ports if p.get("name")}
    return Pod(
        metadata["namespace"],
        metadata["name"],
        labels_of(metadata.get("labels")),
        address,
        frozenset(named),
        leaving="deletionTimestamp" in metadata,
    )


def _address(status: dict[str, Any]) -> str | None:
    told = [status.get("podIP"), *(entry.get("ip") for entry in status.get("podIPs") or ())]
    return next((str(address) for address in told if address and ip_address(address).version == 4), None)


def policy_of(obj: dict[str, Any]) -> Policy:
    """Parse a NetworkPolicy."""
    metadata, spec = obj["metadata"], obj["spec"]
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return Policy(
        metadata["namespace"],
        metadata["name"],
        int(metadata.get("generation", 0)),
        str(metadata.get("resourceVersion", "")),
        selector_of(spec.get("podSelector") or {}),
        _clauses(metadata["namespace"], spec.get("ingress"), "from") if "Ingress" in types else None,
        _clauses(metadata["namespace"], spec.get("egress"), "to") if "Egress" in types else None,
    )


def _clauses(namespace: str, entries: list[dict[str, Any]] | None, whom: str) -> tuple[Clause, ...]:
    return tuple(_clause(namespace, entry.get(whom) or [], entry.get("ports") or []) for entry in entries or ())


def _clause(namespace: str, peers: list[dict[str, Any]], ports: list[dict[str, Any]]) -> Clause:
    selected = [peer for peer in peers if "ipBlock" not in peer]
    return Clause(
        anyone=not peers,
        groups=tuple(dict.fromkeys(_group(namespace, peer) for peer in selected)),
        ranges=ranges_of(peer["ipBlock"] for peer in peers if "ipBlock" in peer),
        ports=tuple(dict.fromkeys(_port(entry) for entry in ports)),
    )


def _group(namespace: str, peer: dict[str, Any]) -> Group:
    pods = selector_of(peer.get("podSelector") or {})
    if peer.get("namespaceSelector") is None:
        return Group(namespace, Selector(), pods)
    return Group(None, selector_of(peer["namespaceSelector"]), pods)


def _port(entry: dict[str, Any]) -> Port:
    protocol, port = entry.get("protocol", "TCP"), entry.get("port")
    match port:
        case None:
            return Port(protocol)
        case int():
            return Port(protocol, port, entry.get("endPort", port))
        case _:
            return Port(protocol, name=str(port))
