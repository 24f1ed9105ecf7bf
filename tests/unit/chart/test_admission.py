"""The admission policies name what the operator names, and each is in force."""

import re
from typing import Any

import pytest

from sandkeeper.api.names import (
    CANARY_PREFIX,
    CHILD_PREFIX,
    DIFF_LABEL,
    DIFF_PREFIX,
    FENCE_NAME,
    FORK_LABEL,
    GROUP,
    LABEL_PREFIX,
    RETAINED_LABEL,
    ROLE_LABEL,
    SANDBOX_LABEL,
    SANDBOX_PLURAL,
    SCHEDULED_LABEL,
    WIDENS_ANNOTATION,
)
from sandkeeper.plan.guest import PACK_COMMAND, QUIESCE_COMMAND
from sandkeeper.plan.pod import CONTAINER
from unit.chart.rendering import CHECKOUT, Helm, objects


@pytest.fixture
def policies(helm: Helm) -> list[dict[str, Any]]:
    return objects(helm.rendered({}), "ValidatingAdmissionPolicy")


def expressions(policy: dict[str, Any]) -> str:
    """Return all that a policy says in CEL, a line each."""
    spec = policy["spec"]
    asked = [
        each["expression"] for part in ("matchConditions", "variables", "validations") for each in spec.get(part, ())
    ]
    return "\n".join([*asked, *(each["messageExpression"] for each in spec["validations"])])


def test_every_policy_is_bound_under_its_own_name(helm: Helm, policies: list[dict[str, Any]]) -> None:
    bindings = objects(helm.rendered({}), "ValidatingAdmissionPolicyBinding")

    bound = {binding["metadata"]["name"]: binding["spec"]["policyName"] for binding in bindings}

    assert bound == {policy["metadata"]["name"]: policy["metadata"]["name"] for policy in policies}


def test_they_use_the_names_that_the_operator_gives(policies: list[dict[str, Any]]) -> None:
    said = "\n".join(expressions(policy) for policy in policies)

    keys = set(re.findall(rf"{re.escape(LABEL_PREFIX)}[-a-z]*", said))
    starts = set(re.findall(r"\[('sbx-', .*?'sandkeeper-canary-')\]", said))

    made = {SCHEDULED_LABEL, FORK_LABEL, DIFF_LABEL}
    assert keys == made | {LABEL_PREFIX, RETAINED_LABEL, ROLE_LABEL, SANDBOX_LABEL, WIDENS_ANNOTATION}
    assert {tuple(re.findall("[-a-z]+", each)) for each in starts} == {(CHILD_PREFIX, DIFF_PREFIX, CANARY_PREFIX)}
    assert f"'{FENCE_NAME}'" in said
    assert f"in [{list(PACK_COMMAND)}, {list(QUIESCE_COMMAND)}]" in said
    assert f".orValue('') == '{CONTAINER}'" in said
    assert f"group('{GROUP}').resource('{SANDBOX_PLURAL}')" in said


def test_every_refusal_is_a_sentence_of_its_own(policies: list[dict[str, Any]]) -> None:
    checks = [check for policy in policies for check in policy["spec"]["validations"]]

    assert [check for check in checks if "messageExpression" not in check or check["reason"] != "Forbidden"] == []
    # The apiserver evaluates messages without an authorizer and then falls back to the bare expression.
    assert [check for check in checks if "mayWiden" in check["messageExpression"]] == []


def test_each_is_explained_where_administrators_look(helm: Helm) -> None:
    policies = objects(helm.rendered({"requirePolicy": True}), "ValidatingAdmissionPolicy")
    page = (CHECKOUT / "docs" / "security.md").read_text()

    assert [name for each in policies if f"`{(name := each['metadata']['name'])}`" not in page] == []
