"""What the operator knows of SandboxPolicies and of quotas, and whom a change of one concerns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from sandkeeper.api.names import GROUP, POLICY_KIND, POLICY_NAME, POLICY_PLURAL, VERSION
from sandkeeper.controllers.missing import look_up
from sandkeeper.controllers.quota_line import QuotaLine
from sandkeeper.plan.ownership import is_managed
from sandkeeper.plan.quota import frees
from sandkeeper.plan.slim import slim_policy, slim_quota
from sandkeeper.runtime.informer import Informer
from sandkeeper.runtime.resource import RESOURCE_QUOTAS, Json, Key, Resource
from sandkeeper.runtime.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.runtime.client import ApiClient

POLICIES = Resource(GROUP, VERSION, POLICY_PLURAL, POLICY_KIND)
USAGE_SECONDS: Final = 5.0
"""How late usage is told: each sandbox that starts or ends changes it."""
_USAGE_PACE: Final = 0.2
"""Seconds between two policies' usages: of hundreds every five seconds it would cost as much as their sandboxes."""


class Policies:
    """Stores of SandboxPolicies and ResourceQuotas, and the informers that feed them.

    Parameters
    ----------
    sandboxes
        All sandboxes.
    wake
        Called with the key of each Sandbox that a change concerns.
    wake_policy
        Called with the key of a SandboxPolicy that is to be looked at, and in how many seconds.

    Attributes
    ----------
    store, quotas
        The stores.
    line
        Who waits for a quota.
    """

    def __init__(
        self,
        client: ApiClient,
        sandboxes: Store,
        wake: Callable[[Key], None],
        wake_policy: Callable[[Key, float], None],
    ) -> None:
        self._client = client
        self._sandboxes = sandboxes
        self._wake = wake
        self._wake_policy = wake_policy
        self._usage_due: dict[str, float] = {}
        self._last_due = 0.0
        self.store = Store(slim_policy)
        self.quotas = Store(slim_quota)
        self.line = QuotaLine(sandboxes, wake)
        self.informers = [
            Informer(client, POLICIES, self.store, self._changed),
            # All of them, whoever made them: any may be what a sandbox waits for.
            Informer(client, RESOURCE_QUOTAS, self.quotas, self._quota_changed),
        ]

    def of(self, namespace: str) -> Json | None:
        """Policy of a namespace, as the store keeps it; None where it has none."""
        return self.store.get(Key(namespace, POLICY_NAME))

    async def look_up(self, namespace: str) -> bool:
        """Read the policy of a namespace from the API server before it is taken for missing.

        Returns
        -------
        bool
            Whether there is news of it.
        """
        key = Key(namespace, POLICY_NAME)
        if not await look_up(self._client, POLICIES, self.store, key):
            return False
        # The event will be no news, and others wait for it too.
        self._changed(key, None, self.store.get(key))
        return True

    def _changed(self, key: Key, before: Json | None, after: Json | None) -> None:
        if before and after and before["rules"] == after["rules"]:
            return
        if after is None:
            self._usage_due.pop(key.namespace, None)
        self._wake_policy(key, 0.0)
        if key.name == POLICY_NAME:
            for sandbox in self._sandboxes.in_namespace(key.namespace):
                self._wake(sandbox)

    def _quota_changed(self, key: Key, before: Json | None, after: Json | None) -> None:
        if is_managed(after or before or {}):
            # That it is gone, or is another one, is put right at once.
            same = before and after and before["spec"] == after["spec"] and bool(before["status"])
            if same:
                self._tell_usage(key.namespace)
            else:
                self._wake_policy(Key(key.namespace, POLICY_NAME), 0.0)
        if frees(before, after):
            self.line.freed(key.namespace)

    def _tell_usage(self, namespace: str) -> None:
        """Have a policy look at its quotas soon, unless it is about to."""
        now = time.monotonic()
        if self._usage_due.get(namespace, now) > now:
            return
        self._last_due = max(now + USAGE_SECONDS, self._last_due + _USAGE_PACE)
        self._usage_due[namespace] = self._last_due
        self._wake_policy(Key(namespace, POLICY_NAME), self._last_due - now)
