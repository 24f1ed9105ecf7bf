"""Egress: the domains and addresses that a sandbox may reach, and the form in which the gateway is told of them."""

from datetime import datetime

from .model import Model


class AddressGrant(Model):
    """Addresses that a sandbox may reach; no ports are all of them."""

    cidr: str
    ports: tuple[int, ...] = ()


class EgressGrant(Model):
    """What a sandbox may reach, with nothing left open: an annotation of its pod, which only the operator writes.

    Attributes
    ----------
    domains, setup
        Patterns as `api.domains` reads them; those of ``setup`` hold until ``setup_until``, while it installs.
    cidrs
        Addresses that names may resolve to although they are private.
    """

    domains: tuple[str, ...] = ()
    cidrs: tuple[AddressGrant, ...] = ()
    setup: tuple[str, ...] = ()
    setup_until: datetime | None = None
