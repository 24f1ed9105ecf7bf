"""Where the egress gateway is: the addresses of its first Service, which are every sandbox's name server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.api.names import GATEWAY_SLOT_LABEL
from sandkeeper.gateway.view import slim_service, slots_of
from sandkeeper.runtime.informer import Informer
from sandkeeper.runtime.resource import SERVICES, Json, Key
from sandkeeper.runtime.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.plan.observed import EgressGateway
    from sandkeeper.runtime.client import ApiClient


class GatewayWatch:
    """A store of that Service, and the informer that feeds it.

    Parameters
    ----------
    gateway
        None where there is none, and no informer.
    changed
        Called when its addresses are others.
    """

    def __init__(self, client: ApiClient, gateway: EgressGateway | None, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._services = Store(slim_service)
        self.informers = [self._informer(client, gateway)] if gateway else []

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses of the Service, of both families; none while it is not there."""
        return slots_of(filter(None, map(self._services.get, self._services))).get(0, ())

    def _informer(self, client: ApiClient, gateway: EgressGateway) -> Informer:
        selector = ",".join(f"{name}={value}" for name, value in gateway.labels.items())
        return Informer(
            client, SERVICES, self._services, self._told,
            label_selector=f"{selector},{GATEWAY_SLOT_LABEL}=0", namespace=gateway.namespace,
        )  # fmt: skip

    def _told(self, _: Key, before: Json | None, after: Json | None) -> None:
        if slots_of(filter(None, (before,))) != slots_of(filter(None, (after,))):
            self._changed()
