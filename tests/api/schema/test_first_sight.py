"""What a user sees of a Sandbox before any operator has: documentation, columns, and that it is not finished yet."""

import json
from collections.abc import Iterator

import pytest
import yaml

from api.kubectl import Kubectl
from sandkeeper.api.crd import KINDS

MINIMAL = """\
# A sandbox with every default.
apiVersion: sandkeeper.dev/v1alpha1
kind: Sandbox
metadata: {name: hello}
spec: {}
"""
EXPLAINED_WORKSPACE = """\
GROUP:      sandkeeper.dev
KIND:       Sandbox
VERSION:    v1alpha1

FIELD: workspace <Object>


DESCRIPTION:
    The directory that the agent works in. Default: a volume of 10Gi at
    /workspace, of the cluster's default StorageClass, which goes with the
    sandbox.

FIELDS:
  keepPackages\t<boolean>
    Whether what changed outside of the workspace, such as installed packages,
    is kept on the volume through sleep and restarts. With false, packages and
    setup are run anew at each start. Only where the sandbox is root and its
    root file system writable. Default: true for a Persistent workspace.

  path\t<string>
    Absolute path that the workspace is mounted at, outside of the system's own
    directories. Default: /workspace.

  reclaimPolicy\t<string>
  enum: Delete, Retain
    What becomes of the volume when the sandbox is deleted or expires. Delete:
    it goes too. Retain: it stays, and the next sandbox of this name takes it
    over. Default: Delete.

  size\t<Object>
    Size of the volume; it can grow where its StorageClass allows that, never
    shrink. Of an Ephemeral workspace the most that it may hold: the pod is
    evicted when it grows beyond. Default: 10Gi.

  storageClassName\t<string>
    StorageClass of the volume. Default: the cluster's default class.

  type\t<string>
  enum: Persistent, Ephemeral
    Persistent: on a volume of its own, which outlives the pod. Ephemeral: on
    the node's disk, and lost with the pod. Default: Persistent."""
PENDING = [
    {
        "type": "Ready",
        "status": "Unknown",
        "reason": "Pending",
        "message": "Waiting for the operator.",
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }
]


@pytest.fixture
def hello(kubectl: Kubectl) -> Iterator[dict[str, object]]:
    """The smallest sandbox there is, as the apiserver answered its creation."""
    yield yaml.safe_load(kubectl("create", "-o", "yaml", "-f", "-", given=MINIMAL))
    kubectl("delete", "sbx", "hello", "--ignore-not-found")


def test_a_fresh_sandbox_is_pending_in_the_very_answer_to_its_creation(hello: dict[str, object]) -> None:
    assert hello["status"] == {"conditions": PENDING}
    assert hello["spec"] == {}


def test_a_watch_delivers_a_fresh_sandbox_as_pending(kubectl: Kubectl, hello: object) -> None:
    path = "/apis/sandkeeper.dev/v1alpha1/namespaces/default/sandboxes?watch=true&timeoutSeconds=1"

    events = [json.loads(line) for line in kubectl("get", "--raw", path).splitlines()]

    assert [(event["type"], event["object"]["status"]) for event in events] == [("ADDED", {"conditions": PENDING})]


def test_a_status_in_the_manifest_is_not_taken(kubectl: Kubectl) -> None:
    claimed = MINIMAL + "status: {podName: forged, conditions: []}\n"

    created = yaml.safe_load(kubectl("create", "--dry-run=server", "-o", "yaml", "-f", "-", given=claimed))

    assert created["status"].get("podName") is None


