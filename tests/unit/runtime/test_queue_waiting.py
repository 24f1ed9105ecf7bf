"""Waiting at the queue: a key, a timer or a release wakes whoever waits, and nothing else does."""

import asyncio

import pytest

from sandkeeper.runtime.queue import WorkQueue
from unit.fakes import virtual_time
from unit.fakes.virtual_time import DeadlockError


def test_a_timer_wakes_the_waiting_at_its_time() -> None:
    async def story() -> tuple[str, float]:
        queue: WorkQueue[str] = WorkQueue(clock=virtual_time.seconds)
        queue.add_after("a", 60.0)
        queue.add_after("a", 5.0)
        key, _ = await queue.get()
        return key, virtual_time.seconds()

    key, at = virtual_time.run(story())

    assert key == "a"
    assert at == pytest.approx(5.0)


def test_an_earlier_timer_that_comes_later_is_noticed() -> None:
    async def story() -> tuple[str, float]:
        queue: WorkQueue[str] = WorkQueue(clock=virtual_time.seconds)
        queue.add_after("late", 100.0)
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(1.0)
        queue.add_after("early", 2.0)
        key, _ = await waiting
        return key, virtual_time.seconds()

    key, at = virtual_time.run(story())

    assert key == "early"
    assert at == pytest.approx(3.0)


def test_a_key_that_is_asked_for_while_in_work_comes_out_when_it_is_done() -> None:
    async def story() -> list[str]:
        queue: WorkQueue[str] = WorkQueue(clock=virtual_time.seconds)
        queue.add("a")
        first, _ = await queue.get()
        queue.add("a")
        queue.add("a")
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(10.0)
        assert not waiting.done()
        queue.done(first)
        second, _ = await waiting
        return [first, second]

    assert virtual_time.run(story()) == ["a", "a"]


def test_who_stops_waiting_takes_nothing_along() -> None:
    async def story() -> str:
        queue: WorkQueue[str] = WorkQueue(clock=virtual_time.seconds)
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(1.0)
        waiting.cancel()
        queue.add("a")
        return (await queue.get())[0]

    assert virtual_time.run(story()) == "a"


def test_an_empty_queue_is_waited_at_for_ever() -> None:
    with pytest.raises(DeadlockError):
        virtual_time.run(WorkQueue[str](clock=lambda: 0.0).get())
