"""A sandbox is created: what is made, in which order, and that it is made once."""

from api.operator.kubelet import DIGEST
from api.operator.kubernetes_api import Json
from api.operator.operator_process import OperatorProcess
from api.operator.team import IMAGE, Team
from sandkeeper.runtime.resource import NETWORK_POLICIES, NODES, PODS, SERVICES

PORTS = [{"name": "web", "port": 8080}, {"name": "docs", "port": 9000}]
OPEN_TO_SANDBOX = {"matchLabels": {"sandkeeper.dev/role": "sandbox", "sandkeeper.dev/sandbox": "agent"}}


def owners(child: Json) -> list[tuple[str, str, bool]]:
    return [(each["kind"], each["uid"], each["controller"]) for each in child["metadata"]["ownerReferences"]]


def test_a_bare_sandbox_costs_its_pod_and_one_status(operator: OperatorProcess, team: Team) -> None:
    team.create("first")
    team.await_running(["first"])

    team.create("agent")
    sandbox = team.await_reason("Running")

    assert operator.proxy.writes(team.namespace) == [
        *["create fences", "create networkpolicies"],
        *["create pods", "patch sandboxes/status"],
        *["create pods", "patch sandboxes/status"],
    ]
    status = sandbox["status"]
    assert [(each["type"], each["status"]) for each in status["conditions"]] == [
        ("Ready", "True"),
        ("Running", "True"),
        ("EgressEnforced", "Unknown"),
        ("UpToDate", "True"),
    ]
    pod = team.pod()
    assert status["podName"] == "sbx-agent"
    assert status["podIP"] == pod["status"]["podIP"]
    assert status["nodeName"] == "node-a"
    assert status["imageDigest"] == DIGEST
    assert status["startedFrom"] == "Cold"
    assert status["effective"]["image"] == IMAGE


def test_the_pod_gives_the_agent_nothing_it_does_not_need(operator: OperatorProcess, team: Team) -> None:
    sandbox = team.create()
    team.await_running()

    pod = team.pod()
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert "kube-api-access" not in str(spec["volumes"])
    assert spec["enableServiceLinks"] is False
    assert spec["hostUsers"] is False
    assert spec["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    capabilities = spec["containers"][0]["securityContext"]["capabilities"]
    assert capabilities["drop"] == ["ALL"]
    assert not {"NET_RAW", "SYS_ADMIN", "MKNOD"} & set(capabilities["add"])
    assert spec["containers"][0]["resources"]["limits"] == {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "10Gi"}
    assert pod["metadata"]["labels"]["sandkeeper.dev/role"] == "sandbox"
    assert owners(pod) == [("Sandbox", sandbox["metadata"]["uid"], True)]
    assert team.await_reason("Running")["status"]["userNamespace"] is True


def test_the_fence_stands_before_the_first_pod(operator: OperatorProcess, team: Team) -> None:
    for number in range(10):
        team.create(f"agent-{number}")
    team.await_running(f"agent-{number}" for number in range(10))

    done = operator.proxy.writes(team.namespace)
    assert done.index("create networkpolicies") < done.index("create pods")
    assert done.count("create networkpolicies") == 1
    assert done.count("create pods") == 10
    fence = team.get(NETWORK_POLICIES, "sandkeeper-fence")
    assert fence["spec"] == {
        "podSelector": {"matchLabels": {"sandkeeper.dev/role": "sandbox"}},
        "policyTypes": ["Ingress", "Egress"],
    }
    assert "ownerReferences" not in fence["metadata"]


def test_ports_are_offered_to_the_namespace(operator: OperatorProcess, team: Team) -> None:
    sandbox = team.create(ports=PORTS)
    assert team.await_reason("Running")["status"]["serviceName"] == "agent"

    service = team.get(SERVICES, "agent")
    assert [(each["name"], each["port"], each["targetPort"]) for each in service["spec"]["ports"]] == [
        ("web", 8080, 8080),
        ("docs", 9000, 9000),
    ]
    assert service["spec"]["selector"] == OPEN_TO_SANDBOX["matchLabels"]
    policy = team.get(NETWORK_POLICIES, "sbx-agent")
    assert policy["spec"] == {
        "podSelector": OPEN_TO_SANDBOX,
        "policyTypes": ["Ingress"],
        "ingress": [
            {
                "from": [{"podSelector": {}}],
                "ports": [{"port": 8080, "protocol": "TCP"}, {"port": 9000, "protocol": "TCP"}],
            }
        ],
    }
    assert owners(service) == owners(policy) == [("Sandbox", sandbox["metadata"]["uid"], True)]


def test_a_second_pass_writes_nothing(operator: OperatorProcess, team: Team) -> None:
    metadata = {"labels": {"crew": "a"}, "annotations": {"note": "b"}}
    spec = {"nodeSelector": {"kubernetes.io/os": "linux"}, "terminationGracePeriodSeconds": 5}
    team.create(
        ports=PORTS,
        env=[{"name": "A", "value": "1"}],
        resources={"limits": {"cpu": "1500m", "memory": "1.5Gi"}},
        podTemplate={"metadata": metadata, "spec": spec},
    )
    team.await_running()
    before = operator.proxy.writes(team.namespace)

    for number in range(5):
        more = operator.passes + 1
        team.api.merge(PODS, team.namespace, "sbx-agent", {"metadata": {"annotations": {"touched": str(number)}}})
        operator.await_passes(more)

    assert operator.proxy.writes(team.namespace) == before


def test_a_restarted_operator_writes_nothing(operator: OperatorProcess, team: Team) -> None:
    team.create(ports=PORTS)
    team.create("other")
    team.await_running(["agent", "other"])
    before = operator.proxy.writes(team.namespace)

    assert operator.stop() == 0
    operator.start()
    operator.await_passes(2)

    assert operator.proxy.writes(team.namespace) == before


def test_no_user_namespace_where_a_node_has_none(operator: OperatorProcess, team: Team) -> None:
    team.api.create(NODES, "", {"metadata": {"name": "old", "labels": {"age": "old"}}})
    try:
        team.create(podTemplate={"spec": {"nodeSelector": {"age": "old"}}})
        pod = team.await_pod()
    finally:
        team.api.delete(NODES, "", "old")

    assert pod["spec"].get("hostUsers") is not False
