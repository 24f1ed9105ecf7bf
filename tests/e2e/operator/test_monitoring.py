"""Every query of the dashboard and of the alerts has an answer in a Prometheus that scrapes a release which works."""

import json
import math
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from promql_parser import BinaryExpr, Call, Expr, parse, transform

from api.kubectl import Kubectl
from e2e.conftest import CHECKOUT, hack_cluster
from e2e.operator.sandboxes import EPHEMERAL, PERSISTENT, Sandboxes, eventually
from e2e.operator.test_snapshots import reaches, take
from e2e.prometheus.prometheus import Prometheus
from installation import NAMESPACE, Installation
from localcluster.images.small import prometheus_image
from localcluster.tools import tool
from unit.chart.manifest_schemas import prometheus_operators
from unit.monitoring.rules import DASHBOARD, drawn, selectors

IMAGE = "docker.io/library/python:3.13"
SITE = "site"
FETCH = (
    "import sys, urllib.request as r; print(r.build_opener(r.ProxyHandler({})).open(sys.argv[1], timeout=20).status)"
)
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)
except TimeoutError:
    print("nobody answers")
"""
JOBS = {"sandkeeper-operator-metrics": "2", "sandkeeper-gateway-metrics": "2"}
BUSY = {
    "Sandboxes", "Running", "In trouble", "First starts a minute", "Passes", "Calls to the apiserver",
    "Canaries of the last hour", "Packs", "Packed", "Snapshots", "Answers of kubelets", "Connections by verdict",
    "Refused, by reason", "Let through, by the way they came", "Names that were refused", "Bytes",
}  # fmt: skip
"""Panels that show more than zeros once sandboxes live."""
COMPARISONS = {"==", "!=", "<", ">", "<=", ">="}


@pytest.fixture(scope="module")
def monitored(kubectl: Kubectl, installation: Installation) -> Iterator[Prometheus]:
    """A Prometheus that the release is told of, with all that the chart has for one."""
    namespace = f"monitoring-{uuid.uuid4().hex[:8]}"
    definitions = [word for file in prometheus_operators() for word in ("-f", str(file))]
    kubectl("apply", "--server-side", *definitions)
    kubectl("wait", "--for=condition=Established", *definitions)
    kubectl("create", "namespace", namespace)
    (image,) = hack_cluster("load", str(prometheus_image("docker.io/prom/prometheus:e2e"))).split()
    prometheus = Prometheus(kubectl, namespace, image)
    try:
        installation.install(
            f"networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name={namespace}",
            *(f"metrics.{kind}.enabled=true" for kind in ("serviceMonitor", "prometheusRule", "dashboard")),
        )
        prometheus.start()
        yield prometheus
    finally:
        prometheus.stop()
        installation.install()
        kubectl("delete", *definitions)
        kubectl("delete", "namespace", namespace, "--wait=false")


def serve(sandboxes: Sandboxes) -> str:
    """Serve a page in the namespace, and return its Service's address."""
    command = ["python3", "-m", "http.server", "8080", "--directory", "/usr/share/doc/base-files"]
    labels = {"app": SITE}
    service = {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}
    container = {
        "name": "main",
        "image": IMAGE,
        "command": command,
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    pod = {"containers": [container], "terminationGracePeriodSeconds": 0}
    for kind, spec in (("Service", service), ("Pod", pod)):
        content = {"apiVersion": "v1", "kind": kind, "metadata": {"name": SITE, "labels": labels}, "spec": spec}
        sandboxes.kubectl("apply", "-f", "-", given=json.dumps(content))
    sandboxes.kubectl("wait", f"pod/{SITE}", "--for=condition=Ready", "--timeout=60s")
    return sandboxes.kubectl("get", "service", SITE, "-o", "jsonpath={.spec.clusterIP}")


def prove(sandboxes: Sandboxes) -> None:
    """Have the fence tried anew."""
    which = ("-n", NAMESPACE, "configmap", "sandkeeper-enforcement")
    sandboxes._kubectl("delete", *which)
    eventually(lambda: sandboxes._kubectl("get", *which, "--ignore-not-found", "-o", "json"), verified)


def verified(found: str) -> bool:
    return bool(found) and json.loads(found)["data"]["result"] == "Verified"


def live(sandboxes: Sandboxes) -> None:
    """Let sandboxes start, reach a site and be refused another one, be copied, fall asleep, and fail."""
    address, name = serve(sandboxes), f"{SITE}.{sandboxes.namespace}.svc.cluster.local"
    sandboxes.apply("lost", workspace={**PERSISTENT, "storageClassName": "none-such"})
    sandboxes.apply("broken", workspace=EPHEMERAL, command=["none-such"])
    egress = {"domains": [name], "cidrs": [{"cidr": f"{address}/32", "ports": [80]}]}
    sandboxes.apply("agent", image=IMAGE, workspace=PERSISTENT, egress=egress)
    sandboxes.wait("agent")
    assert sandboxes.exec("agent", "python3", "-c", FETCH, f"http://{name}/").strip() == "200"
    refused = sandboxes._kubectl.refused(
        "-n", sandboxes.namespace, "exec", "sbx-agent", "--", "python3", "-c", FETCH, "http://denied.example/"
    )
    assert "Name or service not known" in refused
    sandboxes.sh("agent", "echo changed > /etc/changed")
    take(sandboxes, "copy", "agent")
    reaches(sandboxes, "copy", "Ready")
    # What is asked of a node's kubelet is told only while a sandbox runs there.
    sandboxes.apply("awake")
    sandboxes.sleep("agent")
    sandboxes.reaches("lost", "StorageClassNotFound")
    sandboxes.reaches("broken", "Failed")


def judged(query: str) -> str:
    """Return what an alert compares, without what it is compared with, and what it finds absent."""

    def bare(expression: Expr) -> Expr | None:
        if isinstance(expression, BinaryExpr) and str(expression.op) in COMPARISONS:
            return expression.lhs
        if isinstance(expression, Call) and expression.func.name == "absent":
            (absent,) = expression.args
            assert isinstance(absent, Expr)
            return absent
        return None

    return transform(parse(query), None, bare).prettify()


def scraped(prometheus: Prometheus) -> dict[str, str]:
    return {each["metric"]["job"]: each["value"][1] for each in prometheus.query("sum by (job) (up)")}


def values(prometheus: Prometheus, query: str) -> list[float]:
    """Values that a query has now; what is not a number is none."""
    found = [float(each["value"][1]) for each in prometheus.query(query)]
    return [value for value in found if not math.isnan(value)]


def silent(prometheus: Prometheus, unanswered: dict[str, str]) -> list[str]:
    """Ask what has had no answer yet, and tell where there still is none."""
    for where, query in list(unanswered.items()):
        if values(prometheus, query):
            del unanswered[where]
    return list(unanswered)


def busy(prometheus: Prometheus) -> set[str]:
    """Titles of panels that show more than zeros now."""
    return {title for title, query in drawn() if any(value > 0 for value in values(prometheus, query))}


def asked_by(prometheus: Prometheus) -> dict[str, str]:
    """All that is to have an answer, by where it is asked: queries of panels, what alerts judge, and each selector."""
    asked = {f"{title}: {query}": query for title, query in drawn()}
    for rule in prometheus.rules():
        asked[f"{rule['name']} judges"] = judged(rule["query"])
        for each in selectors(rule["query"]):
            asked[f"{rule['name']} selects {each.prettify()}"] = each.prettify()
    return asked


def test_every_query_of_dashboard_and_alerts_has_an_answer(
    sandboxes: Sandboxes, kubectl: Kubectl, monitored: Prometheus
) -> None:
    # Of a counter that is first seen after it has grown nobody knows when it did.
    eventually(lambda: scraped(monitored), lambda up: up == JOBS)
    prove(sandboxes)
    live(sandboxes)

    asked = asked_by(monitored)
    assert len(asked) > 100
    unanswered = dict(asked)
    eventually(lambda: silent(monitored, unanswered), lambda found: not found, 60)
    eventually(lambda: BUSY - busy(monitored), lambda idle: not idle, 30)
    assert monitored.label_values("namespace", "sandkeeper_event_loop_lag_seconds") == [NAMESPACE]
    jobs = monitored.label_values("job", f'sandkeeper_event_loop_lag_seconds{{namespace=~"{NAMESPACE}"}}')
    assert jobs == ["sandkeeper-gateway-metrics", "sandkeeper-operator-metrics"]
    delivered = json.loads(kubectl("-n", NAMESPACE, "get", "configmap", "-l", "grafana_dashboard=1", "-o", "json"))
    assert [each["data"] for each in delivered["items"]] == [{"sandkeeper.json": DASHBOARD.read_text().strip()}]


def test_the_rules_are_evaluated_and_nothing_is_critical(monitored: Prometheus) -> None:
    rules = eventually(monitored.rules, lambda found: all(rule["health"] == "ok" for rule in found))

    assert {rule["name"] for rule in rules} > {"SandkeeperOperatorDown", "SandkeeperGatewayDown"}
    assert monitored.query('ALERTS{severity="critical"}') == []
    assert monitored.query("max(sandkeeper_shards) - sum(sandkeeper_shards_held)")[0]["value"][1] == "0"


def test_who_is_not_named_reads_no_metrics(sandboxes: Sandboxes, monitored: Prometheus) -> None:
    for job in JOBS:
        address, _, port = monitored.query(f'up{{job="{job}"}}')[0]["metric"]["instance"].rpartition(":")
        assert sandboxes.run("curious", IMAGE, "python3", "-c", CONNECT, address, port).strip() == "nobody answers"


def test_the_commands_of_the_runbook_work(kubeconfig: Path, installation: Installation) -> None:
    page = (CHECKOUT / "docs" / "runbook.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    # A helper named as the command runs what was built, whatever the machine has.
    begin = f'set -euo pipefail; kubectl() {{ "{tool("kubectl")}" --kubeconfig="{kubeconfig}" "$@"; }}\n'

    failed = {block: done.stderr for block in blocks if (done := bash(begin + block)).returncode}

    assert installation
    assert len(blocks) > 25
    assert failed == {}


def bash(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60)
