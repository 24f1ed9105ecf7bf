"""What a sandbox may reach, on the objects that the chart installs and under the chart's admission policies."""

from collections.abc import Iterator
from functools import partial

import orjson
import pytest

from api.operator.conftest import StartOperator
from api.operator.kubernetes_api import Api, Json, RefusedError
from api.operator.operator_process import SYSTEM
from api.operator.policies import rule
from api.operator.team import Team, condition
from api.operator.waiting import eventually
from sandkeeper.api.names import EGRESS_ANNOTATION, GATEWAY_SLOT_LABEL
from sandkeeper.runtime.resource import NETWORK_POLICIES, PODS, SERVICES
from unit.chart.rendering import Helm, objects

SELECTOR = "app.kubernetes.io/component=gateway,app.kubernetes.io/instance=sandkeeper,app.kubernetes.io/name=sandkeeper"


def services(helm: Helm) -> list[Json]:
    """The gateway's Services, as the chart has them."""
    found = objects(helm.rendered({}), "Service")
    return [each for each in found if GATEWAY_SLOT_LABEL in each["metadata"]["labels"]]


@pytest.fixture
def gateway(api: Api, operator_kubeconfig: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address at which sandboxes find the gateway; the Services are made in spite of the policies in force."""
    made = [api.create(SERVICES, SYSTEM, each) for each in services(Helm(tmp_path_factory.mktemp("helm")))]
    (first,) = (each for each in made if each["metadata"]["labels"][GATEWAY_SLOT_LABEL] == "0")
    yield first["spec"]["clusterIP"]
    for each in made:
        name = each["metadata"]["name"]
        if api.find(SERVICES, SYSTEM, name):
            api.delete(SERVICES, SYSTEM, name)


@pytest.fixture
def start(start_operator: StartOperator) -> StartOperator:
    """Start operators that know of a gateway."""

    return partial(start_operator, gateway_selector=SELECTOR, gateway_ports="[22]")


def granted(team: Team) -> Json:
    return dict(orjson.loads(team.pod()["metadata"]["annotations"].get(EGRESS_ANNOTATION, "{}")))


def test_a_change_of_what_is_allowed_is_one_patch_of_the_pod_that_runs_on(
    gateway: str, start: StartOperator, team: Team
) -> None:
    operator = start()
    team.create(egress={"domains": ["a.example"]})
    team.await_running()
    pod = team.pod()
    assert granted(team) == {"domains": ["a.example"]}
    assert pod["spec"]["dnsPolicy"] == "None"
    assert pod["spec"]["dnsConfig"]["nameservers"] == [gateway]
    done = len(operator.proxy.writes(team.namespace))

    team.change(egress={"domains": ["b.example", "git.example:22"]})

    eventually(lambda: granted(team) == {"domains": ["b.example", "git.example:22"]}, "another grant")
    team.await_reason("Running")
    assert team.pod()["metadata"]["uid"] == pod["metadata"]["uid"]
    assert operator.proxy.writes(team.namespace)[done:] == ["patch pods", "patch sandboxes/status"]


def test_a_policy_that_is_tightened_takes_domains_off_the_pod_at_once_and_the_pod_runs_on(
    gateway: str, start: StartOperator, team: Team
) -> None:
    operator = start()
    team.create(egress={"domains": ["a.example", "b.example"]})
    team.await_running()
    pod = team.pod()["metadata"]["uid"]
    done = len(operator.proxy.writes(team.namespace))

    rule(team, allowedDomains=["b.example"])

    denied = condition(team.await_reason("PolicyDenied"), "Ready")["message"]
    assert denied == "egress.domains: a.example is not allowed by SandboxPolicy default; allowed: b.example."
    assert granted(team) == {"domains": ["b.example"]}
    assert team.condition("Running")["status"] == "True"
    writes = operator.proxy.writes(team.namespace)[done:]
    assert [each for each in writes if "sandboxpolicies" not in each] == ["patch pods", "patch sandboxes/status"]

    rule(team, allowedDomains=None)

    eventually(lambda: granted(team) == {"domains": ["a.example", "b.example"]}, "all domains again")
    team.await_reason("Running")
    assert team.pod()["metadata"]["uid"] == pod


def test_nobody_but_the_operator_grants_anything(gateway: str, start: StartOperator, team: Team) -> None:
    start()
    team.create()
    team.await_running()
    everything = {"metadata": {"annotations": {EGRESS_ANNOTATION: '{"domains":["*.example"]}'}}}

    with pytest.raises(RefusedError, match="given and taken by the operator of Sandkeeper alone"):
        team.api.merge(PODS, team.namespace, "sbx-agent", everything)


def test_networks_are_opened_and_closed_by_a_policy_of_the_sandboxs_own(
    gateway: str, start: StartOperator, team: Team
) -> None:
    start()
    team.create(egress={"cidrs": [{"cidr": "10.20.0.0/16", "ports": [5432]}]})
    team.await_running()
    policy = eventually(lambda: team.find(NETWORK_POLICIES, "sbx-agent"), "policy of its own")
    ports = [{"port": 5432, "protocol": "TCP"}, {"port": 5432, "protocol": "UDP"}]
    assert policy["spec"]["policyTypes"] == ["Egress"]
    assert policy["spec"]["egress"] == [{"to": [{"ipBlock": {"cidr": "10.20.0.0/16"}}], "ports": ports}]

    team.change(egress={"cidrs": []})

    eventually(lambda: team.find(NETWORK_POLICIES, "sbx-agent") is None, "no policy of its own")


def test_the_fence_of_an_installation_without_a_gateway_is_opened_to_it_in_place(
    gateway: str, start_operator: StartOperator, team: Team
) -> None:
    first = start_operator("operator-0")
    team.create()
    team.await_running()
    before = team.get(NETWORK_POLICIES, "sandkeeper-fence")
    assert "egress" not in before["spec"]
    first.stop()

    start_operator("operator-1", gateway_selector=SELECTOR)

    opened = eventually(lambda: team.get(NETWORK_POLICIES, "sandkeeper-fence")["spec"].get("egress"), "opened fence")
    assert team.get(NETWORK_POLICIES, "sandkeeper-fence")["metadata"]["uid"] == before["metadata"]["uid"]
    assert opened[0]["ports"][-1] == {"port": 11000, "endPort": 11899, "protocol": "TCP"}
    eventually(lambda: team.condition("UpToDate").get("reason") == "RenderingChanged", "a pod that is behind")


def test_what_can_not_be_had_is_said_and_the_rest_runs(gateway: str, start: StartOperator, team: Team) -> None:
    start()
    team.create(egress={"domains": ["a.example", "b.example:2222"]})

    said = team.await_reason("EgressUnavailable")["status"]["conditions"]

    ready = next(each for each in said if each["type"] == "Ready")
    assert "b.example:2222" in ready["message"]
    eventually(lambda: team.condition("Running").get("status") == "True", "running all the same")


def test_no_pod_is_made_before_the_gateway_has_an_address(
    api: Api, start: StartOperator, team: Team, tmp_path_factory: pytest.TempPathFactory
) -> None:
    start()
    team.create()
    team.await_reason("EgressUnavailable")
    assert team.names(PODS) == []

    (first, *_) = services(Helm(tmp_path_factory.mktemp("helm")))
    api.create(SERVICES, SYSTEM, first)

    team.await_running()
    api.delete(SERVICES, SYSTEM, first["metadata"]["name"])
