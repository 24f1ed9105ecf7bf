"""What the token of the namespace's default service account is good for, had somebody stolen it: nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.kubectl import Kubectl
from e2e.escape.grounds import Grounds
from e2e.escape.ledger import Ledger, Row

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "mine"},
       "spec": {"containers": [{"name": "main", "image": "mine:1"}]}}  # fmt: skip
SANDBOX = {"apiVersion": "sandkeeper.dev/v1alpha1", "kind": "Sandbox", "metadata": {"name": "mine"}, "spec": {}}
POLICY = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "mine"},
          "spec": {"podSelector": {}, "egress": [{}], "policyTypes": ["Egress"]}}  # fmt: skip
LABEL = '{"metadata":{"labels":{"sandkeeper.dev/role":null}}}'

REQUESTS: dict[str, tuple[list[str], Any]] = {
    "takes the fence's label off its own pod": (["patch", "pod", "sbx-attacker", "--type=merge", "-p", LABEL], None),
    "reads its own pod": (["get", "pod", "sbx-attacker"], None),
    "reads the Secrets of its namespace": (["get", "secrets"], None),
    "reads the Secrets of all namespaces": (["get", "secrets", "--all-namespaces"], None),
    "makes a pod": (["create", "-f", "-"], POD),
    "makes a sandbox": (["create", "-f", "-"], SANDBOX),
    "opens the fence by a policy of its own": (["create", "-f", "-"], POLICY),
    "deletes the fence": (["delete", "networkpolicy", "sandkeeper-fence"], None),
    "runs a command in the neighbour": (["exec", "sbx-neighbour", "--", "id"], None),
    "reads the neighbour's log": (["logs", "sbx-neighbour"], None),
    "gets a token of the operator": (["create", "token", "sandkeeper-operator", "-n", "sandkeeper-system"], None),
    "speaks as the administrator": (["get", "nodes", "--as=admin", "--as-group=system:masters"], None),
    "reads the node's logs through the apiserver": (["get", "--raw", "/api/v1/nodes/NODE/proxy/logs/"], None),
    "lists the namespaces": (["get", "namespaces"], None),
}


@pytest.fixture(scope="module")
def stolen(grounds: Grounds, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """kubectl with the token that an attacker would have if the namespace's pods had it."""
    folder = tmp_path_factory.mktemp("stolen")
    content = yaml.safe_load(kubeconfig.read_text())
    content["users"][0]["user"] = {"token": grounds.home.kubectl("create", "token", "default").strip()}
    (folder / "kubeconfig").write_text(json.dumps(content))
    return Kubectl(folder / "kubeconfig", folder / "cache")


@pytest.mark.parametrize("what", REQUESTS)
def test_a_stolen_token(grounds: Grounds, ledger: Ledger, stolen: Kubectl, what: str) -> None:
    words, given = REQUESTS[what]
    node = grounds.home.pod("attacker")["spec"]["nodeName"]
    command = ["-n", grounds.home.namespace, *(word.replace("NODE", node) for word in words)]

    said = stolen.refused(*command, given=json.dumps(given) if given else None)

    seen = "Forbidden" if "forbidden" in said.lower() else said
    assert ledger.enter(Row("stolen token", what, ("Forbidden",), seen, note="no rights are bound to it")).closed


def test_the_token_is_a_good_one(grounds: Grounds, stolen: Kubectl) -> None:
    told = stolen("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")

    assert told == f"system:serviceaccount:{grounds.home.namespace}:default"
