"""What the operator knows of Secrets, where it may: which there are, and that one was written; never what they hold.

RBAC knows no right to metadata alone, so what is asked for is metadata, and nothing else of a Secret is ever sent here.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from sandkeeper.api.names import CHILD_PREFIX
from sandkeeper.plan.slim import slim_secret
from sandkeeper.runtime.informer import Informer
from sandkeeper.runtime.resource import SECRETS, Json, Key
from sandkeeper.runtime.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandkeeper.runtime.client import ApiClient


class SecretWatch:
    """A store of Secrets' metadata, and the informer that feeds it.

    Parameters
    ----------
    pods
        All sandboxes' pods, which refer to the Secrets that they are to be replaced for.
    wake
        Called with the key of each Sandbox that a changed Secret concerns.
    watched
        Whether the operator may see them; there is no informer otherwise, and no Secret is known.
    """

    def __init__(self, client: ApiClient, pods: Store, wake: Callable[[Key], None], *, watched: bool) -> None:
        self._pods = pods
        self._wake = wake
        self._secrets = Store(slim_secret)
        informer = Informer(client, SECRETS, self._secrets, self._changed, metadata_only=True)
        self.informers = [informer] if watched else []

    def versions(self, namespace: str) -> Mapping[str, str]:
        """Versions of the Secrets of a namespace, by name: 16 hexadecimal digits that change with every write."""
        return _Versions(self._secrets, namespace)

    def _changed(self, key: Key, _: Json | None, after: Json | None) -> None:
        # One that is gone takes nothing from a pod that runs, and is no reason for one that could not start.
        for pod in self._pods.referring(key) if after else ():
            self._wake(Key(pod.namespace, pod.name.removeprefix(CHILD_PREFIX)))


class _Versions(Mapping[str, str]):
    """Looks up one at a time: of a namespace with many Secrets a sandbox names a few."""

    def __init__(self, secrets: Store, namespace: str) -> None:
        self._secrets = secrets
        self._namespace = namespace

    def __getitem__(self, name: str) -> str:
        found = self._secrets.get(Key(self._namespace, name))
        if found is None:
            raise KeyError(name)
        metadata = found["metadata"]
        return sha256(f"{metadata['uid']}/{metadata['resourceVersion']}".encode()).hexdigest()[:16]

    def __iter__(self) -> Iterator[str]:
        return (key.name for key in self._secrets.in_namespace(self._namespace))

    def __len__(self) -> int:
        return sum(1 for _ in self)
