"""What the daemon tells of itself, and how others ask it."""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

PORT = 10261
ANSWER_SECONDS = 2.0


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
    """

    enforcing_since: str | None = None
    last_sync: str | None = None
    syncs: int = 0
    pods: int = 0
    policies: dict[str, dict[str, object]] = field(default_factory=dict)
    last_error: str | None = None

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
        return self.enforcing_since is not None and self.last_error is None

    def content(self) -> dict[str, Any]:
        """Return all of it under the names of the endpoint."""
        return {"ready": self.ready, **{_camel(key): value for key, value in asdict(self).items()}}


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
        return f"nftables (development), {len(content['policies'])} policies in force"
    return f"nftables (development), not up to date: {content.get('lastError') or 'waiting for the apiserver'}"


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
