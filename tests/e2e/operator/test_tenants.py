"""A namespace of a shared cluster: its quota, and a template that its sandboxes share."""

import json
from typing import Any

from e2e.operator.sandboxes import EPHEMERAL, SMALL, Sandboxes, eventually


def write(sandboxes: Sandboxes, kind: str, name: str, **spec: Any) -> None:
    """Apply an object of one of our kinds."""
    given = {"apiVersion": "sandkeeper.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    sandboxes.kubectl("apply", "-f", "-", given=json.dumps(given))


def test_who_finds_the_quota_full_starts_when_another_goes(sandboxes: Sandboxes) -> None:
    write(sandboxes, "SandboxPolicy", "default", quota={"running": 1, "memory": "1Gi"}, maxTTL="24h")
    sandboxes.kubectl("wait", "sbxpol/default", "--for=condition=Ready", "--timeout=120s")
    sandboxes.apply("first")
    sandboxes.wait("first")
    sandboxes.apply("second")
    sandboxes.reaches("second", "QuotaExceeded")
    assert "asked for pods=1, used pods=1, hard pods=1" in sandboxes.ready("second")["message"]
    assert sandboxes.get("sandbox", "first")["status"]["expiresAt"]

    sandboxes.kubectl("delete", "sandbox", "first", "--wait=false")

    sandboxes.wait("second", "Running")
    eventually(lambda: sandboxes.kubectl("get", "sbxpol", "default"), lambda seen: "running 1/1" in seen)


def test_a_changed_template_is_taken_at_once_where_that_is_asked_for(sandboxes: Sandboxes) -> None:
    write(sandboxes, "SandboxTemplate", "shared", resources=SMALL, env=[{"name": "STAGE", "value": "one"}])
    for name, rollout in (("now", "Immediate"), ("later", "OnRestart")):
        write(sandboxes, "Sandbox", name, templateRef={"name": "shared", "rollout": rollout}, workspace=EPHEMERAL)
    for name in ("now", "later"):
        sandboxes.wait(name, "Running")
        assert sandboxes.exec(name, "printenv", "STAGE").strip() == "one"
    later = sandboxes.pod("later")["metadata"]["uid"]

    write(sandboxes, "SandboxTemplate", "shared", resources=SMALL, env=[{"name": "STAGE", "value": "two"}])

    eventually(lambda: sandboxes.get("sandbox", "now")["status"]["template"]["generation"], lambda seen: seen == 2)
    sandboxes.wait("now", "Running")
    assert sandboxes.exec("now", "printenv", "STAGE").strip() == "two"
    assert sandboxes.pod("later")["metadata"]["uid"] == later
    told = sandboxes.kubectl("wait", "sandbox/later", "--for=condition=UpToDate=False", "--timeout=60s")
    assert "condition met" in told
    sandboxes.kubectl("delete", "pod", "sbx-later", "--wait=false")
    eventually(lambda: sandboxes.get("sandbox", "later")["status"]["template"]["generation"], lambda seen: seen == 2)
