"""What a schedule makes, when, and what it says of it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from sandkeeper.api.sandbox import Sandbox
from sandkeeper.plan.idle import Usage
from sandkeeper.plan.lifecycle import LONGEST_WAIT
from sandkeeper.plan.pod_state import PodState, written
from sandkeeper.plan.sandbox import Plan
from sandkeeper.plan.schedule import jitter_share, scheduled_snapshot
from sandkeeper.plan.writes import Create, Delete, merge_patch
from unit.fakes.merge import apply_merge_patch
from unit.fakes.objects import NOW, RUNNING, Json, claim_of, observe, plan, pod_of, sandbox
from unit.fakes.schedules import copied

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
PERIOD = 10 * MINUTE
WISH: Json = {"schedule": "*/10 * * * *"}
SLEEPS: Json = {"state": "Sleeping"}
RUNS: Json = {**RUNNING, "startTime": written(NOW)}


def own(**spec: Any) -> Sandbox:
    """Make a sandbox that was created with a schedule just before twelve o'clock."""
    return sandbox(**({"snapshots": WISH, "workspace": {"type": "Persistent"}} | spec))


class Story:
    """One sandbox whose passes follow each other; what they write is there for the next one."""

    def __init__(self, **spec: Any) -> None:
        self.owner = own(**spec)
        self.status: Json = {}
        self.snapshots: list[Json] = []
        self.known: Json = {"pod": pod_of(self.owner, RUNS)}

    def look(self, now: datetime, **known: Any) -> Plan:
        """Run one pass."""
        copies = {"snapshots": tuple(self.snapshots), "copied_claim": "sbx-a" if self.snapshots else ""}
        found = plan(self.owner, now, **{**self.known, "status": self.status, **copies, **known})
        self.status = apply_merge_patch(self.status, found.status)
        return found

    def change(self, **spec: Any) -> None:
        """Give it another spec."""
        self.owner = sandbox(generation=2, **spec)

    def sleep(self, since: datetime) -> None:
        """Let it have fallen asleep."""
        self.change(snapshots=WISH, lifecycle=SLEEPS)
        self.known = {"pod": None}
        self.status["asleep"] = {"since": written(since), "cause": "Requested", "generation": 2}

    @property
    def told(self) -> Json:
        return dict(self.status["snapshots"])

    @property
    def condition(self) -> tuple[str, str, str]:
        (found,) = (each for each in self.status["conditions"] if each["type"] == "SnapshotsUpToDate")
        return found["status"], found["reason"], found["message"]


def made(found: Plan) -> list[str]:
    return [write.obj["metadata"]["name"] for write in found.copies if isinstance(write, Create)]


def deleted(found: Plan) -> list[str]:
    return [write.child["metadata"]["name"] for write in found.copies if isinstance(write, Delete)]


def test_the_first_run_after_its_creation_is_made() -> None:
    story = Story()

    before, after = story.look(NOW), story.look(NOW + 11 * MINUTE)

    # It was created two seconds before twelve.
    assert made(before) == []
    assert made(after) == ["a-20260301-1210"]


def test_a_snapshot_is_one_of_the_sandbox_that_outlives_it() -> None:
    found = Story().look(NOW + 11 * MINUTE)

    (create,) = found.copies
    assert create == Create(
        {
            "apiVersion": "sandkeeper.dev/v1alpha1",
            "kind": "SandboxSnapshot",
            "metadata": {
                "name": "a-20260301-1210",
                "namespace": "team",
                "labels": {
                    "sandkeeper.dev/managed": "true",
                    "sandkeeper.dev/sandbox": "a",
                    "sandkeeper.dev/scheduled": "true",
                },
            },
            "spec": {"sandboxRef": {"name": "a"}},
        }
    )


def test_the_status_tells_what_was_made_and_what_comes() -> None:
    story = Story()
    story.look(NOW + 11 * MINUTE)

    assert story.told == {
        "schedule": "*/10 * * * * UTC",
        "since": "2026-03-01T11:59:58Z",
        "lastScheduleTime": "2026-03-01T12:10:00Z",
        "lastSnapshotName": "a-20260301-1210",
        "nextScheduleTime": "2026-03-01T12:20:00Z",
    }
    assert story.condition == ("True", "Scheduled", "Copies are made as the schedule asks.")


