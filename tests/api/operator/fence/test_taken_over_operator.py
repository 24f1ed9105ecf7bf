"""An operator that somebody took over: RBAC grants it much everywhere, and still it writes and enters only its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.kubectl import Kubectl
from api.operator.fence.conftest import sentence
from api.operator.operator_process import SYSTEM
from api.operator.team import Team

LABELS = {"sandkeeper.dev/managed": "true", "sandkeeper.dev/role": "sandbox"}
CONTAINER = {"name": "main", "image": "registry.example/any:1"}
SPEC = {"automountServiceAccountToken": False, "containers": [CONTAINER]}
TOKEN = {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
HOST = {"name": "host", "hostPath": {"path": "/"}}


@pytest.fixture
def thief(besieged: Team, operator_kubeconfig: Path, tmp_path: Path) -> Kubectl:
    """Return kubectl in the hands of whoever has the operator's account."""
    return Kubectl(operator_kubeconfig, tmp_path / "thief", f"--namespace={besieged.namespace}")


def pod(name: str = "sbx-next", labels: dict[str, str] | None = None, **spec: Any) -> str:
    metadata = {"name": name, "labels": LABELS if labels is None else labels}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": SPEC | spec})


def reaching(field: str) -> str:
    who = "no Pod that the operator of Sandkeeper makes"
    return f"{field} of Pod sbx-next would reach the node or the cluster, as {who} does"


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param(pod(hostNetwork=True), reaching("spec.hostNetwork"), id="host network"),
        pytest.param(pod(hostPID=True), reaching("spec.hostPID"), id="host processes"),
        pytest.param(pod(hostIPC=True), reaching("spec.hostIPC"), id="host ipc"),
        pytest.param(pod(nodeName="node-a"), reaching("spec.nodeName"), id="node without a scheduler"),
        pytest.param(pod(volumes=[HOST]), reaching("hostPath"), id="folder of the node"),
        pytest.param(pod(volumes=[TOKEN]), reaching("serviceAccountToken"), id="projected token"),
        pytest.param(pod(automountServiceAccountToken=None), reaching("spec.automountServiceAccountToken"), id="token"),
        pytest.param(
            pod(containers=[CONTAINER | {"securityContext": {"privileged": True}}]),
            reaching("securityContext.privileged"),
            id="privileged",
        ),
        pytest.param(
            pod(initContainers=[CONTAINER | {"name": "init", "securityContext": {"privileged": True}}]),
            reaching("securityContext.privileged"),
            id="privileged at the start",
        ),
        pytest.param(
            pod("next"),
            'metadata.name: "next" begins with none of sbx-, sandkeeper-diff- and sandkeeper-canary-, as every Pod '
            "that the operator of Sandkeeper makes does",
            id="any name",
        ),
        pytest.param(
            pod(labels={"sandkeeper.dev/managed": "true"}),
            "metadata.labels: Pod sbx-next lacks sandkeeper.dev/role=sandbox, by which the fence selects every Pod "
            "that the operator of Sandkeeper makes",
            id="outside of the fence",
        ),
        pytest.param(
            pod("sandkeeper-diff-x", {"sandkeeper.dev/diff": "x"}),
            "metadata.labels: Pod sandkeeper-diff-x lacks sandkeeper.dev/role=sandbox, by which the fence selects "
            "every Pod that the operator of Sandkeeper makes",
            id="unfenced diff",
        ),
        pytest.param(
            pod("sandkeeper-canary-control-0", {"sandkeeper.dev/canary": "x"}),
            "metadata.labels: Pod sandkeeper-canary-control-0 lacks sandkeeper.dev/role=sandbox, by which the fence "
            "selects every Pod that the operator of Sandkeeper makes",
            id="unfenced canary of a tenant",
        ),
    ],
)
def test_it_makes_no_pod_but_closed_ones(thief: Kubectl, given: str, says: str) -> None:
    assert sentence(thief.refused("create", "-f", "-", given=given)) == says


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["patch", "pod", "theirs", "--type=merge", "-p", '{"metadata": {"labels": {"a": "b"}}}'], "Pod"),
        (["delete", "pod", "theirs"], "Pod"),
        (["patch", "service", "theirs", "--type=merge", "-p", '{"spec": {"selector": {"a": "b"}}}'], "Service"),
        (["delete", "service", "theirs"], "Service"),
        (["patch", "networkpolicy", "theirs", "--type=merge", "-p", '{"spec": {"ingress": [{}]}}'], "NetworkPolicy"),
        (["delete", "networkpolicy", "theirs"], "NetworkPolicy"),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, list) else "",
)
def test_it_leaves_alone_what_is_a_tenants(thief: Kubectl, command: list[str], what: str) -> None:
    assert sentence(thief.refused(*command)) == (
        f"metadata.labels: {what} theirs has none below sandkeeper.dev, so it is none of the operator of Sandkeeper "
        "and not written by it"
    )


