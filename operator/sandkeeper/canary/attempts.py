"""What a canary tries: values that the operator writes into a pod's arguments, and the canary reads there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

LISTENER_PORT: Final = 10007
"""Where a canary that listens does so, by TCP and UDP."""
RESULT_FILE: Final = "/dev/termination-log"
"""What stands in it when the container ends is its termination message: no right to read logs or to exec is needed."""

Means = Literal["listener", "tcp", "udp", "multicast", "icmp", "dns-udp", "dns-tcp", "name", "tls"]


@dataclass(frozen=True)
class Attempt:
    """One way out.

    Attributes
    ----------
    name
        What it is called in results and sentences.
    means
        ``listener``, ``udp`` and ``multicast`` expect a canary at the other end, ``tcp`` any program, ``name`` a name
        server that has an address for the domain, and ``tls`` a server that answers to its name.
    host
        Address; empty for the pod's own resolver and where none is needed.
    domain
        What is asked for; empty where it is not by name.
    patience
        Seconds for which it is tried before all others, since it is meant to be reached.
    """

    name: str
    means: Means
    host: str = ""
    port: int = 0
    domain: str = ""
    patience: float = 0.0


def encoded(attempts: Iterable[Attempt]) -> str:
    """Write attempts down as an argument."""
    return json.dumps([asdict(each) for each in attempts], separators=(",", ":"))


def decoded(text: str) -> list[Attempt]:
    """Read the argument."""
    return [Attempt(**each) for each in json.loads(text)]
