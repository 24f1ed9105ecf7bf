"""Nodes are asked in turn how busy their sandboxes are, and what they say wakes whom it concerns."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Coroutine
from datetime import timedelta
from itertools import pairwise
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

from sandkeeper.controllers.cluster import Cluster
from sandkeeper.controllers.metrics import UsageMetrics
from sandkeeper.controllers.usage import Usages
from sandkeeper.plan.idle import IdleRule, Usage
from sandkeeper.plan.volume_usage import VolumeUsage
from sandkeeper.runtime.clock import Clock
from sandkeeper.runtime.kubelet import KubeletError
from sandkeeper.runtime.resource import NODES, PODS, Json, Key
from unit.fakes import virtual_time
from unit.fakes.apiserver import FakeApiServer
from unit.fakes.client import FakeClient

RULE = IdleRule(threshold=0.01, interval=timedelta(minutes=1))
SLOW = 100.0
CAPACITY, AVAILABLE = "kubelet_volume_stats_capacity_bytes", "kubelet_volume_stats_available_bytes"
NOT_TOLD = "Node a does not tell how busy its sandboxes are: its kubelet"


class FakeKubelets:
    """Kubelets by their nodes' addresses; all pods on them use what ``cores`` says."""

    def __init__(self) -> None:
        self.cores: defaultdict[str, float] = defaultdict(float)
        self.asked: list[tuple[float, str]] = []
        self.fails: dict[str, KubeletError] = {}
        self.slow: set[str] = set()
        self.total: defaultdict[str, float] = defaultdict(float)
        self.pods: list[tuple[str, str]] = []
        self.volume = {CAPACITY: 100.0, AVAILABLE: 50.0}

    async def samples(self, host: str, port: int, path: str, metrics: tuple[str, ...], having: str) -> list[Sample]:
        now = time.monotonic()
        self.asked.append((now, f"{host}:{port}{path}"))
        if host in self.slow:
            await asyncio.sleep(SLOW)
        if host in self.fails:
            raise self.fails[host]
        if path == "/metrics":
            return [
                Sample(name, {"namespace": "team", "persistentvolumeclaim": "sbx-one"}, self.volume[name])
                for name in metrics
            ]
        for _, name in self.pods:
            self.total[name] += self.cores[name] * 60
        return [
            Sample(metrics[0], {"namespace": namespace, "pod": name}, self.total[name], now)
            for namespace, name in self.pods
        ]

    def asked_for(self, path: str = "/metrics/resource") -> list[tuple[float, str]]:
        """When which address was asked for a page."""
        return [(when, url.removesuffix(path)) for when, url in self.asked if url.endswith(path)]


class FakeTraffic:
    """What the gateways say."""

    def __init__(self) -> None:
        self.trouble = ""
        self.last: dict[str, float] = {}

    def of(self, pod_uid: str) -> float | None:
        return self.last.get(pod_uid)

    def forget(self, live: dict[str, Key]) -> None:
        self.last = {uid: at for uid, at in self.last.items() if uid in live}

    async def run(self) -> None:
        await asyncio.Event().wait()


class Lab:
    """Nodes and sandbox pods that are measured, in virtual time."""

    def __init__(self, traffic: FakeTraffic | None = None) -> None:
        self.cluster = Cluster(FakeClient(FakeApiServer()), lambda _: None, lambda _: None)
        self.kubelets = FakeKubelets()
        self.woken: list[Key] = []
        self.registry = CollectorRegistry()
        told = UsageMetrics(self.registry)
        self.usages = Usages(self.cluster, self.kubelets, told, self.woken.append, self.holds, RULE, Clock(), traffic)  # type: ignore[arg-type]

    def holds(self, namespace: str) -> bool:
        return namespace == "team"

    def add_node(self, name: str, **status: Any) -> None:
        addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": f"ip-{name}"}]
        metadata = {"name": name, "uid": name, "resourceVersion": "1"}
        self.cluster.store(NODES).upsert({"metadata": metadata, "status": {"addresses": addresses, **status}})

    def add_pod(self, node: str = "a", name: str = "sbx-one", namespace: str = "team", **changes: Json) -> None:
        metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": "1"}
        self.kubelets.pods.append((namespace, name))
        pod = {
            "metadata": metadata | changes.get("metadata", {}),
            "spec": {"nodeName": node, "containers": [{"name": "sandbox"}]},
            "status": {"phase": "Running"} | changes.get("status", {}),
        }
        self.cluster.store(PODS).upsert(pod)

    async def minutes(self, number: float) -> None:
        running = asyncio.create_task(self.usages.run())
        await asyncio.sleep(number * 60)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    def measured(self, name: str = "sbx-one") -> Usage:
        found = self.usages.of(f"uid-{name}")
        assert found
        return found

    def counted(self, metric: str, **labels: str) -> float:
        return self.registry.get_sample_value(metric, labels) or 0.0


