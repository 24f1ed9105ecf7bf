"""What the operator knows of the fence: the cluster's verdict in a ConfigMap that all replicas watch, others in memory.

The ConfigMap outlives every process, so a restart leaves no gap in which nothing may start.
"""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, get_args

from prometheus_client import Counter, Gauge, Histogram

from sandkeeper.api.names import ENFORCEMENT_NAME
from sandkeeper.plan.enforcement import Result, Verdict, current
from sandkeeper.plan.pod_state import parse_time
from sandkeeper.plan.slim import slim_config_map
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.informer import Informer
from sandkeeper.runtime.resource import CONFIG_MAPS, Json, Key
from sandkeeper.runtime.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from sandkeeper.runtime.client import ApiClient

_SECONDS = (2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60, 90)


class Enforcement:
    """Verdicts of canaries, by namespace.

    Parameters
    ----------
    namespace
        The operator's own, whose verdict is the cluster's.
    interval
        Between two runs; a verdict counts twice as long.
    changed
        Called with the namespace whose verdict says something else now; with None for the cluster's.
    """

    def __init__(
        self, client: ApiClient, namespace: str, interval: timedelta, changed: Callable[[str | None], None]
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._interval = interval
        self._changed = changed
        self._key = Key(namespace, ENFORCEMENT_NAME)
        self._store = Store(slim_config_map)
        self._verdicts: dict[str, Verdict] = {}
        self.informer = Informer(
            client, CONFIG_MAPS, self._store, self._told,
            field_selector=f"metadata.name={ENFORCEMENT_NAME}", namespace=namespace,
        )  # fmt: skip

    @property
    def record(self) -> Json:
        """Content of the ConfigMap; empty where there is none."""
        return (self._store.get(self._key) or {}).get("data") or {}

    @property
    def cluster(self) -> Verdict | None:
        """Verdict on the cluster; None where there is none, or one too old to count."""
        return self._counting(self._store.get(self._key))

    def namespace(self, name: str) -> Verdict | None:
        """Verdict on a namespace of sandboxes, if one was asked for since the process started."""
        return self._verdicts.get(name)

    def judge_namespace(self, name: str, verdict: Verdict | None) -> None:
        """Take a verdict on a namespace, or forget the one there is."""
        if verdict is None:
            self._verdicts.pop(name, None)
            return
        self._verdicts[name] = verdict
        self._changed(name)

    async def judge_cluster(self, data: dict[str, str]) -> None:
        """Write the cluster's verdict down, for all replicas."""
        name = {"name": ENFORCEMENT_NAME}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": data}
        try:
            answer = await self._client.patch(CONFIG_MAPS, self._namespace, ENFORCEMENT_NAME, {"data": data})
        except ApiError as error:
            if not error.not_found:
                raise
            answer = await self._client.create(CONFIG_MAPS, self._namespace, body)
        before = self._store.get(self._key)
        if self._store.upsert(answer):
            self._told(self._key, before, self._store.get(self._key))

    def _told(self, _: Key, before: Json | None, after: Json | None) -> None:
        # Not the time of each run, or every run would cost every sandbox a write.
        if self._counting(before) != self._counting(after):
            self._changed(None)

    def _counting(self, config_map: Json | None) -> Verdict | None:
        return current((config_map or {}).get("data") or {}, datetime.now(UTC), self._interval)


class CanaryMetrics:
    """Tells of canaries. No label holds a name."""

    def __init__(self, registry: CollectorRegistry, enforcement: Enforcement) -> None:
        self._enforcement = enforcement
        enforced = Gauge(
            "sandkeeper_egress_enforced", "1: a canary saw the fence hold; 0: it got out; NaN: not known.",
            registry=registry,
        )  # fmt: skip
        enforced.set_function(self._value)
        last = Gauge(
            "sandkeeper_canary_last_run_timestamp_seconds", "When the cluster's last canary ended.", registry=registry
        )
        last.set_function(self._last_run)
        self._seconds = Histogram(
            "sandkeeper_canary_seconds", "Duration of a run of the canary.", registry=registry, buckets=_SECONDS
        )
        self._runs = Counter(
            "sandkeeper_canary_runs", "Runs of the canary by this replica.", ["result"], registry=registry
        )
        # From zero on, as an alert asks for the rate of each.
        for result in get_args(Result):
            self._runs.labels(result)

    def ran(self, verdict: Verdict, seconds: float) -> None:
        """Record a run."""
        self._seconds.observe(seconds)
        self._runs.labels(verdict.result).inc()

    def _value(self) -> float:
        verdict = self._enforcement.cluster
        return {"Verified": 1.0, "NotEnforced": 0.0}.get(verdict.result if verdict else "", math.nan)

    def _last_run(self) -> float:
        with suppress(KeyError, ValueError):
            return parse_time(self._enforcement.record["lastRun"]).timestamp()
        return math.nan
