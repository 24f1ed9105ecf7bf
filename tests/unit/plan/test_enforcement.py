"""What canaries find, and what other policies open, decides whether a pod may be made and what a sandbox says."""

from datetime import timedelta

import pytest

from sandkeeper.api.resolve import resolve
from sandkeeper.api.sandbox import Sandbox
from sandkeeper.canary.attempts import Attempt
from sandkeeper.plan.announcement import newly_opened
from sandkeeper.plan.canary import ALLOWED, FORBIDDEN
from sandkeeper.plan.enforcement import Verdict, broken, current, gate, judge, overturns, unanswered
from sandkeeper.plan.observed import Settings
from sandkeeper.plan.pod import pod_labels
from sandkeeper.plan.sandbox import Plan
from sandkeeper.plan.writes import Create
from unit.fakes.objects import NOW, Json, egress, fence, observe, plan, pod_of, sandbox, told

POD, API, DNS = "a pod's address", "the apiserver's Service", "the cluster's DNS by UDP"
ALL = [POD, "another sandbox", DNS, "the cluster's DNS by TCP", "a kubelet", API]
TRIED = [Attempt(name, "tcp") for name in ALL]
HEALTHY = [POD, DNS, API, "a kubelet"]
REQUIRED = Settings(require_enforcement=True)
VERIFIED = Verdict("Verified", "A canary behind the fence reached nothing; one without it did.")
OPEN = Verdict("NotEnforced", "A canary got through the fence: it reached a kubelet.")
BROKEN = broken("its pod found no node")
HOUR = timedelta(hours=1)
SELECTS_ALL: Json = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}


def policy(name: str, spec: Json, **annotations: str) -> Json:
    """Make somebody's NetworkPolicy, as the store keeps it."""
    metadata = {"name": name, "namespace": "team", "uid": f"uid-{name}", "annotations": annotations}
    return {"kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


BLESSED = policy("vpn", SELECTS_ALL, **{"sandkeeper.dev/widens-sandboxes": "true"})
STRAY = policy("allow-all", SELECTS_ALL)


@pytest.mark.parametrize(
    ("control", "fenced", "result", "words"),
    [
        (HEALTHY, [], "Verified", "reached nothing"),
        ([POD, "the cluster's DNS by TCP", API], [], "Verified", "reached nothing"),
        (HEALTHY, ["a kubelet"], "NotEnforced", "it reached a kubelet. Install"),
        (HEALTHY, [API, POD, DNS], "NotEnforced", f"it reached {POD}, {DNS} and {API}. Install"),
        ([*HEALTHY, "another sandbox"], [], "NotEnforced", "it reached a sandbox from outside. Install"),
        ([], [POD], "NotEnforced", f"it reached {POD}"),
        ([], [], "CanaryBroken", f"could not reach {POD}, {API} and the cluster's DNS either"),
        ([POD, API], [], "CanaryBroken", "could not reach the cluster's DNS either"),
        ([DNS, API], [], "CanaryBroken", f"could not reach {POD} either"),
        ([POD, DNS], [], "CanaryBroken", f"could not reach {API} either"),
    ],
)
def test_both_halves_of_a_canary_make_a_verdict(control: list[str], fenced: list[str], result: str, words: str) -> None:
    verdict = judge(TRIED, control, fenced)

    assert verdict.result == result
    assert words in verdict.message


@pytest.mark.parametrize(
    ("fenced", "result", "words"),
    [
        ([ALLOWED], "Verified", "reached nothing but a domain that is allowed"),
        ([], "CanaryBroken", "the egress gateway has no address for a domain that is allowed either"),
        ([ALLOWED, FORBIDDEN], "NotEnforced", "it reached a domain that is not allowed. Install"),
        ([ALLOWED, POD], "NotEnforced", f"it reached {POD}. Install"),
    ],
)
def test_a_gateway_lets_a_canary_reach_what_it_is_allowed_and_nothing_else(
    fenced: list[str], result: str, words: str
) -> None:
    tried = [*TRIED, Attempt(ALLOWED, "name", patience=1.0), Attempt(FORBIDDEN, "name"), Attempt(FORBIDDEN, "tls")]

    verdict = judge(tried, HEALTHY, fenced)

    assert verdict.result == result
    assert words in verdict.message


def test_two_ways_of_one_name_are_told_once() -> None:
    tried = [Attempt("a kubelet", "tcp", "192.0.2.1", 10250), Attempt("a kubelet", "tcp", "192.0.2.2", 10250)]

    assert "it reached a kubelet." in judge(tried, HEALTHY, ["a kubelet"]).message


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({}, None),
        ({"result": "Verified", "message": "m", "at": "2026-03-01T11:00:00Z"}, Verdict("Verified", "m")),
        ({"result": "Verified", "message": "m", "at": "2026-03-01T10:00:00Z"}, Verdict("Verified", "m")),
        ({"result": "Verified", "message": "m", "at": "2026-03-01T09:59:59Z"}, None),
        ({"result": "Fine", "message": "m", "at": "2026-03-01T11:00:00Z"}, None),
        ({"result": "Verified", "message": "m", "at": "yesterday"}, None),
        ({"result": "Verified", "message": "m", "at": "2026-03-01T11:00:00"}, None),
        ({"result": "Verified", "at": "2026-03-01T11:00:00Z"}, None),
    ],
)
def test_a_verdict_counts_for_two_intervals(record: dict[str, str], expected: Verdict | None) -> None:
    assert current(record, NOW, HOUR) == expected


