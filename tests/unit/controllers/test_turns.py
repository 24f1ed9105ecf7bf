"""Turns at packing: limits hold, no place is idle that is waited for, and nobody waits for all of another namespace."""

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.controllers.turns import PackLimits, Turns
from sandkeeper.runtime.resource import Json
from unit.fakes import virtual_time


def pod(namespace: str, uid: str, node: str = "n1") -> Json:
    return {"metadata": {"namespace": namespace, "uid": uid}, "spec": {"nodeName": node}}


class Floor:
    """Pods that take a second each once it is their turn.

    Attributes
    ----------
    began, ended
        Who, in that order.
    """

    def __init__(self, **limits: int) -> None:
        self.turns = Turns(PackLimits(**limits))
        self.began: list[str] = []
        self.ended: list[str] = []
        self.now: Counter[str] = Counter()

    def start(self, each: Json) -> asyncio.Task[None]:
        return asyncio.create_task(self._pack(each))

    async def _pack(self, each: Json) -> None:
        uid, node = each["metadata"]["uid"], each["spec"]["nodeName"]
        async with self.turns.take(each):
            self.began.append(uid)
            self.now.update((uid, node, "overall"))
            await asyncio.sleep(1.0)
            self.now.subtract((uid, node, "overall"))
            self.ended.append(uid)


def test_whoever_puts_a_thousand_to_sleep_has_no_more_than_its_turn() -> None:
    async def story() -> None:
        floor = Floor(overall=32, per_node=4)
        for number in range(1000):
            floor.start(pod("busy", f"busy-{number}", f"n{number % 100}"))
        await asyncio.sleep(0.5)

        floor.start(pod("calm", "calm", "n0"))
        await asyncio.sleep(1.0)

        assert "calm" in floor.began

    virtual_time.run(story())


def test_a_full_node_keeps_no_place_of_another() -> None:
    async def story() -> None:
        floor = Floor(overall=4, per_node=2)
        for number in range(50):
            floor.start(pod("busy", f"busy-{number}", "full"))
        floor.start(pod("calm", "calm", "free"))
        await asyncio.sleep(0.5)

        assert floor.began == ["busy-0", "busy-1", "calm"]

    virtual_time.run(story())


def test_who_waits_no_more_leaves_no_place_taken() -> None:
    async def story() -> None:
        floor = Floor(overall=1)
        first, second, third = (floor.start(pod("team", uid)) for uid in ("first", "second", "third"))
        await asyncio.sleep(0.5)
        second.cancel()
        first.cancel()
        await asyncio.sleep(0.1)

        assert floor.began == ["first", "third"]
        await third
        assert floor.ended == ["third"]

    virtual_time.run(story())


PODS = st.tuples(st.sampled_from("abc"), st.sampled_from(["u1", "u2", "u3", "u4"]), st.sampled_from(["n1", "n2"]))


@given(asked=st.lists(st.tuples(PODS, st.sampled_from([0.0, 0.3])), max_size=20), overall=st.integers(1, 3))
def test_limits_hold_and_everyone_has_a_turn(asked: list[tuple[tuple[str, str, str], float]], overall: int) -> None:
    async def story() -> None:
        floor = Floor(overall=overall, per_node=2)
        for (namespace, uid, node), pause in asked:
            floor.start(pod(namespace, uid, node))
            await asyncio.sleep(pause)
            assert floor.now["overall"] <= overall
            assert max(floor.now["n1"], floor.now["n2"]) <= 2
            assert all(floor.now[each] <= 1 for each in ("u1", "u2", "u3", "u4"))
        await asyncio.sleep(len(asked) + 1.0)

        assert len(floor.ended) == len(asked)

    virtual_time.run(story())
