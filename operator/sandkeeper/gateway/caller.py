"""Who is asking: a sandbox, known by the address of its pod."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandkeeper.gateway.rules import Rules


@dataclass(frozen=True, slots=True)
class Caller:
    """A sandbox's pod.

    Two pods are never one caller, whatever their address: who follows on it is told apart by ``pod_uid``.

    Attributes
    ----------
    namespace, name, uid
        Of the Sandbox.
    pod_uid, address
        Of its pod.
    """

    namespace: str
    name: str
    uid: str
    pod_uid: str
    address: str
    rules: Rules