def test_it_looks_again_when_the_next_run_is_due_and_writes_nothing_meanwhile() -> None:
    story = Story()
    story.look(NOW + 11 * MINUTE)
    story.snapshots = [copied(NOW + PERIOD)]

    found = story.look(NOW + 12 * MINUTE)

    assert (found.copies, found.status) == ((), {})
    assert found.look_again == NOW + 2 * PERIOD + jitter_share(story.owner) * timedelta(seconds=30)


def test_a_run_far_away_is_looked_at_before_for_the_clock_may_be_set() -> None:
    assert Story(snapshots={"schedule": "@yearly"}).look(NOW).look_again == NOW + LONGEST_WAIT


@pytest.mark.parametrize("reason", ["Ready", "Copying", ""])
def test_a_run_is_made_once_though_its_status_was_never_written(reason: str) -> None:
    story = Story()
    story.look(NOW)
    lost = dict(story.status)
    story.look(NOW + 11 * MINUTE)
    story.status, story.snapshots = lost, [copied(NOW + PERIOD, reason)]

    found = story.look(NOW + 12 * MINUTE)

    assert made(found) == []
    assert story.told["lastScheduleTime"] == "2026-03-01T12:10:00Z"


def test_missed_runs_are_caught_up_once() -> None:
    story = Story()
    story.look(NOW)

    first, second = story.look(NOW + 5 * HOUR + MINUTE), story.look(NOW + 5 * HOUR + 2 * MINUTE)

    assert (made(first), made(second)) == (["a-20260301-1700"], [])


def test_a_sandbox_that_was_created_while_nobody_looked_is_caught_up() -> None:
    assert made(Story().look(NOW + 24 * HOUR + MINUTE)) == ["a-20260302-1200"]


@pytest.mark.parametrize("wish", [{"schedule": "*/5 * * * *"}, {**WISH, "timeZone": "Asia/Kathmandu"}])
def test_a_changed_schedule_does_not_count_runs_before(wish: Json) -> None:
    story = Story()
    story.look(NOW + 11 * MINUTE)
    story.snapshots = [copied(NOW + PERIOD)]
    story.change(snapshots=wish)

    found = story.look(NOW + 19 * MINUTE)

    assert made(found) == []
    assert story.told["since"] == "2026-03-01T12:19:00Z"
    assert story.told["lastSnapshotName"] == "a-20260301-1210"


def test_a_schedule_that_was_added_does_not_count_runs_before() -> None:
    story = Story(snapshots=None)
    story.look(NOW)
    assert "snapshots" not in story.status
    story.change(snapshots=WISH)

    assert made(story.look(NOW + 19 * MINUTE)) == []
    assert made(story.look(NOW + 21 * MINUTE)) == ["a-20260301-1220"]


def test_a_schedule_that_is_taken_away_leaves_no_word() -> None:
    story = Story()
    story.look(NOW + 11 * MINUTE)
    story.change()
    story.look(NOW + 12 * MINUTE)

    assert "snapshots" not in story.status
    assert "SnapshotsUpToDate" not in {each["type"] for each in story.status["conditions"]}


@pytest.mark.parametrize("reason", ["Copying", ""])
def test_nothing_is_made_while_one_is_on_its_way(reason: str) -> None:
    story = Story()
    story.look(NOW + 11 * MINUTE)
    story.snapshots = [copied(NOW + PERIOD, reason)]

    while_copying = [story.look(NOW + 21 * MINUTE), story.look(NOW + 31 * MINUTE)]
    assert [(made(each), each.status) for each in while_copying] == [([], {}), ([], {})]

    story.snapshots = [copied(NOW + PERIOD)]
    assert made(story.look(NOW + 32 * MINUTE)) == ["a-20260301-1230"]


def test_a_copy_that_holds_up_a_run_for_an_hour_is_told_once_and_heals() -> None:
    story = Story()
    story.look(NOW + 11 * MINUTE)
    story.snapshots = [copied(NOW + PERIOD, "Copying")]
    waiting = story.look(NOW + 21 * MINUTE)
    assert story.condition[0] == "True"
    assert waiting.look_again == NOW + 21 * MINUTE + LONGEST_WAIT

    told = story.look(NOW + 2 * PERIOD + HOUR)
    assert told.look_again is None
    assert story.condition == (
        "False",
        "Delayed",
        "The run of 2026-03-01T12:20:00Z waits for SandboxSnapshot a-20260301-1210: It is told.",
    )
    assert story.look(NOW + 3 * HOUR).status == {}

    story.snapshots = [copied(NOW + PERIOD)]
    assert made(story.look(NOW + 3 * HOUR + MINUTE)) == ["a-20260301-1500"]
    assert story.condition[0] == "True"


