"""Records as fronts tell them."""

from dataclasses import replace
from typing import Any

from sandkeeper.api.egress import EgressGrant
from sandkeeper.gateway.caller import Caller
from sandkeeper.gateway.record import Record
from sandkeeper.gateway.rules import Rules

MOMENT = 1_700_000_000.25
RULES = Rules(EgressGrant(domains=("example.com",)))


def caller(name: str = "one", address: str = "10.0.0.1") -> Caller:
    """Make a known sandbox."""
    return Caller("team", name, f"uid-{name}", f"pod-{name}", address, RULES)


def allowed(**more: Any) -> Record:
    """Make the record of a connection that went its way."""
    record = Record(
        "tls", caller(), "10.0.0.1", MOMENT, "example.com", 443, "93.184.215.14", "example.com", up=100, down=2000,
        seconds=1.5, rule="example.com", allowed=True,
    )  # fmt: skip
    return replace(record, **more)


def refused(reason: str = "domain-not-allowed", domain: str = "evil.example", **more: Any) -> Record:
    """Make the record of a refused connection."""
    record = Record("tls", caller(), "10.0.0.1", MOMENT, domain, 443, sni=domain, reason=reason)
    return replace(record, **more)


def question(name: str, **more: Any) -> Record:
    """Make the record of a refused question."""
    return replace(Record("dns", caller(), "10.0.0.1", MOMENT, name, reason="domain-not-allowed"), **more)
