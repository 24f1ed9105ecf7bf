"""The chart sets exactly the settings that the operator has, and the operator takes what it is given."""

from typing import Any

import pytest

from sandkeeper.gateway.settings import GatewaySettings
from sandkeeper.settings import OperatorSettings
from unit.chart.rendering import Helm, Values, objects

PREFIX = "SANDKEEPER_"


def environment(helm: Helm, values: Values, process: str = "operator") -> dict[str, str]:
    """Return the container's variables; what the cluster fills in has the field's path as its value."""
    deployments = objects(helm.rendered(values), "Deployment")
    (deployment,) = (each for each in deployments if each["metadata"]["name"] == f"sandkeeper-{process}")
    variables: list[dict[str, Any]] = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    return {v["name"]: v["value"] if "value" in v else v["valueFrom"]["fieldRef"]["fieldPath"] for v in variables}


def test_every_setting_of_the_operator_is_set_by_the_chart_and_nothing_else_is(helm: Helm) -> None:
    settings = {PREFIX + name.upper() for name in OperatorSettings.model_fields}

    assert set(environment(helm, {})) == settings


def test_the_operator_takes_what_the_chart_gives(helm: Helm, monkeypatch: pytest.MonkeyPatch) -> None:
    values: Values = {
        "shards": 16,
        "leaseSeconds": 30,
        "workers": 4,
        "metrics": {"port": 9080},
        "probes": {"port": 9081},
        "sandboxPriorityClass": {"name": "agents"},
        "sandboxPods": {
            "annotations": {
                "cluster-autoscaler.kubernetes.io/safe-to-evict": None,
                "karpenter.sh/do-not-disrupt": None,
                "linkerd.io/inject": None,
                "note": 'a "quoted" <word>',
            },
            "labels": {"sidecar.istio.io/inject": None, "istio.io/dataplane-mode": None},
            "userNamespaces": "Never",
        },
        "requireEnforcement": False,
        "requirePolicy": True,
        "imagePullSecrets": [{"name": "registry"}],
        "guest": {
            "image": {"digest": f"sha256:{'a' * 64}"},
            "imagePullSecrets": [{"name": "mirror"}],
            "delivery": "ImageVolume",
            "installTimeoutSeconds": 60,
            "packLimit": "1500Mi",
            "packs": 16,
            "packsPerNode": 2,
        },
        "secrets": {"restartOnChange": True},
        "canary": {"intervalSeconds": 600, "extraTargets": [{"name": "a", "host": "192.0.2.1", "port": 5432}]},
        "idle": {
            "intervalSeconds": 10,
            "threshold": 0.5,
            "kubeletCA": {"configMap": "kubelets", "key": "authority.pem"},
        },
        "gateway": {
            "ports": [22, 2222],
            "setupDomains": ["packages.example.com", "*.mirror.example.com:80"],
            "activityPort": 9082,
        },
        "log": {"format": "console", "level": "debug"},
    }
    for name, value in environment(helm, values).items():
        monkeypatch.setenv(name, value)

    settings = OperatorSettings()

    assert settings.model_dump(exclude={"namespace", "pod_name"}) == {
        "shards": 16,
        "lease_seconds": 30,
        "workers": 4,
        "metrics_port": 9080,
        "probes_port": 9081,
        "priority_class": "agents",
        "pod_annotations": {"note": 'a "quoted" <word>'},
        "pod_labels": {},
        "user_namespaces": "Never",
        "require_enforcement": False,
        "require_policy": True,
        "restart_on_secret_change": True,
        "guest_image": f"sandkeeper/guest:0.1.0@sha256:{'a' * 64}",
        "guest_pull_policy": "IfNotPresent",
        "guest_pull_secrets": ("mirror",),
        "guest_delivery": "ImageVolume",
        "guest_install_seconds": 60,
        "guest_pack_limit": "1500Mi",
        "packs": 16,
        "packs_per_node": 2,
        "canary_image": "sandkeeper/operator:0.1.0",
        "canary_pull_policy": "IfNotPresent",
        "canary_pull_secrets": ("registry",),
        "canary_interval_seconds": 600,
        "canary_extra_targets": ({"name": "a", "host": "192.0.2.1", "port": 5432},),
        "idle_account": "sandkeeper-usage",
        "idle_interval_seconds": 10,
        "idle_threshold": 0.5,
        "idle_kubelet_ca": "/etc/sandkeeper/kubelet-ca/authority.pem",
        "idle_kubelet_verify": True,
        "gateway_selector": "app.kubernetes.io/component=gateway,app.kubernetes.io/instance=sandkeeper,"
        "app.kubernetes.io/name=sandkeeper",
        "gateway_ports": (22, 2222),
        "gateway_setup_domains": ("packages.example.com", "*.mirror.example.com:80"),
        "gateway_activity_port": 9082,
        "log_format": "console",
        "log_level": "debug",
    }


