"""Counts who asked the apiserver for what, from its audit log.

Watches and Leases are left out of what an object costs: they go on whether or not anything is created, and the table
shows them in the row of an idle interval.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import orjson
import yaml

CONTROLLER_MANAGER = "controller-manager"
POLICY = yaml.safe_dump(
    {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [{"level": "Metadata"}],
    }
)


class Request(NamedTuple):
    """One kind of request.

    ``code`` is 0 for what succeeded, so that refused requests stand in rows of their own.
    """

    client: str
    verb: str
    resource: str
    code: int = 0

    @property
    def standing(self) -> bool:
        """Whether such requests go on without anything being created."""
        return self.verb == "watch" or self.resource == "leases" or not self.resource

    def __str__(self) -> str:
        """Render as in the table."""
        refused = f" → {self.code}" if self.code else ""
        return f"{self.client}: {self.verb} {self.resource or '(no resource)'}{refused}"


def requests_in(lines: Iterable[bytes], users: Mapping[str, str]) -> Counter[Request]:
    """Count the requests of an audit log.

    Parameters
    ----------
    lines
        Lines of the log, an event each.
    users
        Which client a user name stands for; a name that is missing here stands for itself.
    """
    events = (orjson.loads(line) for line in lines if line.strip())
    return Counter(
        Request(client_of(event["user"]["username"], users), event["verb"], resource_of(event), refusal_of(event))
        for event in events
        if event["stage"] in ("ResponseComplete", "Panic")
    )


def client_of(user: str, users: Mapping[str, str]) -> str:
    """Return the name that the table has for a user; every controller of Kubernetes has a user of its own."""
    if user in users:
        return users[user]
    if user.startswith("system:serviceaccount:kube-system:"):
        return CONTROLLER_MANAGER
    return user.removeprefix("system:").removeprefix("kube-")


def resource_of(event: Mapping[str, Mapping[str, str]]) -> str:
    """Return ``resource/subresource`` of an audit event, empty for a path that is no resource's."""
    reference = event.get("objectRef", {})
    resource, subresource = reference.get("resource", ""), reference.get("subresource", "")
    return f"{resource}/{subresource}" if subresource else resource


def refusal_of(event: Mapping[str, Mapping[str, int]]) -> int:
    """Return the status code of a request that failed, 0 for one that did not."""
    code = event.get("responseStatus", {}).get("code", 0)
    return code if code >= 400 else 0


class AuditLog:
    """An audit log that is read in intervals.

    Parameters
    ----------
    path
        The log file.
    users
        As in `requests_in`.
    """

    def __init__(self, path: Path, users: Mapping[str, str]) -> None:
        self._path = path
        self._users = users
        self._read = 0

    def skip(self) -> None:
        """Begin an interval."""
        self._read = self._path.stat().st_size

    def take(self) -> Counter[Request]:
        """Count the requests since the last call, and begin the next interval."""
        with self._path.open("rb") as log:
            log.seek(self._read)
            content = log.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        return requests_in(whole.splitlines(), self._users)
