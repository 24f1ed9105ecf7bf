"""Both sides of the tenants' comparison come to the same sandbox, and the report's ratios are those of each round."""

from collections import Counter

import pytest

from benchmark.audit import Request
from benchmark.generator import Timing
from benchmark.rounds import Half
from benchmark.tenants.arms import counted_by_hand, governed, spelled_out
from benchmark.tenants.fairness import Fairness, Single, made, running
from benchmark.tenants.measure import Comparison, Tenants
from benchmark.tenants.report import comparison_table, fairness_table, writes_table
from sandkeeper.api.policy import SandboxPolicySpec
from sandkeeper.api.resolve import resolve, resolve_lifecycle
from sandkeeper.api.sandbox import SandboxSpec
from sandkeeper.plan.policy import bounded, default_layer, default_lifecycle, policy_denial
from sandkeeper.runtime.resource import Json
from unit.fakes.objects import observe, sandbox

OURS, THEIRS, COUNTED = governed(), spelled_out(), counted_by_hand("sandkeeper-sandbox")
TEMPLATE, POLICY = (each["spec"] for each in OURS.beside)


def spec(of: Json) -> SandboxSpec:
    return SandboxSpec.model_validate(of)


def half(seconds: float, cpu: float = 0.0) -> Half:
    return Half(Timing(300, [0.1] * 300, seconds), {"operator": cpu, "apiserver": 3 * cpu}, 100_000_000)


def test_both_sides_come_to_the_same_sandbox() -> None:
    policy = SandboxPolicySpec.model_validate(POLICY)
    alone = spec(THEIRS.target.template["spec"])
    own = spec(OURS.target.template["spec"])
    lifecycle = resolve_lifecycle(*filter(None, [default_lifecycle(policy)]), spec(TEMPLATE), own)
    defaults = SandboxSpec.model_validate_json(default_layer(POLICY))

    environment = resolve(defaults, spec(TEMPLATE), own)

    assert environment == resolve(alone)
    assert bounded(lifecycle, policy) == resolve_lifecycle(alone)
    assert policy_denial(observe(sandbox(), policy=policy), environment) is None


def test_no_object_of_one_side_is_called_like_one_of_the_other() -> None:
    keys = [key for arm in (OURS, THEIRS, COUNTED) for key in arm.scenario(6, 3).keys(0, arm.target.series)]

    assert len(set(keys)) == 18
    assert len({key.namespace for key in keys}) == 9


def test_quotas_by_hand_bound_what_those_of_the_policy_do() -> None:
    bounds = {each["metadata"]["name"]: set(each["spec"]["hard"]) for each in COUNTED.beside}

    assert COUNTED.target.template == THEIRS.target.template
    assert bounds == {
        "sandkeeper-pods": {"limits.cpu", "limits.memory", "pods"},
        "sandkeeper-objects": {"count/sandboxes.sandkeeper.dev", "count/sandboxsnapshots.sandkeeper.dev"},
    }


def test_a_ratio_is_that_of_rounds_side_by_side() -> None:
    halves = {THEIRS.name: [half(1.0), half(2.0), half(4.0)], OURS.name: [half(1.25), half(2.0, 0.3), half(8.0)]}

    *_, theirs, ours = comparison_table([Comparison(300, 1, halves)]).splitlines()

    assert theirs.startswith("| 300 | 1 | spelled out | 3 | 150.0 | – | ")
    assert ours.startswith("| 300 | 1 | policy, quota, template | 3 | 150.0 | 0.800 | ")


def test_writes_are_told_per_sandbox_and_leases_are_none() -> None:
    status, lease = Request("operator", "patch", "sandboxpolicies/status"), Request("operator", "patch", "leases")
    writes = {THEIRS.name: Counter({lease: 40}), OURS.name: Counter({status: 30, lease: 40})}
    nothing = Comparison(300, 1)

    lines = writes_table(Tenants(nothing, nothing, Fairness(), writes, (0, 0))).splitlines()

    assert lines[2:] == ["| operator: patch sandboxpolicies/status | – | 0.10 |", "| **all** | – | 0.10 |"]


def test_what_a_burst_adds_is_told_apart_for_the_operator_and_the_whole() -> None:
    found = Fairness()
    calm, slow = Single(0.004, 0.01, 0.02), Single(0.008, 0.02, 0.1)
    found.add("sandbox", [calm] * 3, [slow, Single(0.004, 0.03, 0.06), Single(0.008, 0.01, 0.06)], 80.0)
    found.add("sandbox", [calm], [Single(0.008, 0.03, 0.1)], 90.0)

    assert found.times("sandbox", made) == pytest.approx(2.5)
    assert found.times("sandbox", running) == pytest.approx(4.0)
    assert fairness_table(found).splitlines()[-1] == (
        "| sandbox | 1,000 of another tenant, 85 a second | 4 | 8 | 8 | 2.00 | 25 | 30 | 2.50 | 80 | 100 | 4.00 |"
    )


def test_a_raw_pod_is_not_made_by_anybody_else() -> None:
    found = Fairness()
    found.add("raw pod", [Single(0.004, None, 0.01)], [Single(0.004, None, 2.0)], 160.0)

    assert found.times("raw pod", made) is None
    assert fairness_table(found).splitlines()[-2] == "| raw pod | nothing | 1 | 4 | 4 | – | – | – | – | 10 | 10 | – |"
