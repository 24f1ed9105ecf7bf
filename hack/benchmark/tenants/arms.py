"""The same sandboxes: spelled out, the same where Kubernetes counts by quotas, and governed by policy and template."""

from dataclasses import dataclass, replace

from benchmark.objects import Target, sandboxes
from benchmark.scenarios import Scenario
from sandkeeper.api.names import API_VERSION, POLICY_KIND, POLICY_NAME, TEMPLATE_KIND
from sandkeeper.api.policy import SandboxPolicy
from sandkeeper.plan.quota import quotas_of
from sandkeeper.runtime.resource import Json

_DOMAINS = ["packages.example", "*.packages.example", "git.example"]
_TTL = "720h"
_TEAM = {"name": "TEAM", "value": "benchmark"}
_ENVIRONMENT: Json = {
    "image": "ubuntu:22.04",
    "env": [_TEAM, {"name": "STAGE", "value": "test"}],
    "egress": {"domains": _DOMAINS},
    "resources": {"limits": {"cpu": "1", "memory": "2Gi"}},
    "workspace": {"type": "Ephemeral"},
}
_TEMPLATE = "standard"
_POLICY: Json = {
    # Never reached: what is measured is the counting.
    "quota": {"cpu": "4000", "memory": "8Ti", "running": 4000, "sandboxes": 4000, "snapshots": 100},
    "allowedImages": ["ubuntu:*", "docker.io/library/*"],
    "allowedDomains": _DOMAINS,
    "allowedRuntimeClasses": [""],
    "maxTTL": _TTL,
    "maxResources": {"cpu": "4", "memory": "8Gi"},
    "defaults": {"lifecycle": {"expiryPolicy": "Retain"}, "env": [_TEAM]},
}


@dataclass(frozen=True)
class Arm:
    """One side of a comparison.

    Parameters
    ----------
    prefix
        Of its namespaces' names.
    target
        What is created in them.
    beside
        What each of its namespaces has: manifests without a namespace.
    """

    prefix: str
    target: Target
    beside: tuple[Json, ...] = ()

    @property
    def name(self) -> str:
        """Return how tables call it."""
        return self.target.name

    def scenario(self, count: int, namespaces: int) -> Scenario:
        """Return a burst over some of its namespaces."""
        return Scenario(f"tenants-{count}-{namespaces}", "burst", count, namespaces, prefix=self.prefix)


def spelled_out() -> Arm:
    """Return sandboxes that write everything themselves, in namespaces without a policy."""
    return Arm("open", _target("spelled out", "s", _ENVIRONMENT | {"lifecycle": {"ttl": _TTL}}))


def counted_by_hand(priority_class: str) -> Arm:
    """Return sandboxes that write everything themselves, counted by the same quotas: what Kubernetes takes for them.

    Parameters
    ----------
    priority_class
        Of sandboxes' pods.
    """
    policy = SandboxPolicy.model_validate({"metadata": {"name": POLICY_NAME}, "spec": _POLICY})
    quotas = tuple(
        {"apiVersion": "v1", "kind": each["kind"], "metadata": {"name": each["metadata"]["name"]}, "spec": each["spec"]}
        for each in quotas_of(policy, priority_class)
    )
    return Arm("counted", replace(spelled_out().target, name="spelled out, quotas by hand", series="q"), quotas)


def governed() -> Arm:
    """Return sandboxes that come to the same by a template and a policy, whose quota counts them."""
    target = _target("policy, quota, template", "g", {"templateRef": {"name": _TEMPLATE}})
    shared = _ENVIRONMENT | {"env": [each for each in _ENVIRONMENT["env"] if each != _TEAM]}
    template = _named(TEMPLATE_KIND, _TEMPLATE, shared)
    return Arm("governed", target, (template, _named(POLICY_KIND, POLICY_NAME, _POLICY)))


def _target(name: str, series: str, spec: Json) -> Target:
    plain = sandboxes()
    return replace(plain, name=name, template=plain.template | {"spec": spec}, series=series)


def _named(kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
