"""Whose address is whose, from the pods as the API server tells of them: pure.

An address is a sandbox's while exactly one pod that lives has it. One that two claim is nobody's, and so is one whose
pod ends, before anyone else can have it.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import structlog

from sandkeeper.api.egress import EgressGrant
from sandkeeper.api.names import (
    CANARY_LABEL,
    EGRESS_ANNOTATION,
    GATEWAY_SLOT_LABEL,
    MANAGED_LABEL,
    MANAGED_VALUE,
    ROLE_LABEL,
    SANDBOX_KIND,
    SANDBOX_LABEL,
    SANDBOX_ROLE,
)
from sandkeeper.gateway.rules import SLOTS, Rules
from sandkeeper.gateway.wire import Change, Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Json = dict[str, Any]

SELECTOR: Final = f"{ROLE_LABEL}={SANDBOX_ROLE}"
"""Label of the pods that can be callers, sandboxes' and canaries'; nobody but the operator can set it."""
_CACHED: Final = 1024
_ENDED: Final = frozenset({"Succeeded", "Failed"})


class View:
    """Addresses and who has them."""

    def __init__(self) -> None:
        self._pods: dict[str, tuple[Entry, ...]] = {}
        self._claims: defaultdict[str, dict[str, Entry]] = defaultdict(dict)

    def change(self, before: Json | None, after: Json | None, at: float = 0.0) -> Change | None:
        """Take a pod's former and present state, as slimmed by `slim_pod`; None where absent.

        Returns
        -------
        Change or None
            None where nothing follows from it.
        """
        uids = {pod["metadata"]["uid"] for pod in (before, after) if pod}
        claimed = {entry.address for uid in uids for entry in self._pods.get(uid, ())}
        claimed |= {entry.address for entry in (entries(after) if after else ())}
        had = {address: self._owner(address) for address in claimed}
        for uid in uids:
            self._release(uid)
        if after:
            self._claim(after["metadata"]["uid"], entries(after))
        has = {address: owner for address in claimed if (owner := self._owner(address)) != had[address]}
        if not has:
            return None
        gone = tuple(sorted(address for address, owner in has.items() if owner is None))
        return Change(at, tuple(owner for owner in has.values() if owner), gone)

    def __iter__(self) -> Iterator[Entry]:
        return (owner for address in self._claims if (owner := self._owner(address)))

    def __contains__(self, pod_uid: object) -> bool:
        return pod_uid in self._pods

    def __len__(self) -> int:
        return len(self._pods)

    def _owner(self, address: str) -> Entry | None:
        claims = self._claims.get(address) or {}
        return next(iter(claims.values())) if len(claims) == 1 else None

    def _claim(self, uid: str, claimed: tuple[Entry, ...]) -> None:
        if claimed:
            self._pods[uid] = claimed
        for entry in claimed:
            self._claims[entry.address][uid] = entry

    def _release(self, uid: str) -> None:
        for entry in self._pods.pop(uid, ()):
            claims = self._claims[entry.address]
            claims.pop(uid, None)
            if not claims:
                del self._claims[entry.address]


def slim_pod(pod: Json) -> Json:
    """Keep of a pod what tells whose addresses it has, and what they may reach."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    addresses = {status.get("podIP", ""), *(each.get("ip", "") for each in status.get("podIPs") or ())} - {""}
    owner = next((each["uid"] for each in metadata.get("ownerReferences") or () if each["kind"] == SANDBOX_KIND), "")
    kept = {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion")}
    # A canary is no sandbox's, and tells its own name.
    canary = CANARY_LABEL in labels
    ours = labels.get(ROLE_LABEL) == SANDBOX_ROLE and (canary or labels.get(MANAGED_LABEL) == MANAGED_VALUE)
    return {
        "metadata": kept,
        "caller": ours and (canary or bool(owner)),
        "lives": status.get("phase") not in _ENDED and not metadata.get("deletionTimestamp"),
        "sandbox": labels.get(SANDBOX_LABEL, metadata["name"] if canary else ""),
        "sandbox_uid": owner,
        "addresses": sorted(str(ip_address(each)) for each in addresses),
        "grant": _interned(annotations.get(EGRESS_ANNOTATION, "")),
    }


def entries(pod: Json) -> tuple[Entry, ...]:
    """Tell which addresses a slimmed pod claims."""
    if not (pod["caller"] and pod["lives"]):
        return ()
    metadata = pod["metadata"]
    return tuple(
        Entry(address, metadata["namespace"], pod["sandbox"], pod["sandbox_uid"], metadata["uid"], pod["grant"])
        for address in pod["addresses"]
    )


@lru_cache(maxsize=_CACHED)
def rules_of(grant: str) -> Rules:
    """Read a grant that `slim_pod` let through; sandboxes that are granted the same share what was read of it.

    Raises
    ------
    ValueError
        If it can't be read.
    """
    return Rules(EgressGrant.model_validate_json(grant) if grant else EgressGrant())


def slots_of(services: Iterable[Json]) -> dict[int, tuple[str, ...]]:
    """Read the addresses of the gateway's Services, by slot."""
    found: defaultdict[int, set[str]] = defaultdict(set)
    for service in services:
        slot = (service["metadata"].get("labels") or {}).get(GATEWAY_SLOT_LABEL, "")
        spec = service["spec"]
        addresses = set(spec.get("clusterIPs") or [spec.get("clusterIP", "")]) - {"", "None"}
        if slot.isdecimal() and int(slot) < SLOTS:
            found[int(slot)] |= addresses
    return {slot: tuple(sorted(addresses)) for slot, addresses in sorted(found.items())}


def slim_service(service: Json) -> Json:
    """Keep of a Service its slot and its addresses."""
    metadata, spec = service["metadata"], service["spec"]
    return {
        "metadata": {name: metadata.get(name) for name in ("name", "namespace", "uid", "resourceVersion", "labels")},
        "spec": {name: spec[name] for name in ("clusterIP", "clusterIPs") if name in spec},
    }


@lru_cache(maxsize=_CACHED)
def _interned(grant: str) -> str:
    """Give the one copy of a grant's text; empty, and said once, for one that can't be read: it grants nothing."""
    try:
        # Not kept: whoever watches pods has no use for it.
        rules_of.__wrapped__(grant)
    except ValueError as error:
        structlog.get_logger().error("a grant can't be read, and grants nothing", grant=grant[:500], error=str(error))
        return ""
    return grant
