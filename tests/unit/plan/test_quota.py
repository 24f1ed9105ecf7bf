"""The quotas of a policy: what is written for it, what is said of it, and which change of a quota gives room."""

from typing import Any

import pytest

from sandkeeper.api.policy import SandboxPolicy
from sandkeeper.plan.policy_status import PolicyPlan, plan_policy
from sandkeeper.plan.quota import frees
from sandkeeper.plan.slim import slim_quota
from sandkeeper.plan.writes import Create, Delete, Patch
from unit.fakes.objects import NOW, Json, stored

CLASS = "sandkeeper-sandbox"


def policy(name: str = "default", uid: str = "uid-policy", **quota: Any) -> SandboxPolicy:
    metadata = {"name": name, "namespace": "team", "uid": uid, "generation": 3}
    return SandboxPolicy.model_validate({"metadata": metadata, "spec": {"quota": quota} if quota else {}})


def seen(owner: SandboxPolicy, present: dict[str, Json] | None = None, priority_class: str = CLASS) -> PolicyPlan:
    return plan_policy(owner, {}, present or {}, priority_class, NOW)


def made(plan: PolicyPlan) -> list[Json]:
    return [each.obj for each in plan.writes if isinstance(each, Create)]


def counting(owner: SandboxPolicy, **used: str) -> dict[str, Json]:
    """Give the quotas of a policy as they are once Kubernetes counts by them."""
    quotas = {each["metadata"]["name"]: each for each in made(seen(owner))}
    status = {
        name: {"hard": each["spec"]["hard"], "used": {kind: used.get(kind, "0") for kind in each["spec"]["hard"]}}
        for name, each in quotas.items()
    }
    return {name: slim_quota({**stored(each), "status": status[name]}) for name, each in quotas.items()}


def ready(plan: PolicyPlan) -> tuple[str, str]:
    (found,) = plan.status["conditions"]
    return found["status"], found["reason"]


def test_a_bound_on_what_runs_is_on_limits_of_pods_of_the_sandboxes_priority_class() -> None:
    (quota,) = made(seen(policy(cpu="64", memory="131072Mi", running=50)))

    assert quota["metadata"]["name"] == "sandkeeper-pods"
    assert quota["metadata"]["ownerReferences"][0]["uid"] == "uid-policy"
    assert quota["spec"] == {
        "hard": {"limits.cpu": "64", "limits.memory": "128Gi", "pods": "50"},
        "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": [CLASS]}]},
    }


def test_a_bound_on_what_is_there_counts_objects_and_storage_by_class() -> None:
    (quota,) = made(seen(policy(sandboxes=200, snapshots=400, storage={"sandbox-fast": "1024Gi"})))

    assert quota["spec"] == {
        "hard": {
            "count/sandboxes.sandkeeper.dev": "200",
            "count/sandboxsnapshots.sandkeeper.dev": "400",
            "sandbox-fast.storageclass.storage.k8s.io/requests.storage": "1Ti",
        }
    }


def test_round_bounds_are_written_as_the_apiserver_writes_them_back() -> None:
    objects, pods = made(seen(policy(cpu="4000", running=2000, sandboxes=1000, snapshots=1500)))

    assert objects["spec"]["hard"] == {
        "count/sandboxes.sandkeeper.dev": "1k",
        "count/sandboxsnapshots.sandkeeper.dev": "1500",
    }
    assert pods["spec"]["hard"] == {"limits.cpu": "4k", "pods": "2k"}


def test_it_is_in_force_once_kubernetes_counts_by_it() -> None:
    owner = policy(running=2, sandboxes=5)
    present = counting(owner)

    assert ready(seen(policy())) == ("True", "InForce")
    assert ready(seen(owner)) == ("False", "Pending")
    assert ready(seen(owner, present)) == ("True", "InForce")
    assert seen(owner, present).writes == ()


def test_a_bound_without_a_count_admits_nothing_and_is_not_in_force() -> None:
    owner = policy(sandboxes=5, snapshots=5)
    (quota,) = counting(owner).values()
    used = {"count/sandboxsnapshots.sandkeeper.dev": "0"}

    uncounted = {"sandkeeper-objects": {**quota, "status": {**quota["status"], "used": used}}}

    assert ready(seen(owner, uncounted)) == ("False", "Pending")


def test_use_is_told_in_the_words_of_the_policy() -> None:
    owner = policy(cpu="64", running=2, storage={"fast": "1Ti"})

    status = seen(owner, counting(owner, **{"limits.cpu": "2500m", "pods": "1"})).status

    assert status["quota"] == [
        {"resource": "cpu", "used": "2500m", "hard": "64"},
        {"resource": "running", "used": "1", "hard": "2"},
        {"resource": "storage/fast", "used": "0", "hard": "1Ti"},
    ]
    assert status["usage"] == "cpu 2500m/64, running 1/2, storage/fast 0/1Ti"


def test_what_somebody_changed_is_put_right_and_what_is_bounded_no_more_goes() -> None:
    before = counting(policy(running=2, sandboxes=5))
    widened = {name: {**each, "spec": {**each["spec"], "hard": {"pods": "99"}}} for name, each in before.items()}

    (fixed,) = (each for each in seen(policy(running=2), widened).writes if isinstance(each, Patch))
    (gone,) = (each for each in seen(policy(running=2), before).writes if isinstance(each, Delete))

    assert fixed.patch == {"spec": {"hard": {"pods": "2"}}}
    assert gone.child["metadata"]["name"] == "sandkeeper-objects"


def test_a_quota_of_a_former_policy_is_replaced_rather_than_lost_with_that() -> None:
    former = counting(policy(uid="uid-former", running=2))

    assert seen(policy(running=2), former).writes == (Delete(former["sandkeeper-pods"]),)


def test_one_of_another_name_has_no_effect_and_says_so() -> None:
    other = seen(policy("strict", running=1))

    assert other.writes == ()
    assert ready(other) == ("False", "NoEffect")
    assert other.message == (
        'metadata.name: "strict" has no effect: of the SandboxPolicies of a namespace only the one named default is in '
        "force."
    )


def test_without_a_priority_class_what_runs_can_not_be_counted() -> None:
    blind = seen(policy(running=1, sandboxes=5), priority_class="")

    assert [each["metadata"]["name"] for each in made(blind)] == ["sandkeeper-objects"]
    assert ready(blind) == ("False", "NoPriorityClass")
    assert ready(seen(policy(sandboxes=5), priority_class="")) == ("False", "Pending")


@pytest.mark.parametrize(
    ("before", "after", "freed"),
    [
        ({"used": {"pods": "2"}}, {"used": {"pods": "1"}}, True),
        ({"used": {"limits.cpu": "1"}}, {"used": {"limits.cpu": "999m"}}, True),
        ({"used": {"limits.memory": "2Gi"}}, {"used": {"limits.memory": "2048Mi"}}, False),
        ({"used": {"pods": "1"}}, {"used": {"pods": "2"}}, False),
        ({"hard": {"pods": "1"}}, {"hard": {"pods": "2"}}, True),
        ({"hard": {"pods": "2"}}, {"hard": {"pods": "1"}}, False),
        ({"hard": {"pods": "2", "limits.cpu": "1"}}, {"hard": {"pods": "2"}}, True),
        ({"hard": {"pods": "2"}}, None, True),
        (None, {"hard": {"pods": "2"}}, False),
    ],
)
def test_a_quota_that_has_more_room_than_before_is_noticed(
    before: Json | None, after: Json | None, freed: bool
) -> None:
    was, now = ({"status": each} if each is not None else None for each in (before, after))

    assert frees(was, now) == freed
