"""Egress: the domains and addresses that a sandbox may reach, and the form in which the gateway is told of them."""

from datetime import datetime
from hashlib import sha256
from ipaddress import ip_network
from typing import Annotated, Final

import orjson
from pydantic import Field

from .domains import IS_DOMAIN, MAX_PATTERN, WEB_PORTS, domain
from .model import Model, checks, rule

METADATA: Final = (
    # All of it: beside the well-known one, clouds put credentials (169.254.170.2, .23) and resolvers there.
    "169.254.0.0/16",
    "fe80::/10",
    "fd00:ec2::/32",  # AWS
    "fd20:ce::/32",  # Google Cloud
    "fd00:42::/32",  # Scaleway
    "100.96.0.96/32",  # Volcengine
    "100.100.100.200/32",  # Alibaba Cloud
    "168.63.129.16/32",  # Azure: public by its number, and the host by its nature
    "192.0.0.192/32",  # Oracle Cloud
)
"""Where clouds tell a machine its credentials, all link-local addresses included."""
_CARRIED_METADATA: Final = ("64:ff9b::a9fe:0/112", "2002:a9fe::/32")
"""The first of them as NAT64 (RFC 6052) and 6to4 (RFC 3056) write it."""
_REFUSED: Final = (*METADATA, *_CARRIED_METADATA)

_MOST_DOMAINS: Final = 128
_MOST_CIDRS: Final = 32
_CIDR: Final = "must be a network such as 10.20.0.0/16 or fd00:20::/64, with no bit set behind its prefix"
_NO_METADATA: Final = (
    "contains an address of a cloud's metadata, or is within their networks: "
    f"{', '.join(METADATA)}; name smaller networks beside them"
)
_OWN_PORT: Final = (
    "must name its host where it has a port other than 80 and 443: such a connection tells no name, so a wildcard "
    "could not be kept to"
)
_WEB_ENDS: Final = " || ".join(f"self.endsWith(':{port}')" for port in sorted(WEB_PORTS))
_IS_CIDR: Final = "isCIDR(self) && cidr(self).masked() == cidr(self)"
_MEETS: Final = " || ".join(
    f"cidr(self).containsCIDR('{each}') || cidr('{each}').containsCIDR(self)" for each in _REFUSED
)

_Domain = Annotated[
    str,
    Field(
        json_schema_extra=checks(
            IS_DOMAIN,
            rule(
                f"!self.startsWith('*.') || !self.contains(':') || {_WEB_ENDS}",
                _OWN_PORT,
            ),
            maxLength=MAX_PATTERN,
        )
    ),
]
_Cidr = Annotated[
    str,
    Field(
        json_schema_extra=checks(
            rule(_IS_CIDR, _CIDR),
            rule(f"!isCIDR(self) || !({_MEETS})", _NO_METADATA, reason="FieldValueForbidden"),
            maxLength=43,
        )
    ),
]
_Port = Annotated[int, Field(json_schema_extra=checks(minimum=1, maximum=65535))]


class AddressGrant(Model):
    """Addresses that a sandbox may reach; no ports are all of them."""

    cidr: _Cidr = Field(
        description="Network that may be reached, such as 10.20.0.0/16; addresses of clouds' metadata never."
    )
    ports: tuple[_Port, ...] = Field(
        default=(),
        description="Ports that may be reached, by TCP and UDP. Default: all, and every other protocol.",
        json_schema_extra=checks(maxItems=32) | {"x-kubernetes-list-type": "set"},
    )


class Egress(Model):
    """What the sandbox may reach. Nothing else is."""

    domains: tuple[_Domain, ...] | None = Field(
        default=None,
        description="Hosts, or *. and a domain for all names below it, optionally with a port: without one 80 and 443 "
        "are meant. What a source or template allows is added. Default: none.",
        json_schema_extra=checks(maxItems=_MOST_DOMAINS) | {"x-kubernetes-list-type": "set"},
    )
    cidrs: tuple[AddressGrant, ...] | None = Field(
        default=None,
        description="Networks for what has no name; a domain may also resolve to their addresses although they are "
        "private. Default: none.",
        json_schema_extra=checks(maxItems=_MOST_CIDRS),
    )


class EffectiveEgress(Model):
    """What a sandbox may reach, with nothing left open."""

    domains: tuple[str, ...] = ()
    cidrs: tuple[AddressGrant, ...] = ()

    def digest(self) -> str:
        """Hash it: 16 hexadecimal digits, whatever its order."""
        parts = {
            "domains": sorted(self.domains),
            "cidrs": sorted(orjson.dumps(each.to_json()).decode() for each in self.cidrs),
        }
        return sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


class EgressGrant(EffectiveEgress):
    """What a sandbox may reach: an annotation of its pod, which only the operator writes.

    Attributes
    ----------
    domains, setup
        Patterns as `api.domains` reads them; those of ``setup`` hold until ``setup_until``, while it installs.
    cidrs
        Addresses that names may resolve to although they are private.
    """

    setup: tuple[str, ...] = ()
    setup_until: datetime | None = None


def fault(egress: Egress) -> str:
    """Say which part of an egress the apiserver would refuse; empty for none. For what no apiserver has judged."""
    if len(egress.domains or ()) > _MOST_DOMAINS or any(map(_is_bad_domain, egress.domains or ())):
        return "egress.domains"
    if len(egress.cidrs or ()) > _MOST_CIDRS or any(map(_is_bad_grant, egress.cidrs or ())):
        return "egress.cidrs"
    return ""


def _is_bad_domain(pattern: str) -> bool:
    try:
        read = domain(pattern)
    except ValueError:
        return True
    return read.below and read.port is not None and read.port not in WEB_PORTS


def _is_bad_grant(grant: AddressGrant) -> bool:
    try:
        network = ip_network(grant.cidr)
    except ValueError:
        return True
    # Of two families none overlaps.
    meets = any(network.overlaps(ip_network(each)) for each in _REFUSED)
    return meets or "/" not in grant.cidr or any(not 1 <= port <= 65535 for port in grant.ports)
