"""What the daemon tells of itself, and how others ask it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

PORT = 10261
ANSWER_SECONDS = 2.0
LONGEST_SILENCE = 180.0
"""Seconds without a word of the apiserver, which says something every minute, until what we know counts as old."""


@dataclass
class Report:
    """The state of enforcement.

    Parameters
    ----------
    enforcing_since
        When this process had first written what the cluster asks for; None before.
    last_sync
        When the kernel's table was last made what it should be.
    policies
        Generation and resourceVersion of every policy in force, by ``namespace/name``.
    last_error
        What went wrong, if that was the last thing that happened.
    silence
        Tells for how many seconds the apiserver has said nothing of one of the kinds.
    """

    enforcing_since: str | None = None
    last_sync: str | None = None
    syncs: int = 0
    pods: int = 0
    policies: dict[str, dict[str, object]] = field(default_factory=dict)
    last_error: str | None = None
    silence: Callable[[], float] = field(default=lambda: 0.0, repr=False)

    def succeeded(self, policies: dict[str, dict[str, object]], pods: int, now: datetime | None = None) -> None:
        """Note that the kernel has what the cluster asks for."""
        time = (now or datetime.now(UTC)).isoformat(timespec="milliseconds")
        self.enforcing_since = self.enforcing_since or time
        self.last_sync, self.last_error = time, None
        self.syncs += 1
        self.policies, self.pods = policies, pods

    def failed(self, error: str) -> None:
        """Note that the kernel still has what it had."""
        self.last_error = error

    @property
    def ready(self) -> bool:
        """Tell whether what the cluster asks for is in force."""
        return self.enforcing_since is not None and self.last_error is None and self.silence() < LONGEST_SILENCE

    def content(self) -> dict[str, Any]:
        """Return all of it under the names of the endpoint."""
        told = {_camel(entry.name): getattr(self, entry.name) for entry in fields(self)}
        return {"ready": self.ready, **told, "silence": round(self.silence(), 1)}


def ask() -> dict[str, Any]:
    """Ask the daemon of the network namespace that we are in; without an answer, say so in its form."""
    try:
        with urlopen(f"http://127.0.0.1:{PORT}/status", timeout=ANSWER_SECONDS) as answer:
            content: dict[str, Any] = json.load(answer)
            return content
    except (URLError, OSError, ValueError) as error:
        return {"ready": False, "lastError": f"the daemon does not answer: {error}"}


def summary(content: dict[str, Any]) -> str:
    """Return the state in a few words for a person."""
    if content.get("ready"):
        return f"nftables (development), policies in force: {len(content['policies'])}"
    return f"nftables (development), not up to date: {content.get('lastError') or 'no word of the apiserver'}"


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
