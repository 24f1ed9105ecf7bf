"""Events tell of trouble and its end; a start that goes well costs none."""

import pytest

from sandkeeper.plan.announcement import worth_an_event
from sandkeeper.plan.pod_state import PodState

RUNNING = PodState("Running", "Running on node n1.", running=True)
STARTING = PodState("Starting", "The pod is being replaced.")
PACKING = PodState("Packing", "What changed in it is being packed first.")
ASLEEP = PodState("Sleeping", "It sleeps.", at_rest=True)
TROUBLE = PodState("ImagePullFailed", "Image a can't be pulled.", wrong=True)


@pytest.mark.parametrize(
    ("was", "state", "kind"),
    [
        ("Pending", RUNNING, None),
        ("Starting", RUNNING, None),
        ("Pending", TROUBLE, "Warning"),
        ("ImagePullFailed", TROUBLE, None),
        ("ImagePullFailed", RUNNING, "Normal"),
        ("Running", STARTING, "Normal"),
        ("Running", TROUBLE, "Warning"),
        ("Running", PACKING, None),
        ("Packing", ASLEEP, "Normal"),
        ("Running", ASLEEP, "Normal"),
        ("Waking", RUNNING, None),
    ],
)
def test_a_change_of_state_is_announced(was: str, state: PodState, kind: str | None) -> None:
    assert worth_an_event({"reason": was}, state) == kind
