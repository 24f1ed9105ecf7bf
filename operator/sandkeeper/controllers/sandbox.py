"""The kind Sandbox: one pass over a key is observe, plan, apply, and one write of the status at most."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from sandkeeper.api.names import SNAPSHOT_KIND
from sandkeeper.controllers.announcer import Announcer
from sandkeeper.controllers.children import IN_THE_WAY_SECONDS, ChildWriter, InTheWayError, OutdatedError
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.controllers.failures import Failures
from sandkeeper.controllers.forks import Forks
from sandkeeper.controllers.observer import Observer
from sandkeeper.controllers.passes import concluded
from sandkeeper.controllers.schedules import Schedules
from sandkeeper.controllers.status_write import write_status
from sandkeeper.controllers.uses import Uses
from sandkeeper.controllers.volume_news import VolumeNews
from sandkeeper.plan.confirmation import needs_confirmation
from sandkeeper.plan.conflict import conflict_state
from sandkeeper.plan.enforcement import unanswered
from sandkeeper.plan.fence import is_fence
from sandkeeper.plan.ownership import owner_of
from sandkeeper.plan.pod_state import failed, has_failed
from sandkeeper.plan.policy import lacks_policy
from sandkeeper.plan.refusal import QUOTA_EXCEEDED, refusal_state
from sandkeeper.plan.sandbox import Plan, plan_sandbox, refused
from sandkeeper.plan.user_namespace import NO_USER_NAMESPACE
from sandkeeper.plan.volume import worth_asking
from sandkeeper.plan.writes import Create, Delete, Pack, Patch, Write
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.resource import CLAIMS, Json, Key

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sandkeeper.controllers.aides import Aides
    from sandkeeper.controllers.cluster import Cluster
    from sandkeeper.controllers.metrics import SandboxMetrics
    from sandkeeper.plan.observed import Observed, Settings
    from sandkeeper.runtime.client import ApiClient
    from sandkeeper.runtime.events import EventRecorder


_QUOTA_SECONDS = 60.0
"""How often to try again what found no room in a quota; that it frees is told by an event."""


class SandboxController:
    """Brings sandboxes to what their specs ask for.

    Parameters
    ----------
    holds
        Whether this replica is to work on a namespace.
    aides
        What works beside it.
    """

    def __init__(
        self,
        client: ApiClient,
        cluster: Cluster,
        settings: Settings,
        events: EventRecorder,
        metrics: SandboxMetrics,
        holds: Callable[[str], bool],
        aides: Aides,
    ) -> None:
        self._client = client
        self._cluster = cluster
        self._announcer = Announcer(events, metrics)
        self._holds = holds
        self._children = ChildWriter(client, cluster)
        self._fences, self._proof = aides.fences, aides.proof
        self._packer, self._clock = aides.packer, aides.clock
        self._failures = Failures()
        self._forks = Forks(cluster, self._children)
        self._observer = Observer(cluster, settings, aides, self._failures, Uses(events), self._forks)
        self._line = cluster.rules.line
        self._news = VolumeNews(client)
        self._schedules = Schedules(client, cluster)
        self._log = structlog.get_logger()

    def seen(self, uid: str) -> None:
        """Note the moment when a new sandbox was heard of."""
        self._observer.seen(uid, self._clock.now())

    async def reconcile(self, key: Key) -> float | None:
        """Run one pass.

        Returns
        -------
        float or None
            Seconds until time alone may change something.
        """
        try:
            if not self._holds(key.namespace):
                return None
            with self._fences.working_in(key.namespace):
                return await concluded(self._pass(key))
        finally:
            self._line.passed(key)

    async def _pass(self, key: Key) -> float | None:
        await self._fences.settle(key.namespace)
        raw = self._cluster.sandboxes.get(key)
        if raw is None or "deletionTimestamp" in raw["metadata"]:
            self._line.leave(key)
            await self._clean_up(key, raw)
            return None
        return await self._bring_about(key, raw)

    async def _bring_about(self, key: Key, raw: Json) -> float | None:
        now = self._clock.now()
        observed = await self._observe(key, raw, now)
        plan = plan_sandbox(observed, now)
        self._cluster.nodes.wait(key, waits=plan.state.reason == NO_USER_NAMESPACE)
        if needs_confirmation(observed, plan):
            await self._confirm(observed)
        if any(map(_counts, plan.writes)) and self._line.must_wait(key):
            return None
        # First, so that a sandbox that can't have a pod is copied all the same.
        plan = await self._schedules.carry_out(observed, plan, now)
        return await self._carry_out(key, observed, plan, now)

    async def _observe(self, key: Key, raw: Json, now: datetime) -> Observed:
        observed = self._schedules.observe(self._observer.observe(key, raw, now), key, now)
        if observed.base.missing and await self._cluster.templates.look_up(Key(key.namespace, observed.base.absent)):
            raise OutdatedError
        if lacks_policy(observed) and await self._cluster.rules.look_up(key.namespace):
            raise OutdatedError
        if unanswered(observed):
            self._proof.ask(key.namespace)
        late = worth_asking(observed, now)
        return replace(observed, volume_news=await self._news.of(late)) if late is not None else observed

    async def _carry_out(self, key: Key, observed: Observed, plan: Plan, now: datetime) -> float | None:
        try:
            for write in plan.writes:
                await self._apply(write, observed, now)
        except InTheWayError as error:
            await self._write_status(observed, refused(observed, conflict_state(error.child), now))
            return IN_THE_WAY_SECONDS
        except ApiError as error:
            if await self._tell_refusal(observed, write, error, now) != QUOTA_EXCEEDED:
                raise
            self._line.join(key)
            return _QUOTA_SECONDS
        self._line.leave(key)
        await self._write_status(observed, plan)
        self._forget_pack(observed, plan)
        return self._next_pass(plan, now)

    def _next_pass(self, plan: Plan, now: datetime) -> float | None:
        """Seconds until time alone may change something; None for never."""
        if any(map(self._is_told_by_nobody, plan.writes)):
            return 0.0
        return max(0.0, (plan.look_again - now).total_seconds()) if plan.look_again else None

    def _is_told_by_nobody(self, write: Write) -> bool:
        """Whether more depends on a write whose event is no news to a store that knows it from the answer."""
        match write:
            case Delete(child):
                return self._cluster.lacks(child)
            case Patch(child, _):
                return bool(child["kind"] == CLAIMS.kind)
        return False

    def _forget_pack(self, observed: Observed, plan: Plan) -> None:
        """Drop the result of packing a pod that runs on: what was packed is soon not all that it did."""
        if observed.pod and plan.state.ready and plan.state.running and not observed.packing:
            self._packer.forget(observed.pod["metadata"]["uid"])

    async def _confirm(self, observed: Observed) -> None:
        """Make sure that a sandbox is as it is known before what it lost is made again, or what is lost is deleted.

        Of a deleted sandbox its children's end may be heard of before its own, and an edit may not be heard of yet.
        """
        metadata = observed.sandbox.metadata
        key = Key(metadata.namespace, metadata.name)
        found = await self._ask(key)
        if found is None:
            self._cluster.sandboxes.remove(key, metadata.uid)
            raise OutdatedError
        if self._cluster.sandboxes.upsert(found):
            raise OutdatedError

    async def _ask(self, key: Key) -> Json | None:
        """Read a sandbox from the API server, of whose change no watch may have told yet; None where it is gone."""
        try:
            return await self._client.get(SANDBOXES, *key)
        except ApiError as error:
            if error.not_found:
                return None
            raise

    async def _apply(self, write: Write, observed: Observed, now: datetime) -> None:
        child = write.obj if isinstance(write, Create) else write.child
        if isinstance(write, Delete) and child["kind"] == "Pod" and has_failed(child):
            self._failures.record(observed.sandbox.metadata.uid, child["metadata"]["uid"], *failed(child), now)
        if isinstance(write, Pack):
            self._packer.start(Key(child["metadata"]["namespace"], observed.sandbox.metadata.name), child)
        elif isinstance(write, Create) and is_fence(child):
            await self._fences.make(write, observed.sandbox)
        elif isinstance(write, Create) and child["kind"] == SNAPSHOT_KIND:
            await self._forks.take(write, observed)
        else:
            await self._children.apply(write, observed.sandbox)
        self._log_write(write, Key(child["metadata"]["namespace"], observed.sandbox.metadata.name))
        self._announcer.child_written(observed, write)
        if is_fence(child) and isinstance(write, Create):
            raise OutdatedError

    def _log_write(self, write: Write, key: Key) -> None:
        child = write.obj if isinstance(write, Create) else write.child
        name = f"{child['kind']}/{child['metadata']['name']}"
        self._log.info("wrote", key=str(key), action=type(write).__name__.lower(), child=name)

    async def _tell_refusal(self, observed: Observed, write: Write, error: ApiError, now: datetime) -> str:
        """Put what the API server refused into the status, and return the reason; empty where there is none."""
        kind = (write.obj if isinstance(write, Create) else write.child)["kind"]
        state = refusal_state(kind, error.status, error.message)
        if state is not None:
            await self._write_status(observed, refused(observed, state, now))
        return state.reason if state else ""

    async def _write_status(self, observed: Observed, plan: Plan) -> None:
        if not plan.status:
            return
        store, metadata = self._cluster.sandboxes, observed.sandbox.metadata.to_json()
        answer = await write_status(self._client, SANDBOXES, store, metadata, plan.status)
        store.upsert(answer)
        self._announcer.status_written(observed, plan, answer)

    async def _clean_up(self, key: Key, raw: Json | None) -> None:
        """End the pod of a sandbox that is gone or going; garbage collection does it too, but slower."""
        pod = self._cluster.pod(key)
        owner = owner_of(pod) if pod and "deletionTimestamp" not in pod["metadata"] else None
        if pod and owner and owner["name"] == key.name and await self._is_gone(key, owner["uid"], raw):
            await self._children.delete(pod)
            self._log_write(Delete(pod), key)
        self._cluster.nodes.wait(key, waits=False)
        if raw is None:
            await self._fences.remove_unused(key.namespace)

    async def _is_gone(self, key: Key, uid: str, raw: Json | None) -> bool:
        """Whether a sandbox is known to be deleted, rather than not heard of yet."""
        if self._cluster.sandboxes.buried(uid) or (raw is not None and raw["metadata"]["uid"] == uid):
            return True
        found = await self._ask(key)
        # One that ends before Kopf has listed it is never heard of again: it must not get into the store from here.
        if found is None or (found["metadata"]["uid"] == uid and "deletionTimestamp" in found["metadata"]):
            return True
        if self._cluster.sandboxes.upsert(found):
            raise OutdatedError
        return bool(found["metadata"]["uid"] != uid)

    def forget(self, uid: str) -> None:
        """Drop what is remembered of a sandbox that is gone."""
        self._failures.forget(uid)
        self._observer.forget(uid)
        self._schedules.forget(uid)


def _counts(write: Write) -> bool:
    """Whether a write makes something that quotas of what runs and of volumes count."""
    return isinstance(write, Create) and write.obj["kind"] in {"Pod", "PersistentVolumeClaim"}
