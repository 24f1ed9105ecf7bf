"""Of several addresses the first that answers is connected, and of the others nothing is left."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Any

import pytest

from sandkeeper.gateway import happy_eyeballs as module
from sandkeeper.gateway.happy_eyeballs import Race, connect
from unit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

PORT = 443


class Attempt:
    """An attempt that does what the test says, when it says it."""

    made: dict[str, Attempt]

    def __init__(
        self, _poll: Any, literal: str, port: int, _protocol: asyncio.Protocol, done: Callable[[Any], None]
    ) -> None:
        assert port == PORT
        if literal == "no socket":
            raise OSError(errno.EMFILE, "Too many open files")
        self.done = done
        self.aborted = False
        self.made[literal] = self

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, Attempt]:
    """Attempts by address."""
    Attempt.made = {}
    monkeypatch.setattr(module, "Connecting", Attempt)
    monkeypatch.setattr(module, "ATTEMPT_DELAY_SECONDS", 0.01)
    return Attempt.made


def race(*literals: str) -> tuple[Race, list[Any]]:
    told: list[Any] = []
    return Race(literals, PORT, asyncio.Protocol(), told.append), told


async def test_the_first_that_answers_wins_and_no_other_is_tried(made: dict[str, Attempt]) -> None:
    _, told = race("a", "b")
    made["a"].done("transport")
    await asyncio.sleep(0.03)
    assert (told, list(made)) == (["transport"], ["a"])


async def test_one_that_refuses_has_the_next_one_tried_at_once(made: dict[str, Attempt]) -> None:
    _, told = race("a", "b", "c")
    made["a"].done(None)
    assert list(made) == ["a", "b"]
    made["b"].done(None)
    made["c"].done("transport")
    assert told == ["transport"]


async def test_one_that_is_silent_has_the_next_one_tried_beside_it(made: dict[str, Attempt]) -> None:
    _, told = race("a", "b", "c")
    await until(lambda: len(made) >= 3)
    made["b"].done("transport")
    assert told == ["transport"]
    assert {each: attempt.aborted for each, attempt in made.items()} == {"a": True, "b": False, "c": True}


async def test_one_that_is_late_may_still_win_when_all_others_have_failed(made: dict[str, Attempt]) -> None:
    _, told = race("a", "b")
    await until(lambda: len(made) >= 2)
    made["b"].done(None)
    assert told == []
    made["a"].done("transport")
    assert told == ["transport"]


async def test_of_many_that_are_silent_no_more_than_a_few_are_waited_for(made: dict[str, Attempt]) -> None:
    _, told = race(*"abcdef")
    await until(lambda: len(made) >= 6)
    assert [each for each, attempt in made.items() if not attempt.aborted] == ["d", "e", "f"]
    made["e"].done(None)
    made["d"].done("transport")
    assert told == ["transport"]
    assert made["f"].aborted


async def test_where_none_answers_there_is_none(made: dict[str, Attempt]) -> None:
    _, told = race("a", "b")
    made["a"].done(None)
    made["b"].done(None)
    assert told == [None]


async def test_what_is_given_up_tries_no_more_and_tells_nobody(made: dict[str, Attempt]) -> None:
    given_up, told = race("a", "b")
    given_up.abort()
    await asyncio.sleep(0.03)
    assert (told, list(made), made["a"].aborted) == ([], ["a"], True)


async def test_without_sockets_what_is_under_way_may_still_answer(made: dict[str, Attempt]) -> None:
    with pytest.raises(OSError, match="Too many"):
        race("no socket")
    _, told = race("a", "no socket", "b")
    await asyncio.sleep(0.03)
    assert (told, list(made)) == ([], ["a"])
    made["a"].done(None)
    assert told == [None]


async def test_who_waits_is_told_by_an_error_that_none_answers(made: dict[str, Attempt]) -> None:
    waiting = asyncio.create_task(connect(["a", "b"], PORT, asyncio.Protocol()))
    await asyncio.sleep(0)
    made["a"].done(None)
    made["b"].done(None)
    with pytest.raises(OSError, match=r"a, b did not answer on port 443\."):
        await waiting


async def test_who_stops_waiting_leaves_no_connection_behind(made: dict[str, Attempt]) -> None:
    class Transport:
        aborted = False

        def abort(self) -> None:
            self.aborted = True

    late, transport = asyncio.create_task(connect(["a"], PORT, asyncio.Protocol())), Transport()
    await asyncio.sleep(0)
    # Connected and given up in the same moment.
    made["a"].done(transport)
    late.cancel()
    early = asyncio.create_task(connect(["b"], PORT, asyncio.Protocol()))
    await asyncio.sleep(0)
    early.cancel()
    assert [type(each) for each in await asyncio.gather(late, early, return_exceptions=True)] == [
        asyncio.CancelledError
    ] * 2
    assert (transport.aborted, made["b"].aborted) == (True, True)


@pytest.mark.parametrize("answers", [True, False])
async def test_who_has_just_stopped_waiting_is_told_nothing(made: dict[str, Attempt], *, answers: bool) -> None:
    class Transport:
        aborted = False

        def abort(self) -> None:
            self.aborted = True

    waiting, transport = asyncio.create_task(connect(["a"], PORT, asyncio.Protocol())), Transport()
    await asyncio.sleep(0)
    waiting.cancel()
    made["a"].done(transport if answers else None)
    assert transport.aborted == answers
    with pytest.raises(asyncio.CancelledError):
        await waiting
