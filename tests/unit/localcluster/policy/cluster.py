"""A cluster as plain objects, and what Kubernetes says may pass in it, decided slowly and literally from them."""

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Json = dict[str, Any]
OUTSIDE = "192.0.2.9"


def pod(namespace: str, name: str, address: str, labels: dict[str, str] | None = None, **status: Any) -> Json:
    """Return a running pod that declares two ports by name."""
    ports = [
        {"name": "web", "containerPort": 80},
        {"name": "dns", "containerPort": 53, "protocol": "UDP"},
    ]
    metadata = {"namespace": namespace, "name": name, "uid": f"{namespace}/{name}", "labels": labels or {}}
    return {
        "metadata": metadata | {"resourceVersion": "1"},
        "spec": {"containers": [{"name": "main", "ports": ports}]},
        "status": {"phase": "Running", "podIP": address, **status},
    }


def policy(namespace: str, name: str, **spec: Any) -> Json:
    """Return a policy; whom it selects is everybody where nothing else is said."""
    metadata = {"namespace": namespace, "name": name, "generation": 3, "resourceVersion": "7"}
    return {"metadata": metadata, "spec": {"podSelector": {}, **spec}}


@dataclass
class Cluster:
    """Namespaces' labels by name, pods and policies."""

    namespaces: dict[str, dict[str, str]]
    pods: list[Json]
    policies: list[Json] = field(default_factory=list)

    def allows(self, client: str, server: str, protocol: str, port: int) -> bool:
        """Tell whether a connection may pass, from address to address."""
        if client == server:
            return True
        return self._direction("Egress", client, server, server, protocol, port) and self._direction(
            "Ingress", server, client, server, protocol, port
        )

    def _direction(self, kind: str, subject: str, peer: str, server: str, protocol: str, port: int) -> bool:
        owner = self._owner(subject)
        if owner is None:
            return True
        policies = [
            one["spec"]
            for one in self.policies
            if one["metadata"]["namespace"] == owner["metadata"]["namespace"]
            and kind in one["spec"]["policyTypes"]
            and _selected(one["spec"]["podSelector"], owner["metadata"]["labels"])
        ]
        key, whom = kind.lower(), "from" if kind == "Ingress" else "to"
        entries = [entry for spec in policies for entry in spec.get(key) or []]
        namespace = owner["metadata"]["namespace"]
        return not policies or any(
            self._peer(entry.get(whom), namespace, peer) and self._port(entry.get("ports"), server, protocol, port)
            for entry in entries
        )

    def _peer(self, peers: list[Json] | None, namespace: str, address: str) -> bool:
        return not peers or any(self._is(peer, namespace, address) for peer in peers)

    def _is(self, peer: Json, namespace: str, address: str) -> bool:
        if "ipBlock" in peer:
            within = [ip_address(address) in ip_network(cidr) for cidr in peer["ipBlock"].get("except", [])]
            return ip_address(address) in ip_network(peer["ipBlock"]["cidr"]) and not any(within)
        owner = self._owner(address)
        if owner is None:
            return False
        its_namespace = owner["metadata"]["namespace"]
        if "namespaceSelector" in peer:
            if not _selected(peer["namespaceSelector"], self.namespaces[its_namespace]):
                return False
        elif its_namespace != namespace:
            return False
        return _selected(peer.get("podSelector", {}), owner["metadata"]["labels"])

    def _port(self, ports: list[Json] | None, server: str, protocol: str, number: int) -> bool:
        return not ports or any(self._is_port(entry, server, protocol, number) for entry in ports)

    def _is_port(self, entry: Json, server: str, protocol: str, number: int) -> bool:
        if entry.get("protocol", "TCP") != protocol:
            return False
        if "port" not in entry:
            return True
        if isinstance(entry["port"], int):
            return bool(entry["port"] <= number <= entry.get("endPort", entry["port"]))
        owner = self._owner(server)
        declared = owner["spec"]["containers"][0]["ports"] if owner else []
        return any(
            (one["name"], one.get("protocol", "TCP"), one["containerPort"]) == (entry["port"], protocol, number)
            for one in declared
        )

    def _owner(self, address: str) -> Json | None:
        return next((one for one in self.pods if one["status"]["podIP"] == address), None)


def _selected(selector: Json, labels: dict[str, str]) -> bool:
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for entry in selector.get("matchExpressions", []):
        present, value = entry["key"] in labels, labels.get(entry["key"])
        fulfilled = {
            "In": present and value in entry.get("values", []),
            "NotIn": not present or value not in entry.get("values", []),
            "Exists": present,
            "DoesNotExist": not present,
        }[entry["operator"]]
        if not fulfilled:
            return False
    return True
