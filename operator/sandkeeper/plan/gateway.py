"""How a sandbox comes by the gateway: what its pod is told of it, and what its fence lets through to it.

Names lead to the gateway because it is the sandbox's only name server; the proxy variables are for tools that want
them, and nothing depends on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from sandkeeper.api.names import EGRESS_ANNOTATION
from sandkeeper.gateway.places import (
    DNS_PORT,
    FIRST_NAMELESS_PORT,
    HTTP_PORT,
    LAST_NAMELESS_PORT,
    PROXY_PORT,
    TLS_PORT,
)
from sandkeeper.plan.pod_state import PodState
from sandkeeper.plan.secrets import whole_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandkeeper.api.egress import EgressGrant
    from sandkeeper.api.environment import Environment
    from sandkeeper.plan.observed import GatewaySettings, Observed

Json = dict[str, Any]

EGRESS_UNAVAILABLE: Final = "EgressUnavailable"
_PROXIED: Final = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
_DIRECT: Final = ("NO_PROXY", "no_proxy")
# What egress.cidrs opens has an address instead of a name, and the gateway takes names alone.
_NOT_PROXIED: Final = "localhost,127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7"


def egress_annotation(grant: EgressGrant) -> dict[str, str]:
    """Annotation that tells the gateway of a grant; empty for nothing."""
    noted = grant.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {EGRESS_ANNOTATION: orjson.dumps(noted, option=orjson.OPT_SORT_KEYS).decode()} if noted else {}


def lead_to_gateway(spec: Json, environment: Environment, addresses: Sequence[str]) -> None:
    """Make the gateway a pod's only name server, and tell its tools where the proxy is; nothing where there is none.

    Parameters
    ----------
    spec
        Of the pod, with the sandbox's container in it.
    addresses
        Of the gateway's Service.
    """
    if not addresses:
        return
    spec.update(_name_service(addresses))
    container = spec["containers"][0]
    env = container.get("env", [])
    if added := _proxy_variables(environment, env, addresses[0]):
        container["env"] = [*added, *env]


def _name_service(addresses: Sequence[str]) -> Json:
    """Without search domains a name is asked for as it is written, once."""
    options = [{"name": "ndots", "value": "1"}, {"name": "timeout", "value": "3"}, {"name": "attempts", "value": "3"}]
    return {"dnsPolicy": "None", "dnsConfig": {"nameservers": list(addresses), "options": options}}


def _proxy_variables(environment: Environment, env: Iterable[Json], address: str) -> list[Json]:
    """Variables that lead tools to the gateway; none where the sandbox sets, or may set, any of them itself."""
    # What a whole Secret holds is not known, and would not count beside a variable of ours.
    if whole_secrets(environment) or {each["name"] for each in env} & {*_PROXIED, *_DIRECT}:
        return []
    host = f"[{address}]" if ":" in address else address
    proxies = [{"name": name, "value": f"http://{host}:{PROXY_PORT}"} for name in _PROXIED]
    return [*proxies, *({"name": name, "value": _NOT_PROXIED} for name in _DIRECT)]


def gateway_egress(gateway: GatewaySettings) -> Json:
    """Rule of a NetworkPolicy that lets pods reach the gateway's.

    Policies are judged after a Service's address is translated, so the ports are the pods' own.
    """
    tcp = [{"port": port, "protocol": "TCP"} for port in (DNS_PORT, HTTP_PORT, TLS_PORT, PROXY_PORT)]
    nameless = {"port": FIRST_NAMELESS_PORT, "endPort": LAST_NAMELESS_PORT, "protocol": "TCP"}
    peer = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": gateway.namespace}},
        "podSelector": {"matchLabels": dict(gateway.labels)},
    }
    return {"to": [peer], "ports": [{"port": DNS_PORT, "protocol": "UDP"}, *tcp, nameless]}


def note_of_egress(pod: Json) -> str:
    """Read the annotation of a pod's grant; empty for nothing."""
    return str((pod["metadata"].get("annotations") or {}).get(EGRESS_ANNOTATION, ""))


def without_gateway(observed: Observed) -> PodState | None:
    """State of a sandbox whose pod can't be told of the gateway, for that has no address; None where it can."""
    gateway = observed.settings.gateway
    if gateway is None or observed.gateway:
        return None
    message = (
        f"No pod is made before the Service of the egress gateway has an address in namespace {gateway.namespace}; by "
        "it sandboxes resolve names."
    )
    return PodState(EGRESS_UNAVAILABLE, message, wrong=True)
