"""Measures how busy sandboxes are: asks the kubelet of each node that runs some, once a period.

Each node has its place in the period by its name, so that they are not all asked at once. A node that does not answer
says nothing of its sandboxes, which keeps them awake.
"""

from __future__ import annotations

import asyncio
import math
import time
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from sandkeeper.api.names import CHILD_PREFIX
from sandkeeper.controllers.volume_usage import VolumeUsages
from sandkeeper.plan.idle import IdleRule, Sample, Track, Usage, follow
from sandkeeper.plan.workspace_choice import pods_claim
from sandkeeper.runtime.account_token import AccountToken
from sandkeeper.runtime.kubelet import Authority, KubeletError, Kubelets
from sandkeeper.runtime.resource import NODES, PODS, Json, Key, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.samples import Sample as KubeletSample

    from sandkeeper.controllers.cluster import Cluster
    from sandkeeper.controllers.metrics import UsageMetrics
    from sandkeeper.controllers.traffic import Traffic
    from sandkeeper.plan.volume_usage import VolumeUsage
    from sandkeeper.runtime.client import ApiClient
    from sandkeeper.runtime.clock import Clock
    from sandkeeper.runtime.connection import Connection
    from sandkeeper.settings import OperatorSettings

_PAGE: Final = "/metrics/resource"
_METRIC: Final = "pod_cpu_usage_seconds_total"
_OURS: Final = f'pod="{CHILD_PREFIX}'
_PORT: Final = 10250
_LOOKS: Final = 20
"""How often in a period it is looked whose turn it is."""
_OFF: Final = "The operator is set up not to measure how busy sandboxes are."


class _Pod(NamedTuple):
    key: Key
    uid: str
    claim: Key


