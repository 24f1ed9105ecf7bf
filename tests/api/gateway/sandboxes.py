"""Sandboxes as the gateway sees them: pods that the operator would have made, each at an address of loopback."""

import itertools
import ssl

import orjson

from api.gateway.gateway_process import Client
from api.operator.kubernetes_api import Api, Json, RefusedError
from api.operator.waiting import eventually
from sandkeeper.api.names import EGRESS_ANNOTATION, MANAGED_LABEL, ROLE_LABEL, SANDBOX_LABEL
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.runtime.resource import PODS

NODE = "where-sandboxes-are"
_addresses = itertools.count(2)


class Sandboxes:
    """A namespace with sandboxes, made by hand.

    Parameters
    ----------
    outside
        Address that names may lead to although it is private.
    """

    def __init__(self, api: Api, namespace: str, outside: str, trusted: ssl.SSLContext) -> None:
        self.api = api
        self.namespace = namespace
        self._outside = outside
        self._trusted = trusted

    def create(self, name: str, *domains: str, address: str | None = None) -> Client:
        """Make a sandbox whose pod runs, unless its address is to come later (an empty one)."""
        spec = {"image": "registry.example/agent:1", "workspace": {"type": "Ephemeral"}}
        sandbox = self.api.create(SANDBOXES, self.namespace, {"metadata": {"name": name}, "spec": spec})
        uid = sandbox["metadata"]["uid"]
        owner = {"apiVersion": sandbox["apiVersion"], "kind": "Sandbox", "name": name, "uid": uid}
        pod = {
            "metadata": {
                "name": f"sbx-{name}",
                "labels": {MANAGED_LABEL: "true", ROLE_LABEL: "sandbox", SANDBOX_LABEL: name},
                "annotations": {EGRESS_ANNOTATION: self.grant(*domains)},
                "ownerReferences": [owner],
            },
            # No kubelet of other tests takes it for its own.
            "spec": {"nodeName": NODE, "containers": [{"name": "sandbox", "image": "registry.example/agent:1"}]},
        }
        eventually(lambda: self._accepted(pod), "account that pods can run as")
        if address == "":
            return Client(new_address(), self._trusted)
        given = address or new_address()
        self.report(name, given)
        return Client(given, self._trusted)

    def report(self, name: str, address: str, phase: str = "Running") -> None:
        """Report the state of a pod."""
        status = {"phase": phase, "podIP": address, "podIPs": [{"ip": address}]}
        self.api.merge(PODS, self.namespace, f"sbx-{name}", {"status": status}, sub="status")

    def client(self, address: str) -> Client:
        """Come from an address, whosever it is."""
        return Client(address, self._trusted)

    def allow(self, name: str, *domains: str) -> None:
        """Change what a sandbox may reach, as the operator does."""
        annotations = {EGRESS_ANNOTATION: self.grant(*domains)}
        self.api.merge(PODS, self.namespace, f"sbx-{name}", {"metadata": {"annotations": annotations}})

    def delete(self, name: str, *, grace: int = 0) -> None:
        """Delete a pod; with a grace period it stays there, for nobody ends it."""
        self.api.delete(PODS, self.namespace, f"sbx-{name}", grace=grace)

    def pod_uid(self, name: str) -> str:
        """Uid of a pod."""
        return str(self.api.get(PODS, self.namespace, f"sbx-{name}")["metadata"]["uid"])

    def grant(self, *domains: str) -> str:
        """What the operator writes: some domains, which may lead to the tests' servers."""
        return orjson.dumps({"domains": domains, "cidrs": [{"cidr": f"{self._outside}/32"}]}).decode()

    def _accepted(self, pod: Json) -> bool:
        try:
            self.api.create(PODS, self.namespace, pod)
        except RefusedError as error:
            if "serviceaccount" not in str(error):
                raise
            return False
        return True


def new_address() -> str:
    """Give an address of loopback that no sandbox had yet."""
    number = next(_addresses)
    return f"127.0.{number // 250 + 1}.{number % 250 + 1}"
