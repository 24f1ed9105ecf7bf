"""When a canary runs: beside the operator at its start and every interval, elsewhere when a sandbox asks for it.

A namespace's canary is the work of the replica that holds its shard, the same one that makes and removes its fence; so
it runs once, and no fence goes while it runs.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zlib import crc32

import structlog

from sandkeeper.controllers.canary_run import CanaryRun, sweep
from sandkeeper.controllers.children import InTheWayError
from sandkeeper.plan.canary import canary_pod
from sandkeeper.plan.enforcement import Verdict, broken, exclusion, overturns, policies_named, request_of
from sandkeeper.plan.fence import fence_policy, fence_sign, widening
from sandkeeper.plan.pod_state import parse_time, written
from sandkeeper.plan.writes import Create

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.controllers.cluster import Cluster
    from sandkeeper.controllers.enforcement import CanaryMetrics, Enforcement
    from sandkeeper.controllers.fence import FenceKeeper
    from sandkeeper.plan.canary import CanarySettings
    from sandkeeper.runtime.client import ApiClient

_FIRST_PAUSE: Final = 15.0
"""After a run that proved nothing good; it doubles up to the interval."""
_SPACING: Final = 10.0
"""Between two runs in a namespace, however often sandboxes ask."""
_JITTER: Final = 0.1


@dataclass
class _History:
    ended: float = 0.0
    bad: int = 0


class CanaryController:
    """Runs canaries by namespace.

    Parameters
    ----------
    home
        The operator's namespace, whose canary speaks for the cluster.
    holds
        Whether this replica is to work on a namespace.
    ask
        Puts a namespace into the queue.
    """

    def __init__(
        self,
        client: ApiClient,
        cluster: Cluster,
        enforcement: Enforcement,
        fences: FenceKeeper,
        settings: CanarySettings,
        metrics: CanaryMetrics,
        *,
        home: str,
        interval: timedelta,
        holds: Callable[[str], bool],
    ) -> None:
        self._client = client
        self._cluster = cluster
        self._enforcement = enforcement
        self._fences = fences
        self._settings = settings
        self._metrics = metrics
        self._home = home
        self._interval = interval
        self._holds = holds
        self._histories: defaultdict[str, _History] = defaultdict(_History)
        self._log = structlog.get_logger()

    async def reconcile(self, namespace: str) -> float | None:
        """Run a canary if it is time.

        Returns
        -------
        float or None
            Seconds until the next one.
        """
        requests = self._requests(namespace)
        if not self._holds(namespace) or (namespace != self._home and not requests):
            # What another replica finds meanwhile is newer than what we know.
            self._enforcement.judge_namespace(namespace, None)
            self._histories.pop(namespace, None)
            return None
        wait = self._wait(namespace, requests)
        if wait != 0.0:
            return wait
        verdict = await self._run(namespace)
        if not self._holds(namespace):
            # Another replica runs it by now, and has removed what we were looking at.
            return None
        if namespace == self._home:
            await self._tell_cluster(verdict)
            await sweep(self._client, datetime.now(UTC))
        self._enforcement.judge_namespace(namespace, replace(verdict, requests=requests))
        return self._wait(namespace, requests)

    def _requests(self, namespace: str) -> frozenset[str]:
        """What sandboxes of a namespace ask for now; read before a run, so that it answers no later request."""
        sandboxes = filter(None, map(self._cluster.sandboxes.get, self._cluster.sandboxes.in_namespace(namespace)))
        return frozenset(filter(None, (request_of(each["metadata"].get("annotations", {})) for each in sandboxes)))

    def _wait(self, namespace: str, requests: frozenset[str]) -> float | None:
        """Seconds until the next run; None where there is to be none."""
        if namespace == self._home and not self._enforcement.record:
            return 0.0
        history, verdict = self._histories[namespace], self._enforcement.namespace(namespace)
        pause = _SPACING
        if requests <= (verdict.requests if verdict else frozenset()):
            if not history.bad:
                return self._due() if namespace == self._home else None
            pause = min(_FIRST_PAUSE * 2.0 ** min(history.bad - 1, 20), self._interval.total_seconds())
        since = time.monotonic() - history.ended if history.ended else float("inf")
        # A timer that fires a rounding error early is not to be set again for it.
        return max(0.0, round(pause - since, 3))

    def _due(self) -> float:
        """Seconds until the cluster's verdict wants to be renewed; at once where another image found it."""
        record, verdict = self._enforcement.record, self._enforcement.cluster
        if verdict is None or verdict.result != "Verified" or record.get("image") != self._settings.image:
            return 0.0
        age = (datetime.now(UTC) - parse_time(record["at"])).total_seconds()
        # The same however often it is asked, and different from run to run and from cluster to cluster.
        spread = crc32(record["at"].encode()) / 2**32
        return max(0.0, round(self._interval.total_seconds() * (1 - _JITTER * spread) - age, 3))

    async def _run(self, namespace: str) -> Verdict:
        started, history = time.monotonic(), self._histories[namespace]
        with self._fences.working_in(namespace):
            verdict = await self._try(namespace)
            if self._holds(namespace):
                await self._fences.remove_unused(namespace)
        history.ended = time.monotonic()
        history.bad = 0 if verdict.result == "Verified" else history.bad + 1
        self._metrics.ran(verdict, history.ended - started)
        log = self._log.info if verdict.result == "Verified" else self._log.warning
        log("canary", namespace=namespace, result=verdict.result, why=verdict.message)
        return verdict

    async def _try(self, namespace: str) -> Verdict:
        try:
            for each in (fence_sign(namespace), fence_policy(namespace, self._settings.gateway)):
                await self._fences.wait_settled(namespace)
                await self._fences.make(Create(each))
        except InTheWayError as error:
            return broken(f"{error} in namespace {namespace}")
        labels = canary_pod("fenced", namespace, namespace, "", self._settings)["metadata"]["labels"]
        on_purpose, by_chance = widening(self._cluster.foreign_policies(namespace), labels)
        if on_purpose or by_chance:
            opening, way_out = policies_named((*on_purpose, *by_chance)), exclusion().removesuffix(".")
            return broken(f"in namespace {namespace} it is let out by {opening}. {way_out}")
        gateway = next(iter(self._cluster.gateway.addresses), "")
        if self._settings.gateway and not gateway:
            return broken("the Service of the egress gateway has no address")
        return await CanaryRun(self._client, self._home, namespace, self._settings, gateway=gateway).verdict()

    async def _tell_cluster(self, verdict: Verdict) -> None:
        """Write the verdict down; one that proves nothing is only noted beside a proof that still counts."""
        now = written(datetime.now(UTC))
        data = {"lastRun": now, "lastResult": verdict.result, "lastMessage": verdict.message}
        if overturns(verdict, self._enforcement.cluster):
            data |= {"result": verdict.result, "message": verdict.message, "at": now, "image": self._settings.image}
        await self._enforcement.judge_cluster(data)
