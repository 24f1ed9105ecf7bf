"""When canaries run, over hours of virtual time, and what remains of them."""

import asyncio
from random import Random

import pytest

from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.plan.canary import API, DNS, POD
from sandkeeper.runtime.resource import CONFIG_MAPS, ENDPOINT_SLICES, NETWORK_POLICIES, PODS, SERVICES, Json
from unit.fakes import virtual_time
from unit.fakes.apiserver import FakeApiServer
from unit.fakes.client import Faults
from unit.fakes.node import FakeNode
from unit.fakes.replica import Replica

pytestmark = pytest.mark.usefixtures("no_network")

HOME = "sandkeeper-system"
HEALTHY = [POD, *DNS, API]
HOUR = 3600.0


class Tried:
    """A cluster with one operator whose canaries fare as a story wants."""

    def __init__(self, *, rate: float = 0.0) -> None:
        self.server = FakeApiServer(virtual_time.seconds)
        self.node = FakeNode(self.server)
        self.node.answers = {"control": list(HEALTHY), "fenced": []}
        self._work = asyncio.create_task(self.node.run())
        spec = {"clusterIP": "10.96.0.1", "ports": [{"port": 443, "protocol": "TCP"}]}
        self.server.create(SERVICES, "default", {"metadata": {"name": "kubernetes"}, "spec": spec})
        slices = {"ports": [{"port": 6443}], "endpoints": [{"addresses": ["192.0.2.9"]}]}
        self.server.create(ENDPOINT_SLICES, "default", {"metadata": {"name": "kubernetes"}, **slices})
        self.faults = Faults(Random(0), rate)
        self.replica = self.start()

    def start(self) -> Replica:
        return Replica(self.server, self.faults, require_enforcement=True, canary_image="operator:1")

    def apply(self, **annotations: str) -> None:
        metadata = {"name": "a", "annotations": annotations}
        if self.server.find(SANDBOXES, "team", "a"):
            self.server.patch(SANDBOXES, "team", "a", {"metadata": {"annotations": annotations}})
        else:
            self.server.create(SANDBOXES, "team", {"metadata": metadata, "spec": {}})

    def runs(self, part: str = "control") -> int:
        """How many canaries were started."""
        names = [each.after["metadata"]["name"] for each in self.server.history if self._is_new_pod(each)]  # type: ignore[index]
        return sum(name.startswith(f"sandkeeper-canary-{part}") for name in names)

    def _is_new_pod(self, change: object) -> bool:
        return getattr(change, "resource", None) == PODS and getattr(change, "before", None) is None

    @property
    def result(self) -> str:
        found = self.server.find(CONFIG_MAPS, HOME, "sandkeeper-enforcement") or {}
        return str(found.get("data", {}).get("result", ""))

    def status(self, kind: str) -> tuple[str, str]:
        status = self.server.get(SANDBOXES, "team", "a")["status"]
        (found,) = (each for each in status["conditions"] if each["type"] == kind)
        return found["status"], found["reason"]

    def left(self) -> list[Json]:
        """Canary pods, and fences where no sandbox is."""
        pods = [each for each in self.server.all(PODS) if "sandkeeper.dev/canary" in each["metadata"]["labels"]]
        fences = [each for each in self.server.all(NETWORK_POLICIES) if each["metadata"]["namespace"] == HOME]
        return pods + fences

    def writes(self, what: tuple[str, str]) -> int:
        return self.replica.client.calls.count(what)


def test_it_runs_at_the_start_and_then_every_hour() -> None:
    async def story() -> list[int]:
        tried = Tried()
        counts = []
        for pause in (30.0, 0.8 * HOUR, 0.2 * HOUR, HOUR, HOUR):
            await asyncio.sleep(pause)
            counts.append(tried.runs())
        assert tried.result == "Verified"
        assert tried.left() == []
        return counts

    assert virtual_time.run(story()) == [1, 1, 2, 3, 4]


def test_it_runs_again_soon_and_then_ever_more_slowly_where_it_does_not_pass() -> None:
    async def story() -> list[int]:
        tried = Tried()
        tried.node.answers["fenced"] = [POD]
        counts = []
        for pause in (12.0, 20.0, 35.0, 65.0, 125.0, HOUR):
            await asyncio.sleep(pause)
            counts.append(tried.runs())
        return counts

    # At 15, 30, 60, ... seconds after the last; an hour takes four more.
    assert virtual_time.run(story()) == [1, 2, 3, 4, 5, 9]


def test_a_sandbox_is_written_once_however_often_the_fence_is_tried() -> None:
    async def story() -> None:
        tried = Tried()
        tried.apply()
        await asyncio.sleep(6 * HOUR)
        assert tried.runs() >= 6
        assert tried.status("Ready") == ("True", "Running")
        assert tried.status("EgressEnforced") == ("True", "Verified")
        assert tried.writes(("patch", "sandboxes")) == 1

    virtual_time.run(story())


def test_sandboxes_of_an_operator_that_was_away_for_long_start_as_soon_as_a_new_proof_is_there() -> None:
    async def story() -> None:
        tried = Tried()
        await asyncio.sleep(30.0)
        await tried.replica.crash()
        await asyncio.sleep(3 * HOUR)
        tried.apply()
        tried.replica = tried.start()

        await asyncio.sleep(60.0)

        assert tried.status("Ready") == ("True", "Running")

    virtual_time.run(story())


