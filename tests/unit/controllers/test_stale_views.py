"""A replica that knows less than the server does no harm by it."""

import asyncio

import pytest

from sandkeeper.controllers.aides import Aides
from sandkeeper.controllers.children import ChildWriter, InTheWayError, OutdatedError
from sandkeeper.controllers.cluster import SANDBOXES, Cluster
from sandkeeper.controllers.fence import FenceKeeper
from sandkeeper.controllers.metrics import PackMetrics, SandboxMetrics, UsageMetrics
from sandkeeper.controllers.packing import Packer
from sandkeeper.controllers.proof import Proof
from sandkeeper.controllers.sandbox import SandboxController
from sandkeeper.controllers.turns import Turns
from sandkeeper.controllers.usage import Usages
from sandkeeper.plan.idle import IdleRule
from sandkeeper.plan.observed import Settings
from sandkeeper.plan.writes import Create, Delete, Patch, Write
from sandkeeper.runtime.clock import Clock
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.events import EventRecorder
from sandkeeper.runtime.metrics import Metrics
from sandkeeper.runtime.resource import NETWORK_POLICIES, PODS, Json, Key
from sandkeeper.settings import OperatorSettings
from unit.fakes import virtual_time
from unit.fakes.apiserver import FakeApiServer
from unit.fakes.client import FakeClient
from unit.fakes.objects import fence, pod_of, sandbox

KEY = Key("team", "a")


class Stale:
    """A controller whose stores hold only what a story puts into them."""

    def __init__(self) -> None:
        self.server = FakeApiServer()
        client, metrics = FakeClient(self.server), Metrics()
        self.cluster = Cluster(client, lambda _: None, lambda _: None)
        self.children = ChildWriter(client, self.cluster)
        fences = FenceKeeper(self.cluster, self.children)
        clock = Clock()
        packer = Packer(client, lambda _: None, PackMetrics(metrics.registry), clock, Turns())
        aides = Aides(
            fences,
            Proof(client, self.cluster, fences, OperatorSettings(), metrics, lambda _: None, lambda _: True),
            packer,
            packer,
            Usages(
                self.cluster, None, UsageMetrics(metrics.registry), lambda _: None, lambda _: True, IdleRule(), clock
            ),
            clock,
        )
        self.controller = SandboxController(
            client,
            self.cluster,
            Settings(),
            EventRecorder(client, metrics, controller="test", instance="test"),
            SandboxMetrics(metrics.registry, self.cluster.sandboxes),
            lambda _: True,
            aides,
        )

    def make_sandbox(self) -> Json:
        return self.server.create(SANDBOXES, "team", {"metadata": {"name": "a"}, "spec": {}})

    def make_pod(self, owner: str) -> Json:
        pod = pod_of(sandbox(uid=owner))
        made = self.server.create(PODS, "team", pod)
        return self.server.replace_status(PODS, made, pod["status"])

    async def reconcile(self) -> float | None:
        return await self.controller.reconcile(KEY)

    async def reconcile_while_asked(self) -> None:
        seconds = await self.reconcile()
        if seconds is not None:
            await asyncio.sleep(seconds)
            await self.reconcile_while_asked()

    async def apply(self, write: Write, owner: str) -> None:
        await self.children.apply(write, sandbox(uid=owner))


def test_a_sandbox_that_is_going_does_not_take_its_successors_pod_along() -> None:
    async def story() -> None:
        stale = Stale()
        former = stale.make_sandbox()
        going = {**former["metadata"], "deletionTimestamp": "2026-03-01T12:00:00Z"}
        stale.cluster.sandboxes.upsert({**former, "metadata": going})
        stale.server.delete(SANDBOXES, "team", "a")
        successor = stale.make_sandbox()
        pod = stale.make_pod(successor["metadata"]["uid"])
        stale.cluster.store(PODS).upsert(pod)

        assert await stale.reconcile() == 0.0

        assert stale.server.get(PODS, "team", "sbx-a") == pod
        kept = stale.cluster.sandboxes.get(KEY)
        assert kept
        assert kept["metadata"]["uid"] == successor["metadata"]["uid"]

    virtual_time.run(story())


def test_a_pod_whose_sandbox_was_not_heard_of_yet_stays() -> None:
    async def story() -> None:
        stale = Stale()
        owner = stale.make_sandbox()
        pod = stale.make_pod(owner["metadata"]["uid"])
        stale.cluster.store(PODS).upsert(pod)

        await stale.reconcile()

        assert stale.server.get(PODS, "team", "sbx-a") == pod

    virtual_time.run(story())


