"""What the chart renders is what Helm, the apiserver and the people who read roles expect."""

import json
import re
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster.tools import tool
from sandkeeper.api.egress import METADATA
from unit.chart.manifest_schemas import schema_location
from unit.chart.rendering import CHART, VALUE_SETS, Helm, Values, objects

every_value_set = pytest.mark.parametrize("values", VALUE_SETS.values(), ids=VALUE_SETS.keys())


@every_value_set
def test_helm_finds_nothing_to_object_to(helm: Helm, values: Values) -> None:
    done = helm.lint(values)

    assert done.returncode == 0, done.stdout + done.stderr


def test_each_value_does_what_it_says(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    command = [str(tool("helm-unittest")), "--output-type", "JUnit", "--output-file", str(report), str(CHART)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    suites = re.findall(r'<testsuite [^>]*tests="[1-9]', report.read_text())
    assert len(suites) == len(list((CHART / "tests").glob("*_test.yaml")))


def conform(manifests: str) -> dict[str, Any]:
    """Return kubeconform's verdict on manifests; ``resources`` has what it objects to."""
    options = ["-strict", "-summary", "-output", "json", "-schema-location", schema_location()]
    command = [str(tool("kubeconform")), *options, "-"]
    done = subprocess.run(command, input=manifests, capture_output=True, text=True, check=False)
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict


@every_value_set
def test_the_apiserver_knows_every_field(helm: Helm, values: Values) -> None:
    rendered = helm.rendered(values)

    verdict = conform(rendered)

    assert verdict["resources"] == []
    assert verdict["summary"] == {"valid": len(objects(rendered)), "invalid": 0, "errors": 0, "skipped": 0}


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("Deployment", "enableServiceLinks:", "enableServiceLink:"),
        ("NetworkPolicy", "policyTypes:", "policyType:"),
        ("PriorityClass", "value: 0", "value: nought"),
        ("ServiceMonitor", "endpoints:", "endpoint:"),
        ("PrometheusRule", "alert: SandkeeperDefect", "alerts: SandkeeperDefect"),
        ("CustomResourceDefinition", "plural: sandboxes", "plural: [sandboxes]"),
        ("ValidatingAdmissionPolicyBinding", "policyName: sandkeeper-marks", "policy: sandkeeper-marks"),
        ("CiliumClusterwideNetworkPolicy", "egressDeny:", "egressDenied:"),
        ("CiliumClusterwideNetworkPolicy", "toEntities: [host", "toEntities: [hosts"),
    ],
)
def test_a_slip_in_a_template_is_noticed(helm: Helm, kind: str, right: str, wrong: str) -> None:
    rendered = helm.rendered(VALUE_SETS["everything on"])
    assert right in rendered

    verdict = conform(rendered.replace(right, wrong))

    assert {resource["kind"] for resource in verdict["resources"]} == {kind}


def test_the_definitions_stay_as_they_are(helm: Helm) -> None:
    committed = [yaml.safe_load(file.read_text()) for file in (CHART / "files" / "crds").glob("*.yaml")]

    rendered = objects(helm.rendered({}), "CustomResourceDefinition")

    assert committed
    by_name = {definition["metadata"]["name"]: definition["spec"] for definition in committed}
    assert {definition["metadata"]["name"]: definition["spec"] for definition in rendered} == by_name


def test_no_role_grants_more_than_it_names(helm: Helm) -> None:
    powers_over_others = {"escalate", "bind", "impersonate", "widen", "secrets", "serviceaccounts/token"}

    for role in objects(helm.rendered({}), "ClusterRole", "Role"):
        for rule in role["rules"]:
            granted = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            assert not any("*" in word for word in granted), role["metadata"]["name"]
            if rule.get("resourceNames") == ["sandkeeper-usage"]:
                # Tokens of the one account that can do nothing but read what kubelets measure.
                granted.remove("serviceaccounts/token")
            assert not granted & powers_over_others, role["metadata"]["name"]


def test_nobody_but_the_operator_is_let_into_sandboxes(helm: Helm) -> None:
    roles = objects(helm.rendered({}), "ClusterRole", "Role")

    entering = [
        (role["metadata"]["name"], rule["resources"])
        for role in roles
        for rule in role["rules"]
        if any(
            resource in {"pods/exec", "pods/attach", "pods/portforward", "pods/proxy"} for resource in rule["resources"]
        )
    ]

    assert entering == [("sandkeeper-operator", ["pods/exec"])]


def test_the_account_for_kubelets_reads_metrics_and_nothing_else(helm: Helm) -> None:
    rendered = objects(helm.rendered({}), "ClusterRole", "ClusterRoleBinding", "RoleBinding")

    roles = [
        each["roleRef"]["name"]
        for each in rendered
        if each["kind"] != "ClusterRole" and each["subjects"][0]["name"] == "sandkeeper-usage"
    ]

    assert roles == ["sandkeeper-usage"]
    assert [
        each["rules"] for each in rendered if each["metadata"]["name"] == "sandkeeper-usage" and "rules" in each
    ] == [[{"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]}]]


def test_cilium_denies_every_address_of_metadata_that_the_gateway_does(helm: Helm) -> None:
    rendered = helm.rendered({"gateway": {"cilium": {"enabled": True}}})
    (policy,) = objects(rendered, "CiliumClusterwideNetworkPolicy")

    assert [each["toCIDR"] for each in policy["spec"]["egressDeny"] if "toCIDR" in each] == [list(METADATA)]


def test_nobody_but_the_operator_writes_a_status(helm: Helm) -> None:
    roles = objects(helm.rendered({}), "ClusterRole")

    writers = {
        role["metadata"]["name"] for role in roles for rule in role["rules"] if "sandboxes/status" in rule["resources"]
    }

    assert writers == {"sandkeeper-operator"}


def test_every_rule_says_why_it_is_there(helm: Helm) -> None:
    documents = helm.rendered({}).split("\n---\n")
    roles = [document for document in documents if re.search("^kind: (Cluster)?Role$", document, re.MULTILINE)]
    pairs = [pair for role in roles for pair in pairwise(role.splitlines())]

    rules = [above.strip() for above, line in pairs if line.strip().startswith("- apiGroups:")]

    assert rules
    assert [above for above in rules if not above.startswith("# ")] == []
