"""What the operator knows of templates, and whom a change of one concerns: those that name it, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.api.names import GROUP, TEMPLATE_KIND, TEMPLATE_PLURAL, VERSION
from sandkeeper.controllers.missing import look_up
from sandkeeper.plan.base import base_of
from sandkeeper.plan.slim import slim_template
from sandkeeper.runtime.informer import Informer
from sandkeeper.runtime.resource import Json, Key, Resource
from sandkeeper.runtime.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.plan.base import Base
    from sandkeeper.runtime.client import ApiClient

TEMPLATES = Resource(GROUP, VERSION, TEMPLATE_PLURAL, TEMPLATE_KIND)


class Templates:
    """A store of SandboxTemplates, and the informer that feeds it.

    Parameters
    ----------
    sandboxes
        All sandboxes; those that name a template are found in it.
    wake
        Called with the key of each Sandbox that a changed template concerns.
    """

    def __init__(self, client: ApiClient, sandboxes: Store, wake: Callable[[Key], None]) -> None:
        self._client = client
        self._sandboxes = sandboxes
        self._wake = wake
        self._store = Store(slim_template)
        self.informers = [Informer(client, TEMPLATES, self._store, self._changed)]

    def base_of(self, sandbox: Sandbox, pod: Json | None, policy: Json | None) -> Base:
        """Tell what lies below the spec of a sandbox, whose pod and policy are given."""
        asked = sandbox.spec.template_ref
        template = self._store.get(Key(sandbox.metadata.namespace, asked.name)) if asked else None
        return base_of(sandbox, pod, template, policy["layer"] if policy else "")

    async def look_up(self, key: Key) -> bool:
        """Read a template from the API server before it is taken for missing: its sandbox may be heard of first.

        Returns
        -------
        bool
            Whether there is news of it.
        """
        if not await look_up(self._client, TEMPLATES, self._store, key):
            return False
        # The event will be no news, and others wait for it too.
        self._changed(key, None, self._store.get(key))
        return True

    def _changed(self, key: Key, before: Json | None, after: Json | None) -> None:
        if before and after and before["layer"] == after["layer"]:
            return
        for sandbox in self._sandboxes.referring(Key(key.namespace, f"templateRef/{key.name}")):
            self._wake(sandbox)
