"""``hack/cluster`` as a user and as a script use it."""

import json
from pathlib import Path

from api.kubectl import Kubectl
from e2e.conftest import hack_cluster


def test_status_tells_what_the_cluster_has(kubeconfig: Path) -> None:
    told = json.loads(hack_cluster("status", "--json"))

    assert told["version"].startswith("v1.36.")
    assert set(told["nodes"].values()) == {"Ready"}
    assert told["userNamespaces"] is True
    assert {"runc", "runc-alt"} <= set(told["runtimeClasses"])
    assert told["kubeconfig"] == str(kubeconfig)


def test_up_leaves_a_running_cluster_as_it_is(kubectl: Kubectl) -> None:
    before = kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.uid}")

    hack_cluster("up")

    assert kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.uid}") == before
