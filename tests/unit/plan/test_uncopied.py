"""Which snapshots are begun and not copied yet."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandkeeper.plan.pod_state import written
from sandkeeper.plan.uncopied import uncopied
from unit.fakes.copies import COPYING, READY, snapshot, volume_snapshot
from unit.fakes.objects import NOW

if TYPE_CHECKING:
    from datetime import datetime

Json = dict[str, Any]


def begun(at: datetime, **status: Any) -> Json:
    return snapshot("s", {**COPYING, "startTime": written(at), **status})


def volume(**status: Any) -> Json:
    return {**volume_snapshot("s"), "status": status}


@pytest.mark.parametrize(
    ("seen", "copy", "claim"),
    [
        (begun(NOW), None, ""),
        (begun(NOW), volume(), "sbx-a"),
        (begun(NOW), volume(error={"message": "No."}), "sbx-a"),
        (begun(NOW), volume(readyToUse=False, creationTime=written(NOW)), None),
        (begun(NOW), volume(readyToUse=True), None),
        (begun(NOW - timedelta(minutes=1)), None, None),
        (begun(NOW, volumeSnapshotName="sbx-s"), None, None),
        (snapshot("s", READY), None, None),
        (snapshot("s", COPYING), None, None),
    ],
    ids=[
        "begun",
        "asked for",
        "failing",
        "cut",
        "ready",
        "begun long ago",
        "its copy is gone",
        "old",
        "waits to begin",
    ],
)
def test_what_is_begun_and_not_copied(seen: Json, copy: Json | None, claim: str | None) -> None:
    found = uncopied([seen], {"s": copy} if copy else {}, NOW)

    assert found == ({} if claim is None else {"s": claim})