class Usages:
    """What the kubelets say of the sandbox pods of the namespaces that this replica holds.

    Parameters
    ----------
    kubelets
        None measures nothing.
    wake
        Called with the key of a sandbox that became idle or busy, or of whose node something else is known.
    holds
        Whether this replica is to work on a namespace.
    rule
        How often a node is looked at, and what counts as idle.
    traffic
        What the gateways say; None where there are none. While they say nothing, what kubelets say is not enough.
    """

    def __init__(
        self,
        cluster: Cluster,
        kubelets: Kubelets | None,
        metrics: UsageMetrics,
        wake: Callable[[Key], None],
        holds: Callable[[str], bool],
        rule: IdleRule,
        clock: Clock,
        traffic: Traffic | None = None,
    ) -> None:
        self._cluster = cluster
        self._traffic = traffic
        self._kubelets = kubelets
        self._metrics = metrics
        self._wake = wake
        self._holds = holds
        self._rule = rule
        self._interval = rule.interval.total_seconds()
        self._tracks: dict[str, Track] = {}
        self._troubles: dict[str, str] = {}
        self._users: dict[Key, Key] = {}
        self._volumes = VolumeUsages(self._wake_user)
        self._asking: set[str] = set()
        self._clock = clock
        self._log = structlog.get_logger()

    def of(self, pod_uid: str) -> Usage | None:
        """What is known of a pod; None before its first measurement."""
        track = self._tracks.get(pod_uid)
        return self._told(track) if track else None

    def volume(self, claim: Key) -> VolumeUsage | None:
        """What is known of the volume of a running sandbox's claim; None where its driver measures nothing."""
        return self._volumes.of(claim)

    def trouble(self, node: str) -> str:
        """Tell why a node's sandboxes are not measured, in one sentence; empty where they are."""
        unknown = self._traffic.trouble if self._traffic else ""
        return (self._troubles.get(node, "") or unknown) if self.runs else _OFF

    @property
    def runs(self) -> bool:
        """Whether anything is measured at all."""
        return self._kubelets is not None

    async def run(self) -> None:
        """Measure until cancelled."""
        if not self._kubelets:
            return
        before = time.monotonic()
        async with asyncio.TaskGroup() as asked:
            if self._traffic:
                asked.create_task(self._traffic.run())
            while True:
                await asyncio.sleep(self._interval / _LOOKS)
                now, nodes = time.monotonic(), self._by_node()
                self._forget(nodes)
                for node in self._due(nodes, before, now):
                    self._asking.add(node)
                    asked.create_task(self._ask(self._kubelets, node, nodes[node]))
                before = now

    def _due(self, nodes: Iterable[str], before: float, now: float) -> list[str]:
        """Nodes whose turn has come; one that is slower than a period is not asked twice at once."""
        turns = ((node, _turns(node, now / self._interval) - _turns(node, before / self._interval)) for node in nodes)
        return [node for node, passed in turns if passed and node not in self._asking]

    async def close(self) -> None:
        """Close the connections to kubelets."""
        if self._kubelets:
            await self._kubelets.close()

    def _by_node(self) -> dict[str, list[_Pod]]:
        """Running sandbox pods of ours, by the node that they are on."""
        found: defaultdict[str, list[_Pod]] = defaultdict(list)
        store = self._cluster.store(PODS)
        for pod in filter(None, map(store.get, store)):
            node, metadata = pod["spec"].get("nodeName"), pod["metadata"]
            runs = pod["status"].get("phase") == "Running" and "deletionTimestamp" not in metadata
            if node and runs and metadata["name"].startswith(CHILD_PREFIX) and self._holds(metadata["namespace"]):
                key = key_of(pod)
                claim = pods_claim(pod, key.name.removeprefix(CHILD_PREFIX))
                found[node].append(_Pod(key, metadata["uid"], Key(key.namespace, claim)))
        return found

    def _forget(self, nodes: dict[str, list[_Pod]]) -> None:
        live = {pod.uid: pod.key for pods in nodes.values() for pod in pods}
        self._tracks = {uid: track for uid, track in self._tracks.items() if uid in live}
        if self._traffic:
            self._traffic.forget(live)
        self._users = {pod.claim: pod.key for pods in nodes.values() for pod in pods}
        self._volumes.retain(self._users.keys(), nodes)
        self._troubles = {node: trouble for node, trouble in self._troubles.items() if node in nodes}
        self._metrics.measured(len(live), len(nodes), len(self._troubles))

    async def _ask(self, kubelets: Kubelets, node: str, pods: list[_Pod]) -> None:
        try:
            with self._metrics.scrape():
                host, port = _endpoint(self._node(node))
                samples = await kubelets.samples(host, port, _PAGE, (_METRIC,), _OURS)
        except KubeletError as error:
            self._tell(node, pods, f"Node {node} does not tell how busy its sandboxes are: its kubelet {error}.")
        except Exception as error:
            # One node's answer must not end the measuring of all others.
            self._log.exception("measuring failed", node=node)
            self._tell(node, pods, f"What node {node} tells of its sandboxes can't be read: {error!r}.")
        else:
            self._tell(node, pods, "")
            self._take(pods, samples)
            await self._volumes.ask(kubelets, node, host, port, {pod.claim for pod in pods})
        finally:
            self._asking.discard(node)

    def _node(self, name: str) -> Json:
        return self._cluster.store(NODES).get(Key("", name)) or {}

    def _take(self, pods: Iterable[_Pod], samples: Iterable[KubeletSample]) -> None:
        if self._traffic and self._traffic.trouble:
            return
        heard = time.monotonic()
        by_name = {Key(each.labels.get("namespace", ""), each.labels.get("pod", "")): each for each in samples}
        for pod in pods:
            said = by_name.get(pod.key)
            if said is None or said.timestamp is None or not math.isfinite(said.value):
                continue
            before = self._tracks.get(pod.uid)
            traffic = self._traffic.of(pod.uid) if self._traffic else None
            after = follow(before, Sample(float(said.timestamp), said.value), heard, self._rule, traffic)
            self._tracks[pod.uid] = after
            if before is None or before.idle != after.idle:
                self._wake_sandbox(pod.key)

    def _tell(self, node: str, pods: Iterable[_Pod], trouble: str) -> None:
        """Note what is the matter with a node, and say so once."""
        if self._troubles.get(node, "") == trouble:
            return
        if trouble:
            self._troubles[node] = trouble
            self._log.warning("sandboxes are not measured, so none falls asleep", node=node, why=trouble)
        else:
            del self._troubles[node]
            self._log.info("sandboxes are measured again", node=node)
        for pod in pods:
            self._wake_sandbox(pod.key)

    def _wake_sandbox(self, child: Key) -> None:
        self._wake(Key(child.namespace, child.name.removeprefix(CHILD_PREFIX)))

    def _wake_user(self, claim: Key) -> None:
        """Wake the sandbox whose pod is on a claim."""
        if claim in self._users:
            self._wake_sandbox(self._users[claim])

    def _told(self, track: Track) -> Usage:
        """Put a track into times of day."""
        at = self._clock.at
        return Usage(
            measured_at=at(track.heard),
            cpu_seconds=track.sample.cpu_seconds,
            first_at=at(track.first),
            first_cpu_seconds=track.first_cpu_seconds,
            busy_at=None if track.busy is None else at(track.busy),
            busy_cpu_seconds=track.busy_cpu_seconds,
            traffic_at=None if track.traffic is None else at(track.traffic),
        )


def kubelets_of(settings: OperatorSettings, connection: Connection, client: ApiClient) -> Kubelets | None:
    """Give the kubelets as the settings say to ask them; None where they are not to be asked."""
    if not settings.idle_account:
        return None
    authority = Authority(settings.idle_kubelet_ca or connection.authority, verified=settings.idle_kubelet_verify)
    token = AccountToken(client, settings.namespace, settings.idle_account)
    return Kubelets(token, authority, f"sandkeeper-operator/{settings.pod_name}")


def _turns(node: str, periods: float) -> int:
    """How often a node's turn has come after so many periods; its place in each follows from its name."""
    return math.floor(periods - zlib.crc32(node.encode()) / 2**32)


def _endpoint(node: Json) -> tuple[str, int]:
    """Where a node's kubelet listens."""
    status = node.get("status", {})
    for address in status.get("addresses") or ():
        return address["address"], status.get("daemonEndpoints", {}).get("kubeletEndpoint", {}).get("Port") or _PORT
    raise KubeletError("address", "has no internal address")