def test_a_pod_that_does_not_end_for_an_hour_holds_up_the_schedule_and_that_is_told() -> None:
    story = Story()
    story.look(NOW)
    story.sleep(NOW + 9 * MINUTE)
    ending = pod_of(story.owner, RUNS, deletionTimestamp=written(NOW + 10 * MINUTE))
    for now in (NOW + 11 * MINUTE, NOW + PERIOD + HOUR):
        assert made(story.look(now, pod=ending)) == []

    assert story.condition[1:] == ("Delayed", "The run of 2026-03-01T12:00:00Z waits for the sandbox's pod to end.")


def test_a_snapshot_of_somebody_does_not_hold_up_the_schedule() -> None:
    by_hand = copied(NOW + 11 * MINUTE, "Copying")
    del by_hand["metadata"]["labels"]["sandkeeper.dev/scheduled"]
    story = Story()
    story.snapshots = [by_hand]

    assert made(story.look(NOW + 12 * MINUTE)) == ["a-20260301-1210"]


def test_an_expired_sandbox_is_not_copied_and_keeps_its_copies() -> None:
    story = Story(snapshots={**WISH, "keepLast": 1}, lifecycle={"ttl": "5m"})
    story.snapshots = [copied(NOW), copied(NOW + MINUTE)]

    assert story.look(NOW + 21 * MINUTE).copies == ()


def test_before_there_is_a_workspace_nothing_is_copied() -> None:
    story = Story(lifecycle=SLEEPS)
    story.known = {"pod": None, "claim": None}

    assert made(story.look(NOW + 11 * MINUTE)) == []
    assert story.told["skipped"] == "There is no workspace to copy yet."


def test_one_that_sleeps_is_copied_once_and_then_costs_nothing() -> None:
    story = Story()
    story.look(NOW)
    story.sleep(NOW + MINUTE)

    assert made(story.look(NOW + 11 * MINUTE)) == ["a-20260301-1210"]
    story.snapshots = [copied(NOW + PERIOD)]
    told = story.look(NOW + 21 * MINUTE)
    later = [story.look(NOW + hours * HOUR) for hours in range(1, 5)]

    assert made(told) == []
    assert story.told["skipped"] == "Nothing ran in it since SandboxSnapshot a-20260301-1210 was made."
    assert "nextScheduleTime" not in story.told
    assert [(each.copies, each.status, each.look_again) for each in later] == [((), {}, None)] * 4


def test_what_its_pod_does_on_its_way_to_sleep_is_in_the_copy() -> None:
    story = Story()
    story.look(NOW)
    story.sleep(NOW + 9 * MINUTE)
    ending = pod_of(story.owner, RUNS, deletionTimestamp=written(NOW + 11 * MINUTE))

    assert made(story.look(NOW + 11 * MINUTE, pod=ending)) == []
    assert made(story.look(NOW + 12 * MINUTE)) == ["a-20260301-1210"]


def test_one_that_can_not_fall_asleep_is_copied_all_the_same() -> None:
    story = Story()
    story.look(NOW)
    story.change(snapshots=WISH, lifecycle=SLEEPS)

    assert made(story.look(NOW + 11 * MINUTE)) == ["a-20260301-1210"]


def test_one_that_was_copied_before_it_fell_asleep_is_copied_once_more() -> None:
    story = Story()
    story.look(NOW + 11 * MINUTE)
    story.snapshots = [copied(NOW + PERIOD)]
    story.sleep(NOW + 12 * MINUTE)

    assert made(story.look(NOW + 21 * MINUTE)) == ["a-20260301-1220"]