def story(tell: Coroutine[Any, Any, None]) -> None:
    virtual_time.run(tell)


def test_each_node_is_asked_once_a_minute_and_not_all_at_once() -> None:
    async def tell() -> None:
        lab = Lab()
        for number in range(40):
            lab.add_node(f"n{number}")
            lab.add_pod(f"n{number}", f"sbx-{number}")

        await lab.minutes(5.2)

        by_node = defaultdict(list)
        for when, host in lab.kubelets.asked_for():
            by_node[host].append(when)
        pauses = [after - before for times in by_node.values() for before, after in pairwise(times)]
        assert len(by_node) == 40
        assert min(len(times) for times in by_node.values()) == 5
        assert max(abs(pause - 60) for pause in pauses) < 60 / 10
        together = Counter(when for when, _ in lab.kubelets.asked_for())
        assert max(together.values()) < 40 / 4

    story(tell())


def test_only_nodes_with_running_sandboxes_of_our_namespaces_are_asked() -> None:
    async def tell() -> None:
        lab = Lab()
        for name in "abcdef":
            lab.add_node(name)
        lab.add_pod("a")
        lab.add_pod("b", "sbx-theirs", "others")
        lab.add_pod("c", "sbx-starting", status={"phase": "Pending"})
        lab.add_pod("d", "sbx-ending", metadata={"deletionTimestamp": "2026-03-01T12:00:00Z"})
        lab.add_pod("e", "unrelated")

        await lab.minutes(1.1)

        assert {host for _, host in lab.kubelets.asked_for()} == {"ip-a:10250"}
        assert lab.usages.of("uid-sbx-theirs") is None

    story(tell())


def test_a_kubelet_is_asked_where_its_node_says() -> None:
    async def tell() -> None:
        lab = Lab()
        lab.add_node("a", daemonEndpoints={"kubeletEndpoint": {"Port": 11250}})
        lab.add_pod()

        await lab.minutes(1.1)

        assert lab.kubelets.asked_for()[0][1] == "ip-a:11250"

    story(tell())


def test_a_sandbox_is_woken_when_it_is_first_measured_and_when_it_becomes_idle_or_busy() -> None:
    async def tell() -> None:
        lab = Lab()
        lab.add_node("a")
        lab.add_pod()
        one = Key("team", "one")

        await lab.minutes(1)
        assert lab.woken == [one]
        await lab.minutes(1)
        assert lab.woken == [one] * 2
        await lab.minutes(3)
        assert lab.woken == [one] * 2

        lab.kubelets.cores["sbx-one"] = 0.5
        await lab.minutes(2)
        assert lab.woken == [one] * 3
        assert lab.measured().busy_at == lab.measured().measured_at

    story(tell())


def test_a_node_that_does_not_tell_is_told_of_once_and_keeps_nobody_idle() -> None:
    async def tell() -> None:
        lab = Lab()
        lab.add_node("a")
        lab.add_pod()
        lab.kubelets.fails["ip-a"] = KubeletError("certificate", "has a certificate that can't be verified: expired")

        await lab.minutes(3)

        assert lab.usages.of("uid-sbx-one") is None
        assert lab.usages.trouble("a") == f"{NOT_TOLD} has a certificate that can't be verified: expired."
        assert lab.woken == [Key("team", "one")]
        assert lab.counted("sandkeeper_usage_scrape_seconds_count", result="certificate") == 3
        assert lab.counted("sandkeeper_usage_nodes", measured="no") == 1

        lab.kubelets.fails.clear()
        await lab.minutes(1.1)
        assert lab.usages.trouble("a") == ""
        assert lab.measured()
        assert lab.counted("sandkeeper_usage_nodes", measured="yes") == 1

    story(tell())


