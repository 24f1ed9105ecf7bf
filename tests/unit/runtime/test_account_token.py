"""A token is asked for once, renewed before it ends, and at once where it is not accepted."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from sandkeeper.runtime.account_token import AccountToken
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.resource import Json, Resource
from unit.fakes import virtual_time


class Issuer:
    """Gives tokens that hold for some seconds by its own clock."""

    def __init__(self, holds: float = 600.0, skew: float = 0.0) -> None:
        self.holds = holds
        self.skew = skew
        self.asked: list[tuple[str, str, Json]] = []
        self.refuses = False

    async def create(self, resource: Resource, namespace: str, obj: Json, *, subresource: str = "") -> Json:
        self.asked.append((resource.path(namespace, obj["metadata"]["name"], subresource), namespace, obj["spec"]))
        await asyncio.sleep(0.1)
        if self.refuses:
            raise ApiError("create", "serviceaccounts/token", 403, {"message": "no"})
        ends = virtual_time.wall_clock() + timedelta(seconds=self.holds + self.skew)
        return {"status": {"token": f"token-{len(self.asked)}", "expirationTimestamp": ends.isoformat()}}


def story(tell: Coroutine[Any, Any, None]) -> None:
    with patch("sandkeeper.runtime.account_token.datetime", virtual_time.VirtualDatetime):
        virtual_time.run(tell)


def token_of(issuer: Issuer) -> AccountToken:
    return AccountToken(issuer, "system", "usage")  # type: ignore[arg-type]


def test_all_who_need_it_share_one_short_lived_token() -> None:
    async def tell() -> None:
        issuer = Issuer()
        token = token_of(issuer)

        assert set(await asyncio.gather(*(token.get() for _ in range(5)))) == {"token-1"}
        assert issuer.asked == [
            ("/api/v1/namespaces/system/serviceaccounts/usage/token", "system", {"expirationSeconds": 600})
        ]

    story(tell())


@pytest.mark.parametrize(
    ("holds", "skew", "renewed"),
    [(600.0, 0.0, 480.0), (60.0, 0.0, 48.0), (3600.0, 0.0, 480.0), (600.0, 7200.0, 480.0), (600.0, -7200.0, 480.0)],
    ids=["as asked", "shorter", "longer", "a server that is ahead", "a server that is behind"],
)
def test_a_token_is_replaced_before_it_ends(holds: float, skew: float, renewed: float) -> None:
    async def tell() -> None:
        token = token_of(Issuer(holds, skew))
        assert await token.get() == "token-1"

        await asyncio.sleep(renewed - 1)
        assert await token.get() == "token-1"
        await asyncio.sleep(2)
        assert await token.get() == "token-2"

    story(tell())


def test_a_token_that_was_refused_is_replaced_once() -> None:
    async def tell() -> None:
        token = token_of(Issuer())
        old = await token.get()

        token.refuse(old)
        assert await token.get() == "token-2"
        # Another one that had the old token learns of it later.
        token.refuse(old)
        assert await token.get() == "token-2"

    story(tell())


def test_a_refusal_is_told_and_asked_again_later() -> None:
    async def tell() -> None:
        issuer = Issuer()
        issuer.refuses = True
        token = token_of(issuer)
        with pytest.raises(ApiError):
            await token.get()

        issuer.refuses = False
        assert await token.get() == "token-2"

    story(tell())