def test_a_pod_whose_sandbox_went_unheard_goes_too() -> None:
    async def story() -> None:
        stale = Stale()
        stale.cluster.store(PODS).upsert(stale.make_pod("uid-gone"))

        await stale.reconcile()

        assert "deletionTimestamp" in stale.server.get(PODS, "team", "sbx-a")["metadata"]

    virtual_time.run(story())


def test_nothing_stays_of_a_sandbox_that_ends_before_it_was_heard_of() -> None:
    async def story() -> None:
        stale = Stale()
        finalizer = {"metadata": {"name": "a", "finalizers": ["example.com/audit"]}, "spec": {}}
        going = stale.server.create(SANDBOXES, "team", finalizer)
        stale.cluster.store(PODS).upsert(stale.make_pod(going["metadata"]["uid"]))
        stale.cluster.store(NETWORK_POLICIES).upsert(stale.server.create(NETWORK_POLICIES, "team", fence()))
        stale.server.delete(SANDBOXES, "team", "a")
        await stale.reconcile()
        ended = stale.server.get(PODS, "team", "sbx-a")
        stale.server.remove(PODS, ended)
        stale.cluster.store(PODS).remove(Key("team", "sbx-a"), ended["metadata"]["uid"])

        await stale.reconcile_while_asked()

        assert stale.server.all(NETWORK_POLICIES) == []

    virtual_time.run(story())


def test_a_child_that_is_there_already_is_taken_over_where_it_is_ours() -> None:
    async def story() -> None:
        stale = Stale()
        stale.make_pod("uid-a")

        with pytest.raises(OutdatedError):
            await stale.apply(Create(pod_of(sandbox())), "uid-a")

        assert stale.cluster.pod(KEY)

    virtual_time.run(story())


@pytest.mark.parametrize("labels", [{}, None], ids=["no label", "not ours"])
def test_a_child_that_is_there_already_is_in_the_way_where_it_is_not(labels: Json | None) -> None:
    async def story() -> None:
        stale = Stale()
        other: Json = {"metadata": {"name": "sbx-a"}, "spec": {"containers": [{"name": "x"}]}}
        if labels is None:
            other["metadata"]["labels"] = {"sandkeeper.dev/managed": "true"}
        stale.server.create(PODS, "team", other)

        with pytest.raises(InTheWayError, match="Pod sbx-a is in the way"):
            await stale.apply(Create(pod_of(sandbox())), "uid-a")

        assert stale.cluster.pod(KEY) is None

    virtual_time.run(story())


def test_a_fence_that_another_replica_made_is_everybodys() -> None:
    async def story() -> None:
        stale = Stale()
        stale.server.create(NETWORK_POLICIES, "team", fence())

        with pytest.raises(OutdatedError):
            await stale.apply(Create(fence()), "uid-a")

        assert stale.cluster.fence("team")

    virtual_time.run(story())


@pytest.mark.parametrize("kind", [Patch, Delete])
def test_what_a_write_shows_to_be_gone_is_not_acted_on_again(kind: type[Patch] | type[Delete]) -> None:
    async def story() -> None:
        stale = Stale()
        pod = stale.make_pod("uid-a")
        stale.cluster.store(PODS).upsert(pod)
        stale.server.remove(PODS, pod)
        write: Write = Patch(pod, {"metadata": {"labels": {"a": "b"}}}) if kind is Patch else Delete(pod)

        with pytest.raises(OutdatedError):
            await stale.apply(write, "uid-a")

        assert stale.cluster.pod(KEY) is None

    virtual_time.run(story())


def test_a_change_decided_on_an_older_version_loses() -> None:
    async def story() -> None:
        stale = Stale()
        pod = stale.make_pod("uid-a")
        stale.server.patch(PODS, "team", "sbx-a", {"metadata": {"labels": {"by": "another"}}})

        with pytest.raises(ApiError) as lost:
            await stale.apply(Patch(pod, {"metadata": {"labels": {"by": "us"}}}), "uid-a")

        assert lost.value.conflict
        assert stale.server.get(PODS, "team", "sbx-a")["metadata"]["labels"]["by"] == "another"

    virtual_time.run(story())


def test_a_deletion_meant_for_a_former_incarnation_spares_the_new_one() -> None:
    async def story() -> None:
        stale = Stale()
        former = stale.make_pod("uid-a")
        stale.cluster.store(PODS).upsert(former)
        stale.server.remove(PODS, former)
        new = stale.make_pod("uid-a")

        with pytest.raises(OutdatedError):
            await stale.apply(Delete(former), "uid-a")

        assert stale.server.get(PODS, "team", "sbx-a") == new
        assert stale.cluster.pod(KEY) is None

    virtual_time.run(story())
