"""A small cluster with an operator in it, the mishaps that may befall it, and what it must look like afterwards."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random
from typing import TYPE_CHECKING

from sandkeeper.api.egress import EgressGrant
from sandkeeper.api.resolve import resolve, resolve_lifecycle
from sandkeeper.api.sandbox import Sandbox
from sandkeeper.controllers.cluster import FENCES, SANDBOXES
from sandkeeper.controllers.copies import SNAPSHOTS
from sandkeeper.controllers.templates import TEMPLATES
from sandkeeper.plan.base import base_of
from sandkeeper.plan.claim import workspace_claim
from sandkeeper.plan.fence import fence_policy, fence_sign, ports_policy
from sandkeeper.plan.made_from import captured_layers, captured_text, note_of
from sandkeeper.plan.observed import Settings
from sandkeeper.plan.pod import Volume, sandbox_pod
from sandkeeper.plan.service import sandbox_service
from sandkeeper.plan.slim import slim_template
from sandkeeper.plan.workspace_choice import asked_name
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.resource import (
    CLAIMS,
    EVENTS,
    LEASES,
    NETWORK_POLICIES,
    NODES,
    PODS,
    SERVICES,
    STORAGE_CLASSES,
    VOLUME_SNAPSHOTS,
    Json,
)
from unit.fakes import virtual_time
from unit.fakes.apiserver import FakeApiServer
from unit.fakes.client import Faults
from unit.fakes.copies import captured, snapshot, volume_snapshot
from unit.fakes.node import NODE, FakeNode
from unit.fakes.replica import Replica

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.api.environment import Environment

NAMESPACE = "team"
SPECS: list[Json] = [
    {},
    {"ports": [{"name": "http", "port": 8080}]},
    {"ports": [{"name": "http", "port": 8080}, {"name": "vnc", "port": 5900}], "image": "debian:12"},
    {"podTemplate": {"metadata": {"labels": {"app": "x"}, "annotations": {"note": "y"}}}},
    {"podTemplate": {"metadata": {"labels": {"app": "z"}}}, "resources": {"limits": {"cpu": "4"}}},
    {"resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "2", "memory": "1Gi"}}},
    {"security": {"root": False, "userNamespace": "Required", "writablePaths": ["/srv"]}},
    {"workspace": {"reclaimPolicy": "Retain"}},
    {"lifecycle": {"state": "Sleeping"}},
    {"workspace": {"reclaimPolicy": "Retain"}, "lifecycle": {"state": "Sleeping"}, "image": "debian:12"},
    {"source": {"snapshotRef": {"name": "one"}}},
    {"source": {"snapshotRef": {"name": "one"}, "revision": "2"}, "ports": [{"name": "http", "port": 8080}]},
    {"source": {"snapshotRef": {"name": "two"}}, "workspace": {"reclaimPolicy": "Retain"}},
    {"source": {"snapshotRef": {"name": "two"}, "revision": "2"}, "lifecycle": {"state": "Sleeping"}},
    {"snapshots": {"schedule": "*/10 * * * *", "keepLast": 2}},
    {"egress": {"cidrs": [{"cidr": "10.1.0.0/16"}]}, "ports": [{"name": "http", "port": 8080}]},
    {"egress": {"cidrs": [{"cidr": "10.1.0.0/16", "ports": [5432]}]}},
    {"templateRef": {"name": "shared", "rollout": "Immediate"}},
    {"templateRef": {"name": "shared", "rollout": "Immediate"}, "resources": {"limits": {"cpu": "3"}}},
]
TEMPLATE_SPECS: list[Json] = [
    {"image": "debian:12"},
    {"image": "debian:12", "resources": {"limits": {"memory": "1Gi"}}},
    {"ports": [{"name": "http", "port": 8080}], "podTemplate": {"metadata": {"labels": {"app": "shared"}}}},
    {"workspace": {"reclaimPolicy": "Retain"}, "env": [{"name": "FROM", "value": "template"}]},
]
CALM = 900.0
"""Longer than every back-off, pause and comparison of lists: what has not happened by then does not happen."""
_NOT_CHILDREN = (SANDBOXES, EVENTS, LEASES, NODES, STORAGE_CLASSES, SNAPSHOTS, VOLUME_SNAPSHOTS, TEMPLATES)
_COPIES = {"one": captured(env=[{"name": "FROM", "value": "one"}]), "two": captured(image="fedora:42")}


class World:
    """One namespace, one node, and an operator that mishaps befall."""

    def __init__(self, seed: int = 0, *, rate: float = 0.0, latency: float = 0.0, waits: bool = False) -> None:
        self.server = FakeApiServer(virtual_time.seconds)
        self.faults = Faults(Random(seed), rate, latency)
        self.node = FakeNode(self.server, Random(seed), waits=waits)
        self._node = asyncio.create_task(self.node.run())
        self.replica = Replica(self.server, self.faults)

    def take_copies(self) -> None:
        """Make the snapshots and the template that some specs name."""
        self._share(0)
        for name, text in _COPIES.items():
            self.server.create(SNAPSHOTS, NAMESPACE, snapshot(name))
            self.server.create(VOLUME_SNAPSHOTS, NAMESPACE, volume_snapshot(name, text))

    async def befall(self, what: str, name: str = "a", choice: int = 0) -> None:
        """Let something happen; what is not there can't be deleted, and that is fine."""
        with contextlib.suppress(ApiError):
            await getattr(self, what)(name, choice)

    async def apply(self, name: str, choice: int) -> None:
        """Create a sandbox, or give it another spec."""
        spec = SPECS[choice % len(SPECS)]
        before = self.server.find(SANDBOXES, NAMESPACE, name)
        if before is None:
            self.server.create(SANDBOXES, NAMESPACE, {"metadata": {"name": name}, "spec": spec})
        else:
            fields = dict.fromkeys(before["spec"]) | spec
            self.server.patch(SANDBOXES, NAMESPACE, name, {"spec": fields})

    async def delete(self, name: str, _: int) -> None:
        self.server.delete(SANDBOXES, NAMESPACE, name)

    async def delete_pod(self, name: str, _: int) -> None:
        self.server.delete(PODS, NAMESPACE, f"sbx-{name}")

    async def delete_claim(self, name: str, choice: int) -> None:
        """Delete a claim and, once it was told that its data goes with the pod, that too."""
        claims = self._claims(name)
        self.server.delete(CLAIMS, NAMESPACE, claims[choice % len(claims)] if claims else "")
        await asyncio.sleep(choice)
        self.server.delete(PODS, NAMESPACE, f"sbx-{name}")

    async def lose_copy(self, _: str, choice: int) -> None:
        """Take the VolumeSnapshot behind a snapshot away, and put it back."""
        name, text = list(_COPIES.items())[choice % 2]
        self.server.delete(VOLUME_SNAPSHOTS, NAMESPACE, f"sbx-{name}")
        await asyncio.sleep(choice)
        self.server.create(VOLUME_SNAPSHOTS, NAMESPACE, volume_snapshot(name, text))

    async def change_template(self, _: str, choice: int) -> None:
        """Give the template another spec, or take it away and put that in its place."""
        there = self.server.find(TEMPLATES, NAMESPACE, "shared")
        if there and choice % 2:
            fields = dict.fromkeys(there["spec"]) | TEMPLATE_SPECS[choice % len(TEMPLATE_SPECS)]
            self.server.patch(TEMPLATES, NAMESPACE, "shared", {"spec": fields})
            return
        self.server.delete(TEMPLATES, NAMESPACE, "shared")
        await asyncio.sleep(choice)
        self._share(choice)

    def _share(self, choice: int) -> None:
        spec = TEMPLATE_SPECS[choice % len(TEMPLATE_SPECS)]
        self.server.create(TEMPLATES, NAMESPACE, {"metadata": {"name": "shared"}, "spec": spec})

    async def delete_service(self, name: str, _: int) -> None:
        self.server.delete(SERVICES, NAMESPACE, name)

    async def delete_ports_policy(self, name: str, _: int) -> None:
        self.server.delete(NETWORK_POLICIES, NAMESPACE, f"sbx-{name}")

    async def delete_fence(self, _: str, __: int) -> None:
        self.server.delete(NETWORK_POLICIES, NAMESPACE, "sandkeeper-fence")

    async def delete_sign(self, _: str, __: int) -> None:
        self.server.delete(FENCES, NAMESPACE, "sandkeeper-fence")

    async def widen_fence(self, _: str, __: int) -> None:
        self.server.patch(NETWORK_POLICIES, NAMESPACE, "sandkeeper-fence", {"spec": {"egress": [{}]}})

    async def fail_pod(self, name: str, _: int) -> None:
        self._end_pod(name, {"phase": "Failed"})

    async def evict_pod(self, name: str, _: int) -> None:
        self._end_pod(name, {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."})

    async def hide_pod(self, name: str, choice: int) -> None:
        """Take the label off that informers select, and put it back."""
        label = "sandkeeper.dev/managed"
        self.server.patch(PODS, NAMESPACE, f"sbx-{name}", {"metadata": {"labels": {label: None}}})
        await asyncio.sleep(choice)
        self.server.patch(PODS, NAMESPACE, f"sbx-{name}", {"metadata": {"labels": {label: "true"}}})

    async def occupy(self, name: str, choice: int) -> None:
        """Put a pod of somebody else in the way, for a while."""
        pod: Json = {
            "metadata": {"name": f"sbx-{name}", "labels": {}},
            "spec": {"containers": [{"name": "x", "image": "x"}]},
        }
        if choice % 2:
            pod["metadata"]["labels"] = {"sandkeeper.dev/managed": "true"}
        self.server.create(PODS, NAMESPACE, pod)
        await asyncio.sleep(choice)
        self.server.delete(PODS, NAMESPACE, f"sbx-{name}")

    async def compact(self, _: str, __: int) -> None:
        self.server.compact()

    async def wait(self, _: str, choice: int) -> None:
        await asyncio.sleep(choice**2 / 4)

    async def restart(self, _: str, __: int) -> None:
        await self.replica.stop()
        self.replica = Replica(self.server, self.faults)

    async def crash(self, _: str, __: int) -> None:
        await self.replica.crash()
        self.replica = Replica(self.server, self.faults)

    async def until(self, happened: Callable[[], object], within: float = 120.0) -> float:
        """Wait for something, and tell how many seconds that took."""
        started = virtual_time.seconds()
        for _ in range(int(within / 0.05)):
            if happened():
                return virtual_time.seconds() - started
            await asyncio.sleep(0.05)
        raise AssertionError(f"it did not happen within {within} s")

    async def calm_down(self) -> None:
        """No more faults, and time for everything that is still to happen."""
        self.faults.rate = 0.0
        await asyncio.sleep(CALM)

    async def writes_of_a_new_operator(self) -> list[tuple[str, str]]:
        """What an operator writes that finds everything as it is; its Leases aside."""
        await self.restart("", 0)
        await asyncio.sleep(CALM)
        return [call for call in self.replica.client.calls if call[1] != "leases"]

    def _end_pod(self, name: str, status: Json) -> None:
        pod = self.server.get(PODS, NAMESPACE, f"sbx-{name}")
        if pod["status"]["phase"] in {"Pending", "Running"}:
            self.server.replace_status(PODS, pod, status)

    def sandboxes(self) -> list[Json]:
        """All sandboxes."""
        return self.server.all(SANDBOXES)

    def children(self) -> dict[tuple[str, str], Json]:
        """Everything that the operator made, without what differs from one time to the next."""
        kept = [(resource, obj) for resource, obj in self.server if resource not in _NOT_CHILDREN]
        return {(resource.kind, obj["metadata"]["name"]): _essence(obj) for resource, obj in kept}

    def retained(self) -> list[Json]:
        """Claims that outlived their sandboxes, as they were meant to."""
        claims = self.server.all(CLAIMS, lambda claim: "sandkeeper.dev/retained" in claim["metadata"]["labels"])
        names = {each["metadata"]["name"] for each in self.sandboxes()}
        return [claim for claim in claims if claim["metadata"]["labels"]["sandkeeper.dev/sandbox"] not in names]

    def expected(self) -> dict[tuple[str, str], Json]:
        """Children that follow from the specs alone, and what earlier ones left."""
        wanted: list[Json | None] = [*self.retained()]
        for raw in self.sandboxes():
            sandbox = Sandbox.model_validate({"metadata": raw["metadata"], "spec": raw["spec"]})
            claim = self._workspace(sandbox)
            template = self.server.find(TEMPLATES, NAMESPACE, "shared")
            lower = base_of(sandbox, None, slim_template(template) if template else None).latest
            environment = resolve(*lower.layers, *captured_layers(captured_text(claim)), sandbox.spec)
            on = Volume(claim["metadata"]["name"]) if claim else None
            grant = EgressGrant(domains=environment.egress.domains, cidrs=environment.egress.cidrs)
            pod = sandbox_pod(
                sandbox, environment, Settings(), user_namespace=True, workspace=on, grant=grant, lower=lower
            )
            pod["spec"]["nodeName"] = NODE
            sleeps = resolve_lifecycle(sandbox.spec).state == "Sleeping"
            # One that never was awake has no workspace yet; of one that sleeps the former one is kept until it wakes.
            claims = self._claims(sandbox.metadata.name)
            if not sleeps:
                assert [asked_name(sandbox)] == claims or (sandbox.spec.source is None and len(claims) == 1)
            wanted += [self._expected_claim(sandbox, environment, each) for each in claims]
            wanted.append(None if sleeps else pod)
            wanted += [sandbox_service(sandbox, environment), ports_policy(sandbox, environment)]
            wanted += [fence_policy(NAMESPACE, None), fence_sign(NAMESPACE)]
        return {(each["kind"], each["metadata"]["name"]): _essence(each) for each in wanted if each}

    def _claims(self, sandbox: str) -> list[str]:
        """Names of the claims that are labelled as a sandbox's."""
        mine = {"sandkeeper.dev/sandbox": sandbox}.items()
        found = self.server.all(CLAIMS, lambda claim: mine <= claim["metadata"]["labels"].items())
        return [str(each["metadata"]["name"]) for each in found]

    def _workspace(self, sandbox: Sandbox) -> Json | None:
        """Claim that a sandbox is to be on when all is calm: the one that is asked for, or else the only one."""
        names = self._claims(sandbox.metadata.name)
        name = asked_name(sandbox) if asked_name(sandbox) in names else next(iter(names), "")
        return self.server.find(CLAIMS, NAMESPACE, name)

    def _expected_claim(self, sandbox: Sandbox, environment: Environment, name: str) -> Json:
        """What a claim is to be; it tells itself of what it was made."""
        there = self.server.get(CLAIMS, NAMESPACE, name)
        expected = workspace_claim(sandbox, environment, name)
        expected["metadata"]["annotations"] = there["metadata"].get("annotations", {})
        made_from = note_of(there).get("snapshot")
        if made_from:
            assert captured_text(there) == _COPIES[made_from]
            copy = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": f"sbx-{made_from}"}
            expected["spec"]["dataSource"] = copy
        return expected

    def stories(self) -> dict[str, tuple[str, str, bool]]:
        """What each sandbox says of itself: Ready, its reason, and whether that is of the newest spec."""
        found = {}
        for raw in self.sandboxes():
            ready = next(each for each in raw["status"]["conditions"] if each["type"] == "Ready")
            current = raw["status"].get("observedGeneration") == raw["metadata"]["generation"]
            found[raw["metadata"]["name"]] = (ready["status"], ready["reason"], current)
        return found


def _essence(obj: Json) -> Json:
    metadata = {name: obj["metadata"].get(name) or {} for name in ("labels", "annotations", "ownerReferences")}
    spec: Json = obj.get("spec", {})
    if obj["kind"] == "Pod":
        # Whether it has to wait for its guest depends on what came before it.
        either = {"startupProbe": None, "lifecycle": None}
        spec = {**spec, "containers": [each | either for each in spec["containers"]]}
    return {**metadata, "spec": spec}