def test_a_node_without_an_address_is_not_asked() -> None:
    async def tell() -> None:
        lab = Lab()
        lab.add_pod()

        await lab.minutes(1.1)

        assert lab.kubelets.asked == []
        assert lab.usages.trouble("a") == f"{NOT_TOLD} has no internal address."

    story(tell())


def test_a_kubelet_that_is_slow_is_not_asked_again_meanwhile() -> None:
    async def tell() -> None:
        lab = Lab()
        lab.add_node("a")
        lab.add_pod()
        lab.kubelets.slow.add("ip-a")

        await lab.minutes(8)

        pauses = [after[0] - before[0] for before, after in pairwise(lab.kubelets.asked_for())]
        assert pauses
        assert min(pauses) > SLOW

    story(tell())


def test_a_pod_that_is_gone_is_forgotten() -> None:
    async def tell() -> None:
        lab = Lab()
        lab.add_node("a")
        lab.add_pod()
        await lab.minutes(2)
        assert lab.measured()

        lab.cluster.store(PODS).remove(Key("team", "sbx-one"), "uid-sbx-one")
        await lab.minutes(0.2)

        assert lab.usages.of("uid-sbx-one") is None

    story(tell())


def test_a_sandbox_that_talks_is_busy_and_its_sandbox_is_woken() -> None:
    async def tell() -> None:
        traffic = FakeTraffic()
        lab = Lab(traffic)
        lab.add_node("a")
        lab.add_pod()
        await lab.minutes(3)
        assert lab.measured().busy_at is None

        traffic.last["uid-sbx-one"] = time.monotonic()
        await lab.minutes(1.1)

        assert lab.measured().busy_at == lab.measured().measured_at
        assert lab.measured().traffic_at is not None
        # Of pods that are gone nothing is kept.
        traffic.last["gone"] = 1.0
        await lab.minutes(1.1)
        assert list(traffic.last) == ["uid-sbx-one"]

    story(tell())


def test_while_gateways_say_nothing_kubelets_do_not_make_a_sandbox_idle() -> None:
    async def tell() -> None:
        traffic = FakeTraffic()
        lab = Lab(traffic)
        lab.add_node("a")
        lab.add_pod()
        await lab.minutes(3)
        measured = lab.measured().measured_at

        traffic.trouble = "No pod of the egress gateway runs."
        await lab.minutes(7)

        assert lab.measured().measured_at == measured
        assert lab.usages.trouble("a") == traffic.trouble

    story(tell())


def test_where_nothing_is_to_be_measured_that_is_said() -> None:
    usages = Usages(
        Lab().cluster, None, UsageMetrics(CollectorRegistry()), lambda _: None, lambda _: True, RULE, Clock()
    )

    assert not usages.runs
    assert usages.trouble("a") == "The operator is set up not to measure how busy sandboxes are."


def test_how_full_a_volume_is_becomes_known_and_wakes_when_it_is_full() -> None:
    async def tell() -> None:
        lab = Lab()
        lab.add_node("a")
        lab.add_pod()
        claim = Key("team", "sbx-one")

        await lab.minutes(2)
        woken = len(lab.woken)
        assert lab.usages.volume(claim) == VolumeUsage(100, 50)

        lab.kubelets.volume[AVAILABLE] = 0.0
        await lab.minutes(6)
        found = lab.usages.volume(claim)
        assert found
        assert found.full
        assert lab.woken[woken:] == [Key("team", "one")]
        # The long page is read every five minutes.
        assert len(lab.kubelets.asked_for("/metrics")) == 2

    story(tell())


def test_what_is_no_size_or_only_half_of_it_is_left_out() -> None:
    async def tell() -> None:
        lab = Lab()
        lab.add_node("a")
        lab.add_pod()
        lab.kubelets.volume[AVAILABLE] = float("nan")

        await lab.minutes(2)

        assert lab.usages.volume(Key("team", "sbx-one")) is None

    story(tell())


def test_a_volume_of_a_sandbox_that_does_not_run_is_forgotten() -> None:
    async def tell() -> None:
        lab = Lab()
        lab.add_node("a")
        lab.add_pod()
        await lab.minutes(2)

        lab.cluster.store(PODS).remove(Key("team", "sbx-one"), "uid-sbx-one")
        await lab.minutes(0.2)

        assert lab.usages.volume(Key("team", "sbx-one")) is None

    story(tell())
