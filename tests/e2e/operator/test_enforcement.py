"""The canary on a real network: the fence was tried and held, for the cluster and for whoever asks."""

import json
from typing import Any

from e2e.operator.sandboxes import Sandboxes, eventually
from installation import NAMESPACE


def record(sandboxes: Sandboxes) -> dict[str, str]:
    """What is written down of the last run."""
    found = sandboxes._kubectl(
        "-n", NAMESPACE, "get", "configmap", "sandkeeper-enforcement", "--ignore-not-found", "-o", "json"
    )
    return dict(json.loads(found)["data"]) if found else {}


def canaries(sandboxes: Sandboxes) -> list[str]:
    """Names of all canary pods of the cluster."""
    return sandboxes._kubectl("get", "pods", "-A", "-l", "sandkeeper.dev/canary", "-o", "name").split()


def egress(sandboxes: Sandboxes, name: str) -> dict[str, str]:
    """Read the condition EgressEnforced."""
    conditions = sandboxes.get("sandbox", name).get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == "EgressEnforced"), {})


def ask(sandboxes: Sandboxes, name: str, value: str) -> dict[str, Any]:
    """Ask for a canary in the namespace, and return its answer."""
    sandboxes.kubectl("annotate", "sandbox", name, "--overwrite", f"sandkeeper.dev/check-fence={value}")

    def check() -> dict[str, Any]:
        found: dict[str, Any] = sandboxes.get("sandbox", name)["status"].get("fenceCheck", {})
        return found

    return eventually(check, lambda seen: seen.get("request") == value)


def test_the_fence_was_tried_and_held(sandboxes: Sandboxes) -> None:
    eventually(lambda: record(sandboxes).get("result"), lambda seen: seen == "Verified")

    sandboxes.apply("closed")

    sandboxes.wait("closed")
    assert egress(sandboxes, "closed")["status"] == "True"
    assert eventually(lambda: canaries(sandboxes), lambda seen: not seen) == []


def test_a_sandbox_has_its_own_namespace_tried(sandboxes: Sandboxes) -> None:
    sandboxes.apply("asking")
    sandboxes.wait("asking")

    assert ask(sandboxes, "asking", "one")["result"] == "Verified"
    assert ask(sandboxes, "asking", "two")["result"] == "Verified"

    assert egress(sandboxes, "asking")["status"] == "True"
    assert eventually(lambda: canaries(sandboxes), lambda seen: not seen) == []


def test_a_canary_runs_where_only_restricted_pods_may(sandboxes: Sandboxes) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    sandboxes._kubectl("label", "namespace", sandboxes.namespace, label)
    sandboxes.apply("refused")

    assert ask(sandboxes, "refused", "one")["result"] == "Verified"


def test_every_replica_tells_the_result(sandboxes: Sandboxes) -> None:
    selector = ("-l", "app.kubernetes.io/component=operator", "-o", "jsonpath={.items[*].metadata.name}")
    pods = sandboxes._kubectl("-n", NAMESPACE, "get", "pods", *selector).split()

    def scraped() -> list[bool]:
        paths = [f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics" for pod in pods]
        return ["sandkeeper_egress_enforced 1.0" in sandboxes._kubectl("get", "--raw", path) for path in paths]

    assert pods
    assert all(eventually(scraped, all))
