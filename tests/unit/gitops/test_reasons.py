"""Argo CD's verdict on each reason that an object may have for not being ready.

What the operator calls wrong is degraded, and what it does not is on its way; but for what a cluster may bring by
itself, which is not to fail a sync.
"""

import pytest

from sandkeeper.api import crd
from unit.gitops.argocd import Json, health
from unit.gitops.reasons import explained, in_code

AT_REST = {"Running", "Sleeping", "Expired", "Ready"}
BY_ITSELF = {"Unschedulable", "VolumePending", "SnapshotNotReady"}
SANDBOX, SNAPSHOT, DIFF = (explained(kind) for kind in (crd.SANDBOX, crd.SNAPSHOT, crd.DIFF))
OF_SANDBOXES = ("plan/[!d]*.py", "plan/d[!i]*.py", "controllers/sandbox.py")
"""Modules that decide on sandboxes: all but those of diffs."""
ON_ITS_WAY = {
    "Sandbox": {"Pending", "Starting", "Installing", "Packing", "Waking", "Restoring", "RollingBack", "Unverified"}
    | BY_ITSELF,
    "SandboxSnapshot": {"Pending", "Quiescing", "Copying", "Deleting"},
    "SandboxDiff": {"Pending", "Preparing", "Comparing", "Failed"} | BY_ITSELF,
}
EVERY = [
    (kind, reason)
    for kind, reasons in (("Sandbox", SANDBOX), ("SandboxSnapshot", SNAPSHOT), ("SandboxDiff", DIFF))
    for reason in sorted(reasons - AT_REST)
]


def told(kind: str, status: str, reason: str, *others: str) -> Json:
    """Make an object whose condition Ready has a status and a reason, and of which other conditions are True."""
    truths = {"Ready": status} | dict.fromkeys(others, "True")
    conditions = [
        {"type": each, "status": truth, "reason": reason, "message": "So it is.", "observedGeneration": 3}
        for each, truth in truths.items()
    ]
    return {
        "apiVersion": "sandkeeper.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "a", "namespace": "team", "generation": 3},
        "spec": {},
        "status": {"observedGeneration": 3, "conditions": conditions},
    }


@pytest.mark.parametrize(("kind", "reason"), EVERY)
def test_each_reason_has_its_verdict(kind: str, reason: str) -> None:
    found = health(told(kind, "False", reason, "Reconciling"))

    expected = "Progressing" if reason in ON_ITS_WAY[kind] else "Degraded"
    assert found == {"status": expected, "message": f"{reason}: So it is."}


@pytest.mark.parametrize(("kind", "reason"), [each for each in EVERY if each[0] != "SandboxSnapshot"])
def test_what_is_stalled_is_degraded_whatever_the_reason(kind: str, reason: str) -> None:
    assert health(told(kind, "False", reason, "Stalled"))["status"] == "Degraded"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("Sandbox", "Running"),
        ("Sandbox", "Sleeping"),
        ("Sandbox", "Expired"),
        ("SandboxSnapshot", "Ready"),
        ("SandboxDiff", "Ready"),
    ],
)
def test_what_is_ready_is_healthy_though_it_sleeps(kind: str, reason: str) -> None:
    assert health(told(kind, "True", reason)) == {"status": "Healthy", "message": f"{reason}: So it is."}


@pytest.mark.parametrize("kind", ON_ITS_WAY)
def test_what_nobody_has_looked_at_is_on_its_way(kind: str) -> None:
    fresh = told(kind, "Unknown", "Pending")
    del fresh["status"]["observedGeneration"]

    assert health(fresh)["status"] == "Progressing"
    assert health({**fresh, "status": {}})["status"] == "Progressing"
    del fresh["status"]
    assert health(fresh)["status"] == "Progressing"


@pytest.mark.parametrize("before", [("True", "Running"), ("False", "ImagePullFailed")])
def test_a_changed_sandbox_is_on_its_way_until_the_change_was_seen(before: tuple[str, str]) -> None:
    changed = told("Sandbox", *before)
    changed["metadata"]["generation"] = 4

    assert health(changed)["status"] == "Progressing"


def test_what_the_operator_calls_wrong_is_degraded_and_nothing_else_is() -> None:
    code = in_code("PodState", *OF_SANDBOXES)
    fine = {reason for reason, wrong in code.items() if wrong == {False}} - AT_REST

    assert fine - {"Pending"} == ON_ITS_WAY["Sandbox"] - BY_ITSELF - {"Pending"}
    assert {reason for reason, wrong in code.items() if wrong == {True}} & ON_ITS_WAY["Sandbox"] == BY_ITSELF
