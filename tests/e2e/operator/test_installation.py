"""The operator comes, changes and goes; what it made goes on running."""

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator

import pytest

from api.kubectl import Kubectl
from e2e.operator.sandboxes import Sandboxes, eventually
from installation import NAMESPACE, RELEASE, Installation
from localcluster.commands import run
from localcluster.tools import tool

OPEN = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "open"},
    "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
}


def operator_pods(sandboxes: Sandboxes) -> list[str]:
    """Names of the operator's pods, without those that are on their way out."""
    selector = "app.kubernetes.io/name=sandkeeper,app.kubernetes.io/component=operator"
    pods = json.loads(sandboxes._kubectl("-n", NAMESPACE, "get", "pods", "-l", selector, "-o", "json"))["items"]
    return [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def test_killed_operators_lose_and_double_nothing(sandboxes: Sandboxes) -> None:
    names = [f"burst-{number}" for number in range(6)]
    manifests = [json.dumps(sandboxes.manifest(name)) for name in names]
    sandboxes.kubectl("apply", "-f", "-", given="\n---\n".join(manifests))

    sandboxes._kubectl("-n", NAMESPACE, "delete", "pods", "--force", "--grace-period=0", *operator_pods(sandboxes))

    for name in names:
        sandboxes.wait(name)
    pods = sandboxes.kubectl("get", "pods", "-o", "jsonpath={.items[*].metadata.name}").split()
    assert sorted(pods) == [f"sbx-{name}" for name in names]


def test_an_upgrade_whose_helm_was_killed_is_taken_up_again(sandboxes: Sandboxes, installation: Installation) -> None:
    sandboxes.apply("calm")
    sandboxes.wait("calm")
    before = sandboxes.pod("calm")["metadata"]["uid"]
    helm = [str(tool("helm")), "--kubeconfig", str(installation.kubeconfig), "--namespace", NAMESPACE]

    changed = ("--reuse-values", "--set", "replicaCount=3", "--wait")
    upgrade = [*helm, "upgrade", RELEASE, str(installation.chart), *changed]
    with subprocess.Popen(upgrade, stdout=subprocess.DEVNULL) as begun:
        eventually(lambda: json.loads(run(*helm, "list", "--pending", "--output", "json")), bool, 30)
        begun.kill()
    installation.install()

    assert not json.loads(run(*helm, "list", "--pending", "--output", "json"))
    assert sandboxes.pod("calm")["metadata"]["uid"] == before


def test_sandboxes_outlive_an_uninstalled_operator(sandboxes: Sandboxes, installation: Installation) -> None:
    sandboxes.apply("orphan")
    sandboxes.wait("orphan")
    before = sandboxes.pod("orphan")["metadata"]["uid"]

    installation.uninstall()
    assert sandboxes.exec("orphan", "echo", "still here").strip() == "still here"
    sandboxes.kubectl("delete", "pod", "sbx-orphan", "--wait=false")
    installation.install()

    eventually(
        lambda: (sandboxes.pod("orphan").get("metadata", {}).get("uid"), sandboxes.ready("orphan").get("status")),
        lambda seen: seen[0] not in {None, before} and seen[1] == "True",
    )


@pytest.fixture
def new_sandboxes(kubectl: Kubectl) -> Iterator[Callable[[], Sandboxes]]:
    """Give sandboxes in namespaces that are made when they are asked for."""
    made: list[str] = []

    def make() -> Sandboxes:
        made.append(f"e2e-{uuid.uuid4().hex[:8]}")
        kubectl("create", "namespace", made[-1])
        return Sandboxes(kubectl, made[-1])

    yield make
    for name in made:
        kubectl("delete", "namespace", name, "--wait=false")


def fence_is_guarded(sandboxes: Sandboxes) -> bool:
    """Whether the administrator is kept from opening a namespace's sandboxes by chance, in a dry run."""
    try:
        sandboxes.kubectl("create", "--dry-run=server", "-f", "-", given=json.dumps(OPEN))
    except AssertionError as refused:
        return "may include sandboxes" in str(refused)
    return False


def test_new_fences_are_guarded_after_the_operator_was_gone_and_came_back(
    sandboxes: Sandboxes, installation: Installation, new_sandboxes: Callable[[], Sandboxes]
) -> None:
    sandboxes.apply("old")
    sandboxes.wait("old")
    assert fence_is_guarded(sandboxes)

    installation.uninstall()
    # What the apiserver forgets with a policy is forgotten only now.
    eventually(lambda: fence_is_guarded(sandboxes), lambda guarded: not guarded)
    installation.install()

    new = new_sandboxes()
    new.apply("new")
    new.wait("new")
    assert fence_is_guarded(new)
    assert fence_is_guarded(sandboxes)


def test_metrics_and_probes_answer(sandboxes: Sandboxes, installation: Installation) -> None:
    sandboxes.apply("scraped-one")
    sandboxes.wait("scraped-one")

    scraped = [
        sandboxes._kubectl("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics")
        for pod in operator_pods(sandboxes)
    ]

    assert all("sandkeeper_queue_depth" in text for text in scraped)
    assert any('sandkeeper_sandboxes{reason="Running"}' in text for text in scraped)
    assert not [text for text in scraped if "scraped-one" in text]
