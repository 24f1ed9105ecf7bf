"""Tokens of another service account than our own, by TokenRequest: short-lived, and renewed before they end."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sandkeeper.runtime.resource import SERVICE_ACCOUNTS

if TYPE_CHECKING:
    from sandkeeper.runtime.client import ApiClient

_SECONDS: Final = 600
"""The shortest that the API server gives: what sees the token can use it no longer than that."""
_RENEWED_AFTER: Final = 0.8
"""Part of its life after which a token is replaced, as the kubelet does with those that it mounts."""


class AccountToken:
    """The present token of a service account.

    Parameters
    ----------
    namespace, account
        The account; needs the right to create ``serviceaccounts/token`` of it.
    """

    def __init__(self, client: ApiClient, namespace: str, account: str) -> None:
        self._client = client
        self._namespace = namespace
        self._account = account
        self._token = ""
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def get(self) -> str:
        """Give a token that holds for a while yet.

        Raises
        ------
        ApiError
            If the API server refuses one; aiohttp's ``ClientError`` or ``TimeoutError`` where it can't be reached.
        """
        async with self._asking:
            if not self._token or time.monotonic() >= self._until:
                await self._renew()
            return self._token

    def refuse(self, token: str) -> None:
        """Take note that a token was not accepted, so that the next one is new."""
        if token == self._token:
            self._token = ""

    async def _renew(self) -> None:
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"name": self._account},
            "spec": {"expirationSeconds": _SECONDS},
        }
        answer = await self._client.create(SERVICE_ACCOUNTS, self._namespace, request, subresource="token")
        ends = datetime.fromisoformat(answer["status"]["expirationTimestamp"])
        seconds = (ends - datetime.now(UTC)).total_seconds()
        # Where the two clocks do not agree, it holds as long as was asked for.
        holds = seconds if 0 < seconds < _SECONDS else _SECONDS
        self._token = answer["status"]["token"]
        self._until = time.monotonic() + holds * _RENEWED_AFTER
