"""Rounds become rows: percentiles that were really measured, medians over rounds, ratios of rounds side by side."""

import pytest

from benchmark.generator import Timing
from benchmark.objects import sandboxes, unguarded
from benchmark.results import Results, row_of
from benchmark.rounds import Half, Round
from benchmark.scenarios import SCENARIOS, Scenario
from benchmark.statistics import middle, percentile

BURST = Scenario("burst-100", "burst", 100)


def half(seconds: float, *, arrived: int = 100, cpu: float = 0.0) -> Half:
    used = {"operator": cpu, "apiserver": 10 * cpu}
    return Half(Timing(100, [0.5] * arrived, seconds), used, peak_memory=88_000_000)


def created(seconds: float, *, arrived: int = 100, cpu: float = 0.0) -> Round:
    return Round(half(seconds, arrived=arrived, cpu=cpu), half(1.0))


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.5, 5.0), (0.9, 9.0), (0.99, 10.0), (0.0, 1.0), (1.0, 10.0)],
)
def test_a_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    shuffled = [7.0, 1.0, 10.0, 3.0, 5.0, 2.0, 9.0, 4.0, 8.0, 6.0]

    assert percentile(shuffled, share) == expected


def test_nothing_measured_has_no_percentile_and_no_median() -> None:
    assert percentile([], 0.5) is None
    assert middle([None, None]) is None
    assert middle([3.0, None, 1.0]) == 2.0


def test_a_row_shows_the_median_round_and_the_median_of_the_ratios() -> None:
    raw = [created(1.0), created(2.0), created(0.5)]
    ours = [created(2.0, cpu=0.4), created(2.5, cpu=0.3), created(2.0, cpu=0.5)]

    row = row_of(BURST, "sandbox", ours, raw)

    assert row.per_second == 50.0
    assert row.rate_ratio == 0.5  # of 0.5, 0.8 and 0.25: each beside the raw pods of its own round
    assert row.cpu_ms == {"operator": 4.0, "apiserver": 40.0}
    assert row.memory_mb == 88.0


def test_raw_pods_are_not_compared_with_themselves_and_need_no_operator() -> None:
    row = row_of(BURST, "raw pod", [created(1.0)], [created(1.0)])

    assert (row.rate_ratio, row.p50_ratio, row.memory_mb) == (None, None, None)


def test_too_few_objects_tell_nothing_about_the_cpu_time_of_one() -> None:
    row = row_of(Scenario("burst-1", "burst", 1), "sandbox", [created(1.0, cpu=0.4)], [])

    assert row.cpu_ms == {}


def test_policies_are_judged_by_rounds_side_by_side() -> None:
    results = Results(environment={})
    for seconds in (2.0, 1.0, 1.25):
        results.add(BURST, "sandbox", created(seconds, cpu=0.12))
        results.add(BURST, "sandbox, no policies", created(1.0, cpu=0.1))

    (cost,) = results.policy_costs()

    assert (cost.scenario, cost.count, cost.guarded, cost.unguarded) == ("burst", 100, 80.0, 100.0)
    assert cost.rate_ratio == 0.8  # of 0.5, 1 and 0.8
    assert cost.cpu_ratio == pytest.approx(1.2)


def test_policies_are_not_judged_where_sandboxes_were_measured_with_them_alone() -> None:
    results = Results(environment={})
    results.add(BURST, "sandbox", created(1.0))

    assert results.policy_costs() == []


def test_what_never_ran_is_named_in_the_result() -> None:
    results = Results(environment={})

    results.add(BURST, "sandbox", created(1.0, arrived=97))

    assert results.unconverged == ["burst-100, sandbox: 97 of 100 Running"]
    assert results.rows()[0].arrived == 97


def test_a_round_in_which_nothing_arrived_still_has_a_row() -> None:
    stuck = Round(half(0.0, arrived=0), half(1.0))

    row = row_of(BURST, "sandbox", [stuck], [created(1.0)])

    assert (row.p50, row.p99, row.per_second) == (None, None, 0.0)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_object_is_ever_called_like_another(scenario: Scenario) -> None:
    series = (target.series for target in (sandboxes(), unguarded(sandboxes())))
    keys = [key for each in series for number in range(3) for key in scenario.keys(number, each)]

    assert len(set(keys)) == 6 * scenario.count
    assert len({key.namespace for key in keys}) == min(scenario.namespaces, scenario.count)
