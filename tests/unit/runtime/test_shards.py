"""Replicas that share shards over Leases: never two at once, none left alone for long, whatever happens to them."""

import asyncio
import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.runtime.resource import LEASES
from sandkeeper.runtime.shards import LeaseTimes, Shards, preferred_holder, shard_of
from unit.fakes import virtual_time
from unit.fakes.apiserver import FakeApiServer
from unit.fakes.client import FakeClient, Faults

SHARDS = 4
TIMES = LeaseTimes(duration=15.0, renew=5.0)


class Member:
    """One replica, and which shards it was told to begin with."""

    def __init__(self, server: FakeApiServer, name: str, faults: Faults) -> None:
        self.name = name
        self.client = FakeClient(server, faults, page=500)
        self.begun: list[int] = []
        self.shards = Shards(self.client, "system", name, SHARDS, self.begun.append, times=TIMES)
        self.task = asyncio.create_task(self.shards.run())

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class Group:
    """Replicas that come and go, watched all the time for two that hold the same shard."""

    def __init__(self, seed: int = 0, *, rate: float = 0.0, latency: float = 0.05) -> None:
        self.server = FakeApiServer(virtual_time.seconds)
        self.faults = Faults(Random(seed), rate, latency)
        self.members: list[Member] = []
        self.all: list[Member] = []
        self._names = itertools.count()
        self._watch = asyncio.create_task(self._no_two_hold_the_same())

    async def _no_two_hold_the_same(self) -> None:
        while True:
            for shard in range(SHARDS):
                holders = [member.name for member in self.all if shard in member.shards.held]
                assert len(holders) <= 1, f"shard {shard} is held by {holders} at {virtual_time.seconds()}"
                for member in self.all:
                    assert shard not in member.shards.held or shard in member.begun, "it was told to begin"
            await asyncio.sleep(0.05)

    async def join(self, _: int = 0) -> None:
        faults = Faults(self.faults.random, self.faults.rate, self.faults.latency)
        self.members.append(Member(self.server, f"replica-{next(self._names)}", faults))
        self.all.append(self.members[-1])

    async def leave(self, which: int) -> None:
        """End one by SIGTERM."""
        if self.members:
            await self.members.pop(which % len(self.members)).stop()

    async def crash(self, which: int) -> None:
        """Cut one off for good; it goes on believing what it last knew."""
        if self.members:
            self.members.pop(which % len(self.members)).client.sever()

    async def freeze(self, which: int) -> None:
        """Cut one off for a while; it comes back unless it crashed meanwhile."""
        if self.members:
            faults = self.members[which % len(self.members)].client.faults
            faults.rate = 1.0
            asyncio.get_running_loop().call_later(which * 4.0, lambda: setattr(faults, "rate", self.faults.rate))

    async def wait(self, seconds: int) -> None:
        await asyncio.sleep(seconds)

    async def settle(self, seconds: float) -> None:
        for faults in (self.faults, *(member.client.faults for member in self.members)):
            faults.rate = 0.0
        await asyncio.sleep(seconds)
        if self._watch.done():
            self._watch.result()

    @property
    def held(self) -> dict[int, str]:
        return {shard: member.name for member in self.members for shard in member.shards.held}


STEPS = st.lists(
    st.tuples(st.sampled_from(["join", "join", "leave", "crash", "freeze", "wait", "wait"]), st.integers(0, 12)),
    max_size=12,
)


@given(STEPS, st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.4]), st.sampled_from([0.05, 1.0]))
def test_no_shard_has_two_holders_and_in_the_end_each_has_the_one_that_all_agree_on(
    steps: list[tuple[str, int]], seed: int, rate: float, latency: float
) -> None:
    async def story() -> None:
        group = Group(seed, rate=rate, latency=latency)
        await group.join()
        for what, choice in steps:
            await getattr(group, what)(choice)
        if not group.members:
            await group.join()
        await group.settle(150.0)
        names = [member.name for member in group.members]
        assert group.held == {shard: preferred_holder(shard, names) for shard in range(SHARDS)}

    virtual_time.run(story())


