"""Any order of wishes and mishaps ends in the same children for the same specs, and then nothing more is written."""

import asyncio

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from unit.controllers.world import SPECS, World
from unit.fakes import virtual_time

pytestmark = pytest.mark.usefixtures("no_network")

MISHAPS = [
    "change_template",
    "apply", "apply", "apply", "delete", "delete_pod", "delete_claim", "lose_copy", "delete_service",
    "delete_ports_policy", "delete_fence", "delete_sign", "widen_fence", "fail_pod", "evict_pod", "hide_pod", "occupy",
    "compact", "restart", "crash",
]  # fmt: skip
PAUSES = st.sampled_from([0.0, 0.5, 4.0, 15.0])
COPYING = {"sandboxsnapshots", "sandboxes", "events"}
STEPS = st.lists(
    st.tuples(PAUSES, st.sampled_from(MISHAPS), st.sampled_from("ab"), st.integers(0, len(SPECS) - 1)),
    min_size=1,
    max_size=12,
)


async def check(world: World) -> None:
    await world.calm_down()
    assert world.children() == world.expected()
    assert set(world.stories().values()) <= {("True", "Running", True), ("True", "Sleeping", True)}
    assert not world.replica.failed.is_set()
    scheduled = any("snapshots" in each["spec"] for each in world.sandboxes())
    # One with a schedule goes on being copied, and that is all.
    assert {kind for _, kind in await world.writes_of_a_new_operator()} <= (COPYING if scheduled else set())


@pytest.mark.timeout(1200)
@given(STEPS, st.integers(0, 2**32), st.sampled_from([0.0, 0.05, 0.3]), st.sampled_from([0.0, 0.1, 2.0]))
@example([(15.0, "fail_pod", "a", 0)], 0, 0.0, 0.0)
@example([(15.0, "apply", "a", 14)], 0, 0.0, 0.0)
@example([(15.0, "hide_pod", "a", 3), (15.0, "delete", "b", 0), (0.0, "compact", "b", 0)], 0, 0.0, 0.1)
@settings(max_examples=settings().max_examples // 2)
def test_everything_converges(steps: list[tuple[float, str, str, int]], seed: int, rate: float, latency: float) -> None:
    async def story() -> None:
        world = World(seed, rate=rate, latency=latency)
        world.take_copies()
        for name in "ab":
            await world.befall("apply", name)
        for pause, what, name, choice in steps:
            await asyncio.sleep(pause)
            await world.befall(what, name, choice)
        await check(world)
        for name in "ab":
            await world.befall("delete", name)
        await check(world)
        assert len(world.children()) == len(world.retained())

    virtual_time.run(story())