def test_it_makes_canaries_that_are_fenced_and_beside_itself_others(thief: Kubectl) -> None:
    canary = {"sandkeeper.dev/canary": "x"}
    fenced, control = "sandkeeper-canary-fenced-0", "sandkeeper-canary-control-0"

    thief("create", "--dry-run=server", "-f", "-", given=pod(fenced, {**canary, "sandkeeper.dev/role": "sandbox"}))

    thief("create", "--dry-run=server", "-f", "-", f"--namespace={SYSTEM}", given=pod(control, canary))


def snapshot(labels: dict[str, str]) -> str:
    kind = {"apiVersion": "sandkeeper.dev/v1alpha1", "kind": "SandboxSnapshot"}
    return json.dumps(
        {**kind, "metadata": {"name": "made", "labels": labels}, "spec": {"sandboxRef": {"name": "agent"}}}
    )


def test_it_makes_snapshots_for_schedules_forks_and_diffs_alone(thief: Kubectl) -> None:
    said = sentence(thief.refused("create", "-f", "-", given=snapshot({"team": "x"})))
    for mark in ("scheduled", "fork", "diff"):
        thief("create", "--dry-run=server", "-f", "-", given=snapshot({f"sandkeeper.dev/{mark}": "true"}))

    assert said == (
        "metadata.labels: SandboxSnapshot made has none of sandkeeper.dev/scheduled, sandkeeper.dev/fork and "
        "sandkeeper.dev/diff, as every one that the operator of Sandkeeper makes does"
    )


def patched(change: str) -> list[str]:
    return ["patch", "sandboxsnapshot", "theirs", "--type=merge", "-p", change]


@pytest.mark.parametrize("change", ['{"spec": {"expiresAfter": "1s"}}', '{"metadata": {"labels": {"a": "b"}}}'])
def test_it_changes_nothing_of_a_users_snapshot_but_holds_it(thief: Kubectl, change: str) -> None:
    said = sentence(thief.refused(*patched(change)))
    thief(*patched('{"metadata": {"finalizers": ["sandkeeper.dev/in-use"]}}'), "--dry-run=server")

    assert said == (
        "metadata.finalizers: SandboxSnapshot theirs is its user's, and the operator of Sandkeeper changes nothing "
        "else of it"
    )


def test_it_deletes_no_snapshot_that_its_user_keeps(thief: Kubectl) -> None:
    assert sentence(thief.refused("delete", "sandboxsnapshot", "theirs")) == (
        "spec.expiresAfter: SandboxSnapshot theirs never expires and was made by its user, so the operator of "
        "Sandkeeper does not delete it"
    )


