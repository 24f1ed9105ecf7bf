"""The controller of SandboxDiffs: observe, decide, write."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import structlog

from sandkeeper.api.diff import SandboxDiff
from sandkeeper.api.names import diff_pod_name
from sandkeeper.controllers.children import IN_THE_WAY_SECONDS, ChildWriter, InTheWayError
from sandkeeper.controllers.diffs import DIFFS, copy_of, sides_of
from sandkeeper.controllers.lookup import find_sandbox
from sandkeeper.controllers.passes import concluded
from sandkeeper.controllers.status_write import write_status
from sandkeeper.plan.diff import is_over, plan_diff, stopped
from sandkeeper.plan.diff_observed import ObservedDiff, Side
from sandkeeper.plan.fence import fence_policy, fence_sign
from sandkeeper.plan.pod_state import PodState
from sandkeeper.plan.refusal import refusal_state
from sandkeeper.plan.writes import Create, Write
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.resource import CLAIMS, PODS, Json, Key, key_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sandkeeper.controllers.cluster import Cluster
    from sandkeeper.controllers.fence import FenceKeeper
    from sandkeeper.plan.diff import DiffPlan
    from sandkeeper.plan.observed import Settings
    from sandkeeper.runtime.client import ApiClient
    from sandkeeper.runtime.clock import Clock
    from sandkeeper.runtime.events import EventRecorder


class DiffController:
    """Brings SandboxDiffs to their answer, and ends them.

    Parameters
    ----------
    holds
        Whether this replica is to work on a namespace.
    fences
        Shared with the controller of sandboxes: a diff's pod stands behind the fence of its namespace too.
    """

    def __init__(
        self,
        client: ApiClient,
        cluster: Cluster,
        settings: Settings,
        events: EventRecorder,
        holds: Callable[[str], bool],
        fences: FenceKeeper,
        clock: Clock,
    ) -> None:
        self._client = client
        self._cluster = cluster
        self._children = ChildWriter(client, cluster)
        self._fences = fences
        self._settings = settings
        self._events = events
        self._clock = clock
        self._holds = holds
        self._log = structlog.get_logger()

    async def reconcile(self, key: Key) -> float | None:
        """Run one pass.

        Returns
        -------
        float or None
            Seconds until time alone may change something.
        """
        if not self._holds(key.namespace):
            return None
        with self._fences.working_in(key.namespace):
            return await concluded(self._pass(key))

    async def _pass(self, key: Key) -> float | None:
        await self._fences.settle(key.namespace)
        raw = self._cluster.diffs.store.get(key)
        if raw is None or "deletionTimestamp" in raw["metadata"]:
            # Its pod may have been the last one behind the fence.
            await self._fences.remove_unused(key.namespace)
            return None
        return await self._bring_about(key, raw)

    async def _bring_about(self, key: Key, raw: Json) -> float | None:
        now = self._clock.now()
        observed = await self._looked_up(self._observe(key, raw), key)
        plan = plan_diff(observed, now)
        if plan.expired:
            await self._expire(key, raw)
            return None
        for write in plan.writes:
            try:
                await self._apply(write, key)
            except InTheWayError as error:
                state = PodState("Conflict", f"{error}; delete it, or make another diff.")
                await self._write_status(raw, stopped(observed, state, now))
                return IN_THE_WAY_SECONDS
            except ApiError as error:
                await self._tell_refusal(raw, observed, write, error, now)
                raise
        await self._write_status(raw, plan)
        if plan.over and not is_over(observed.status):
            # What it is made from goes after its answer is written, whatever happens in between.
            return 0.0
        return max(0.0, (plan.look_again - now).total_seconds()) if plan.look_again else None

    async def _looked_up(self, observed: ObservedDiff, key: Key) -> ObservedDiff:
        """Look once more for a sandbox that seems to be missing."""
        if not observed.sandbox or observed.has_sandbox:
            return observed
        found = await find_sandbox(self._client, self._cluster, Key(key.namespace, observed.sandbox))
        return replace(observed, has_sandbox=found is not None)

    def _observe(self, key: Key, raw: Json) -> ObservedDiff:
        diff = SandboxDiff.model_validate({"metadata": raw["metadata"], "spec": raw["spec"]})
        old, new = (self._side(raw, role, name) for role, name in sides_of(raw).items())
        to, pod = diff.spec.to, self._cluster.store(PODS).get(Key(key.namespace, diff_pod_name(key.name)))
        # Of a diff without it, the snapshot tells whose it is; once one was taken on the way, that does.
        named = to.sandbox_ref.name if to and to.sandbox_ref else ""
        told = next((each["spec"]["sandboxRef"]["name"] for each in (new.snapshot, old.snapshot) if each), "")
        sandbox = "" if to and to.snapshot_ref else named or told
        return ObservedDiff(
            diff=diff,
            status=raw.get("status", {}),
            settings=self._settings,
            nodes=self._cluster.nodes.support,
            classes=self._cluster.classes,
            old=old,
            new=new,
            sandbox=sandbox,
            has_sandbox=bool(sandbox) and Key(key.namespace, sandbox) in self._cluster.sandboxes,
            pod=pod,
            node=self._cluster.nodes.of(pod),
        )

    def _side(self, raw: Json, role: str, name: str) -> Side:
        found, copies = Key(raw["metadata"]["namespace"], name), self._cluster.copies
        claim = self._cluster.store(CLAIMS).get(copy_of(raw, role))
        return Side(role, name, copies.snapshot(found), copies.volume_snapshot(found), claim)

    async def _apply(self, write: Write, key: Key) -> None:
        child = write.obj if isinstance(write, Create) else write.child
        if isinstance(write, Create) and child["kind"] == PODS.kind:
            for each in (fence_sign(key.namespace), fence_policy(key.namespace, self._settings.gateway)):
                await self._fences.make(Create(each))
                await self._fences.settle(key.namespace)
        await self._children.apply(write, None)
        name = f"{child['kind']}/{child['metadata']['name']}"
        self._log.info("wrote", diff=str(key), action=type(write).__name__.lower(), child=name)

    async def _expire(self, key: Key, raw: Json) -> None:
        metadata = raw["metadata"]
        try:
            # Another expiresAfter than the one it was judged by is another version.
            version = metadata["resourceVersion"]
            await self._client.delete(DIFFS, *key, uid=metadata["uid"], version=version)
        except ApiError as error:
            if not error.not_found:
                raise
            self._cluster.diffs.store.remove(key, metadata["uid"])
        self._log.info("expired", diff=str(key))

    async def _tell_refusal(
        self, raw: Json, observed: ObservedDiff, write: Write, error: ApiError, now: datetime
    ) -> None:
        """Put what the API server refused into the status; the pass then fails and is tried again."""
        kind = (write.obj if isinstance(write, Create) else write.child)["kind"]
        state = refusal_state(kind, error.status, error.message)
        if state is not None:
            await self._write_status(raw, stopped(observed, state, now))

    async def _write_status(self, raw: Json, plan: DiffPlan) -> None:
        if not plan.status:
            return
        store = self._cluster.diffs.store
        answer = await write_status(self._client, DIFFS, store, raw["metadata"], plan.status)
        store.upsert(answer)
        self._log.info("status", diff=str(key_of(raw)), reason=plan.state.reason, why=plan.state.message)
        if plan.over and not is_over(raw.get("status", {})):
            kind: Literal["Normal", "Warning"] = "Warning" if plan.state.wrong else "Normal"
            self._events.record(DIFFS, answer, kind, plan.state.reason, "Reconcile", plan.state.message)
