"""The operator asks kubelets as an account of its own, which can do nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.kubelets.fake_kubelet import FakeKubelet
from api.operator.background import Background
from api.operator.conftest import StartOperator
from api.operator.kubelet import Kubelet, add_node
from api.operator.kubernetes_api import Api, Json
from api.operator.operator_process import SYSTEM, OperatorProcess
from api.operator.team import Team
from api.operator.waiting import eventually
from localcluster.pki import Authority
from sandkeeper.runtime.resource import NODES, Resource

TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
ACCESS_REVIEWS = Resource("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False)
ACCOUNT = f"system:serviceaccount:{SYSTEM}:sandkeeper-usage"
NODE = "measured"


@pytest.fixture
def measured(api: Api, background: Background, tmp_path: Path) -> Iterator[FakeKubelet]:
    """A node whose kubelet can be asked."""
    authority = Authority.new()
    (tmp_path / "kubelets.crt").write_bytes(authority.pair.certificate)
    kubelet = FakeKubelet(authority, tmp_path)
    background.run(kubelet.__aenter__())
    add_node(api, NODE)
    where = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port}},
    }
    api.merge(NODES, "", NODE, {"status": where}, sub="status")
    yield kubelet
    api.delete(NODES, "", NODE)
    background.run(kubelet.__aexit__())


@pytest.fixture
def operator(start_operator: StartOperator, tmp_path: Path, measured: FakeKubelet) -> OperatorProcess:
    """An operator that looks at its nodes every second."""
    return start_operator(
        idle_account="sandkeeper-usage", idle_interval_seconds=1.0, idle_kubelet_ca=tmp_path / "kubelets.crt"
    )


def start_sandbox(team: Team, kubelet: Kubelet) -> None:
    """Run a sandbox on the node that is measured."""
    kubelet.leave(team.namespace)
    team.create()
    pod = team.await_pod()
    kubelet.bind(pod, NODE)
    kubelet.report_running(pod)


def scrapes(operator: OperatorProcess, result: str) -> float:
    """How often a kubelet was asked with a result."""
    counted = operator.metrics().get("sandkeeper_usage_scrape_seconds_count", [])
    return sum(value for labels, value in counted if labels["result"] == result)


def may(api: Api, verb: str, resource: str, subresource: str = "", *, user: str = ACCOUNT, **where: str) -> bool:
    """Whether the account, or another, may do something."""
    attributes: Json = {"verb": verb, "resource": resource, "subresource": subresource, **where}
    review = api.create(ACCESS_REVIEWS, "", {"spec": {"user": user, "resourceAttributes": attributes}})
    return bool(review["status"]["allowed"])


def test_a_kubelet_is_asked_as_the_account_for_it(
    api: Api, kubelet: Kubelet, team: Team, measured: FakeKubelet, operator: OperatorProcess
) -> None:
    start_sandbox(team, kubelet)

    eventually(lambda: scrapes(operator, "ok") >= 2, "measurements")

    review = api.create(TOKEN_REVIEWS, "", {"spec": {"token": measured.seen[-1]}})
    assert review["status"]["user"]["username"] == ACCOUNT
    # One token serves all questions.
    assert len(set(measured.seen)) == 1


def test_the_account_may_read_metrics_and_nothing_else(api: Api, operator: OperatorProcess) -> None:
    assert may(api, "get", "nodes", "metrics")
    for subresource in ("", "proxy", "stats", "log", "spec", "configz", "pods", "healthz"):
        assert not may(api, "get", "nodes", subresource), subresource
    assert not may(api, "create", "nodes", "metrics")
    for verb, resource in (("get", "pods"), ("list", "secrets"), ("get", "sandboxes"), ("list", "nodes")):
        assert not may(api, verb, resource, namespace=SYSTEM), resource


def test_the_operator_gets_tokens_of_this_account_alone(api: Api, operator: OperatorProcess) -> None:
    def token(account: str, namespace: str = SYSTEM) -> bool:
        asked = {"namespace": namespace, "name": account, "user": f"system:serviceaccount:{SYSTEM}:sandkeeper-operator"}
        return may(api, "create", "serviceaccounts", "token", **asked)

    assert token("sandkeeper-usage")
    assert not token("sandkeeper-operator")
    assert not token("default")
    assert not token("sandkeeper-usage", "kube-system")


def test_a_kubelet_that_refuses_is_told_of_once_and_measured_again_later(
    kubelet: Kubelet, team: Team, measured: FakeKubelet, operator: OperatorProcess
) -> None:
    measured.tokens = set()
    start_sandbox(team, kubelet)
    eventually(lambda: scrapes(operator, "refused") >= 3, "refusals")
    complaints = [line for line in operator.log if line["event"] == "sandboxes are not measured, so none falls asleep"]
    assert [line["why"] for line in complaints] == [
        f"Node {NODE} does not tell how busy its sandboxes are: its kubelet does not accept our token."
    ]

    measured.tokens = None
    eventually(lambda: scrapes(operator, "ok"), "measurements")

    assert [line["node"] for line in operator.log if line["event"] == "sandboxes are measured again"] == [NODE]
