"""Port 80: a sandbox's plain HTTP, as if the gateway were the host that the name led to; judged request by request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandkeeper.gateway.http_connection import HttpConnection
from sandkeeper.gateway.places import HTTP_PORT
from sandkeeper.gateway.request_rules import web_target

if TYPE_CHECKING:
    from sandkeeper.gateway.context import Context


class HttpFront:
    """Makes the connections of port 80."""

    listens_on: Final = HTTP_PORT

    def __init__(self, context: Context) -> None:
        self._context = context

    def __call__(self) -> HttpConnection:
        """Make the protocol of one more."""
        return HttpConnection(self._context, "http", web_target)