def test_the_operator_divides_namespaces_as_the_chart_does_where_nobody_says(
    helm: Helm, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two replicas that divide them differently would both work on some.
    alone = OperatorSettings()
    for name, value in environment(helm, {}).items():
        monkeypatch.setenv(name, value)

    assert (alone.shards, alone.lease_seconds) == (OperatorSettings().shards, OperatorSettings().lease_seconds)


def test_certificates_of_kubelets_are_judged_unless_the_chart_says_otherwise(
    helm: Helm, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(helm, {"idle": {"insecureSkipVerify": True}}).items():
        monkeypatch.setenv(name, value)

    assert not OperatorSettings().idle_kubelet_verify


@pytest.mark.parametrize(
    ("setting", "value", "schema_path"),
    [("shards", 256, "shards"), ("workers", 1024, "workers"), ("lease_seconds", 3, "leaseSeconds")],
)
def test_the_furthest_that_the_schema_allows_is_not_too_far_for_the_operator(
    helm: Helm, monkeypatch: pytest.MonkeyPatch, setting: str, value: int, schema_path: str
) -> None:
    for name, text in environment(helm, {schema_path: value}).items():
        monkeypatch.setenv(name, text)

    assert getattr(OperatorSettings(), setting) == value


def test_every_setting_of_the_gateway_is_set_by_the_chart_but_what_is_for_one_machine(helm: Helm) -> None:
    settings = {f"{PREFIX}GATEWAY_{name.upper()}" for name in GatewaySettings.model_fields}

    assert set(environment(helm, {}, "gateway")) == settings - {f"{PREFIX}GATEWAY_PORT_OFFSET"}


def test_the_gateway_takes_what_the_chart_gives(helm: Helm, monkeypatch: pytest.MonkeyPatch) -> None:
    values: Values = {
        "gateway": {
            "ports": [22, 2222],
            "workers": 4,
            "activityPort": 9082,
            "resolvers": ["10.0.0.2", "fd00::2"],
            "resolversPort": 5353,
            "clusterCIDRs": ["192.88.99.0/24"],
            "unknownSourceSeconds": 0.5,
            "drain": {"delaySeconds": 1, "seconds": 2},
            "audit": {"stdout": False, "otlpEndpoint": "http://collector:4318/v1/logs"},
            "events": False,
        },
        "metrics": {"port": 9080},
        "probes": {"port": 9081},
        "log": {"format": "console", "level": "debug"},
    }
    for name, value in environment(helm, values, "gateway").items():
        monkeypatch.setenv(name, value)

    settings = GatewaySettings()

    assert settings.model_dump(mode="json", exclude={"namespace", "pod_name", "port_offset"}) == {
        "ports": [22, 2222],
        "workers": 4,
        "metrics_port": 9080,
        "probes_port": 9081,
        "activity_port": 9082,
        "resolvers": ["10.0.0.2", "fd00::2"],
        "resolvers_port": 5353,
        "cluster_networks": ["192.88.99.0/24"],
        "wait_seconds": 0.5,
        "drain_delay_seconds": 1.0,
        "drain_seconds": 2.0,
        "audit_stdout": False,
        "audit_otlp_endpoint": "http://collector:4318/v1/logs",
        "events": False,
        "log_format": "console",
        "log_level": "debug",
    }


@pytest.mark.parametrize(
    "pattern", ["*.example.com:22", "https://packages.example.com", "10.0.0.7", "Packages.example.com"]
)
def test_a_setup_domain_that_is_none_ends_the_operator_and_is_refused_by_the_schema_before(
    helm: Helm, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.setenv("SANDKEEPER_GATEWAY_SETUP_DOMAINS", f'["{pattern}"]')

    with pytest.raises(ValueError, match="gateway_setup_domains"):
        OperatorSettings()
    assert "/gateway/setupDomains/0" in helm.template({"gateway": {"setupDomains": [pattern]}}).stderr
