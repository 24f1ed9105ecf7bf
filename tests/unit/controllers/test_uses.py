"""A client's word about its use counts from when it was given, and nonsense is told once."""

from datetime import timedelta

import pytest

from sandkeeper.api.sandbox import Sandbox
from sandkeeper.controllers.uses import Uses
from sandkeeper.plan.pod_state import written
from sandkeeper.runtime.events import EventRecorder
from sandkeeper.runtime.resource import Json, Resource
from unit.fakes.objects import NOW, sandbox

MINUTE = timedelta(minutes=1)


class Notes(EventRecorder):
    """Keeps what would be written."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def record(self, resource: Resource, regarding: Json, kind: str, reason: str, action: str, note: str) -> None:
        self.told.append(f"{kind} {reason} {note}")


def said(annotation: str) -> Sandbox:
    owner = sandbox()
    owner.metadata.annotations["sandkeeper.dev/last-activity"] = annotation
    return owner


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def uses(notes: Notes) -> Uses:
    return Uses(notes)


def test_a_use_counts_when_it_was(uses: Uses) -> None:
    assert uses.last(said(written(NOW - MINUTE)), {}, NOW) == NOW - MINUTE
    assert uses.last(sandbox(uid="other"), {}, NOW) is None


def test_a_use_that_is_yet_to_come_counts_from_when_it_was_said(uses: Uses) -> None:
    future = said(written(NOW + 60 * MINUTE))

    assert uses.last(future, {}, NOW) == NOW
    assert uses.last(future, {}, NOW + 20 * MINUTE) == NOW
    again = said(written(NOW + 61 * MINUTE))
    assert uses.last(again, {}, NOW + 20 * MINUTE) == NOW + 20 * MINUTE


def test_what_is_no_time_is_told_once(uses: Uses, notes: Notes) -> None:
    for _ in range(3):
        assert uses.last(said("yesterday"), {}, NOW) is None

    assert notes.told == [
        'Warning ActivityUnreadable Annotation sandkeeper.dev/last-activity: "yesterday" is not a time such as '
        "2026-03-01T12:00:00Z, and counts for nothing."
    ]
