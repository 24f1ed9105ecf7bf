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
    from collections.abc import Sequence

    from sandkeeper.api.egress import EgressGrant
    from sandkeeper.api.environment import Environment
    from sandkeeper.plan.observed import EgressGateway, Observed

Json = dict[str, Any]

EGRESS_UNAVAILABLE: Final = "EgressUnavailable"
_PROXIED: Final = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
_DIRECT: Final = ("NO_PROXY", "no_proxy")
_NOT_PROXIED: Final = "localhost,127.0.0.1,::1"


def egress_annotation(grant: EgressGrant) -> dict[str, str]:
    """Annotation that tells the gateway of a grant; empty for nothing."""
    noted = grant.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {EGRESS_ANNOTATION: orjson.dumps(noted, option=orjson.OPT_SORT_KEYS).decode()} if noted else {}


def name_service(addresses: Sequence[str]) -> Json:
    """Part of a pod's spec that makes the gateway its only name server; empty while it has no address.

    Without search domains a name is asked for as it is written, once.
    """
    if not addresses:
        return {}
    options = [{"name": "ndots", "value": "1"}, {"name": "timeout", "value": "3"}, {"name": "attempts", "value": "3"}]
    return {"dnsPolicy": "None", "dnsConfig": {"nameservers": list(addresses), "options": options}}


def name_proxy(spec: Json, environment: Environment, addresses: Sequence[str]) -> None:
    """Add to a pod the variables that lead tools to the gateway's proxy, where they are of use and in nobody's way.

    The proxy takes names alone, so they would break what goes to the addresses of ``cidrs``; and a sandbox that sets
    any of them itself, or may by a Secret that is taken whole, has those alone.

    Parameters
    ----------
    spec
        Of the pod, with the sandbox's container in it.
    """
    container, egress = spec["containers"][0], environment.egress
    env = container.get("env", [])
    taken = whole_secrets(environment) or {each["name"] for each in env} & {*_PROXIED, *_DIRECT}
    if not addresses or not egress.domains or egress.cidrs or taken:
        return
    host = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    proxies = [{"name": name, "value": f"http://{host}:{PROXY_PORT}"} for name in _PROXIED]
    container["env"] = [*proxies, *({"name": name, "value": _NOT_PROXIED} for name in _DIRECT), *env]


def gateway_egress(gateway: EgressGateway) -> Json:
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