async def pair() -> Group:
    group = Group()
    await group.join()
    await group.join()
    await group.settle(60.0)
    assert set(group.held) == set(range(SHARDS))
    return group


async def alone_after(group: Group, patience: float) -> float:
    """Seconds until the one that is left holds everything."""
    started = virtual_time.seconds()
    while set(group.held) != set(range(SHARDS)) and virtual_time.seconds() - started < patience:
        await group.settle(0.1)
    return virtual_time.seconds() - started


def test_a_single_replica_begins_at_once() -> None:
    async def story() -> float:
        group = Group()
        await group.join()
        return await alone_after(group, 60.0)

    assert virtual_time.run(story()) < 2.0


@pytest.mark.parametrize("which", [0, 1])
def test_a_replica_that_is_told_to_end_is_followed_at_the_next_renewal(which: int) -> None:
    async def story() -> float:
        group = await pair()
        await group.leave(which)
        return await alone_after(group, 60.0)

    assert virtual_time.run(story()) < TIMES.renew + 2.0


@pytest.mark.parametrize("which", [0, 1])
def test_a_replica_that_crashed_is_followed_once_its_lease_has_run_out(which: int) -> None:
    async def story() -> float:
        group = await pair()
        await group.crash(which)
        return await alone_after(group, 60.0)

    assert virtual_time.run(story()) < TIMES.duration + 2 * TIMES.renew + 2.0


def test_a_replica_that_comes_back_under_its_name_continues_its_own_leases() -> None:
    async def story() -> float:
        group = Group()
        group.all.append(Member(group.server, "operator-0", Faults()))
        await asyncio.sleep(10.0)
        group.all.pop().client.sever()
        group.members.append(Member(group.server, "operator-0", Faults()))
        group.all.append(group.members[-1])
        return await alone_after(group, 60.0)

    assert virtual_time.run(story()) < 2.0


def test_whoever_can_not_renew_stops_before_another_may_begin() -> None:
    async def story() -> None:
        group = Group()
        await group.join()
        await group.settle(20.0)
        assert group.members[0].shards.holds("team")
        group.members[0].client.sever()
        await asyncio.sleep(TIMES.duration * 2 / 3)
        assert not group.members[0].shards.holds("team")

    virtual_time.run(story())


def test_nothing_is_left_of_replicas_that_ended_well() -> None:
    async def story() -> list[str]:
        group = await pair()
        await group.leave(0)
        await group.leave(0)
        return [lease["metadata"]["name"] for lease in group.server.all(LEASES) if lease["spec"]["holderIdentity"]]

    assert virtual_time.run(story()) == []


def test_a_newcomer_takes_only_its_own_share() -> None:
    before = {shard: preferred_holder(shard, ["a", "b"]) for shard in range(256)}

    after = {shard: preferred_holder(shard, ["a", "b", "c"]) for shard in range(256)}

    assert {after[shard] for shard in before if after[shard] != before[shard]} == {"c"}
    assert all(60 < list(after.values()).count(name) < 115 for name in "abc")


def test_a_namespace_is_always_in_the_same_shard() -> None:
    assert [shard_of(name, 8) for name in ("team-a", "team-b", "default")] == [
        shard_of(name, 8) for name in ("team-a", "team-b", "default")
    ]
    assert {shard_of(f"team-{number}", 8) for number in range(200)} == set(range(8))


def test_the_lease_of_a_replica_that_died_long_ago_is_removed() -> None:
    async def story() -> None:
        group = Group()
        await group.join()
        await group.join()
        await group.wait(10)
        await group.crash(0)

        await group.wait(400)

        names = {lease["metadata"]["name"] for lease in group.server.all(LEASES)}
        assert "sandkeeper-replica-replica-1" in names
        assert "sandkeeper-replica-replica-0" not in names

    virtual_time.run(story())
