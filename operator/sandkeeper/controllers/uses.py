"""When clients say that they use their sandboxes, and when each of them said so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.plan.lifecycle import activity_annotation, time_of_use
from sandkeeper.plan.tenant_text import harmless

if TYPE_CHECKING:
    from datetime import datetime

    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.runtime.events import EventRecorder
    from sandkeeper.runtime.resource import Json

_LONGEST_QUOTE = 64


class Uses:
    """Remembers when each value of the annotation ``last-activity`` was first seen.

    A time in the future counts as that of its first sight: it keeps no sandbox awake for longer than a true one would.
    """

    def __init__(self, events: EventRecorder) -> None:
        self._events = events
        self._seen: dict[str, tuple[str, datetime]] = {}

    def last(self, sandbox: Sandbox, raw: Json, now: datetime) -> datetime | None:
        """When a client last used a sandbox; None where none says so. What can't be read is told once, by an Event."""
        said, uid = activity_annotation(sandbox), sandbox.metadata.uid
        used = time_of_use(said)
        before, first = self._seen.get(uid, ("", now))
        if said != before:
            first = now
            self._seen[uid] = (said, first)
            if said and used is None:
                quoted = harmless(said, _LONGEST_QUOTE)
                message = (
                    f'Annotation sandkeeper.dev/last-activity: "{quoted}" is not a time such as '
                    f"{now:%Y-%m-%dT%H:%M:%SZ}, and counts for nothing."
                )
                self._events.record(SANDBOXES, raw, "Warning", "ActivityUnreadable", "Reconcile", message)
        return min(used, first) if used else None

    def forget(self, uid: str) -> None:
        """Drop what is remembered of a sandbox that is gone."""
        self._seen.pop(uid, None)