def test_the_operator_can_write_every_field_of_the_status(kubectl: Kubectl, hello: object) -> None:
    status = {
        "observedGeneration": 1,
        "conditions": [
            {
                "type": kind,
                "status": "True",
                "reason": "Running",
                "message": "It runs.",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
                "observedGeneration": 1,
            }
            for kind in ("Ready", "Running")
        ],
        "podName": "sbx-hello",
        "podIP": "10.0.0.7",
        "nodeName": "node",
        "serviceName": "hello",
        "imageDigest": "sha256:0123",
        "userNamespace": True,
        "startedFrom": "Cold",
        "startupSeconds": 0.7,
        "workspaceClaimName": "sbx-hello",
        "pack": {"time": "2026-01-01T00:00:00Z", "entries": 3, "bytes": 4096},
        "asleep": {"since": "2026-01-01T00:00:00Z", "cause": "Idle", "generation": 1},
        "lastActivityTime": "2026-01-01T00:00:00Z",
        "sleepsAt": "2026-01-01T00:15:00Z",
        "expiresAt": "2026-01-02T00:00:00Z",
        "effective": {
            "image": "ubuntu:22.04",
            "resources": {"limits": {"cpu": "2"}, "requests": {"cpu": "500m"}},
            "workspace": {"path": "/workspace", "type": "Ephemeral", "size": "10Gi"},
            "runtimeClassName": "gvisor",
        },
    }
    kubectl("patch", "sbx", "hello", "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))

    assert json.loads(kubectl("get", "sbx", "hello", "-o", "json"))["status"] == status
    assert kubectl("get", "sandboxes", "hello", "-o", "wide").splitlines()[0].split() == [
        *("NAME", "STATUS", "READY", "AGE", "POD", "IP", "NODE", "IMAGE", "SLEEPS")
    ]
    row = kubectl("get", "sbx", "hello", "-o", "wide").splitlines()[1].split()
    assert [*row[:3], *row[4:]] == [
        "hello",
        "Running",
        "True",
        "10.0.0.7",
        "node",
        "ubuntu:22.04",
        "2026-01-01T00:15:00Z",
    ]


def test_the_first_columns_say_what_it_is_doing(kubectl: Kubectl, hello: object) -> None:
    header, row = kubectl("get", "sbx").splitlines()

    assert header.split() == ["NAME", "STATUS", "READY", "AGE"]
    assert row.split()[:3] == ["hello", "Pending", "Unknown"]


def test_waiting_for_running_does_not_end_before_it_runs(kubectl: Kubectl, hello: object) -> None:
    said = kubectl.refused("wait", "--for=condition=Ready", "--timeout=1s", "sbx/hello")

    assert said == "error: timed out waiting for the condition on sandboxes/hello"


def test_explain_reads_like_documentation(kubectl: Kubectl) -> None:
    explained = kubectl("explain", "sandbox.spec.workspace")

    # kubectl leaves a blank at the end of a line.
    assert "\n".join(line.rstrip() for line in explained.splitlines()).strip() == EXPLAINED_WORKSPACE


@pytest.mark.parametrize(
    ("field", "default"),
    [
        ("image", "Default: ubuntu:22.04."),
        ("command", "Default: the sandbox is kept alive for exec"),
        ("args", "Default: none."),
        ("workingDir", "Default: the workspace's path."),
        ("env", "Default: none but the image's own."),
        ("ports", "Default: none, and no Service."),
        ("resources", "Default: limits of 2 CPUs, 4Gi of memory and 10Gi of ephemeral storage, and a quarter of that"),
        ("resources.limits", "default: cpu 2, memory 4Gi, ephemeral-storage 10Gi."),
        ("resources.requests", "Default: a quarter of the limit"),
        ("workspace", "Default: a volume of 10Gi at /workspace, of the cluster's default StorageClass"),
        ("packages", "Default: nothing."),
        ("setup", "Default: none."),
        ("lifecycle", "Default: it sleeps after 15 idle minutes."),
        ("security", "Default: by the container runtime's own means"),
        ("security.root", "Default: true."),
        ("security.userNamespace", "Default: Auto."),
        ("security.writablePaths", "Default: all is writable."),
        ("security.runtimeClassName", "Default: the container runtime's own."),
        ("podTemplate", "Default: nothing."),
        ("podTemplate.spec.terminationGracePeriodSeconds", "Default: 30 seconds."),
    ],
)
def test_explain_names_the_default_in_words(kubectl: Kubectl, field: str, default: str) -> None:
    assert default in " ".join(kubectl("explain", f"sandbox.spec.{field}").split())


def test_kubectl_finds_sandboxes_by_short_name_and_all_kinds_by_their_category(kubectl: Kubectl, hello: object) -> None:
    for word in ("sbx", "sandbox", "sandboxes"):
        assert kubectl("get", word, "-o", "name") == "sandbox.sandkeeper.dev/hello\n"
    listed = kubectl("api-resources", "--categories=sandkeeper", "-o", "name").split()
    assert set(listed) == {f"{kind.plural}.sandkeeper.dev" for kind in KINDS if kind.short}


def test_whoever_deletes_all_sandboxes_deletes_nothing_else(kubectl: Kubectl, hello: object) -> None:
    snapshot = {
        "apiVersion": "sandkeeper.dev/v1alpha1",
        "kind": "SandboxSnapshot",
        "metadata": {"name": "kept"},
        "spec": {"sandboxRef": {"name": "hello"}},
    }
    kubectl("apply", "-f", "-", given=json.dumps(snapshot))

    deleted = kubectl("delete", "sandboxes", "--all", "--dry-run=server", "-o", "name")

    assert deleted == "sandbox.sandkeeper.dev/hello\n"
    kubectl("delete", "sandboxsnapshot", "kept")
