"""Logs, counts and announces what changed in the status of a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.plan.announcement import lost_workspace, newly_full, newly_opened, newly_uncopied, worth_an_event
from sandkeeper.plan.pod_state import condition
from sandkeeper.plan.rollback import finishes

if TYPE_CHECKING:
    from sandkeeper.controllers.metrics import SandboxMetrics
    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.sandbox import Plan
    from sandkeeper.plan.writes import Write
    from sandkeeper.runtime.events import EventRecorder
    from sandkeeper.runtime.resource import Json


class Announcer:
    """Tells people and metrics of changes."""

    def __init__(self, events: EventRecorder, metrics: SandboxMetrics) -> None:
        self._events = events
        self._metrics = metrics
        self._log = structlog.get_logger()

    def status_written(self, observed: Observed, plan: Plan, answer: Json) -> None:
        """Log, count and announce a change of state.

        Parameters
        ----------
        answer
            The sandbox as it is now.
        """
        key = f"{observed.sandbox.metadata.namespace}/{observed.sandbox.metadata.name}"
        was, now = observed.status, answer["status"]
        before = condition({"status": was}, "Ready")
        self._log.info("status", key=key, reason=plan.state.reason, was=before.get("reason"), why=plan.state.message)
        if plan.state.running and "startupSeconds" not in was:
            self._metrics.started(now["startupSeconds"])
        kind = worth_an_event(before, plan.state)
        if kind:
            self._events.record(SANDBOXES, answer, kind, plan.state.reason, "Reconcile", plan.state.message)
        opened, full = newly_opened(was, now), newly_full(was, now)
        troubles = (("Widened", opened), ("WorkspaceFull", full), newly_uncopied(was, now))
        for reason, said in troubles:
            if said:
                self._events.record(SANDBOXES, answer, "Warning", reason, "Reconcile", said)

    def child_written(self, observed: Observed, write: Write) -> None:
        """Announce a write that made a workspace another one."""
        regarding = {"metadata": observed.sandbox.metadata.to_json()}
        lost, back = lost_workspace(observed, write), finishes(observed, write)
        if lost:
            self._events.record(SANDBOXES, regarding, "Warning", "WorkspaceLost", "Create", lost)
        if back:
            self._events.record(SANDBOXES, regarding, "Normal", "RolledBack", "Reconcile", back)
