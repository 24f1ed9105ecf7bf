"""The same sandboxes twice: governed by a policy with its quota and made from a template, and spelled out."""

from dataclasses import dataclass, replace

from benchmark.objects import Target, sandboxes
from benchmark.scenarios import Scenario
from sandkeeper.api.names import API_VERSION, POLICY_KIND, POLICY_NAME, TEMPLATE_KIND
from sandkeeper.runtime.resource import Json

_DOMAINS = ["pip.packages.example", "*.packages.example", "github.com"]
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