@pytest.mark.parametrize(
    ("name", "labels", "says"),
    [
        (
            "any",
            LABELS,
            'metadata.name: "any" does not begin with sbx-, as every VolumeSnapshot that the operator of Sandkeeper '
            "makes does",
        ),
        (
            "sbx-any",
            {},
            "metadata.labels: VolumeSnapshot sbx-any has none below sandkeeper.dev, so it is none of the operator of "
            "Sandkeeper and not written by it",
        ),
    ],
    ids=["any name", "no label"],
)
def test_it_copies_workspaces_alone(thief: Kubectl, name: str, labels: dict[str, str], says: str) -> None:
    kind = {"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot"}
    spec = {"source": {"persistentVolumeClaimName": "theirs"}}
    given = json.dumps({**kind, "metadata": {"name": name, "labels": labels}, "spec": spec})

    assert sentence(thief.refused("create", "-f", "-", given=given)) == says


@pytest.fixture
def may_exec(kubectl: Kubectl) -> Iterator[None]:
    """Grant the operator what it will need for packages, in the whole cluster."""
    grant = ("--verb=get,create", "--resource=pods/exec,pods/attach,pods/portforward,pods/proxy")
    kubectl("create", "clusterrole", "exec", *grant)
    kubectl(
        "create", "clusterrolebinding", "exec", "--clusterrole=exec", f"--serviceaccount={SYSTEM}:sandkeeper-operator"
    )
    yield
    kubectl("delete", "clusterrolebinding", "exec")
    kubectl("delete", "clusterrole", "exec")


@pytest.mark.usefixtures("may_exec")
@pytest.mark.parametrize(
    "command",
    [
        ["exec", "theirs", "--", "id"],
        ["attach", "theirs"],
        ["port-forward", "pod/theirs", ":80"],
        ["get", "--raw", "/api/v1/namespaces/NAMESPACE/pods/theirs/proxy/"],
    ],
    ids=lambda command: command[0],
)
def test_it_enters_sandboxes_alone(besieged: Team, thief: Kubectl, command: list[str]) -> None:
    said = thief.refused(*(word.replace("NAMESPACE", besieged.namespace) for word in command))

    assert sentence(said) == (
        "metadata.name: Pod theirs is no sandbox, for its name does not begin with sbx-; the operator of Sandkeeper "
        "runs commands in sandboxes alone"
    )


PACK = ("/.sandkeeper/bin/guest", "pack")
QUIESCE = ("/.sandkeeper/bin/guest", "quiesce")


@pytest.mark.usefixtures("may_exec")
@pytest.mark.parametrize(
    "command",
    [
        ["exec", "sbx-agent", "-c", "sandbox", "--", "id"],
        ["exec", "sbx-agent", "-c", "sandbox", "--", *PACK, "--help"],
        ["exec", "sbx-agent", "-c", "sandbox", "-i", "--", *PACK],
        ["attach", "sbx-agent"],
        ["port-forward", "pod/sbx-agent", ":80"],
        ["get", "--raw", "/api/v1/namespaces/NAMESPACE/pods/sbx-agent/proxy/"],
    ],
    ids=["another command", "another argument", "input", "attach", "port-forward", "proxy"],
)
def test_it_runs_nothing_in_sandboxes_but_what_packs_them(besieged: Team, thief: Kubectl, command: list[str]) -> None:
    said = thief.refused(*(word.replace("NAMESPACE", besieged.namespace) for word in command))

    assert sentence(said) == (
        "metadata.name: In Pod sbx-agent the operator of Sandkeeper runs nothing but /.sandkeeper/bin/guest pack and "
        "/.sandkeeper/bin/guest quiesce, and says nothing to them"
    )


@pytest.mark.usefixtures("may_exec")
@pytest.mark.parametrize("command", [PACK, QUIESCE])
def test_it_lets_sandboxes_pack_and_quiesce(thief: Kubectl, command: tuple[str, ...]) -> None:
    # No kubelet stands behind the node, so that this fails later than at admission.
    said = thief.refused("exec", "sbx-agent", "-c", "sandbox", "--", *command)

    assert "ValidatingAdmissionPolicy" not in said
