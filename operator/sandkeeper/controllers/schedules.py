"""Carries out what the schedules of sandboxes ask for; what goes wrong with that is told, and harms no sandbox."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from sandkeeper.controllers.children import ChildWriter, InTheWayError, OutdatedError
from sandkeeper.controllers.copies import SNAPSHOTS
from sandkeeper.controllers.references import asked_claim
from sandkeeper.plan.conflict import conflict_state
from sandkeeper.plan.refusal import refusal_state
from sandkeeper.plan.retention import is_scheduled, newest_ready, own_snapshots
from sandkeeper.plan.sandbox import plan_sandbox
from sandkeeper.plan.volume_snapshot import copied_claim
from sandkeeper.plan.writes import Create, Delete
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.resource import Json, Key, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sandkeeper.controllers.cluster import Cluster
    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.pod_state import PodState
    from sandkeeper.plan.sandbox import Plan
    from sandkeeper.plan.writes import Write
    from sandkeeper.runtime.client import ApiClient

_AGAIN_AFTER: Final = timedelta(minutes=1)


class Schedules:
    """Makes and deletes the SandboxSnapshots of schedules."""

    def __init__(self, client: ApiClient, cluster: Cluster) -> None:
        self._client = client
        self._cluster = cluster
        self._children = ChildWriter(client, cluster)
        self._refusals: dict[str, PodState] = {}
        self._log = structlog.get_logger()

    def observe(self, observed: Observed, key: Key, now: datetime) -> Observed:
        """Add what a schedule is decided on."""
        if observed.sandbox.spec.snapshots is None:
            return observed
        snapshots = self._cluster.copies.of(key)
        refusal = self._refusals.get(observed.sandbox.metadata.uid)
        if refusal and refusal.look_again and refusal.look_again <= now:
            refusal = None
        observed = replace(observed, snapshots=snapshots, snapshot_refusal=refusal)
        in_use = frozenset(self._in_use(filter(is_scheduled, snapshots)))
        return replace(observed, snapshots_in_use=in_use, copied_claim=self._copied_claim(observed))

    def _copied_claim(self, observed: Observed) -> str:
        newest = newest_ready(own_snapshots(observed.sandbox, observed.snapshots))
        volume = self._cluster.copies.volume_snapshot(key_of(newest)) if newest else None
        return copied_claim(volume) if volume else ""

    def _in_use(self, snapshots: Iterable[Json]) -> Iterable[str]:
        """Name the snapshots that a sandbox names as its source and has not been made from yet."""
        for snapshot in snapshots:
            key = key_of(snapshot)
            named = self._cluster.sandboxes.referring(Key(key.namespace, f"snapshotRef/{key.name}"))
            if not all(map(self._is_made, named)):
                yield key.name

    def _is_made(self, key: Key) -> bool:
        """Whether the workspace that a sandbox asks for is there, and its source is read no more."""
        if key not in self._cluster.sandboxes:
            return True
        claim = asked_claim(self._cluster, key)
        return claim is not None and claim["status"].get("phase") == "Bound"

    async def carry_out(self, observed: Observed, plan: Plan, now: datetime) -> Plan:
        """Write the snapshots that a plan asks for.

        Returns
        -------
        Plan
            The same, or with a status that tells what was refused.

        Raises
        ------
        OutdatedError
            If the stores were behind.
        """
        if any(isinstance(write, Delete) for write in plan.copies):
            await self._confirm_newest(observed)
        for write in plan.copies:
            taken = self._taken(write, observed)
            if taken:
                return self._refused(observed, plan, conflict_state(taken), now)
            try:
                await self._children.apply(write, None)
            except InTheWayError as error:
                return self._refused(observed, plan, conflict_state(error.child), now)
            except ApiError as error:
                state = refusal_state(SNAPSHOTS.kind, error.status, error.message)
                if state is None or not isinstance(write, Create):
                    raise
                return self._refused(observed, plan, state, now)
            obj = write.obj if isinstance(write, Create) else write.child
            self._log.info("wrote", key=str(key_of(obj)), action=type(write).__name__.lower(), child=SNAPSHOTS.kind)
        return plan

    def _taken(self, write: Write, observed: Observed) -> Json | None:
        """Find the snapshot of another sandbox that has the name of one that is to be made."""
        if not isinstance(write, Create):
            return None
        found = self._cluster.copies.snapshot(key_of(write.obj))
        return found if found and found not in observed.snapshots else None

    async def _confirm_newest(self, observed: Observed) -> None:
        """Make sure that the newest snapshot that is ready is there, before another one is deleted because of it."""
        newest = newest_ready(own_snapshots(observed.sandbox, observed.snapshots))
        if newest is None:
            return
        key = key_of(newest)
        try:
            found = await self._client.get(SNAPSHOTS, *key)
        except ApiError as error:
            if not error.not_found:
                raise
            self._cluster.copies.snapshots.remove(key, newest["metadata"]["uid"])
            raise OutdatedError from error
        if self._cluster.copies.snapshots.upsert(found):
            raise OutdatedError

    def _refused(self, observed: Observed, plan: Plan, state: PodState, now: datetime) -> Plan:
        refusal = replace(state, look_again=now + _AGAIN_AFTER)
        self._refusals[observed.sandbox.metadata.uid] = refusal
        told = plan_sandbox(replace(observed, snapshot_refusal=refusal), now)
        return replace(plan, status=told.status, look_again=told.look_again)

    def forget(self, uid: str) -> None:
        """Drop what is remembered of a sandbox that is gone."""
        self._refusals.pop(uid, None)
