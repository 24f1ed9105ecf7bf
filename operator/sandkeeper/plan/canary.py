"""The canary's pods: two that listen, and two that try to get out, of which only one is held back by the fence.

Those that the fence selects, ``neighbour`` and ``fenced``, run in the namespace that is tried; ``target`` and
``control`` run beside the operator, where a tenant's own policies and quotas can't spoil the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from sandkeeper.api.egress import EgressGrant
from sandkeeper.api.names import CANARY_LABEL, CANARY_PREFIX, ROLE_LABEL, SANDBOX_ROLE
from sandkeeper.canary.attempts import LISTENER_PORT, Attempt, encoded
from sandkeeper.plan.gateway import egress_annotation
from sandkeeper.plan.pod_security import least_rights

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandkeeper.plan.observed import EgressGateway

Json = dict[str, Any]
Part = Literal["target", "neighbour", "control", "fenced"]

NEIGHBOUR: Final = "another sandbox"
POD: Final = "a pod's address"
API: Final = "the apiserver's Service"
DNS: Final = ("the cluster's DNS by UDP", "the cluster's DNS by TCP")
ALLOWED: Final = "a domain that is allowed"
"""The one thing that a fenced canary is meant to reach, where there is a gateway."""
FORBIDDEN: Final = "a domain that is not allowed"
_ALLOWED_DOMAIN: Final = "allowed.canary.sandkeeper.dev"
_FORBIDDEN_DOMAIN: Final = "forbidden.canary.sandkeeper.dev"
_PATIENCE: Final = 20.0
DEADLINE_SECONDS: Final = 60
"""After which the kubelet ends a canary pod that nobody deleted."""
_METADATA: Final = "169.254.169.254"
_KUBELET_PORT: Final = 10250
_OWN_NODE: Final = "$(NODE_ADDRESS)"
_SPEC: Final[Json] = {
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "restartPolicy": "Never",
    "activeDeadlineSeconds": DEADLINE_SECONDS,
    "terminationGracePeriodSeconds": 1,
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
"""As the Pod Security Standard ``restricted`` wants it, which also namespaces of tenants may."""


@dataclass(frozen=True)
class CanarySettings:
    """How canary pods are made.

    Attributes
    ----------
    image
        The operator's own; empty where no canary is to run.
    pull_secrets
        Names of Secrets in the operator's namespace.
    labels, annotations
        Put on sandbox pods, and so on these: they keep service meshes away.
    extra_targets
        Further addresses that no sandbox may reach.
    gateway
        The egress gateway, which the fence leaves open; None where there is none.
    """

    image: str = ""
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    extra_targets: tuple[Attempt, ...] = ()
    gateway: EgressGateway | None = None


@dataclass(frozen=True)
class Surroundings:
    """What there is to reach.

    Attributes
    ----------
    target, neighbour
        Pods that listen, with their addresses.
    api
        Address and port of the apiserver's Service.
    api_endpoints
        Addresses and ports that stand behind it.
    node_port
        Port on every node that leads to some Service; 0 where there is none.
    gateway
        Address of the egress gateway's Service; empty where there is none.
    """

    target: Json
    neighbour: Json
    api: tuple[str, int]
    api_endpoints: tuple[tuple[str, int], ...] = ()
    node_port: int = 0
    gateway: str = ""


def attempts(around: Surroundings, extra: Iterable[Attempt] = ()) -> tuple[Attempt, ...]:
    """List the ways out that are tried, in the order in which they are told.

    Two of one name are one to the reader: what was reached, not which of them.
    """
    target, node = around.target["status"]["podIP"], around.target["status"]["hostIP"]
    six = [each["ip"] for each in around.target["status"].get("podIPs") or () if ":" in each["ip"]]
    found = [
        Attempt(POD, "listener", target, LISTENER_PORT),
        Attempt("a pod's address by UDP", "udp", target, LISTENER_PORT),
        *(Attempt("a pod's IPv6 address", "listener", each, LISTENER_PORT) for each in six if each != target),
        Attempt("IPv6 neighbours", "multicast", "", LISTENER_PORT),
        Attempt(NEIGHBOUR, "listener", around.neighbour["status"]["podIP"], LISTENER_PORT),
        Attempt(DNS[0], "dns-udp", "", 53),
        Attempt(DNS[1], "dns-tcp", "", 53),
        Attempt("the cloud's metadata", "tcp", _METADATA, 80),
        *(Attempt("a kubelet", "tcp", each, _KUBELET_PORT) for each in (_OWN_NODE, node)),
        Attempt(API, "tcp", *around.api),
        *(Attempt("an apiserver's own address", "tcp", *each) for each in around.api_endpoints[:2]),
    ]
    if ":" not in target:
        found.insert(2, Attempt("a pod's address by ICMP", "icmp", target))
    if around.node_port:
        found += [Attempt("a node port", "tcp", each, around.node_port) for each in (_OWN_NODE, node)]
    return (*found, *extra)


def gateway_attempts(around: Surroundings) -> tuple[Attempt, ...]:
    """List what only a fenced canary tries, for no other pod may ask the gateway: what it is allowed, and what not."""
    if not around.gateway:
        return ()
    return (
        Attempt(ALLOWED, "name", around.gateway, 53, _ALLOWED_DOMAIN, _PATIENCE),
        Attempt(FORBIDDEN, "name", around.gateway, 53, _FORBIDDEN_DOMAIN),
        Attempt(FORBIDDEN, "tls", around.gateway, 443, _FORBIDDEN_DOMAIN),
    )


def canary_pod(part: Part, namespace: str, tried: str, run: str, settings: CanarySettings) -> Json:
    """Render the pod of one part; those that try get their attempts by `with_attempts`.

    Parameters
    ----------
    tried
        Namespace whose fence is tried.
    run
        Distinguishes this run's pods from those of runs elsewhere and of former ones.
    """
    role = {ROLE_LABEL: SANDBOX_ROLE} if part in {"neighbour", "fenced"} else {}
    granted = (
        egress_annotation(EgressGrant(domains=(_ALLOWED_DOMAIN,))) if part == "fenced" and settings.gateway else {}
    )
    secrets = settings.pull_secrets if part in {"target", "control"} else ()
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{CANARY_PREFIX}{part}-{run}",
            "namespace": namespace,
            "labels": {**settings.labels, **role, CANARY_LABEL: tried},
            "annotations": {**settings.annotations, **granted},
        },
        "spec": {
            **_SPEC,
            "imagePullSecrets": [{"name": name} for name in secrets],
            "containers": [_container(settings)],
        },
    }


def _container(settings: CanarySettings) -> Json:
    return {
        "name": "canary",
        "image": settings.image,
        "imagePullPolicy": settings.pull_policy,
        "command": ["python3", "-m", "sandkeeper.canary"],
        "args": ["listen"],
        "resources": {
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"cpu": "500m", "memory": "64Mi"},
        },
        "securityContext": least_rights(),
    }


def with_attempts(pod: Json, tried: Iterable[Attempt]) -> Json:
    """Let a pod make attempts instead of listening; the kubelet fills in its node's address."""
    container = {
        **pod["spec"]["containers"][0],
        "args": ["probe", encoded(tried)],
        "env": [{"name": "NODE_ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}],
    }
    return {**pod, "spec": {**pod["spec"], "containers": [container]}}
