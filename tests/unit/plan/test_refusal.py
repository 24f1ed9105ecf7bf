"""What the API server refuses shows in the status in its own words, where it says something about the sandbox."""

import pytest

from sandkeeper.plan.refusal import refusal_state
from sandkeeper.plan.sandbox import refused
from unit.fakes.objects import NOW, observe, sandbox, told

QUOTA = 'pods "sbx-a" is forbidden: exceeded quota: team, requested: cpu=2, used: cpu=8, limited: cpu=8'
CLASS = 'pods "sbx-a" is forbidden: pod rejected: RuntimeClass "gvisor" not found'
POLICY = "ValidatingAdmissionPolicy 'images' denied request: image must come from registry.example.com"
TERMINATING = 'pods "sbx-a" is forbidden: unable to create new content in namespace team because it is being terminated'
KIND = "ValidatingAdmissionPolicy 'a' denied request: failed to configure policy: failed to find resource of paramKind"
SYNC = "ValidatingAdmissionPolicy 'a' with binding 'a' denied request: failed to configure binding: not yet synced"
INVALID = 'Pod "sbx-a" is invalid: spec.nodeSelector: Invalid value: "_"'


@pytest.mark.parametrize(
    ("status", "message", "reason", "stalled"),
    [
        (403, CLASS, "RuntimeClassNotFound", False),
        (403, POLICY, "PolicyDenied", False),
        (422, KIND, "PolicyDenied", False),
        (422, SYNC, "PolicyDenied", False),
        (422, INVALID, "Failed", True),
        (400, "strict decoding error", "Failed", True),
    ],
)
def test_a_refusal_is_told_in_the_servers_own_words(status: int, message: str, reason: str, stalled: bool) -> None:
    state = refusal_state("Pod", status, message)
    assert state

    seen = refused(observe(sandbox()), state, NOW)

    assert told(seen)["Ready"] == ("False", reason)
    assert ("Stalled" in told(seen)) == stalled
    assert ("Reconciling" in told(seen)) != stalled
    assert message in seen.state.message
    assert seen.writes == ()


def test_a_quota_without_room_is_told_with_what_is_asked_used_and_allowed() -> None:
    state = refusal_state("Pod", 403, QUOTA)
    assert state

    seen = refused(observe(sandbox()), state, NOW)

    assert told(seen)["Ready"] == ("False", "QuotaExceeded")
    assert seen.state.message == (
        "ResourceQuota team has no room for the Pod: asked for cpu=2, used cpu=8, hard cpu=8; it goes on as soon as "
        "there is."
    )
    assert "Stalled" not in told(seen)


@pytest.mark.parametrize(
    ("status", "message"),
    [(403, TERMINATING), (404, "not found"), (409, "conflict"), (429, "busy"), (500, "oops")],
)
def test_what_says_nothing_about_the_sandbox_is_not_told(status: int, message: str) -> None:
    assert refusal_state("Pod", status, message) is None


def test_telling_the_same_refusal_again_writes_nothing() -> None:
    state = refusal_state("Pod", 403, QUOTA)
    assert state
    status = refused(observe(sandbox()), state, NOW).status

    assert refused(observe(sandbox(), status=status), state, NOW).status == {}
