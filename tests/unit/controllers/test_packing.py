"""The packer: some pods at once, each once at a time, and a result for every one whatever happens."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from sandkeeper.controllers.metrics import PackMetrics
from sandkeeper.controllers.packing import Packer
from sandkeeper.controllers.turns import PackLimits, Turns
from sandkeeper.runtime.clock import Clock
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.exec import Command, ExecError, ExecResult
from sandkeeper.runtime.resource import Json, Key
from unit.fakes import virtual_time

PACKED = ExecResult(0, b'{"entries": 2, "bytes": 10}', b"")


def pod(number: int, node: str = "n1") -> Json:
    return {
        "metadata": {"namespace": "team", "name": f"sbx-{number}", "uid": f"uid-{number}"},
        "spec": {"nodeName": node},
    }


class Guests:
    """Guests that take a second each, or do what they are told to.

    Attributes
    ----------
    most, most_on_a_node
        How many were packing at once.
    """

    def __init__(self, answer: Callable[[], Any] = lambda: PACKED, seconds: float = 1.0) -> None:
        self.answer = answer
        self.asked: list[Command] = []
        self.most = self.most_on_a_node = 0
        self.woken: list[Key] = []
        self.registry = CollectorRegistry()
        self._seconds = seconds
        self._at_once: Counter[str] = Counter()

    def packer(self, **limits: Any) -> Packer:
        metrics, turns = PackMetrics(self.registry), Turns(PackLimits(**limits))
        return Packer(self, self.woken.append, metrics, Clock(), turns)  # type: ignore[arg-type]

    async def run(self, command: Command) -> ExecResult:
        self.asked.append(command)
        node = f"n{int(command.pod.name.removeprefix('sbx-')) % 10}"
        self._at_once[node] += 1
        self.most = max(self.most, self._at_once.total())
        self.most_on_a_node = max(self.most_on_a_node, *self._at_once.values())
        try:
            async with asyncio.timeout(command.seconds):
                await asyncio.sleep(self._seconds)
        finally:
            self._at_once[node] -= 1
        answer = self.answer()
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, ExecResult)
        return answer

    def count(self, result: str) -> float | None:
        return self.registry.get_sample_value("sandkeeper_pack_seconds_count", {"result": result})


def test_a_pod_that_many_ask_for_leaves_the_places_of_its_node_to_others() -> None:
    async def story() -> None:
        guests = Guests()
        packer = guests.packer(per_node=2)
        for number in range(10):
            packer.start(Key("team", f"of-one-{number}"), pod(1), f"uid-of-one-{number}")
        packer.start(Key("team", "other"), pod(11), "uid-of-other")
        await asyncio.sleep(1.5)

        assert packer.result("uid-of-other") is not None
        assert guests.most_on_a_node == 2

    virtual_time.run(story())


def test_a_pod_counts_as_at_work_while_it_is_and_is_known_to_have_been_afterwards() -> None:
    async def story() -> None:
        guests = Guests()
        packer = guests.packer()
        packer.start(Key("team", "one"), pod(1), "uid-of-one")
        packer.start(Key("team", "two"), pod(1), "uid-of-two")
        await asyncio.sleep(0.5)
        during = packer.worked_at("uid-1")
        await asyncio.sleep(60.0)
        after = packer.worked_at("uid-1")

        assert during is not None
        assert after is not None
        assert 1.4 < (after - during).total_seconds() < 2.0
        assert packer.worked_at("uid-2") is None

    virtual_time.run(story())


def test_a_pod_is_packed_once_however_often_that_is_asked_for() -> None:
    async def story() -> None:
        guests = Guests()
        packer = guests.packer()
        for _ in range(3):
            packer.start(Key("team", "1"), pod(1))
        assert packer.running("uid-1")
        assert packer.result("uid-1") is None

        await asyncio.sleep(2)

        assert not packer.running("uid-1")
        result = packer.result("uid-1")
        assert result
        assert (result.entries, result.bytes, result.reason) == (2, 10, "")
        assert guests.woken == [Key("team", "1")]
        (asked,) = guests.asked
        assert (asked.pod, asked.container) == (Key("team", "sbx-1"), "sandbox")
        assert tuple(asked.words) == ("/.sandkeeper/bin/guest", "pack")
        assert guests.count("ok") == 1
        packer.forget("uid-1")
        assert packer.result("uid-1") is None

    virtual_time.run(story())


def test_two_hundred_at_once_wait_their_turn() -> None:
    async def story() -> None:
        guests = Guests()
        packer = guests.packer(overall=32, per_node=4)
        for number in range(200):
            packer.start(Key("team", str(number)), pod(number, f"n{number % 10}"))

        await asyncio.sleep(60)

        assert len(guests.woken) == 200
        assert guests.most == 32
        assert guests.most_on_a_node <= 4
        assert guests.count("ok") == 200

    virtual_time.run(story())


def test_a_slow_node_does_not_keep_the_others_waiting() -> None:
    async def story() -> None:
        guests = Guests()
        packer = guests.packer(overall=4, per_node=2)
        for number in range(50):
            packer.start(Key("team", "slow"), pod(number * 10))
        packer.start(Key("team", "other"), pod(1, "n2"))

        await asyncio.sleep(1.5)

        assert Key("team", "other") in guests.woken

    virtual_time.run(story())


@pytest.mark.parametrize(
    "trouble",
    [
        ApiError("exec", "pods team/sbx-1", 404, {"message": "pods sbx-1 not found"}),
        ApiError("exec", "pods team/sbx-1", 500, {"message": "error dialing backend"}),
        ExecError("the connection broke"),
        ConnectionResetError("reset"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_guest_that_can_not_be_asked_gives_a_result_too(trouble: Exception) -> None:
    async def story() -> None:
        guests = Guests(lambda: trouble)
        packer = guests.packer()
        packer.start(Key("team", "1"), pod(1))
        await asyncio.sleep(2)

        result = packer.result("uid-1")
        assert result
        assert (result.reason, result.failures) == ("Unreachable", 1)
        assert result.message.startswith("The guest could not be asked: ")
        assert guests.woken == [Key("team", "1")]
        assert guests.count("Unreachable") == 1

    virtual_time.run(story())


def test_failures_are_counted_until_it_goes_well() -> None:
    async def story() -> None:
        answers = iter([ExecError("a"), ExecError("b"), PACKED, ExecError("c")])
        packer = Guests(lambda: next(answers)).packer()
        seen = []
        for _ in range(4):
            packer.start(Key("team", "1"), pod(1))
            await asyncio.sleep(2)
            result = packer.result("uid-1")
            assert result
            seen.append(result.failures)

        assert seen == [1, 2, 0, 1]

    virtual_time.run(story())


def test_a_pack_that_takes_too_long_is_given_up() -> None:
    async def story() -> None:
        packer = Guests(seconds=1000).packer(seconds=30)
        packer.start(Key("team", "1"), pod(1))
        await asyncio.sleep(31)

        result = packer.result("uid-1")
        assert result
        assert "it took longer than 30 s" in result.message

    virtual_time.run(story())


def test_stopping_leaves_nothing_behind() -> None:
    async def story() -> None:
        guests = Guests()
        packer = guests.packer(overall=1)
        for number in range(5):
            packer.start(Key("team", str(number)), pod(number))
        await asyncio.sleep(0.1)

        await packer.stop()

        assert not any(packer.running(f"uid-{number}") for number in range(5))
        assert guests.woken == []

    virtual_time.run(story())
