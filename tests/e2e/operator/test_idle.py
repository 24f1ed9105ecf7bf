"""Which sandboxes are idle, by the kubelet of a real node: told apart, and by an account that can do nothing else."""

import asyncio
import json
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import urllib3
from prometheus_client import CollectorRegistry

from api.kubectl import Kubectl
from api.operator.kubernetes_api import credentials
from benchmark.connection import connected
from e2e.operator.idle_cases import IDLE, LIGHT, PYTHON, WORK, python
from e2e.operator.sandboxes import SMALL, Sandboxes, eventually
from installation import NAMESPACE, Installation
from sandkeeper.controllers.cluster import Cluster
from sandkeeper.controllers.metrics import UsageMetrics
from sandkeeper.controllers.usage import Usages
from sandkeeper.plan.idle import IdleRule, Usage, idle_since
from sandkeeper.runtime.account_token import AccountToken
from sandkeeper.runtime.clock import Clock
from sandkeeper.runtime.kubelet import Authority, Kubelets
from sandkeeper.runtime.resource import Key

RULE = IdleRule(interval=timedelta(seconds=2))
TIMEOUT = timedelta(minutes=15)
PAGE = re.compile(r'^pod_cpu_usage_seconds_total\{[^}]*pod="sbx-(case-[^"]+)"\} (\S+) (\d+)$', re.MULTILINE)


@pytest.fixture
def authority(kubeconfig: Path, tmp_path: Path) -> Authority:
    """The cluster's own, which signed the kubelet's certificate too."""
    _, context = credentials(kubeconfig)
    file = tmp_path / "ca.crt"
    file.write_text("".join(map(ssl.DER_cert_to_PEM_cert, context.get_ca_certs(binary_form=True))))
    return Authority(str(file))


@asynccontextmanager
async def measuring(kubeconfig: Path, authority: Authority) -> AsyncIterator[tuple[Cluster, Usages]]:
    """Measure as the operator does, with tokens of its account, but every two seconds."""
    # The operator's own way of connecting reads the variable KUBECONFIG, and that when it is imported.
    async with connected(kubeconfig) as client:
        cluster = Cluster(client, lambda _: None, lambda _: None)
        kubelets = Kubelets(AccountToken(client, NAMESPACE, "sandkeeper-usage"), authority, "idle-test")
        told = UsageMetrics(CollectorRegistry())
        usages = Usages(cluster, kubelets, told, lambda _: None, lambda _: True, RULE, Clock())
        tasks = [asyncio.create_task(informer.run()) for informer in cluster.informers]
        await asyncio.gather(*(informer.synced.wait() for informer in cluster.informers))
        tasks.append(asyncio.create_task(usages.run()))
        try:
            yield cluster, usages
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await usages.close()


async def measured(usages: Usages, uid: str, times: int = 3) -> Usage:
    """Wait until the kubelet has looked at a pod a few times."""
    seen: set[datetime] = set()
    deadline = time.monotonic() + 120
    while len(seen) < times:
        assert time.monotonic() < deadline, "the kubelet does not tell of the pod"
        await asyncio.sleep(0.5)
        usage = usages.of(uid)
        if usage:
            seen.add(usage.measured_at)
    assert usage
    return usage


async def test_a_sandbox_at_work_and_one_that_waits_are_told_apart(
    kubeconfig: Path, sandboxes: Sandboxes, authority: Authority
) -> None:
    sandboxes.apply("waiting")
    sandboxes.apply("working", image=PYTHON, command=python("while True: pass"))
    sandboxes.wait("waiting")
    sandboxes.wait("working")

    async with measuring(kubeconfig, authority) as (cluster, usages):
        pods = {name: cluster.pod(Key(sandboxes.namespace, name)) for name in ("waiting", "working")}
        uids = {name: pod["metadata"]["uid"] for name, pod in pods.items() if pod}
        seen = dict(zip(uids, await asyncio.gather(*(measured(usages, uid) for uid in uids.values())), strict=True))

        now = datetime.now(UTC)
        since = {
            name: idle_since(usage, None, usage.first_at, now, rule=RULE, timeout=TIMEOUT)
            for name, usage in seen.items()
        }
        assert since == {"waiting": seen["waiting"].first_at, "working": None}
        assert all(usages.trouble(pod["spec"]["nodeName"]) == "" for pod in pods.values() if pod)


