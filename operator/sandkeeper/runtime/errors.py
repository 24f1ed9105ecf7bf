"""One exception for every refusal of the API server, with all that a reader needs to act on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandkeeper.runtime.resource import Json, Resource


class ApiError(Exception):
    """The API server answered a request with an error.

    Attributes
    ----------
    status
        HTTP status code.
    reason
        Machine-readable reason of the ``Status`` object (``AlreadyExists``, ``Conflict``, ``Forbidden``, ...).
    message
        The server's own sentence.
    retry_after
        Seconds the server asks to wait, or None.
    """

    def __init__(self, verb: str, where: str, status: int, body: Json, retry_after: float | None = None) -> None:
        self.status = status
        self.reason: str = body.get("reason") or ""
        self.message: str = body.get("message") or f"HTTP {status}"
        self.retry_after = retry_after
        super().__init__(f"{verb} {where}: {status} {self.reason}: {self.message}")

    @property
    def not_found(self) -> bool:
        """The object, or its namespace, is not there."""
        return self.status == 404

    @property
    def already_exists(self) -> bool:
        """A POST met an object of the same name."""
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def conflict(self) -> bool:
        """Somebody wrote since the version that this write was decided on."""
        return self.status == 409 and self.reason != "AlreadyExists"

    @property
    def expired(self) -> bool:
        """The resourceVersion is older than what the server remembers (410)."""
        return self.status == 410

    @property
    def overloaded(self) -> bool:
        """The server is busy or starting; the same request may succeed later."""
        return self.status == 429 or self.status >= 500


def error_from(verb: str, where: str, status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """Build the error from a response that may or may not be a Kubernetes ``Status``.

    Returns
    -------
    ApiError
        Proxies and a starting apiserver answer with plain text; its beginning then serves as the message.
    """
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        parsed = {"message": body[:200].decode("utf-8", "replace").strip()}
    retry_after = headers.get("Retry-After", "")
    return ApiError(verb, where, status, parsed, float(retry_after) if retry_after.isdigit() else None)


def where(resource: Resource, namespace: str, name: str) -> str:
    """Name an object in an error as kubectl would: ``pods team/sbx-a``."""
    return f"{resource.plural} {namespace}/{name}" if namespace else f"{resource.plural} {name}".rstrip()