def test_a_canary_that_other_policies_let_out_names_them() -> None:
    async def story() -> None:
        tried = Tried()
        await asyncio.sleep(30.0)
        spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}
        tried.server.create(NETWORK_POLICIES, HOME, {"metadata": {"name": "allow-dns"}, "spec": spec})
        await tried.replica.crash()
        tried.server.patch(CONFIG_MAPS, HOME, "sandkeeper-enforcement", {"data": {"image": "operator:0"}})
        tried.replica = tried.start()

        await asyncio.sleep(60.0)

        found = tried.server.get(CONFIG_MAPS, HOME, "sandkeeper-enforcement")["data"]
        assert found["lastResult"] == "CanaryBroken"
        assert "NetworkPolicy allow-dns" in found["lastMessage"]

    virtual_time.run(story())


def test_a_proof_that_nothing_renews_counts_for_two_hours() -> None:
    async def story() -> list[str]:
        tried = Tried()
        await asyncio.sleep(30.0)
        tried.node.answers["control"] = []
        found = []
        for pause in (1.5 * HOUR, 2 * HOUR):
            await asyncio.sleep(pause)
            found.append(tried.result)
        tried.node.answers["control"] = list(HEALTHY)
        await asyncio.sleep(HOUR)
        return [*found, tried.result]

    assert virtual_time.run(story()) == ["Verified", "CanaryBroken", "Verified"]


def test_a_sandbox_waits_as_long_as_it_has_to_and_starts_then() -> None:
    async def story() -> None:
        tried = Tried()
        tried.node.answers["fenced"] = [POD]
        tried.apply()
        await asyncio.sleep(HOUR)
        assert tried.status("Ready") == ("False", "NotEnforced")
        assert tried.server.find(PODS, "team", "sbx-a") is None
        tried.node.answers["fenced"] = []
        await asyncio.sleep(HOUR)
        assert tried.status("Ready") == ("True", "Running")

    virtual_time.run(story())


def test_a_canary_that_hangs_is_given_up() -> None:
    async def story() -> None:
        tried = Tried()
        tried.node.answers["fenced"] = None
        tried.apply()
        await asyncio.sleep(85.0)
        assert tried.status("Ready") == ("False", "CanaryBroken")
        tried.node.answers["fenced"] = []
        await asyncio.sleep(60.0)
        assert tried.status("Ready") == ("True", "Running")
        assert tried.left() == []

    virtual_time.run(story())


def test_asking_again_and_again_costs_a_run_in_ten_seconds() -> None:
    async def story() -> int:
        tried = Tried()
        tried.apply()
        await asyncio.sleep(30.0)
        before = tried.runs("fenced")
        for second in range(100):
            tried.apply(**{"sandkeeper.dev/check-fence": str(second)})
            await asyncio.sleep(1.0)
        await asyncio.sleep(30.0)
        status = tried.server.get(SANDBOXES, "team", "a")["status"]
        assert status["fenceCheck"]["request"] == "99"
        assert tried.left() == []
        return tried.runs("fenced") - before

    assert 2 <= virtual_time.run(story()) <= 11


def test_a_check_that_failed_is_made_again_until_it_passes() -> None:
    async def story() -> None:
        tried = Tried()
        tried.apply()
        await asyncio.sleep(30.0)
        tried.node.answers["fenced"] = [API]
        tried.apply(**{"sandkeeper.dev/check-fence": "now"})
        await asyncio.sleep(10.0)
        assert tried.status("EgressEnforced") == ("False", "NotEnforced")
        await tried.replica.crash()
        tried.replica = tried.start()
        tried.node.answers["fenced"] = []
        await asyncio.sleep(120.0)
        assert tried.status("EgressEnforced") == ("True", "Verified")

    virtual_time.run(story())


@pytest.mark.parametrize("after", [round(0.2 * step, 1) for step in range(25)])
def test_whenever_the_operator_crashes_nothing_is_left_and_the_fence_is_tried(after: float) -> None:
    async def story() -> None:
        tried = Tried()
        await asyncio.sleep(after)
        await tried.replica.crash()
        tried.replica = tried.start()
        await asyncio.sleep(120.0)
        assert tried.result == "Verified"
        assert tried.left() == []

    virtual_time.run(story())


def test_what_a_crashed_operator_left_in_some_namespace_goes_too() -> None:
    async def story() -> None:
        tried = Tried()
        labels = {"sandkeeper.dev/canary": "former", "sandkeeper.dev/role": "sandbox"}
        spec = {"containers": [{"name": "canary", "image": "operator:1", "args": ["probe", "[]"]}]}
        for name in ("fenced", "neighbour", "target"):
            metadata = {"name": f"sandkeeper-canary-{name}-0a", "labels": labels}
            tried.server.create(PODS, "former", {"metadata": metadata, "spec": spec})
        await asyncio.sleep(60.0)
        assert len(tried.left()) == 3, "somebody might still be looking at them"
        await asyncio.sleep(HOUR + 30.0)
        assert tried.left() == []

    virtual_time.run(story())


def test_a_network_full_of_faults_only_takes_longer() -> None:
    async def story() -> None:
        tried = Tried(rate=0.1)
        await asyncio.sleep(HOUR / 2)
        tried.faults.rate = 0.0
        await asyncio.sleep(2 * HOUR)
        assert tried.result == "Verified"
        assert tried.left() == []
        assert not tried.replica.failed.is_set()

    virtual_time.run(story())
