"""The table that workers judge by: complete or empty, and waited for only briefly."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from sandkeeper.gateway.callers import KnownCallers
from sandkeeper.gateway.wire import Change, Entry
from unit.gateway.pods import grant

if TYPE_CHECKING:
    from sandkeeper.gateway.caller import Caller

ADDRESS = "10.0.0.1"


def entry(name: str, address: str = ADDRESS, *domains: str) -> Entry:
    return Entry(address, "team", name, f"uid-{name}", f"pod-{name}", grant(*domains))


def synced(*entries: Entry, wait: float = 1.0) -> KnownCallers:
    callers = KnownCallers(wait)
    callers.apply(Change(entries=entries))
    callers.sync()
    return callers


async def test_nobody_is_known_before_the_table_is_complete() -> None:
    callers = KnownCallers(0.05)
    callers.apply(Change(entries=(entry("one"),)))

    assert callers.known(ADDRESS) is None
    assert await callers.caller(ADDRESS) is None
    callers.sync()
    known = callers.known(ADDRESS)
    assert known is not None
    assert (known.namespace, known.name, known.pod_uid) == ("team", "one", "pod-one")


async def test_who_waits_for_a_new_sandbox_is_woken_by_its_news() -> None:
    callers = synced(wait=10.0)
    waiting = [asyncio.create_task(callers.caller(ADDRESS)) for _ in range(3)]
    await asyncio.sleep(0)

    callers.apply(Change(entries=(entry("one"),)))

    assert [found.name if found else None for found in await asyncio.gather(*waiting)] == ["one"] * 3


async def test_who_waits_for_the_table_is_woken_once_it_is_complete() -> None:
    callers = KnownCallers(10.0)
    callers.apply(Change(entries=(entry("one"),)))
    waiting = asyncio.create_task(callers.caller(ADDRESS))
    await asyncio.sleep(0)

    callers.sync()

    assert (await waiting) == callers.known(ADDRESS) is not None


async def test_a_source_that_is_nobodys_is_denied_after_a_moment() -> None:
    callers = synced(entry("one", "10.0.0.2"), wait=0.05)
    began = time.monotonic()

    assert await callers.caller(ADDRESS) is None

    assert 0.04 < time.monotonic() - began < 5.0


async def test_a_source_that_is_nobodys_does_not_take_all_places() -> None:
    callers = synced(wait=0.2)
    strangers = [asyncio.create_task(callers.caller("10.9.9.9")) for _ in range(500)]
    await asyncio.sleep(0)
    refused_at_once = sum(each.done() for each in strangers)
    newcomer = asyncio.create_task(callers.caller(ADDRESS))
    await asyncio.sleep(0)

    callers.apply(Change(entries=(entry("one"),)))

    assert refused_at_once == 500 - 64
    found = await newcomer
    assert found is not None
    assert found.name == "one"
    assert await asyncio.gather(*strangers) == [None] * 500


async def test_what_changed_is_told_with_its_former_state_and_only_once() -> None:
    callers = synced(entry("one", ADDRESS, "example.com"))
    told: list[tuple[Caller | None, Caller | None]] = []
    callers.subscribe(lambda before, after: told.append((before, after)))

    callers.apply(Change(entries=(entry("one", ADDRESS, "example.com"),)))
    callers.apply(Change(entries=(entry("one", ADDRESS),)))
    callers.apply(Change(entries=(entry("two"),)))
    callers.apply(Change(gone=(ADDRESS,)))

    assert [(before and before.name, after and after.name) for before, after in told] == [
        ("one", "one"), ("one", "two"), ("two", None),
    ]  # fmt: skip
    before, after = told[0]
    assert before is not None
    assert after is not None
    assert before.rules.resolves("example.com", 0.0)
    assert not after.rules.resolves("example.com", 0.0)


def test_sandboxes_that_are_granted_the_same_share_their_rules() -> None:
    callers = synced(entry("one", ADDRESS, "example.com"), entry("two", "10.0.0.2", "example.com"))

    one, two = callers.known(ADDRESS), callers.known("10.0.0.2")

    assert one is not None
    assert two is not None
    assert one.rules is two.rules


def test_addresses_of_slots_are_those_that_were_told_last() -> None:
    callers = synced()

    callers.take_slots({0: ("10.96.0.1",), 1: ()})

    assert [callers.slot_addresses(slot) for slot in range(3)] == [("10.96.0.1",), (), ()]
