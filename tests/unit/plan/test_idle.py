"""Since when a sandbox is idle: told by measurements alone, over restarts, gaps, and clocks that were set."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.plan.idle import IdleRule, Recorded, Sample, Track, Usage, follow, idle_since, look_again, record

RULE = IdleRule(threshold=0.02, interval=timedelta(minutes=1))
TIMEOUT = timedelta(minutes=15)
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PERIOD = 60.0
NODE_AHEAD = 1e9
"""Clocks of nodes and of our process have nothing to do with each other."""


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def followed(*cores: float, track: Track | None = None, start: float = 0.0) -> Track:
    """Follow a pod through minutes in which it used so many cores on average."""
    track = track or follow(None, Sample(NODE_AHEAD, 5.0), start, RULE)
    for used in cores:
        sample = Sample(track.sample.at + PERIOD, track.sample.cpu_seconds + used * PERIOD)
        track = follow(track, sample, track.heard + PERIOD, RULE)
    return track


def usage(measured: float = 10.0, first: float = 0.0, busy: float | None = None, **cpu: float) -> Usage:
    """Measurements with times in minutes after noon."""
    return Usage(
        measured_at=at(measured),
        cpu_seconds=cpu.get("cpu", 20.0),
        first_at=at(first),
        first_cpu_seconds=cpu.get("first_cpu", 10.0),
        busy_at=None if busy is None else at(busy),
        busy_cpu_seconds=cpu.get("busy_cpu", 15.0),
    )


def since(
    seen: Usage | None, recorded: Recorded | None = None, now: float = 10.0, started: float = -600.0
) -> float | None:
    """Minutes after noon since which a sandbox is idle."""
    found = idle_since(seen, recorded, at(started), at(now), rule=RULE, timeout=TIMEOUT)
    return None if found is None else (found - NOON) / timedelta(minutes=1)


def test_a_pod_is_idle_once_it_was_measured_twice_and_did_nothing() -> None:
    assert not followed().idle
    assert followed(0.001).idle


def test_what_exceeds_the_threshold_is_work_and_what_reaches_it_is_not() -> None:
    assert followed(0.019).idle
    assert not followed(0.021).idle
    assert followed(0.021).busy == PERIOD


def test_one_minute_of_work_makes_idleness_begin_anew() -> None:
    track = followed(0.001, 0.5, 0.001, 0.001)

    assert track.idle
    assert track.busy == 2 * PERIOD
    assert track.busy_cpu_seconds == 5.0 + 0.501 * PERIOD


def test_traffic_is_work_even_where_it_costs_no_cpu() -> None:
    quiet = followed(0.001)
    sample = Sample(quiet.sample.at + PERIOD, quiet.sample.cpu_seconds)

    talked = follow(quiet, sample, quiet.heard + PERIOD, RULE, traffic=quiet.heard + 10)

    assert not talked.idle
    assert talked.busy == talked.heard
    # The same traffic is no work twice.
    later = Sample(sample.at + PERIOD, sample.cpu_seconds)
    assert follow(talked, later, talked.heard + PERIOD, RULE, traffic=quiet.heard + 10).idle


def test_traffic_that_the_first_measurement_finds_is_no_work_after_it() -> None:
    first = follow(None, Sample(NODE_AHEAD, 5.0), 100.0, RULE, traffic=50.0)

    assert follow(first, Sample(NODE_AHEAD + PERIOD, 5.0), 160.0, RULE, traffic=50.0).idle


def test_traffic_while_nobody_measured_ends_the_idleness_that_was_recorded() -> None:
    recorded = Recorded(at(-30), 10.0)

    assert since(usage(), recorded) == -30.0
    assert since(replace(usage(), traffic_at=at(-40)), recorded) == -30.0
    assert since(replace(usage(), traffic_at=at(-20)), recorded) == 0.0


def test_a_kubelet_that_has_not_looked_again_says_nothing_new() -> None:
    track = followed(0.001)

    assert follow(track, track.sample, track.heard + PERIOD, RULE) is track


def test_a_counter_that_goes_back_begins_anew() -> None:
    track = followed(0.5, 0.001)
    again = follow(track, Sample(track.sample.at + PERIOD, 0.1), track.heard + PERIOD, RULE)

    assert not again.idle
    assert (again.first, again.first_cpu_seconds) == (again.heard, 0.1)
    assert followed(0.001, track=again).idle


def test_a_gap_in_which_anything_may_have_happened_begins_anew() -> None:
    track = followed(0.001)
    later = RULE.fresh.total_seconds() + 1
    again = follow(track, Sample(track.sample.at + later, track.sample.cpu_seconds + 1), track.heard + later, RULE)

    assert not again.idle
    assert again.first == again.heard


def test_a_node_whose_clock_jumps_ahead_does_not_hide_work() -> None:
    track = followed(0.001)
    work = track.sample.cpu_seconds + 10
    again = follow(track, Sample(track.sample.at + 3600, work), track.heard + PERIOD, RULE)

    assert again.busy == again.heard


def test_a_node_whose_clock_goes_back_begins_anew() -> None:
    track = followed(0.001)
    again = follow(track, Sample(track.sample.at - 3600, track.sample.cpu_seconds), track.heard + PERIOD, RULE)

    assert not again.idle
    assert followed(0.001, track=again).idle


class Pod:
    """A pod whose measurements are hampered, and what it really did."""

    def __init__(self) -> None:
        self.now, self.clock, self.total = 0.0, NODE_AHEAD, 0.0
        self.track = follow(None, Sample(self.clock, self.total), self.now, RULE)
        self.minutes: list[float] = []

    def live(self, cores: float, trouble: str) -> None:
        """Let a minute pass."""
        self.now, self.clock = self.now + PERIOD, self.clock + PERIOD
        self.minutes.append(cores)
        if trouble == "counter" and cores * PERIOD < self.track.sample.cpu_seconds:
            self.total = 0.0
        self.total += cores * PERIOD
        self.clock += {"ahead": 7200.0, "back": -7200.0}.get(trouble, 0.0)
        if trouble != "missing":
            self.track = follow(self.track, Sample(self.clock, self.total), self.now, RULE)

    def used_since(self, began: float) -> float:
        """CPU seconds from then to the last measurement."""
        first, last = round(began / PERIOD), round(self.track.heard / PERIOD)
        return PERIOD * sum(self.minutes[first:last])


TROUBLE = st.sampled_from(["", "", "missing", "ahead", "back", "counter"])


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.01, 0.019, 0.05, 1.0]), TROUBLE), max_size=40))
def test_whatever_hampers_measuring_who_is_called_idle_has_used_little_since(minutes: list[tuple[float, str]]) -> None:
    pod = Pod()
    for minute in minutes:
        pod.live(*minute)
        track = pod.track
        began = max(track.first, track.busy or 0.0)
        # A node's clock may hide half a minute in each.
        assert pod.used_since(began) <= 1.5 * RULE.threshold * (track.heard - began) + 1e-6
        assert track.idle == (track.heard > began)


def test_nothing_is_known_without_a_measurement_or_after_the_first_or_from_an_old_one() -> None:
    assert since(None) is None
    assert since(usage(measured=0.0), now=0.0) is None
    assert since(usage(measured=4.0)) is None
    assert since(usage(measured=5.0)) == 0.0


def test_who_works_is_not_idle_and_who_has_worked_is_idle_since_then() -> None:
    assert since(usage(busy=10.0)) is None
    assert since(usage(busy=7.0)) == 7.0
    assert since(usage(first=3.0)) == 3.0


def test_nobody_is_idle_since_before_the_pod_started_or_in_the_future() -> None:
    assert since(usage(), started=2.0) == 2.0
    assert since(usage(measured=11.0, first=10.5)) == 10.0


def test_a_restart_goes_on_from_what_was_recorded() -> None:
    quiet = Recorded(at(-5), 9.9)

    assert since(usage(), quiet) == -5.0
    # The first measurement is enough to go on from.
    assert since(usage(measured=0.0), quiet, now=0.0) == -5.0


def test_a_restart_does_not_go_on_where_something_was_done_meanwhile() -> None:
    most = RULE.threshold * 5 * 60

    assert since(usage(), Recorded(at(-5), 10.0 - 0.99 * most)) == -5.0
    assert since(usage(), Recorded(at(-5), 10.0 - 1.01 * most)) == 0.0
    assert since(usage(), Recorded(at(-5), 10.1)) == 0.0


def test_a_long_absence_explains_no_more_than_one_timeout_of_idleness() -> None:
    most = RULE.threshold * TIMEOUT.total_seconds()

    assert since(usage(), Recorded(at(-300), 10.0 - 0.99 * most)) == -300.0
    assert since(usage(), Recorded(at(-300), 10.0 - 1.01 * most)) == 0.0


def test_what_was_recorded_of_another_pod_or_in_the_future_does_not_count() -> None:
    assert since(usage(), Recorded(at(-5), 9.9), started=-2.0) == 0.0
    assert since(usage(), Recorded(at(60), 9.9)) == 0.0
    assert since(usage(busy=3.0), Recorded(at(-5), 9.9)) == 3.0


RECORDED = st.none() | st.builds(Recorded, st.floats(-900, 900).map(at), st.floats(0, 100))
USAGE = st.builds(
    lambda first, quiet, idle, cpu: usage(
        measured=first + quiet + idle, first=first, busy=first + quiet if quiet else None, first_cpu=cpu
    ),
    st.floats(-100, 10), st.just(0.0) | st.floats(0.1, 50), st.floats(0, 50), st.floats(0, 100),
)  # fmt: skip


@given(USAGE, RECORDED, st.floats(-900, 60), st.floats(-100, 200))
def test_idleness_is_never_longer_than_was_measured_or_recorded(
    seen: Usage, recorded: Recorded | None, started: float, now: float
) -> None:
    found = idle_since(seen, recorded, at(started), at(now), rule=RULE, timeout=TIMEOUT)

    if found is None:
        return
    assert at(now) - seen.measured_at <= RULE.fresh
    assert found <= at(now)
    if started <= now:
        assert found >= at(started)
    if seen.busy_at is not None:
        assert found >= min(seen.busy_at, at(now))
    if recorded is None or recorded.since > found:
        assert found >= min(seen.first_at, at(now))


def recorded_after(
    seen: Usage | None, before: Recorded | None = None, now: float = 10.0, started: float = -600.0
) -> Recorded | None:
    quiet = idle_since(seen, before, at(started), at(now), rule=RULE, timeout=TIMEOUT)
    return record(seen, quiet, before, at(started), at(now), rule=RULE, timeout=TIMEOUT)


def test_a_third_of_the_timeout_is_worth_a_record_and_less_is_not() -> None:
    assert recorded_after(usage(measured=4.9), now=4.9) is None
    assert recorded_after(usage(measured=5.0), now=5.0) == Recorded(at(0), 10.0)
    assert recorded_after(usage(busy=4.0)) == Recorded(at(4), 15.0)
    assert recorded_after(usage(busy=6.0)) is None


def test_a_record_stays_as_it_is_while_nothing_is_done() -> None:
    first = recorded_after(usage(measured=5.0), now=5.0)

    assert recorded_after(usage(measured=14.0), first, now=14.0) is first


def test_a_record_in_whole_seconds_is_still_the_same() -> None:
    for seen in (usage(first=0.9913), usage(busy=0.9913)):
        noted = recorded_after(seen)
        assert noted
        written = replace(noted, since=noted.since.replace(microsecond=0))

        assert written != noted
        assert recorded_after(seen, written) is written


def test_a_record_ends_with_idleness() -> None:
    before = Recorded(at(0), 10.0)

    assert recorded_after(usage(busy=10.0), before) is None
    assert recorded_after(usage(busy=9.0), before) is None
    assert recorded_after(usage(first_cpu=99.0), Recorded(at(-5), 10.0), now=4.0) is None


def test_a_record_waits_for_the_first_measurement_after_a_restart() -> None:
    before = Recorded(at(0), 10.0)

    assert recorded_after(None, before) is before
    assert recorded_after(usage(measured=2.0), before) is before
    assert recorded_after(None, before, started=1.0) is None


@given(USAGE, st.floats(0, 200))
def test_what_is_recorded_is_what_the_next_process_goes_on_from(seen: Usage, now: float) -> None:
    noted = recorded_after(seen, now=now)
    if noted is None:
        return
    next_one = usage(measured=now, first=now, first_cpu=noted.cpu_seconds)

    assert idle_since(next_one, noted, at(-600), at(now), rule=RULE, timeout=TIMEOUT) == noted.since
    assert recorded_after(next_one, noted, now=now) is noted


def test_it_is_looked_again_when_a_record_is_due_and_when_sleep_is() -> None:
    assert look_again(at(0), None, TIMEOUT) == at(5)
    assert look_again(at(0), Recorded(at(0), 1.0), TIMEOUT) == at(15)
