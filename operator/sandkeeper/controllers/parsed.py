"""Sandboxes as models: most passes look at one that has not changed since another pass parsed it."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import orjson

from sandkeeper.api.sandbox import Sandbox
from sandkeeper.api.source import Source

if TYPE_CHECKING:
    from sandkeeper.runtime.resource import Json

_MOST: Final = 256
"""More than are at work at once; a parsed sandbox takes several times the memory of what the store keeps."""


class ParsedSandboxes:
    """The sandboxes that were parsed last, each at its newest version."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[str, Sandbox]] = OrderedDict()

    def of(self, raw: Json) -> Sandbox:
        """Parse a sandbox as the store keeps it."""
        uid, version = raw["metadata"]["uid"], raw["metadata"]["resourceVersion"]
        known = self._known.get(uid)
        if known is None or known[0] != version:
            parsed = Sandbox.model_validate({"metadata": raw["metadata"], "spec": raw.get("spec", {})})
            self._known[uid] = known = version, parsed
        self._known.move_to_end(uid)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return known[1]


def parsed_source(source: Json) -> Source:
    """Parse what a workspace is made from: that of many is looked for at once, of which few are the same."""
    return _source(orjson.dumps(source))


@lru_cache(maxsize=1024)
def _source(text: bytes) -> Source:
    return Source.model_validate_json(text)