def test_the_installed_operator_reaches_the_kubelets(kubectl: Kubectl, sandboxes: Sandboxes) -> None:
    sandboxes.apply("here")
    sandboxes.wait("here")
    operators = kubectl("-n", NAMESPACE, "get", "pods", "-l", "app.kubernetes.io/component=operator", "-o", "name")

    def told() -> str:
        """What the replicas say of their questions to kubelets; one of them holds the namespace."""
        paths = [f"/api/v1/namespaces/{NAMESPACE}/pods/{name.removeprefix('pod/')}:8080" for name in operators.split()]
        pages = [kubectl("get", "--raw", f"{path}/proxy/metrics") for path in paths]
        return "\n".join(line for page in pages for line in page.splitlines() if "usage_scrape_seconds_count" in line)

    eventually(told, lambda counts: 'result="ok"' in counts, seconds=150)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/metrics/resource", 200), ("/pods", 403), ("/stats/summary", 403), ("/logs/", 403), ("/run/a/b/c", 403)],
)
def test_a_token_of_the_account_reads_metrics_and_nothing_else(
    kubectl: Kubectl, installation: Installation, path: str, status: int
) -> None:
    token = kubectl("-n", NAMESPACE, "create", "token", "sandkeeper-usage", "--duration=10m").strip()
    node = json.loads(kubectl("get", "nodes", "-o", "json"))["items"][0]["status"]["addresses"][0]["address"]
    _, context = credentials(installation.kubeconfig)
    # The CA alone: who asks is told by the token.
    alone = ssl.create_default_context(cadata=b"".join(context.get_ca_certs(binary_form=True)))

    with urllib3.PoolManager(ssl_context=alone, headers={"Authorization": f"Bearer {token}"}) as pool:
        answer = pool.request("GET", f"https://{node}:10250{path}")

    assert answer.status == status


def totals(kubectl: Kubectl, node: str) -> dict[str, tuple[float, float]]:
    """CPU seconds and time of all sandboxes on a node, by name."""
    page = kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/metrics/resource")
    return {name: (float(cpu), int(when) / 1000) for name, cpu, when in PAGE.findall(page)}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_threshold_lies_between_sandboxes_that_wait_and_sandboxes_at_work(
    kubectl: Kubectl, sandboxes: Sandboxes
) -> None:
    commands = {**IDLE, **WORK, **LIGHT}
    cases = {f"case-{number}": case for number, case in enumerate(commands)}
    limits = {"limits": {"cpu": "1", "memory": "256Mi", "ephemeral-storage": "3Gi"}, "requests": SMALL["requests"]}
    for name, case in cases.items():
        sandboxes.apply(name, image=PYTHON, command=commands[case], resources=limits)
    sandboxes.kubectl("wait", "sandbox", "--all", "--for=condition=Ready", "--timeout=120s")
    node = sandboxes.pod("case-0")["spec"]["nodeName"]
    # What happens at a start is over then.
    time.sleep(30)

    readings = [totals(kubectl, node)]
    for _ in range(3):
        time.sleep(60)
        readings.append(totals(kubectl, node))

    cores = {
        case: [(b[name][0] - a[name][0]) / (b[name][1] - a[name][1]) for a, b in pairwise(readings)]
        for name, case in cases.items()
    }
    for case, used in cores.items():
        print(f"{case:40s} {min(used):.4f} to {max(used):.4f} cores")
    assert max(max(cores[case]) for case in IDLE) < RULE.threshold
    assert min(min(cores[case]) for case in WORK) > RULE.threshold
