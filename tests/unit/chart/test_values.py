"""Values: each is named, explained and checked, and what is wrong is refused in words that tell the place."""

import json
import re
from typing import Any

import pytest
import yaml

from sandkeeper.gateway.settings import GatewaySettings
from sandkeeper.settings import OperatorSettings
from unit.chart.rendering import CHART, MONITORING, Helm, Values
from unit.chart.test_rendering import conform
from unit.chart.test_settings import environment


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ("replicas: 3", "additional properties 'replicas' not allowed"),
        ("sandboxPods: {label: {}}", "at '/sandboxPods': additional properties 'label' not allowed"),
        ("replicaCount: two", "at '/replicaCount': got string, want integer"),
        ("replicaCount: -1", "at '/replicaCount': minimum: got -1, want 0"),
        ("shards: 0", "at '/shards': minimum: got 0, want 1"),
        ("workers: 0", "at '/workers': minimum: got 0, want 1"),
        ("log: {level: loud}", "at '/log/level': value must be one of 'debug', 'info', 'warning', 'error'"),
        ("log: {format: xml}", "at '/log/format': value must be one of 'json', 'console'"),
        (
            "sandboxPods: {userNamespaces: Yes!}",
            "at '/sandboxPods/userNamespaces': value must be one of 'Auto', 'Never'",
        ),
        ("sandboxPods: {annotations: {a: true}}", "at '/sandboxPods/annotations/a': got boolean, want null or string"),
        ("sandboxPods: {annotations: {sandkeeper.dev/a: b}}", 'sandboxPods.annotations has "sandkeeper.dev/a"'),
        ("image: {tag: 1.5}", "at '/image/tag': got number, want string"),
        ("image: {repository: 'a:tag'}", "at '/image/repository': 'a:tag' does not match pattern"),
        ("image: {digest: abc}", "at '/image/digest': 'abc' does not match pattern '^(sha256:[0-9a-f]{64})?$'"),
        (
            "image: {pullPolicy: Often}",
            "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'",
        ),
        ("metrics: {port: 80}", "at '/metrics/port': minimum: got 80, want 1,024"),
        (
            "metrics: {prometheusRule: {runbook: docs/runbook.md}}",
            "at '/metrics/prometheusRule/runbook': 'docs/runbook.md' does not match pattern",
        ),
        (
            "metrics: {prometheusRule: {without: [OperatorDown]}}",
            "at '/metrics/prometheusRule/without/0': 'OperatorDown' does not match pattern",
        ),
        (
            "metrics: {prometheusRule: {slowStartSeconds: 0}}",
            "at '/metrics/prometheusRule/slowStartSeconds': exclusiveMinimum: got 0, want 0",
        ),
        ("metrics: {dashboard: {labels: [a]}}", "at '/metrics/dashboard/labels': got array, want object"),
        ("canary: {intervalSeconds: 5}", "at '/canary/intervalSeconds': minimum: got 5, want 60"),
        ("canary: {extraTargets: [{host: a}]}", "at '/canary/extraTargets/0': missing properties 'name', 'port'"),
        ("idle: {intervalSeconds: 1}", "at '/idle/intervalSeconds': minimum: got 1, want 5"),
        ("idle: {threshold: 0}", "at '/idle/threshold': exclusiveMinimum: got 0, want 0"),
        ("idle: {kubeletCA: {secret: a}}", "at '/idle/kubeletCA': additional properties 'secret' not allowed"),
        ("networkPolicy: {nodeCIDRs: [10.0.0.1]}", "at '/networkPolicy/nodeCIDRs/0': '10.0.0.1' does not match"),
        ("gateway: {ports: [22, 22]}", "at '/gateway/ports': items at 0 and 1 are equal"),
        ("gateway: {ports: [443]}", "at '/gateway/ports/0': 'not' failed"),
        ("gateway: {replicas: 3}", "at '/gateway': additional properties 'replicas' not allowed"),
        ("gateway: {clusterIP: gateway}", "at '/gateway/clusterIP': 'gateway' does not match pattern"),
        ("gateway: {audit: {otlpEndpoint: collector}}", "at '/gateway/audit/otlpEndpoint': 'collector' does not match"),
        (
            "gateway: {autoscaling: {enabled: true, minReplicas: 20}}",
            "gateway.autoscaling.minReplicas is more than gateway.autoscaling.maxReplicas",
        ),
        ("canary: {enabled: false}", "requireEnforcement is true but canary.enabled is false"),
        (
            "guest: {delivery: Magic}",
            "at '/guest/delivery': value must be one of 'Auto', 'ImageVolume', 'InitContainer'",
        ),
        ("guest: {packLimit: 1.5Gi}", "at '/guest/packLimit': '1.5Gi' does not match pattern"),
        ("guest: {installTimeoutSeconds: 0}", "at '/guest/installTimeoutSeconds': minimum: got 0, want 10"),
        ("secrets: {restartOnChange: 1}", "at '/secrets/restartOnChange': got number, want boolean"),
        ("guest: {image: {tag: 1.5}}", "at '/guest/image/tag': got number, want string"),
        ("probes: {port: 8080}", "metrics.port and probes.port are both 8080: give each a port of its own"),
        ("networkPolicy: {apiServerPorts: []}", "at '/networkPolicy/apiServerPorts': minItems: got 0, want 1"),
        (
            "networkPolicy: {apiServerCIDRs: [10.0.0.1]}",
            "at '/networkPolicy/apiServerCIDRs/0': '10.0.0.1' does not match",
        ),
        ("networkPolicy: {metricsFrom: [{namespace: a}]}", "additional properties 'namespace' not allowed"),
        ("sandboxPriorityClass: {value: 2000000000}", "at '/sandboxPriorityClass/value': maximum"),
        (
            "podDisruptionBudget: {maxUnavailable: 0}",
            "at '/podDisruptionBudget/maxUnavailable': minimum: got 0, want 1",
        ),
        (
            "admissionPolicies: {namespaceSelector: {team: leads}}",
            "at '/admissionPolicies/namespaceSelector': additional properties 'team' not allowed",
        ),
        ("affinity: {nodeSelector: {}}", "at '/affinity': additional properties 'nodeSelector' not allowed"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(helm: Helm, values: str, sentence: str) -> None:
    done = helm.template(yaml.safe_load(values))

    assert done.returncode != 0
    assert sentence in done.stderr


def undescribed(values: Any, schema: dict[str, Any], definitions: dict[str, Any], path: str = "") -> list[str]:
    """Return the paths of values that the schema does not name, and of objects that would take any name."""
    if reference := schema.get("$ref"):
        schema = definitions[reference.rsplit("/", 1)[1]]
    if not isinstance(values, dict) or isinstance(schema.get("additionalProperties"), dict):
        return []
    if schema.get("additionalProperties") is not False:
        return [path]
    named = schema["properties"]
    missing = [f"{path}/{name}" for name in values if name not in named]
    inner = [undescribed(values[n], named[n], definitions, f"{path}/{n}") for n in values if n in named]
    return missing + [name for names in inner for name in names]


def test_the_schema_names_every_value_and_takes_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    assert undescribed(values, schema, schema["definitions"]) == []
    assert set(schema["properties"]) - set(values) == {"global"}


def emptied(values: Values, schema: dict[str, Any], definitions: dict[str, Any]) -> Values:
    """Write null for every value that may be left out, as who comments out all that stands below a name."""
    if reference := schema.get("$ref"):
        schema = definitions[reference.rsplit("/", 1)[1]]
    required = schema.get("required", ())
    kept = {name: value for name, value in values.items() if name in required and isinstance(value, dict)}
    inner = {name: emptied(value, schema["properties"][name], definitions) for name, value in kept.items()}
    return {**dict.fromkeys(set(values) - set(required)), **{name: value for name, value in inner.items() if value}}


@pytest.mark.parametrize("process", ["operator", "gateway"])
def test_a_value_that_is_left_empty_is_refused_or_as_if_it_were_not_written(
    helm: Helm, monkeypatch: pytest.MonkeyPatch, process: str
) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    empty = emptied(yaml.safe_load((CHART / "values.yaml").read_text()), schema, schema["definitions"])
    empty["metrics"] |= {"dashboard": {"enabled": True, "labels": None}}
    empty["metrics"]["prometheusRule"] |= {"enabled": True}
    empty["networkPolicy"]["metricsFrom"] = [MONITORING]

    rendered = helm.rendered(empty)

    assert conform(rendered)["resources"] == []
    for name, value in environment(helm, empty, process).items():
        monkeypatch.setenv(name, value)
    assert OperatorSettings() if process == "operator" else GatewaySettings()


def test_every_value_is_explained_where_it_stands() -> None:
    lines = [*(CHART / "values.yaml").read_text().splitlines(), ""]

    unexplained = [
        line
        for above, line, below in zip(lines, lines[1:], lines[2:], strict=False)
        if re.match(r"[a-zA-Z]+:", line) and not above.startswith("# ") and not below.startswith("  # ")
    ]

    assert unexplained == []