@pytest.mark.parametrize(
    ("new", "standing", "expected"),
    [
        (BROKEN, VERIFIED, False),
        (BROKEN, OPEN, True),
        (BROKEN, None, True),
        (OPEN, VERIFIED, True),
        (VERIFIED, OPEN, True),
    ],
)
def test_a_broken_canary_is_no_argument_against_a_proof(new: Verdict, standing: Verdict | None, expected: bool) -> None:
    assert overturns(new, standing) is expected


@pytest.mark.parametrize(
    ("verdict", "policies", "reason", "words"),
    [
        (None, (), "Unverified", "before a canary has tried"),
        (OPEN, (), "NotEnforced", "requireEnforcement: false"),
        (BROKEN, (), "CanaryBroken", "its pod found no node"),
        (VERIFIED, (STRAY,), "Widened", "NetworkPolicy allow-all"),
        (VERIFIED, (STRAY,), "Widened", "{key: sandkeeper.dev/role, operator: DoesNotExist}"),
        (VERIFIED, (STRAY, BLESSED), "Widened", "NetworkPolicy allow-all."),
    ],
)
def test_no_pod_is_made_behind_a_fence_that_might_not_hold(
    verdict: Verdict | None, policies: tuple[Json, ...], reason: str, words: str
) -> None:
    seen = plan(sandbox(), settings=REQUIRED, fence=None, cluster_verdict=verdict, policies=policies)

    assert seen.writes
    assert all(isinstance(each, Create) and each.obj["kind"] != "Pod" for each in seen.writes)
    assert seen.state.reason == reason
    assert words in seen.state.message
    assert not seen.state.ready


@pytest.mark.parametrize("policies", [(), (BLESSED,)], ids=["alone", "beside one that is there on purpose"])
def test_a_pod_is_made_behind_a_fence_that_holds(policies: tuple[Json, ...]) -> None:
    assert makes_a_pod(plan(sandbox(), settings=REQUIRED, cluster_verdict=VERIFIED, policies=policies))


@pytest.mark.parametrize("verdict", [None, OPEN, BROKEN])
def test_where_enforcement_is_not_required_pods_are_made_all_the_same(verdict: Verdict | None) -> None:
    assert makes_a_pod(plan(sandbox(), cluster_verdict=verdict, policies=(STRAY,)))


def makes_a_pod(seen: Plan) -> bool:
    return any(isinstance(each, Create) and each.obj["kind"] == "Pod" for each in seen.writes)


@pytest.mark.parametrize("verdict", [None, OPEN, BROKEN])
def test_a_pod_that_runs_is_left_alone(verdict: Verdict | None) -> None:
    owner = sandbox()

    seen = plan(owner, settings=REQUIRED, pod=pod_of(owner, settings=REQUIRED), cluster_verdict=verdict)

    assert seen.writes == ()
    assert seen.state.ready


def test_a_change_that_takes_a_new_pod_waits_while_none_could_start() -> None:
    before, after = sandbox(), sandbox(generation=2, image="debian:13")

    seen = plan(after, settings=REQUIRED, pod=pod_of(before, settings=REQUIRED), cluster_verdict=OPEN)

    assert seen.writes == ()
    assert told(seen) == {
        "Ready": ("False", "NotEnforced"),
        "Running": ("True", "Running"),
        "UpToDate": ("False", "RenderingChanged"),
        "Reconciling": ("True", "NotEnforced"),
    }
    assert "the environment changed" in seen.state.message


@pytest.mark.parametrize(
    ("verdict", "policies", "expected"),
    [
        (None, (), ("Unknown", "Unverified")),
        (VERIFIED, (), ("True", "Verified")),
        (OPEN, (), ("False", "NotEnforced")),
        (BROKEN, (), ("Unknown", "CanaryBroken")),
        (VERIFIED, (BLESSED,), ("False", "Widened")),
        (VERIFIED, (STRAY,), ("False", "Widened")),
        (None, (STRAY,), ("False", "Widened")),
        (OPEN, (STRAY,), ("False", "NotEnforced")),
    ],
)
def test_a_running_sandbox_says_whether_its_fence_holds(
    verdict: Verdict | None, policies: tuple[Json, ...], expected: tuple[str, str]
) -> None:
    owner = sandbox()

    seen = plan(owner, pod=pod_of(owner), cluster_verdict=verdict, policies=policies)

    assert egress(seen) == expected
    assert seen.state.ready


