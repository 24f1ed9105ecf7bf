"""A namespace's first sandboxes wait until admission goes by the fence's sign, and keep nobody's place meanwhile."""

import asyncio

import pytest

from sandkeeper.controllers.children import ChildWriter
from sandkeeper.controllers.cluster import FENCES, Cluster
from sandkeeper.controllers.fence import FenceKeeper, UnguardedError
from sandkeeper.plan.fence import fence_sign
from sandkeeper.plan.writes import Create
from sandkeeper.runtime.resource import NETWORK_POLICIES, Json
from unit.fakes import virtual_time
from unit.fakes.apiserver import FakeApiServer
from unit.fakes.client import FakeClient

OPENING: Json = {
    "metadata": {"name": "everyone"},
    "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
}


class Keeping:
    """A keeper and the stores that it fills."""

    def __init__(self) -> None:
        self.server = FakeApiServer(virtual_time.seconds)
        client = FakeClient(self.server)
        self.cluster = Cluster(client, lambda _: None, lambda _: None)
        self.keeper = FenceKeeper(self.cluster, ChildWriter(client, self.cluster))

    async def make_sign(self, namespace: str = "team") -> None:
        await self.keeper.make(Create(fence_sign(namespace)))


def test_no_pass_goes_on_before_admission_knows_the_sign_and_none_waits_for_it() -> None:
    async def story() -> None:
        keeping = Keeping()
        await keeping.make_sign()
        asked = virtual_time.seconds()

        with pytest.raises(UnguardedError) as raised:
            await keeping.keeper.settle("team")

        assert virtual_time.seconds() == asked
        assert raised.value.seconds == pytest.approx(0.1)
        await keeping.keeper.settle("other")
        await asyncio.sleep(raised.value.seconds)
        await keeping.keeper.settle("team")

    virtual_time.run(story())


def test_a_policy_that_came_before_the_guard_is_known_to_the_next_pass() -> None:
    async def story() -> None:
        keeping = Keeping()
        await keeping.make_sign()
        keeping.server.create(NETWORK_POLICIES, "team", OPENING)

        await keeping.keeper.wait_settled("team")

        assert [each["metadata"]["name"] for each in keeping.cluster.foreign_policies("team")] == ["everyone"]

    virtual_time.run(story())


def test_a_sign_that_is_there_is_not_waited_for_again() -> None:
    async def story() -> None:
        keeping = Keeping()
        await keeping.make_sign()
        await keeping.keeper.wait_settled("team")

        await keeping.make_sign()
        await keeping.keeper.settle("team")

        assert len(keeping.server.all(FENCES)) == 1

    virtual_time.run(story())
