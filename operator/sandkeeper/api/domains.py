"""Patterns of domain names: a host, or all names below a suffix, optionally with a port. Labels are whole, always.

The same text is judged by the apiserver when it is written, and compared here with what is allowed.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final

from pydantic import Field

from .model import checks, rule

_LABEL: Final = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
# The last label begins with a letter: 10.0.0.7 is an address, and goes by other rules.
_HOST: Final = f"({_LABEL}[.])*[a-z]([-a-z0-9]{{0,61}}[a-z0-9])?"
_PORT: Final = ":([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
PATTERN: Final = f"^([*][.])?{_HOST}({_PORT})?$"
"""Regular expression of a pattern, as both CEL and Python read it."""
MAX_HOST: Final = 253
MAX_PATTERN: Final = MAX_HOST + len("*.") + len(":65535")
ALLOWED: Final = (
    "must be a host such as api.openai.com, or *. and a domain for all names below it, such as *.supabase.co, in lower "
    "case and without a scheme or path, optionally with a port, such as github.com:22"
)

WEB_PORTS: Final = frozenset({80, 443})
"""What a pattern without a port stands for."""

IS_DOMAIN: Final = rule(
    f"self.matches('{PATTERN}') && self.replace('*.', '').split(':')[0].size() <= {MAX_HOST}", ALLOWED
)
"""Rule over a field that is a pattern."""
DomainPattern = Annotated[str, Field(json_schema_extra=checks(IS_DOMAIN, maxLength=MAX_PATTERN))]
"""Pattern of domain names, as a spec holds it."""


@dataclass(frozen=True)
class Domain:
    """A pattern, read.

    Attributes
    ----------
    host
        Name without a wildcard.
    below
        Whether the pattern is of all names below the host, in any depth, and not of the host itself.
    port
        None for those of the web.
    """

    host: str
    below: bool = False
    port: int | None = None


def domain(pattern: str) -> Domain:
    """Read a pattern.

    Raises
    ------
    ValueError
        If it is none; the message says what is allowed.
    """
    host, _, port = pattern.removeprefix("*.").partition(":")
    # In Python $ would let a line end through.
    if not re.fullmatch(PATTERN, pattern) or len(host) > MAX_HOST:
        raise ValueError(f'"{pattern}" {ALLOWED}')
    return Domain(host, pattern.startswith("*."), int(port) if port else None)


def covers(allowed: Domain, asked: Domain) -> bool:
    """Tell whether all that one pattern reaches is reached by another one.

    A wildcard is covered by one that is as wide or wider, never by a host. Without a port the ports of the web are
    meant, and any other port only where it is named.
    """
    ports = WEB_PORTS if allowed.port is None else {allowed.port}
    if not (WEB_PORTS if asked.port is None else {asked.port}) <= ports:
        return False
    if not allowed.below:
        return not asked.below and asked.host == allowed.host
    # *.example.com is not of example.com itself, but *.example.com covers itself.
    return asked.host.endswith(f".{allowed.host}") or (asked.below and asked.host == allowed.host)


@lru_cache(maxsize=1024)
def within(asked: tuple[str, ...], allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Those of some patterns that reach nothing beyond what one of others reaches.

    Raises
    ------
    ValueError
        If any of them is no pattern.
    """
    limits = tuple(map(domain, allowed))
    return tuple(each for each in asked if any(covers(limit, domain(each)) for limit in limits))
