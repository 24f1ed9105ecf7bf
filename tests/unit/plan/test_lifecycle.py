"""When a sandbox sleeps, wakes and ends, by its spec, its status and what is known of its use."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.plan.idle import Recorded, Usage
from sandkeeper.plan.lifecycle import LONGEST_WAIT, Life, Phase, life_of, time_of_use
from sandkeeper.plan.pod_state import written
from unit.fakes.objects import CREATED, NOW, Json, observe, pod_of, sandbox

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
PERSISTENT: Json = {"type": "Persistent"}
RUNS = {
    "phase": "Running",
    "podIP": "10.0.0.7",
    "conditions": [{"type": "Ready", "status": "True"}],
    "startTime": written(NOW - 10 * HOUR),
}


def quiet(since: datetime, now: datetime = NOW) -> Usage:
    """Measurements that show no work after a moment."""
    return Usage(
        measured_at=now,
        cpu_seconds=1.0,
        first_at=NOW - 10 * HOUR,
        first_cpu_seconds=0.0,
        busy_at=since,
        busy_cpu_seconds=1.0,
    )


def life(
    status: Json | None = None, now: datetime = NOW, *, annotation: str = "", runs: bool = True, **spec: Any
) -> Life:
    """Read the life of a sandbox with a workspace that stays."""
    known = {name: spec.pop(name) for name in ("usage", "used_at") if name in spec}
    owner = sandbox(**({"workspace": PERSISTENT} | spec))
    if annotation:
        owner.metadata.annotations["sandkeeper.dev/last-activity"] = annotation
    pod = pod_of(owner, RUNS) if runs else None
    return life_of(observe(owner, status=status or {}, pod=pod, **known), now)


def asleep(cause: str = "Idle", since: datetime = NOW - HOUR, **more: Any) -> Json:
    return {"asleep": {"since": written(since), "cause": cause, "generation": 1, **more}}


def test_without_a_word_it_runs_and_never_ends() -> None:
    assert life(runs=False) == Life(Phase.AWAKE)


def test_it_sleeps_when_it_is_asked_to() -> None:
    found = life(lifecycle={"state": "Sleeping"})

    assert (found.phase, found.cause) == (Phase.ASLEEP, "Requested")


def test_it_wakes_when_it_is_no_longer_asked_to_sleep() -> None:
    assert life(asleep("Requested")).phase is Phase.AWAKE


def test_nothing_is_known_to_be_idle_that_was_not_measured() -> None:
    found = life()

    assert found == Life(Phase.AWAKE)


@pytest.mark.parametrize(
    ("since", "phase"),
    [(NOW - 15 * MINUTE, Phase.ASLEEP), (NOW - 15 * MINUTE + timedelta(seconds=1), Phase.AWAKE)],
    ids=["at the timeout", "a second before"],
)
def test_it_falls_asleep_at_its_idle_timeout_and_not_before(since: datetime, phase: Phase) -> None:
    assert life(usage=quiet(since)).phase is phase


def test_it_looks_again_when_the_pause_is_worth_telling_and_when_it_sleeps() -> None:
    early, later = life(usage=quiet(NOW - MINUTE)), life(usage=quiet(NOW - 6 * MINUTE))

    assert (early.recorded, early.look_again) == (None, NOW + 4 * MINUTE)
    assert later.recorded == Recorded(NOW - 6 * MINUTE, 1.0)
    assert later.look_again == later.sleeps_at == NOW + 9 * MINUTE


@pytest.mark.parametrize(
    "spec",
    [{"lifecycle": {"idleTimeout": "0s"}}, {"workspace": {"type": "Ephemeral"}}],
    ids=["never by its spec", "its workspace would be lost"],
)
def test_some_never_fall_asleep_by_themselves(spec: Json) -> None:
    assert life(usage=quiet(NOW - 9 * HOUR), **spec) == Life(Phase.AWAKE)


def test_a_clients_word_keeps_it_awake() -> None:
    found = life(usage=quiet(NOW - HOUR), used_at=NOW - MINUTE)

    assert (found.quiet_since, found.sleeps_at) == (NOW - MINUTE, NOW + 14 * MINUTE)


def test_one_that_crashes_or_waits_is_not_put_to_sleep() -> None:
    owner = sandbox(workspace=PERSISTENT)
    pod = pod_of(owner, {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]})

    assert life_of(observe(owner, pod=pod, usage=quiet(NOW - 9 * HOUR)), NOW) == Life(Phase.AWAKE)


def test_one_that_fell_asleep_goes_on_sleeping() -> None:
    assert life(asleep(), runs=False).phase is Phase.ASLEEP
    # Also while its pod is still there, whatever is measured of that.
    assert life(asleep(), usage=quiet(NOW)).phase is Phase.ASLEEP


SAID: list[tuple[str, str, Phase]] = [
    ("a later use", written(NOW - MINUTE), Phase.AWAKE),
    ("a use in the second of falling asleep", written(NOW - HOUR), Phase.AWAKE),
    ("a time to come", written(NOW + HOUR), Phase.AWAKE),
    ("a use by a clock that is behind", written(NOW - 2 * HOUR), Phase.AWAKE),
    ("no time", "now", Phase.ASLEEP),
    ("no zone", "2026-03-01T12:00:00", Phase.ASLEEP),
]


@pytest.mark.parametrize(("annotation", "phase"), [row[1:] for row in SAID], ids=[row[0] for row in SAID])
def test_a_client_wakes_it_by_a_use_after_it_fell_asleep(annotation: str, phase: Phase) -> None:
    assert life(asleep(), annotation=annotation, runs=False).phase is phase


def test_what_was_said_before_it_fell_asleep_does_not_wake_it() -> None:
    to_come = written(NOW + HOUR)

    assert life(asleep(activity=to_come), annotation=to_come, runs=False).phase is Phase.ASLEEP


EDITS: list[tuple[str, Json, int, Phase]] = [
    ("Running in so many words", {"lifecycle": {"state": "Running"}}, 1, Phase.AWAKE),
    ("Running as before", {"lifecycle": {"state": "Running"}}, 2, Phase.ASLEEP),
    ("something else", {"image": "debian:12"}, 1, Phase.ASLEEP),
    ("no idle timeout", {"lifecycle": {"idleTimeout": "0s"}}, 2, Phase.AWAKE),
]


@pytest.mark.parametrize(("spec", "generation", "phase"), [row[1:] for row in EDITS], ids=[row[0] for row in EDITS])
def test_an_edit_wakes_it_where_it_asks_for_that(spec: Json, generation: int, phase: Phase) -> None:
    fields: Json = {"workspace": PERSISTENT} | spec
    owner = sandbox(generation=2, **fields)
    slept = {"asleep": {"since": written(NOW - HOUR), "cause": "Idle", "generation": generation}}

    assert life_of(observe(owner, status=slept), NOW).phase is phase


def test_it_expires_after_its_time_to_live() -> None:
    waits = life(lifecycle={"ttl": "24h", "idleTimeout": "0s"})

    assert (waits.phase, waits.expires_at) == (Phase.AWAKE, CREATED + 24 * HOUR)
    assert life(now=CREATED + 24 * HOUR, lifecycle={"ttl": "24h"}).phase is Phase.ENDED


def test_it_expires_a_while_after_it_fell_asleep_whatever_its_pod_does() -> None:
    spec: Json = {"lifecycle": {"deleteAfterSleep": "1h", "ttl": "24h"}}

    assert life(asleep(since=NOW - HOUR), runs=False, **spec).phase is Phase.ENDED
    assert life(asleep(since=NOW - MINUTE), runs=False, **spec).expires_at == NOW + 59 * MINUTE
    assert life(**spec).expires_at == CREATED + 24 * HOUR


def test_a_clock_that_is_set_back_brings_nothing_back_but_a_longer_life_does() -> None:
    expired = {
        "expiresAt": written(CREATED + HOUR),
        "conditions": [{"type": "Ready", "status": "True", "reason": "Expired"}],
    }

    assert life(expired, NOW, runs=False, lifecycle={"ttl": "1h"}).phase is Phase.ENDED
    assert life(expired, CREATED + 2 * HOUR, runs=False, lifecycle={"ttl": "48h"}).phase is Phase.AWAKE


def test_a_deadline_far_away_is_looked_at_again_and_again() -> None:
    assert life(runs=False, lifecycle={"ttl": "720h"}).look_again == NOW + LONGEST_WAIT


@given(st.text() | st.datetimes(timezones=st.timezones()).map(datetime.isoformat))
def test_whatever_clients_write_is_a_time_with_a_zone_or_nothing(said: str) -> None:
    used = time_of_use(said)

    assert used is None or used.tzinfo is not None
