"""Bad input is refused at admission: what kubectl's user reads, word for word.

The tables in ``refusals/`` hold what is written, of which kind unless it is a Sandbox, and what is said. A sentence
names the field, what is wrong with it and what is allowed; where it is the apiserver's own (types, enums, unknown
fields), it is kept here all the same, so that a change of the schema that makes it worse is seen.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.schema.conftest import Create

TABLES = sorted((Path(__file__).parent / "refusals").glob("*.yaml"))
CASES = [
    pytest.param(case, id=f"{table.stem}: {yaml.safe_dump(case['given'], width=1000).strip()}")
    for table in TABLES
    for case in yaml.safe_load(table.read_text())
]


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_with_a_sentence(refusal: Create, case: dict[str, Any]) -> None:
    assert refusal(case["given"], kind=case.get("kind", "Sandbox")) == case["says"]


@pytest.mark.parametrize("name", ["1st", "a.b", "a" * 53])
def test_a_name_that_children_could_not_bear_is_refused(refusal: Create, name: str) -> None:
    assert refusal({}, name) == (
        f'metadata.name: Invalid value: "{name}" must be at most 52 lower-case letters, digits and hyphens, '
        "with a letter first and no hyphen last"
    )


@pytest.mark.parametrize("name", ["Agent", "agent_1", "agent-", "-agent"])
def test_a_name_that_no_object_may_have_is_told_our_rule_beside_kubernetes_own(refusal: Create, name: str) -> None:
    assert refusal({}, name).splitlines()[-1] == (
        f'metadata.name: Invalid value: "{name}" must be at most 52 lower-case letters, digits and hyphens, '
        "with a letter first and no hyphen last"
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"image": "a" * 513}, "spec.image: Too long: may not be more than 512 bytes"),
        ({"args": ["a"] * 257}, "spec.args: Too many: 257: must have at most 256 items"),
        ({"env": [{"name": f"A{n}"} for n in range(257)]}, "spec.env: Too many: 257: must have at most 256 items"),
        (
            {"ports": [{"name": f"p{n}", "port": n} for n in range(1, 34)]},
            "spec.ports: Too many: 33: must have at most 32 items",
        ),
        (
            {"egress": {"domains": [f"a{n}.example" for n in range(129)]}},
            "spec.egress.domains: Too many: 129: must have at most 128 items",
        ),
        (
            {"egress": {"cidrs": [{"cidr": f"10.{n}.0.0/16"} for n in range(33)]}},
            "spec.egress.cidrs: Too many: 33: must have at most 32 items",
        ),
        ({"workspace": {"size": "1" * 33}}, "spec.workspace.size: Too long: may not be more than 32 bytes"),
    ],
    ids=["image", "args", "env", "ports", "domains", "cidrs", "size"],
)
def test_what_is_too_long_is_told_how_long_it_may_be(refusal: Create, given: dict[str, Any], says: str) -> None:
    assert refusal(given) == says


def test_a_sandbox_without_a_spec_is_told_so(kubectl: Any) -> None:
    manifest = "{apiVersion: sandkeeper.dev/v1alpha1, kind: Sandbox, metadata: {name: agent}}"

    assert "spec: Required value" in kubectl.refused("create", "--dry-run=server", "-f", "-", given=manifest)


def test_what_a_client_does_not_let_validate_is_dropped(kubectl: Any) -> None:
    spec = "{podTemplate: {spec: {hostNetwork: true, nodeName: node-a, terminationGracePeriodSeconds: 3}}}"
    manifest = f"{{apiVersion: sandkeeper.dev/v1alpha1, kind: Sandbox, metadata: {{name: lax}}, spec: {spec}}}"

    kept = kubectl("create", "--dry-run=server", "--validate=ignore", "-o", "json", "-f", "-", given=manifest)

    assert json.loads(kept)["spec"] == {"podTemplate": {"spec": {"terminationGracePeriodSeconds": 3}}}


def test_a_changed_sandbox_is_checked_as_a_new_one_is(kubectl: Any) -> None:
    manifest = "{apiVersion: sandkeeper.dev/v1alpha1, kind: Sandbox, metadata: {name: changed}, spec: {}}"
    kubectl("create", "-f", "-", given=manifest)

    said = kubectl.refused("patch", "sbx", "changed", "--type=merge", "-p", '{"spec": {"workspace": {"size": "-1Gi"}}}')

    assert said == (
        'The Sandbox "changed" is invalid: spec.workspace.size: Invalid value: "-1Gi": '
        "must be a quantity above zero, such as 2, 500m or 4Gi"
    )
    kubectl("delete", "sbx", "changed")