def test_all_policies_that_open_a_sandbox_are_named() -> None:
    owner = sandbox()

    seen = plan(owner, pod=pod_of(owner), cluster_verdict=VERIFIED, policies=(STRAY, BLESSED))

    (condition,) = (each for each in seen.status["conditions"] if each["type"] == "EgressEnforced")
    assert condition["message"] == "The fence is opened by NetworkPolicies vpn and allow-all."


ASKS = {"sandkeeper.dev/check-fence": "monday"}
ANSWER = {"request": "monday", "result": "Verified", "message": VERIFIED.message}


def test_a_check_that_was_asked_for_is_answered_in_the_status() -> None:
    owner = asking()
    answered = Verdict("Verified", VERIFIED.message, frozenset({"monday"}))

    seen = plan(owner, pod=pod_of(owner), cluster_verdict=VERIFIED, namespace_verdict=answered)

    assert seen.status["fenceCheck"] == ANSWER
    assert egress(seen) == ("True", "Verified")


@pytest.mark.parametrize(
    ("verdict", "expected", "made"),
    [(OPEN, ("False", "NotEnforced"), False), (BROKEN, ("Unknown", "CanaryBroken"), True)],
)
def test_a_check_that_fails_speaks_for_its_namespace(verdict: Verdict, expected: tuple[str, str], made: bool) -> None:
    answered = Verdict(verdict.result, verdict.message, frozenset({"monday"}))
    owner = asking()
    known: Json = {"settings": REQUIRED, "cluster_verdict": VERIFIED, "namespace_verdict": answered}

    assert egress(plan(owner, pod=pod_of(owner, settings=REQUIRED), **known)) == expected
    assert makes_a_pod(plan(owner, **known)) is made


@pytest.mark.parametrize(
    ("status", "verdict", "asked"),
    [
        ({}, None, "monday"),
        ({}, Verdict("Verified", "m", frozenset({"sunday"})), "monday"),
        ({}, Verdict("NotEnforced", "m", frozenset({"monday"})), ""),
        ({"fenceCheck": ANSWER}, None, ""),
        ({"fenceCheck": {**ANSWER, "request": "sunday"}}, None, "monday"),
        # The process that was at it is gone.
        ({"fenceCheck": {**ANSWER, "result": "NotEnforced"}}, None, "monday"),
    ],
)
def test_a_check_is_asked_for_until_it_is_answered_well(status: Json, verdict: Verdict | None, asked: str) -> None:
    assert unanswered(observe(asking(), status=status, namespace_verdict=verdict)) == asked


def test_an_answer_goes_with_the_question() -> None:
    owner = sandbox()

    seen = plan(owner, status={"fenceCheck": ANSWER}, pod=pod_of(owner))

    assert seen.status["fenceCheck"] is None


def asking() -> Sandbox:
    owner = sandbox()
    return owner.model_copy(update={"metadata": owner.metadata.model_copy(update={"annotations": ASKS})})


def widened(ready: str = "Running") -> Json:
    conditions = [("Ready", ready), ("EgressEnforced", "Widened")]
    return {"conditions": [{"type": kind, "reason": reason, "message": reason} for kind, reason in conditions]}


def test_an_opened_fence_is_announced_once() -> None:
    assert newly_opened({}, widened()) == "Widened"
    assert newly_opened(widened(), widened()) == ""
    assert newly_opened({}, widened(ready="Widened")) == ""


def test_the_labels_that_count_are_those_that_the_pod_has() -> None:
    owner = sandbox(podTemplate={"metadata": {"labels": {"app": "new"}}})
    only_new = policy("new", SELECTS_ALL | {"podSelector": {"matchLabels": {"app": "new"}}})
    observed = observe(owner, settings=REQUIRED, cluster_verdict=VERIFIED, policies=(only_new,))

    assert gate(observed, {"app": "old"}) is None
    assert gate(observed, pod_labels(owner, resolve(owner.spec), REQUIRED)) is not None


def test_labels_by_which_another_policy_would_open_a_running_sandbox_are_not_set() -> None:
    before, after = sandbox(), sandbox(podTemplate={"metadata": {"labels": {"app": "new"}}})
    only_new = policy("new", SELECTS_ALL | {"podSelector": {"matchLabels": {"app": "new"}}})

    seen = plan(after, pod=pod_of(before), policies=(only_new,))

    assert seen.writes == ()
    assert told(seen)["Ready"] == ("False", "Widened")
    assert told(seen)["Running"] == ("True", "Running")
    assert "NetworkPolicy new would open the fence" in seen.state.message


def test_no_pod_is_made_behind_a_fence_that_is_on_its_way_out() -> None:
    going = fence()
    going["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"

    assert plan(sandbox(), fence=going).writes == ()


def test_a_fence_that_was_edited_is_mended() -> None:
    edited = fence()
    edited["spec"]["egress"] = [{}]
    owner = sandbox()

    seen = plan(owner, pod=pod_of(owner), fence=edited)

    assert [type(each).__name__ for each in seen.writes] == ["Patch"]
