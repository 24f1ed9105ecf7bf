"""Usage of quotas is told a little late, and later where many namespaces are busy: their sandboxes come first."""

import asyncio
from itertools import pairwise

from sandkeeper.api.names import MANAGED_LABEL, MANAGED_VALUE
from sandkeeper.controllers.policies import Policies
from sandkeeper.runtime.resource import RESOURCE_QUOTAS, Json, Key
from sandkeeper.runtime.store import Store
from unit.fakes import virtual_time
from unit.fakes.apiserver import FakeApiServer
from unit.fakes.client import FakeClient

QUOTA: Json = {
    "metadata": {"name": "sandkeeper-pods", "labels": {MANAGED_LABEL: MANAGED_VALUE}},
    "spec": {"hard": {"pods": "50"}},
}


class Counted:
    """Namespaces whose quotas Kubernetes counts, and when each policy is to be looked at."""

    def __init__(self, namespaces: int) -> None:
        self.server = FakeApiServer(virtual_time.seconds)
        self.looks: list[tuple[str, float]] = []
        self.namespaces = [f"team-{number}" for number in range(namespaces)]
        for namespace in self.namespaces:
            made = self.server.create(RESOURCE_QUOTAS, namespace, QUOTA)
            self.server.replace_status(RESOURCE_QUOTAS, made, self._status(0))

    async def watch(self) -> None:
        policies = Policies(FakeClient(self.server), Store(), lambda _: None, self._wake)
        self._informers = [asyncio.create_task(informer.run()) for informer in policies.informers]
        await asyncio.sleep(1.0)
        self.looks.clear()

    def use(self, namespace: str, used: int) -> None:
        quota = self.server.get(RESOURCE_QUOTAS, namespace, "sandkeeper-pods")
        self.server.replace_status(RESOURCE_QUOTAS, quota, self._status(used))

    def _status(self, used: int) -> Json:
        return {"hard": {"pods": "50"}, "used": {"pods": str(used)}}

    def _wake(self, key: Key, seconds: float) -> None:
        self.looks.append((key.namespace, virtual_time.seconds() + seconds))


def test_a_burst_is_told_once_and_a_little_later() -> None:
    async def story() -> None:
        counted = Counted(1)
        await counted.watch()
        began = virtual_time.seconds()
        for used in range(1, 41):
            counted.use("team-0", used)
            await asyncio.sleep(0.1)
        await asyncio.sleep(5.0)
        counted.use("team-0", 0)
        await asyncio.sleep(1.0)

        first, last = (at - began for _, at in counted.looks)
        assert 5.0 <= first < 5.5
        assert 14.0 <= last < 15.0

    virtual_time.run(story())


def test_hundreds_of_busy_namespaces_are_told_of_one_after_the_other() -> None:
    async def story() -> None:
        counted = Counted(200)
        await counted.watch()
        for used in range(1, 6):
            for namespace in counted.namespaces:
                counted.use(namespace, used)
            await asyncio.sleep(1.0)

        moments = [at for _, at in counted.looks]
        assert sorted(namespace for namespace, _ in counted.looks) == sorted(counted.namespaces)
        assert all(later - earlier > 0.19 for earlier, later in pairwise(moments))
        assert moments[-1] - moments[0] < 45.0

    virtual_time.run(story())
