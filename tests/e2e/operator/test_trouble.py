"""What goes wrong is said in the first column, and heals when the cause is gone."""

import json

from e2e.operator.sandboxes import SMALL, Sandboxes, eventually


def has_reason(sandboxes: Sandboxes, name: str, reason: str) -> str:
    """Wait for a reason of Ready, and return its sentence."""
    ready = eventually(lambda: sandboxes.ready(name), lambda seen: seen.get("reason") == reason)
    return ready["message"]


def test_an_image_that_does_not_exist(sandboxes: Sandboxes) -> None:
    sandboxes.apply("pulling", image="sandkeeper.invalid/nothing:1")
    assert "sandkeeper.invalid/nothing:1" in has_reason(sandboxes, "pulling", "ImagePullFailed")
    events = sandboxes.kubectl("events", "--for", "sandbox/pulling")
    assert "ImagePullFailed" in events

    sandboxes.apply("pulling")

    sandboxes.wait("pulling")


def test_a_command_that_ends(sandboxes: Sandboxes) -> None:
    sandboxes.apply("ending", command=["sh", "-c", "exit 3"])

    assert "exit code 3" in has_reason(sandboxes, "ending", "CrashLooping")


def test_a_program_that_is_not_there(sandboxes: Sandboxes) -> None:
    sandboxes.apply("missing", command=["/no/such/program"])

    assert "/no/such/program" in has_reason(sandboxes, "missing", "Failed")


def test_memory_runs_out(sandboxes: Sandboxes) -> None:
    limits = {**SMALL["limits"], "memory": "32Mi"}
    sandboxes.apply(
        "hungry", command=["python3", "-c", "x = bytearray(1 << 28); print(len(x))"],
        resources={"limits": limits, "requests": {"cpu": "20m"}},
    )  # fmt: skip

    assert "memory" in has_reason(sandboxes, "hungry", "OOMKilled")


def test_a_node_that_is_not_there(sandboxes: Sandboxes) -> None:
    sandboxes.apply("homeless", podTemplate={"spec": {"nodeSelector": {"sandkeeper.test/none": "such"}}})

    assert "node" in has_reason(sandboxes, "homeless", "Unschedulable")


def test_a_secret_that_comes_later(sandboxes: Sandboxes) -> None:
    reference = {"secretKeyRef": {"name": "later", "key": "token"}}
    sandboxes.apply("waiting", env=[{"name": "TOKEN", "valueFrom": reference}])
    assert "later" in has_reason(sandboxes, "waiting", "SecretMissing")

    sandboxes.kubectl("create", "secret", "generic", "later", "--from-literal=token=t0ken")

    sandboxes.wait("waiting")
    assert sandboxes.exec("waiting", "printenv", "TOKEN").strip() == "t0ken"


def test_a_runtime_class_that_is_not_there(sandboxes: Sandboxes) -> None:
    sandboxes.apply("classless", security={"runtimeClassName": "no-such-class"})

    assert "no-such-class" in has_reason(sandboxes, "classless", "RuntimeClassNotFound")


def test_a_quota_that_is_full(sandboxes: Sandboxes) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {"pods": "0"}},
    }
    sandboxes.kubectl("apply", "-f", "-", given=json.dumps(quota))
    sandboxes.apply("crowded")
    assert "ResourceQuota small has no room for the Pod" in has_reason(sandboxes, "crowded", "QuotaExceeded")

    sandboxes.kubectl("delete", "resourcequota", "small")

    sandboxes.wait("crowded")


def test_a_service_of_that_name_is_somebody_elses(sandboxes: Sandboxes) -> None:
    sandboxes.kubectl("create", "service", "clusterip", "taken", "--tcp=80")
    sandboxes.apply("taken", ports=[{"name": "http", "port": 8080}])
    assert "Service taken" in has_reason(sandboxes, "taken", "Conflict")

    sandboxes.kubectl("delete", "service", "taken")

    sandboxes.wait("taken")
