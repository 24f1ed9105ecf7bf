"""What tenants try, and administrators do by mistake, to open a sandbox: refused, and told why in a sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.kubectl import Kubectl
from api.operator.fence.conftest import ADMINISTRATOR, TENANT, As, sentence
from api.operator.team import Team

FOLDER = Path(__file__).parent


def table(name: str) -> list[Any]:
    return [
        pytest.param(each, id=each["try"].replace(" ", "-")) for each in yaml.safe_load((FOLDER / name).read_text())
    ]


def refusal(kubectl: Kubectl, attempt: dict[str, Any], namespace: str) -> str:
    """Make an attempt, and return what is said of it."""
    command = [word.replace("NAMESPACE", namespace) for word in attempt["kubectl"]]
    given = json.dumps(attempt["given"]) if "given" in attempt else None
    return sentence(kubectl.refused(*command, given=given)).replace(namespace, "NAMESPACE")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("who", [TENANT, ADMINISTRATOR])
@pytest.mark.parametrize("attempt", table("attempts.yaml"))
def test_an_attempt_changes_nothing_and_is_told_why(
    besieged: Team, acting: As, attempt: dict[str, Any], who: str
) -> None:
    assert refusal(acting(who), attempt, besieged.namespace) == attempt["says"]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("attempt", table("privileged-attempts.yaml"))
def test_neither_does_one_that_takes_more_rights(
    besieged: Team, administrator: Kubectl, attempt: dict[str, Any]
) -> None:
    assert refusal(administrator, attempt, besieged.namespace) == attempt["says"]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "command",
    [
        ["debug", "sbx-agent", "--image=registry.example/theirs:1"],
        [
            "patch",
            "sandbox",
            "agent",
            "--subresource=status",
            "--type=merge",
            "-p",
            '{"status": {"podIP": "10.0.0.1"}}',
        ],
        ["create", "rolebinding", "more", "--clusterrole=sandkeeper-operator", f"--user={TENANT}"],
        ["delete", "validatingadmissionpolicybinding", "sandkeeper-marks"],
        ["label", "pod", "sbx-agent", "app=x", "--as=system:serviceaccount:sandkeeper-system:sandkeeper-operator"],
        ["label", "pod", "sbx-agent", "app=x", "--as=system:serviceaccount:kube-system:generic-garbage-collector"],
    ],
    ids=["ephemeral-container", "status", "operators-role", "policies", "as-the-operator", "as-garbage-collection"],
)
def test_the_stock_role_has_no_right_to_pass_the_policies(tenant: Kubectl, command: list[str]) -> None:
    assert f'User "{TENANT}" cannot' in tenant.refused(*command).replace(f'user "{TENANT}"', f'User "{TENANT}"')


@pytest.mark.usefixtures("untouched")
def test_a_generated_name_is_no_way_round(tenant: Kubectl) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "sbx-"},
        "spec": {"containers": [{"name": "main", "image": "registry.example/theirs:1"}]},
    }

    said = sentence(tenant.refused("create", "-f", "-", given=json.dumps(pod)))

    assert said.startswith('metadata.name: "sbx-')
    assert said.endswith("as is every name of a Pod that begins with sbx-; use another name")
