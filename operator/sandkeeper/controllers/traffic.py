"""Asks the gateway's pods of which sandboxes they had traffic: what talks to the outside is at work.

A gateway that does not answer says nothing of any sandbox, which keeps them awake, as a kubelet's silence does.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import aiohttp
import structlog
from pydantic import TypeAdapter, ValidationError

from sandkeeper.plan.pod_state import condition
from sandkeeper.runtime.informer import UNREACHABLE
from sandkeeper.runtime.resource import PODS, Json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from sandkeeper.controllers.metrics import TrafficMetrics
    from sandkeeper.runtime.client import ApiClient
    from sandkeeper.settings import OperatorSettings

_PATH: Final = "/activity"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10, sock_connect=3)
_UNREADABLE: Final = (aiohttp.ClientError, TimeoutError, OSError, ValidationError)


@dataclass(frozen=True)
class _Told:
    """What a gateway tells: its clock, and by pod's uid when that last had traffic; seconds since the epoch."""

    now: float
    traffic: dict[str, float]


_TOLD: Final = TypeAdapter(_Told)


class Traffic:
    """What the gateways say.

    Parameters
    ----------
    namespace, selector
        Where the gateway's pods are, and the labels by which they are found.
    port
        Of their activity.
    interval
        Seconds between two rounds.
    """

    def __init__(
        self, client: ApiClient, namespace: str, selector: str, port: int, interval: float, metrics: TrafficMetrics
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._selector = selector
        self._port = port
        self._interval = interval
        self._metrics = metrics
        self._last: dict[str, float] = {}
        self._seen: dict[str, dict[str, float]] = {}
        self._log = structlog.get_logger()
        self.trouble = "The egress gateway has not been asked yet which sandboxes have traffic."
        """Why it is not known which sandboxes have traffic, in one sentence; empty where it is."""

    def of(self, pod_uid: str) -> float | None:
        """When a pod last had traffic, in seconds of our monotonic clock; None where it had none that is known."""
        return self._last.get(pod_uid)

    async def run(self) -> None:
        """Ask until cancelled."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False) as session:
            while True:
                self._tell(await self._round(session))
                await asyncio.sleep(self._interval)

    def forget(self, live: Iterable[str]) -> None:
        """Forget all pods but those."""
        kept = set(live)
        self._last = {uid: at for uid, at in self._last.items() if uid in kept}

    async def _round(self, session: aiohttp.ClientSession) -> str:
        """Ask all gateways, and give what is the matter with them."""
        try:
            pods = [each async for each in self._pods()]
        except UNREACHABLE as error:
            return f"The egress gateway's pods can't be listed: {str(error) or repr(error)}."
        if not pods:
            return "No pod of the egress gateway runs."
        there = {each["metadata"]["uid"] for each in pods}
        self._seen = {uid: seen for uid, seen in self._seen.items() if uid in there}
        troubles = await asyncio.gather(*(self._ask(session, pod) for pod in pods))
        self._metrics.asked(sum(not each for each in troubles), sum(map(bool, troubles)))
        return next(filter(None, troubles), "")

    async def _pods(self) -> AsyncIterator[Json]:
        params = {"labelSelector": self._selector}
        async for page in self._client.list_pages(PODS, params=params, namespace=self._namespace):
            for pod in page["items"] or ():
                if pod["status"].get("phase") == "Running" and pod["status"].get("podIP"):
                    yield pod

    async def _ask(self, session: aiohttp.ClientSession, pod: Json) -> str:
        host, name = pod["status"]["podIP"], pod["metadata"]["name"]
        url = f"http://[{host}]:{self._port}{_PATH}" if ":" in host else f"http://{host}:{self._port}{_PATH}"
        try:
            async with session.get(url, allow_redirects=False) as answer:
                answer.raise_for_status()
                self._take(pod["metadata"]["uid"], _TOLD.validate_json(await answer.read()))
        except _UNREADABLE as error:
            # One that starts or ends gets no new connections, and is not waited for.
            ready = condition(pod, "Ready").get("status") == "True"
            why = str(error).partition("\n")[0] or "no answer in time"
            return f"Egress gateway {name} does not tell which sandboxes have traffic: {why}." if ready else ""
        return ""

    def _take(self, gateway: str, told: _Told) -> None:
        heard, seen = time.monotonic(), self._seen.get(gateway, {})
        for uid, at in told.traffic.items():
            # Clocks differ, and are set: what counts is that a gateway says something new, and how long ago it was.
            if seen.get(uid) != at:
                self._last[uid] = max(heard - max(0.0, told.now - at), self._last.get(uid, 0.0))
        self._seen[gateway] = told.traffic

    def _tell(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            self._log.warning("traffic of sandboxes is not known, so none falls asleep", why=trouble)
        elif self.trouble and not trouble:
            self._log.info("traffic of sandboxes is known")
        self.trouble = trouble


def traffic_of(settings: OperatorSettings, client: ApiClient, metrics: TrafficMetrics) -> Traffic | None:
    """Give what asks the gateways; None where there are none."""
    if not settings.gateway_selector:
        return None
    return Traffic(
        client, settings.namespace, settings.gateway_selector, settings.gateway_activity_port,
        settings.idle_interval_seconds, metrics,
    )  # fmt: skip
