"""Puts canaries together: what is known of the fence, and the worker that finds it out. Without an image none runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sandkeeper.controllers.canary import CanaryController
from sandkeeper.controllers.enforcement import CanaryMetrics, Enforcement
from sandkeeper.runtime.queue import WorkQueue
from sandkeeper.runtime.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.controllers.cluster import Cluster
    from sandkeeper.controllers.fence import FenceKeeper
    from sandkeeper.plan.enforcement import Verdict
    from sandkeeper.runtime.client import ApiClient
    from sandkeeper.runtime.informer import Informer
    from sandkeeper.runtime.metrics import Metrics
    from sandkeeper.settings import OperatorSettings

_RUNS_AT_ONCE = 2


class Proof:
    """Whether the fence holds, as far as canaries have shown.

    Parameters
    ----------
    fences
        Shared with the sandboxes' passes, so that a canary's fence stays while it runs.
    holds
        Whether this replica is to work on a namespace.
    """

    def __init__(
        self,
        client: ApiClient,
        cluster: Cluster,
        fences: FenceKeeper,
        settings: OperatorSettings,
        metrics: Metrics,
        wake: Callable[[str | None], None],
        holds: Callable[[str], bool],
    ) -> None:
        interval = timedelta(seconds=settings.canary_interval_seconds)
        canaries = settings.for_canaries()
        self._home = settings.namespace
        self._enforcement = Enforcement(client, self._home, interval, wake)
        self._queue: WorkQueue[str] = WorkQueue()
        self.runs = bool(canaries.image)
        counted = CanaryMetrics(metrics.registry, self._enforcement)
        controller = CanaryController(
            client, cluster, self._enforcement, fences, canaries, counted,
            home=self._home, interval=interval, holds=holds,
        )  # fmt: skip
        self.worker = Worker(
            self._queue, controller.reconcile, metrics, concurrency=_RUNS_AT_ONCE, kind="Canary", patience=0.0
        )

    @property
    def informers(self) -> list[Informer]:
        """What has to be listed before a verdict can be trusted to be the last one."""
        return [self._enforcement.informer] if self.runs else []

    @property
    def cluster(self) -> Verdict | None:
        """Verdict on the cluster; None where there is none that counts."""
        return self._enforcement.cluster if self.runs else None

    def namespace(self, name: str) -> Verdict | None:
        """Verdict on a namespace of sandboxes, if one of them asked for it."""
        return self._enforcement.namespace(name)

    def ask(self, namespace: str | None = None) -> None:
        """Ask for a canary in a namespace, by default for the cluster's; one that is not due does not run."""
        if self.runs:
            self._queue.add(namespace or self._home)