def test_runs_that_had_nothing_to_copy_are_not_caught_up_when_it_wakes() -> None:
    story = Story()
    story.look(NOW)
    story.sleep(NOW + MINUTE)
    story.look(NOW + 11 * MINUTE)
    story.snapshots = [copied(NOW + PERIOD)]
    story.look(NOW + 21 * MINUTE)
    story.change(snapshots=WISH)
    woken = NOW + 3 * HOUR + MINUTE
    story.known = {"pod": pod_of(story.owner, RUNS, creationTimestamp=written(woken))}

    assert made(story.look(woken + MINUTE)) == []
    assert "skipped" not in story.told
    assert story.told["lastScheduleTime"] == "2026-03-01T15:00:00Z"
    assert made(story.look(woken + PERIOD)) == ["a-20260301-1510"]


def test_a_workspace_that_was_made_anew_is_copied() -> None:
    story = Story()
    story.look(NOW)
    story.sleep(NOW + MINUTE)
    story.snapshots = [copied(NOW + PERIOD)]
    rolled_back = claim_of(story.owner, created=NOW + 15 * MINUTE)

    assert made(story.look(NOW + 21 * MINUTE, claim=rolled_back)) == ["a-20260301-1220"]


def test_a_workspace_that_was_asked_for_before_the_last_copy_and_came_after_it_is_copied() -> None:
    story = Story()
    story.look(NOW)
    story.sleep(NOW + MINUTE)
    story.snapshots = [copied(NOW + PERIOD)]
    rolled_back = claim_of(story.owner, created=NOW + 9 * MINUTE, name="sbx-a-12345678")

    assert made(story.look(NOW + 21 * MINUTE, claim=rolled_back)) == ["a-20260301-1220"]


def idle(since: datetime, now: datetime) -> Json:
    """Measurements of a pod that did nothing after a moment, and what the status says of them."""
    usage = Usage(now, 1.0, NOW, 0.5, busy_at=since, busy_cpu_seconds=1.0)
    return {"usage": usage}


def test_one_that_does_nothing_is_not_copied_again() -> None:
    story = Story(lifecycle={"idleTimeout": "8h"})
    story.look(NOW + 11 * MINUTE)
    story.snapshots = [copied(NOW + PERIOD)]

    found = story.look(NOW + 21 * MINUTE, **idle(NOW + MINUTE, NOW + 21 * MINUTE))

    assert made(found) == []
    assert story.told["skipped"] == "Nothing was done in it since SandboxSnapshot a-20260301-1210 was begun."


@pytest.mark.parametrize("worked", [11 * MINUTE, 20 * MINUTE])
def test_one_that_worked_after_its_last_copy_is_copied(worked: timedelta) -> None:
    story = Story(lifecycle={"idleTimeout": "8h"})
    story.look(NOW + 11 * MINUTE)
    story.snapshots = [copied(NOW + PERIOD)]

    found = story.look(NOW + 21 * MINUTE, **idle(NOW + worked, NOW + 21 * MINUTE))

    assert made(found) == ["a-20260301-1220"]


@pytest.mark.parametrize("timeout", ["8h", "0s"])
def test_where_nobody_knows_it_is_copied(timeout: str) -> None:
    story = Story(lifecycle={"idleTimeout": timeout})
    story.look(NOW + 11 * MINUTE)
    story.snapshots = [copied(NOW + PERIOD)]
    measured = idle(NOW + MINUTE, NOW + 21 * MINUTE) if timeout == "0s" else {}

    assert made(story.look(NOW + 21 * MINUTE, **measured)) == ["a-20260301-1220"]


def test_work_after_long_idleness_is_copied_at_the_next_run() -> None:
    story = Story(lifecycle={"idleTimeout": "8h"})
    story.look(NOW + 11 * MINUTE)
    story.snapshots = [copied(NOW + PERIOD)]
    story.look(NOW + HOUR, **idle(NOW + MINUTE, NOW + HOUR))
    begins = NOW + HOUR + 6 * MINUTE

    assert made(story.look(begins, **idle(begins, begins))) == []
    assert story.told["lastScheduleTime"] == "2026-03-01T13:00:00Z"
    assert made(story.look(NOW + HOUR + 11 * MINUTE)) == ["a-20260301-1310"]


def test_where_measurements_cease_what_may_have_been_done_since_is_copied() -> None:
    story = Story(lifecycle={"idleTimeout": "8h"})
    story.look(NOW + 11 * MINUTE)
    story.snapshots = [copied(NOW + PERIOD)]
    last = NOW + HOUR
    story.look(last, **idle(NOW + MINUTE, last))

    assert made(story.look(last + 21 * MINUTE, **idle(NOW + MINUTE, last))) == ["a-20260301-1320"]


