"""The kind SandboxSnapshot: one pass over a key is observe, plan, apply, and one write of the status at most."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import structlog

from sandkeeper.api.names import IN_USE_FINALIZER
from sandkeeper.api.snapshot import SandboxSnapshot
from sandkeeper.controllers.children import IN_THE_WAY_SECONDS, ChildWriter, InTheWayError
from sandkeeper.controllers.copies import SNAPSHOTS
from sandkeeper.controllers.lookup import find_sandbox
from sandkeeper.controllers.passes import concluded
from sandkeeper.controllers.restores import forks_awaiting, restores_of
from sandkeeper.controllers.status_write import write_status
from sandkeeper.controllers.volume_nodes import VolumeNodes
from sandkeeper.plan.base import Base
from sandkeeper.plan.refusal import refusal_state
from sandkeeper.plan.snapshot import conflict, finish, plan_snapshot
from sandkeeper.plan.snapshot_classes import SnapshotClasses
from sandkeeper.plan.snapshot_observed import ObservedSnapshot, SnapshotPlan, SnapshotState
from sandkeeper.plan.workspace_choice import current_claim
from sandkeeper.plan.writes import Create, Delete, Quiesce, Write
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.resource import Json, Key

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sandkeeper.controllers.cluster import Cluster
    from sandkeeper.controllers.metrics import SnapshotMetrics
    from sandkeeper.controllers.packing import Packer
    from sandkeeper.runtime.client import ApiClient
    from sandkeeper.runtime.clock import Clock
    from sandkeeper.runtime.events import EventRecorder


@dataclass(frozen=True)
class Guests:
    """Who asks guests, and for what.

    Attributes
    ----------
    packer
        Lets them pack, for sandboxes.
    quiescer
        Lets them quiesce, for snapshots.
    """

    packer: Packer
    quiescer: Packer

    async def stop(self) -> None:
        """Listen no more to guests that are at it; they finish by themselves."""
        await asyncio.gather(self.packer.stop(), self.quiescer.stop())


class SnapshotController:
    """Brings snapshots to what their specs ask for.

    Parameters
    ----------
    holds
        Whether this replica is to work on a namespace.
    """

    def __init__(
        self,
        client: ApiClient,
        cluster: Cluster,
        events: EventRecorder,
        metrics: SnapshotMetrics,
        holds: Callable[[str], bool],
        guests: Guests,
        clock: Clock,
    ) -> None:
        self._client = client
        self._cluster = cluster
        self._events = events
        self._metrics = metrics
        self._holds = holds
        self._packer, self._quiescer = guests.packer, guests.quiescer
        self._clock = clock
        self._children = ChildWriter(client, cluster)
        self._volume_nodes = VolumeNodes(client, cluster.nodes)
        self._log = structlog.get_logger()

    async def reconcile(self, key: Key) -> float | None:
        """Run one pass.

        Returns
        -------
        float or None
            Seconds until time alone may change something.
        """
        raw = self._cluster.copies.snapshot(key) if self._holds(key.namespace) else None
        return await concluded(self._bring_about(key, raw)) if raw else None

    async def _bring_about(self, key: Key, raw: Json) -> float | None:
        now = self._clock.now()
        observed = self._observe(key, raw, await self._sandbox_of(key, raw), await self._readers(key, raw))
        observed = await self._with_node(observed)
        plan = plan_snapshot(observed, now)
        for write in plan.writes:
            try:
                await self._apply(write, key)
            except InTheWayError as error:
                await self._write_status(observed, finish(observed, conflict(error.child), (), now))
                return IN_THE_WAY_SECONDS
            except ApiError as error:
                await self._tell_refusal(observed, write, error, now)
                raise
        if not any(isinstance(write, Delete) for write in plan.writes):
            await self._write_status(observed, plan)
        return max(0.0, (plan.look_again - now).total_seconds()) if plan.look_again else None

    async def _sandbox_of(self, key: Key, raw: Json) -> Json | None:
        """Read the sandbox of a snapshot; one that Kopf has not told of yet is not taken for missing."""
        sandbox = Key(key.namespace, raw["spec"]["sandboxRef"]["name"])
        if self._cluster.copies.volume_snapshot(key) is not None:
            return self._cluster.sandboxes.get(sandbox)
        return await find_sandbox(self._client, self._cluster, sandbox)

    async def _readers(self, key: Key, raw: Json) -> tuple[str, ...]:
        """Name the sandboxes whose claims are being made from a snapshot; a claim may outlive its own."""
        if IN_USE_FINALIZER not in raw["metadata"].get("finalizers", ()):
            return ()
        names, _ = restores_of(self._cluster, raw)
        return tuple([name for name in names if await self._is_there(Key(key.namespace, name))])

    async def _is_there(self, sandbox: Key) -> bool:
        return await find_sandbox(self._client, self._cluster, sandbox) is not None

    def _observe(self, key: Key, raw: Json, sandbox: Json | None, readers: tuple[str, ...]) -> ObservedSnapshot:
        uid, cluster = raw["metadata"]["uid"], self._cluster
        name = Key(key.namespace, raw["spec"]["sandboxRef"]["name"])
        pod, parsed = cluster.pod(name), cluster.parsed.of(sandbox) if sandbox else None
        status = sandbox.get("status", {}) if sandbox else {}
        claims = cluster.claims(name)
        return ObservedSnapshot(
            snapshot=SandboxSnapshot.model_validate({"metadata": raw["metadata"], "spec": raw["spec"]}),
            raw=raw,
            sandbox=parsed,
            sandbox_status=status,
            pod=pod,
            node=cluster.nodes.of(pod),
            claim=current_claim(parsed, claims, pod, status, cluster.classes) if parsed else None,
            volume_snapshot=cluster.copies.volume_snapshot(key),
            classes=cluster.classes,
            snapshot_classes=SnapshotClasses(cluster.copies.classes, cluster.copies.served),
            packing=pod is not None and self._packer.running(pod["metadata"]["uid"]),
            quiescing=self._quiescer.running(uid),
            quiesced=self._quiescer.result(uid),
            readers=readers,
            awaited=restores_of(cluster, raw)[1],
            diffs=cluster.diffs.reading(raw),
            forks=forks_awaiting(cluster, raw),
            base=cluster.templates.base_of(parsed, pod, cluster.rules.of(key.namespace)) if parsed else Base(),
        )

    async def _with_node(self, observed: ObservedSnapshot) -> ObservedSnapshot:
        claim = observed.claim
        if claim is None or observed.volume_snapshot is not None:
            return observed
        if not observed.classes.waits(claim["spec"].get("storageClassName")):
            # A volume that was made before there was a pod is where any can be.
            return observed
        return replace(observed, volume_node=await self._volume_nodes.of(claim))

    async def _apply(self, write: Write, key: Key) -> None:
        child = write.obj if isinstance(write, Create) else write.child
        snapshot = self._cluster.copies.snapshot(key)
        uid = snapshot["metadata"]["uid"] if snapshot else ""
        if isinstance(write, Quiesce):
            self._quiescer.start(key, child, uid)
        else:
            await self._children.apply(write, None)
        if isinstance(write, Create):
            self._quiescer.forget(uid)
        name = f"{child['kind']}/{child['metadata']['name']}"
        self._log.info("wrote", key=str(key), action=type(write).__name__.lower(), child=name)
        if isinstance(write, Delete) and snapshot:
            self._events.record(
                SNAPSHOTS, snapshot, "Normal", "Expired", "Delete", "It has lived as long as it was to."
            )
            self._cluster.copies.gone(snapshot)

    async def _tell_refusal(self, observed: ObservedSnapshot, write: Write, error: ApiError, now: datetime) -> None:
        """Put what the API server refused into the status; the pass then fails and is tried again."""
        kind = (write.obj if isinstance(write, Create) else write.child)["kind"]
        refused = refusal_state(kind, error.status, error.message)
        if refused is not None:
            state = SnapshotState(refused.reason, refused.message, wrong=True)
            await self._write_status(observed, finish(observed, state, (), now))

    async def _write_status(self, observed: ObservedSnapshot, plan: SnapshotPlan) -> None:
        if not plan.status:
            return
        store, metadata = self._cluster.copies.snapshots, observed.snapshot.metadata.to_json()
        answer = await write_status(self._client, SNAPSHOTS, store, metadata, plan.status)
        self._cluster.copies.put(answer)
        self._tell(observed, plan, answer)

    def _tell(self, observed: ObservedSnapshot, plan: SnapshotPlan, answer: Json) -> None:
        """Log, count and announce a change of state."""
        state, was, metadata = plan.state, observed.said.get("reason"), observed.snapshot.metadata
        key = f"{metadata.namespace}/{metadata.name}"
        self._log.info("status", key=key, reason=state.reason, was=was, why=state.message)
        if was == state.reason or not (state.ready or state.wrong):
            return
        kind: Literal["Normal", "Warning"] = "Warning" if state.wrong else "Normal"
        self._events.record(SNAPSHOTS, answer, kind, state.reason, "Reconcile", state.message)
        self._metrics.ended(state.reason, answer["status"], self._clock.now())
