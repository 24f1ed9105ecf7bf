"""What works on each kind: the queue of its keys, the controller that passes over them, and what these share."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from sandkeeper.controllers.aides import Aides
from sandkeeper.controllers.children import ChildWriter
from sandkeeper.controllers.cluster import SANDBOXES, Cluster
from sandkeeper.controllers.copies import SNAPSHOTS
from sandkeeper.controllers.diff import DiffController
from sandkeeper.controllers.diffs import DIFFS
from sandkeeper.controllers.fence import FenceKeeper
from sandkeeper.controllers.metrics import PackMetrics, SandboxMetrics, SnapshotMetrics, TrafficMetrics, UsageMetrics
from sandkeeper.controllers.packing import Packer
from sandkeeper.controllers.policies import POLICIES
from sandkeeper.controllers.policy import PolicyController
from sandkeeper.controllers.proof import Proof
from sandkeeper.controllers.sandbox import SandboxController
from sandkeeper.controllers.snapshot import Guests, SnapshotController
from sandkeeper.controllers.traffic import traffic_of
from sandkeeper.controllers.turns import Turns
from sandkeeper.controllers.usage import Usages, kubelets_of
from sandkeeper.plan.guest import QUIESCE_COMMAND
from sandkeeper.runtime.queue import WorkQueue
from sandkeeper.runtime.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.runtime.client import ApiClient
    from sandkeeper.runtime.clock import Clock
    from sandkeeper.runtime.connection import Connection
    from sandkeeper.runtime.events import EventRecorder
    from sandkeeper.runtime.informer import Informer
    from sandkeeper.runtime.metrics import Metrics
    from sandkeeper.runtime.resource import Key
    from sandkeeper.settings import OperatorSettings


@dataclass(frozen=True)
class Surroundings:
    """What a process has that works on kinds.

    Attributes
    ----------
    holds
        Whether this replica is to work on a namespace.
    """

    settings: OperatorSettings
    connection: Connection
    client: ApiClient
    metrics: Metrics
    events: EventRecorder
    clock: Clock
    holds: Callable[[str], bool]


@dataclass(frozen=True)
class Queues:
    """Keys that wait for a pass, by kind."""

    sandboxes: WorkQueue[Key]
    snapshots: WorkQueue[Key]
    diffs: WorkQueue[Key]
    policies: WorkQueue[Key]


class Parts:
    """Stores, queues and controllers.

    Attributes
    ----------
    queues, cluster, proof, usages
        What the controllers share.
    sandboxes
        The controller that has to hear of each sandbox by itself.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        settings, client, registry = around.settings, around.client, around.metrics.registry
        self.queues = Queues(*(_fair_queue(settings.workers) for _ in range(4)))
        self.cluster = Cluster(
            client, self.queues.sandboxes.add, self.queues.snapshots.add, self.queues.diffs.add,
            self.queues.policies.add_after,
            secrets_watched=settings.restart_on_secret_change, gateway=settings.gateway,
        )  # fmt: skip
        fences = FenceKeeper(self.cluster, ChildWriter(client, self.cluster))
        self.proof = Proof(client, self.cluster, fences, settings, around.metrics, self._verdict_changed, around.holds)
        self._guests = self._new_guests()
        kubelets = kubelets_of(settings, around.connection, client)
        self.usages = Usages(
            self.cluster, kubelets, UsageMetrics(registry), self.queues.sandboxes.add, around.holds,
            settings.idle_rule, around.clock, traffic_of(settings, client, TrafficMetrics(registry)),
        )  # fmt: skip
        self.sandboxes = self._sandbox_controller(fences)
        self._snapshots = self._snapshot_controller()
        self._diffs = self._diff_controller(fences)
        priority_class = settings.for_plans().priority_class
        self._policies = PolicyController(client, self.cluster, priority_class, around.holds, around.clock)
        for kind, queue in self._by_kind():
            around.metrics.watch_queue(kind, queue.__len__)

    @property
    def informers(self) -> list[Informer]:
        """All that feed stores."""
        return [*self.cluster.informers, *self.proof.informers]

    def workers(self) -> list[Worker[Key]]:
        """Make what takes keys out of the queues and passes over them."""
        passes = (self.sandboxes.reconcile, self._snapshots.reconcile, self._diffs.reconcile, self._policies.reconcile)
        most, metrics = self._around.settings.workers, self._around.metrics
        return [
            Worker(queue, reconcile, metrics, concurrency=most, kind=kind)
            for (kind, queue), reconcile in zip(self._by_kind(), passes, strict=True)
        ]

    async def stop(self) -> None:
        """Listen to no guest and no kubelet any more."""
        await self._guests.stop()
        await self.usages.close()

    def _by_kind(self) -> tuple[tuple[str, WorkQueue[Key]], ...]:
        queues = self.queues
        return (
            (SANDBOXES.kind, queues.sandboxes),
            (SNAPSHOTS.kind, queues.snapshots),
            (DIFFS.kind, queues.diffs),
            (POLICIES.kind, queues.policies),
        )

    def _sandbox_controller(self, fences: FenceKeeper) -> SandboxController:
        around = self._around
        return SandboxController(
            around.client,
            self.cluster,
            around.settings.for_plans(),
            around.events,
            SandboxMetrics(around.metrics.registry, self.cluster.sandboxes),
            around.holds,
            Aides(fences, self.proof, self._guests.packer, self._guests.quiescer, self.usages, around.clock),
        )

    def _new_guests(self) -> Guests:
        around = self._around
        packed, turns = PackMetrics(around.metrics.registry), Turns(around.settings.for_packs())
        return Guests(
            Packer(around.client, self.queues.sandboxes.add, packed, around.clock, turns),
            Packer(around.client, self.queues.snapshots.add, packed, around.clock, turns, QUIESCE_COMMAND),
        )

    def _snapshot_controller(self) -> SnapshotController:
        around = self._around
        told = SnapshotMetrics(around.metrics.registry)
        return SnapshotController(
            around.client, self.cluster, around.events, told, around.holds, self._guests, around.clock
        )

    def _diff_controller(self, fences: FenceKeeper) -> DiffController:
        around = self._around
        settings = around.settings.for_plans()
        return DiffController(around.client, self.cluster, settings, around.events, around.holds, fences, around.clock)

    def _verdict_changed(self, namespace: str | None) -> None:
        """Look at the sandboxes that a verdict speaks of: those of its namespace, or all."""
        if namespace is None:
            # Whoever deletes the cluster's verdict wants another one.
            self.proof.ask()
        sandboxes = self.cluster.sandboxes
        for key in sandboxes if namespace is None else sandboxes.in_namespace(namespace):
            self.queues.sandboxes.add(key)


def _fair_queue(workers: int) -> WorkQueue[Key]:
    """Make a queue in which namespaces take turns, and none has more than a quarter of the workers.

    Each write of a pass that is under way makes everybody's take longer at the API server.
    """
    return WorkQueue(lane=attrgetter("namespace"), share=max(1, workers // 4))