def test_what_the_limits_leave_over_is_deleted_with_or_without_a_schedule() -> None:
    for wish in ({**WISH, "keepLast": 1}, {"keepLast": 1}):
        story = Story(snapshots=wish)
        story.snapshots = [copied(NOW), copied(NOW + MINUTE)]

        assert deleted(story.look(NOW + 2 * MINUTE)) == ["a-20260301-1200"]


def test_it_looks_again_when_a_copy_gets_too_old() -> None:
    story = Story(snapshots={"maxAge": "1h"})
    story.snapshots = [copied(NOW - MINUTE / 60), copied(NOW + MINUTE)]

    assert story.look(NOW + 55 * MINUTE).look_again == NOW + HOUR - MINUTE / 60
    assert deleted(story.look(NOW + HOUR)) == ["a-20260301-1159"]


def test_a_copy_that_failed_is_told_and_does_not_hold_up_the_next() -> None:
    story = Story()
    story.look(NOW + 11 * MINUTE)
    story.snapshots = [copied(NOW + PERIOD, "Failed")]
    ready = story.look(NOW + 12 * MINUTE)

    assert story.condition == ("False", "Failed", "SandboxSnapshot a-20260301-1210: It is told.")
    assert ready.state.ready
    assert made(story.look(NOW + 21 * MINUTE)) == ["a-20260301-1220"]

    story.snapshots.append(copied(NOW + 2 * PERIOD))
    healed = story.look(NOW + 22 * MINUTE)
    assert story.condition[0] == "True"
    assert deleted(healed) == ["a-20260301-1210"]


def test_a_refusal_is_told_and_tried_again() -> None:
    story = Story()
    story.look(NOW)
    refusal = PodState("QuotaExceeded", "The quota is used up.", look_again=NOW + 12 * MINUTE)

    found = story.look(NOW + 11 * MINUTE, snapshot_refusal=refusal)

    assert (made(found), found.look_again) == ([], NOW + 12 * MINUTE)
    assert found.state.ready
    assert story.condition == ("False", "QuotaExceeded", "The quota is used up.")
    assert made(story.look(NOW + 12 * MINUTE)) == ["a-20260301-1210"]
    assert story.condition[0] == "True"


@pytest.mark.parametrize("wish", [{"schedule": "0 0 30 2 *"}, {"schedule": "@daily", "timeZone": "Mars/Phobos"}])
def test_a_schedule_that_can_not_be_read_is_told_and_harms_nothing(wish: Json) -> None:
    story = Story(snapshots={**wish, "keepLast": 1})
    story.snapshots = [copied(NOW), copied(NOW + MINUTE)]

    found = story.look(NOW + HOUR)

    assert found.state.ready
    assert story.condition[:2] == ("False", "InvalidSchedule")
    assert deleted(found) == ["a-20260301-1200"]


def test_sandboxes_wait_for_different_parts_of_the_jitter_each_always_for_the_same() -> None:
    shares = [jitter_share(sandbox(uid=f"uid-{number}")) for number in range(1000)]

    assert shares == [jitter_share(sandbox(uid=f"uid-{number}")) for number in range(1000)]
    assert all(0 <= share < 1 for share in shares)
    assert [sum(part <= 10 * share < part + 1 for share in shares) > 50 for part in range(10)] == [True] * 10


def test_a_long_name_is_cut_and_stays_unique() -> None:
    names = [scheduled_snapshot(sandbox("a" * 51 + last), NOW)["metadata"]["name"] for last in "bc"]

    assert len(set(names)) == 2
    assert [len(name) for name in names] == [52, 52]
    assert all(name.endswith("-20260301-1200") for name in names)


def test_a_run_is_named_by_its_time_in_utc() -> None:
    story = Story(snapshots={"schedule": "0 14 * * *", "timeZone": "Europe/Berlin"})
    story.look(NOW)

    assert made(story.look(NOW + HOUR + MINUTE)) == ["a-20260301-1300"]


def test_without_a_wish_nothing_is_looked_at() -> None:
    found = plan(sandbox(), NOW, pod=pod_of(sandbox(), RUNS), snapshots=(copied(NOW),))

    assert found.copies == ()
    assert merge_patch({}, found.status) == found.status
    assert observe(sandbox()).snapshots == ()
