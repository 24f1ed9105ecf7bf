"""A team's namespace, as a test looks at it."""

from collections.abc import Iterable
from typing import Any

from api.operator.kubernetes_api import Api, Json
from api.operator.waiting import PATIENCE, eventually
from sandkeeper.controllers.cluster import FENCES, SANDBOXES
from sandkeeper.runtime.resource import EVENTS, NETWORK_POLICIES, PODS, SERVICES, Resource

IMAGE = "registry.example/agent:1"


class Team:
    """One namespace with its sandboxes."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    def create(self, name: str = "agent", **spec: Any) -> Json:
        """Create a sandbox, without a volume unless its workspace is given."""
        full = {"image": IMAGE, "workspace": {"type": "Ephemeral"}, **spec}
        return self.api.create(SANDBOXES, self.namespace, {"metadata": {"name": name}, "spec": full})

    def change(self, name: str = "agent", **spec: Any) -> Json:
        """Change the spec of a sandbox."""
        return self.api.merge(SANDBOXES, self.namespace, name, {"spec": spec})

    def delete(self, name: str = "agent") -> None:
        """Delete a sandbox."""
        self.api.delete(SANDBOXES, self.namespace, name)

    def get(self, resource: Resource, name: str) -> Json:
        """Read an object that has to be there."""
        return self.api.get(resource, self.namespace, name)

    def find(self, resource: Resource, name: str) -> Json | None:
        """Read an object, or None where it is absent."""
        return self.api.find(resource, self.namespace, name)

    def names(self, resource: Resource) -> list[str]:
        """Names of all objects of a kind."""
        return sorted(each["metadata"]["name"] for each in self.api.list(resource, self.namespace)["items"])

    def names_with(self, resource: Resource, label: str) -> list[str]:
        """Names of the objects of a kind that carry a label."""
        listed = self.api.list(resource, self.namespace, f"?labelSelector={label}")
        return sorted(each["metadata"]["name"] for each in listed["items"])

    @property
    def children(self) -> dict[str, list[str]]:
        """Names of everything that the operator makes."""
        return {each.plural: self.names(each) for each in (PODS, SERVICES, NETWORK_POLICIES)}

    def condition(self, kind: str, name: str = "agent") -> Json:
        """One condition of a sandbox; empty where it is not there."""
        return condition(self.get(SANDBOXES, name), kind)

    def pod(self, name: str = "agent") -> Json:
        """Pod of a sandbox that has to be there."""
        return self.get(PODS, f"sbx-{name}")

    def events(self, reason: str) -> list[Json]:
        """Events of a reason."""
        return [each for each in self.api.list(EVENTS, self.namespace)["items"] if each["reason"] == reason]

    def await_reason(self, reason: str, name: str = "agent", seconds: float = PATIENCE) -> Json:
        """Wait until a sandbox, of its present generation, is Ready or not for a reason, and return it."""
        last: Json = {}

        def read() -> Json | None:
            nonlocal last
            last = self.get(SANDBOXES, name)
            current = last["status"].get("observedGeneration") == last["metadata"]["generation"]
            return last if current and condition(last, "Ready")["reason"] == reason else None

        return eventually(read, lambda: f"reason {reason}, but {last['status']}", seconds)

    def await_running(self, names: Iterable[str] = ("agent",)) -> list[Json]:
        """Wait until sandboxes run, and return them."""
        return [self.await_reason("Running", name) for name in names]

    def await_pod(self, name: str = "agent", other_than: str = "") -> Json:
        """Wait for the pod of a sandbox, another one than that of a uid, and return it."""

        def read() -> Json | None:
            pod = self.find(PODS, f"sbx-{name}")
            return pod if pod and pod["metadata"]["uid"] != other_than else None

        return eventually(read, f"new pod of {name}")

    def await_nothing(self) -> None:
        """Wait until no sandbox and nothing of any is left."""
        nothing: dict[str, list[str]] = {"pods": [], "services": [], "networkpolicies": []}
        eventually(
            lambda: not self.names(SANDBOXES) and not self.names(FENCES) and self.children == nothing,
            lambda: f"empty namespace, but {self.names(SANDBOXES)}, {self.names(FENCES)} and {self.children}",
        )


def condition(obj: Json, kind: str) -> Json:
    """One condition of an object; empty where it is not there."""
    return next((each for each in obj["status"].get("conditions", ()) if each["type"] == kind), {})
