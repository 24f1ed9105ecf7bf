"""What a user gets from the first YAML: a machine of their own, closed to its host, that keeps running."""

import json
from pathlib import Path

from e2e.operator.sandboxes import Sandboxes, eventually

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
NET_RAW, SYS_ADMIN, MKNOD = 13, 21, 27


def test_an_empty_spec_gives_a_running_machine(sandboxes: Sandboxes) -> None:
    sandboxes.kubectl("apply", "-f", str(EXAMPLES / "minimal.yaml"))

    sandboxes.wait("hello")

    assert sandboxes.exec("hello", "id", "-u").strip() == "0"
    assert sandboxes.exec("hello", "pwd").strip() == "/workspace"
    status = sandboxes.get("sandbox", "hello")["status"]
    pod = sandboxes.pod("hello")
    assert status["podName"] == "sbx-hello"
    assert status["podIP"] == pod["status"]["podIP"]
    assert status["nodeName"] == pod["spec"]["nodeName"]
    assert status["imageDigest"].startswith("sha256:")
    assert status["effective"]["resources"]["limits"] == {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "10Gi"}
    assert "Running" in sandboxes.kubectl("get", "sbx", "hello")


def test_root_in_the_sandbox_is_nobody_on_the_node(sandboxes: Sandboxes) -> None:
    sandboxes.apply("closed")
    sandboxes.wait("closed")

    _, first_outside, count = sandboxes.exec("closed", "cat", "/proc/self/uid_map").split()
    process = dict(
        line.split(":", 1) for line in sandboxes.exec("closed", "cat", "/proc/self/status").splitlines() if ":" in line
    )
    effective = int(process["CapEff"], 16)

    assert int(first_outside) > 0
    assert int(count) == 65536
    assert sandboxes.get("sandbox", "closed")["status"]["userNamespace"] is True
    assert process["Seccomp"].strip() == "2"
    assert not [capability for capability in (NET_RAW, SYS_ADMIN, MKNOD) if effective >> capability & 1]
    assert sandboxes.exec("closed", "sh", "-c", "ls /var/run/secrets 2>/dev/null | wc -l").strip() == "0"


def test_root_can_administer_its_machine(sandboxes: Sandboxes) -> None:
    sandboxes.apply("admin")
    sandboxes.wait("admin")

    script = "useradd --create-home agent && chown agent /workspace && su agent -c 'touch /workspace/mine && id -un'"
    assert sandboxes.exec("admin", "sh", "-ec", script).strip() == "agent"
    assert sandboxes.exec("admin", "stat", "-c", "%U", "/workspace/mine").strip() == "agent"


def test_a_deleted_pod_comes_back(sandboxes: Sandboxes) -> None:
    sandboxes.apply("phoenix")
    sandboxes.wait("phoenix")
    first = sandboxes.pod("phoenix")["metadata"]["uid"]

    sandboxes.kubectl("delete", "pod", "sbx-phoenix")

    eventually(
        lambda: (sandboxes.pod("phoenix").get("metadata", {}).get("uid"), sandboxes.ready("phoenix").get("status")),
        lambda seen: seen[0] not in {None, first} and seen[1] == "True",
    )


def test_the_ports_of_a_sandbox_are_reached_by_its_name(sandboxes: Sandboxes) -> None:
    sandboxes.apply(
        "web", image="docker.io/library/python:3.13", command=["python3", "-m", "http.server", "8080"],
        ports=[{"name": "http", "port": 8080}],
    )  # fmt: skip
    sandboxes.wait("web")
    assert sandboxes.get("sandbox", "web")["status"]["serviceName"] == "web"

    # A node learns of a Service's new address a moment after the API server does.
    fetch = ["curl", "-sS", "--retry", "20", "--retry-connrefused", "-o", "/dev/null", "-w", "%{http_code}"]

    assert sandboxes.run("client", "docker.io/library/debian:12", *fetch, "http://web:8080/") == "200"


def test_nothing_is_left_after_deletion(sandboxes: Sandboxes) -> None:
    sandboxes.kubectl("apply", "-f", str(EXAMPLES / "agent.yaml"))
    sandboxes.wait("leads-agent")

    sandboxes.kubectl("delete", "sandbox", "leads-agent")

    kinds = "sandboxes,pods,services,networkpolicies"
    eventually(lambda: sandboxes.kubectl("get", kinds, "-o", "name").split(), lambda left: not left)


def test_a_wrong_spec_is_refused_with_a_sentence(sandboxes: Sandboxes) -> None:
    wrong = sandboxes.manifest("wrong", workspace={"path": "work"}, ports=[{"name": "http", "port": 70000}])

    said = sandboxes._kubectl.refused("-n", sandboxes.namespace, "apply", "-f", "-", given=json.dumps(wrong))

    assert "spec.workspace.path" in said
    assert "spec.ports[0].port" in said
    assert "1 to 65535" in said
