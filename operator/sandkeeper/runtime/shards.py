"""Divides the namespaces among replicas: each shard is a Lease that one replica holds at a time.

Every replica also renews a Lease of its own, by which the others know it is alive. The live replicas agree on who
should hold which shard by rendezvous hashing, without talking to each other; the shard's Lease decides who does.
A replica that was frozen and believes itself a holder still does no harm, because all writes carry a resourceVersion.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING

import structlog

from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.informer import UNREACHABLE
from sandkeeper.runtime.resource import LEASES, Json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandkeeper.runtime.client import ApiClient

ROLE_LABEL = "sandkeeper.dev/lease"
_REPLICA, _SHARD = "replica", "shard"
_SILENT_DURATIONS = 20


@dataclass(frozen=True)
class LeaseTimes:
    """Seconds that rule how fast a dead replica is replaced.

    Attributes
    ----------
    duration
        A Lease that was not renewed this long is free.
    renew
        Pause between renewals.
    """

    duration: float = 15.0
    renew: float = 5.0


def shard_of(namespace: str, count: int) -> int:
    """Number of the shard that a namespace belongs to, the same in every process."""
    return zlib.crc32(namespace.encode()) % count


def preferred_holder(shard: int, replicas: Iterable[str]) -> str:
    """Replica that should hold a shard: the highest hash wins, so a newcomer takes only its own share.

    Returns
    -------
    str
        One of ``replicas``, which must not be empty.
    """
    return max(replicas, key=lambda replica: (hashlib.sha256(f"{shard}/{replica}".encode()).digest(), replica))


class Shards:
    """Acquires, renews and gives back shards.

    Parameters
    ----------
    namespace
        Where the Leases are.
    identity
        This replica; the pod's name, so that a restarted container continues its own Leases.
    count
        Number of shards, the same in all replicas.
    on_acquired
        Called with the number of a shard that just became ours.
    """

    def __init__(
        self,
        client: ApiClient,
        namespace: str,
        identity: str,
        count: int,
        on_acquired: Callable[[int], None],
        *,
        times: LeaseTimes = LeaseTimes(),
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._identity = identity
        self._count = count
        self._on_acquired = on_acquired
        self._times = times
        self._renewed: dict[int, float] = {}
        self._seen: dict[str, tuple[str, float]] = {}
        self._log = structlog.get_logger().bind(identity=identity)

    @property
    def count(self) -> int:
        """Number of shards, the same in all replicas."""
        return self._count

    @property
    def held(self) -> set[int]:
        """Shards that are ours beyond doubt: renewed recently enough that nobody else may have taken them."""
        oldest = time.monotonic() - self._times.duration * 2 / 3
        return {shard for shard, renewed in self._renewed.items() if renewed > oldest}

    def holds(self, namespace: str) -> bool:
        """Whether this replica is to work on a namespace now."""
        renewed = self._renewed.get(shard_of(namespace, self._count))
        return renewed is not None and renewed > time.monotonic() - self._times.duration * 2 / 3

    async def run(self) -> None:
        """Keep the shards until cancelled, then give them back."""
        try:
            while True:
                started = time.monotonic()
                try:
                    # What takes longer came too late for what we hold.
                    async with asyncio.timeout(self._times.duration * 2 / 3):
                        await self._round()
                except UNREACHABLE as error:
                    self._log.warning("leases could not be renewed", error=str(error) or repr(error))
                await asyncio.sleep(max(0.0, started + self._times.renew - time.monotonic()))
        finally:
            await self._give_back()

    async def _round(self) -> None:
        page = await self._client.list_page(LEASES, params={"labelSelector": ROLE_LABEL}, namespace=self._namespace)
        leases = {lease["metadata"]["name"]: lease for lease in page["items"] or ()}
        await self._hold(leases, self._replica_name(self._identity), _REPLICA)
        live = self._live_replicas(leases.values()) | {self._identity}
        # All at once, and each whatever becomes of the others: a slow server must not make us lose what we hold.
        settling = (self._settle(shard, leases, preferred_holder(shard, live)) for shard in range(self._count))
        for outcome in await asyncio.gather(*settling, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        await self._remove_silent(leases)

    async def _remove_silent(self, leases: dict[str, Json]) -> None:
        """Delete Leases of replicas that died long ago: their pods' names never come again."""
        oldest = time.monotonic() - self._times.duration * _SILENT_DURATIONS
        for name, lease in leases.items():
            if lease["metadata"]["labels"][ROLE_LABEL] == _REPLICA and self._seen.get(name, ("", inf))[1] < oldest:
                with suppress(ApiError):  # another replica may have been faster
                    await self._client.delete(LEASES, self._namespace, name, uid=lease["metadata"]["uid"])
                del self._seen[name]

    async def _settle(self, shard: int, leases: dict[str, Json], preferred: str) -> None:
        """Bring one shard's Lease to where it belongs, as far as its present holder allows."""
        name = f"sandkeeper-shard-{shard}"
        holder = self._live_holder(leases.get(name))
        if preferred == self._identity and holder in ("", self._identity):
            await self._acquire(shard, leases, name)
        elif holder == self._identity:
            self._renewed.pop(shard, None)
            self._log.info("shard handed over", shard=shard, to=preferred)
            await self._write(leases[name], "")
        else:
            self._renewed.pop(shard, None)

    async def _acquire(self, shard: int, leases: dict[str, Json], name: str) -> None:
        asked = time.monotonic()
        if not await self._hold(leases, name, _SHARD):
            self._renewed.pop(shard, None)
            return
        fresh = shard not in self.held
        self._renewed[shard] = asked
        if fresh:
            self._log.info("shard acquired", shard=shard)
            self._on_acquired(shard)

    async def _hold(self, leases: dict[str, Json], name: str, role: str) -> bool:
        """Create or renew a Lease in our name; False where somebody else was faster."""
        try:
            if name in leases:
                await self._write(leases[name], self._identity)
            else:
                await self._client.create(LEASES, self._namespace, self._lease(name, role))
        except ApiError as error:
            if error.status == 409 or error.not_found:
                return False
            raise
        return True

    def _lease(self, name: str, role: str) -> Json:
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": name, "labels": {ROLE_LABEL: role}},
            "spec": self._spec(self._identity),
        }

    def _spec(self, holder: str) -> Json:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {"holderIdentity": holder, "leaseDurationSeconds": int(self._times.duration), "renewTime": now}

    async def _write(self, lease: Json, holder: str) -> None:
        name = lease["metadata"]["name"]
        version = {"resourceVersion": lease["metadata"]["resourceVersion"]}
        patch = {"metadata": version, "spec": self._spec(holder)}
        await self._client.patch(LEASES, self._namespace, name, patch)

    def _live_holder(self, lease: Json | None) -> str:
        """Holder of a Lease, or nothing where it is free or expired."""
        if lease is None or not self._alive(lease):
            return ""
        return str(lease["spec"].get("holderIdentity") or "")

    def _live_replicas(self, leases: Iterable[Json]) -> set[str]:
        return {self._live_holder(lease) for lease in leases if lease["metadata"]["labels"][ROLE_LABEL] == _REPLICA} - {
            ""
        }

    def _alive(self, lease: Json) -> bool:
        """Whether a Lease was renewed within its duration, by our own clock: those of two nodes may differ."""
        name, renewal = lease["metadata"]["name"], lease["metadata"]["resourceVersion"]
        known, since = self._seen.get(name, ("", 0.0))
        if renewal != known:
            since = time.monotonic()
            self._seen[name] = (renewal, since)
        return time.monotonic() - since < self._times.duration

    def _replica_name(self, identity: str) -> str:
        return f"sandkeeper-replica-{identity}"

    async def _give_back(self) -> None:
        """Free our Leases, so that the next replica need not wait for them to expire."""
        mine, self._renewed = set(self._renewed), {}
        names = [f"sandkeeper-shard-{shard}" for shard in mine]
        try:
            async with asyncio.timeout(3):
                for name in names:
                    lease = await self._client.get(LEASES, self._namespace, name)
                    if lease["spec"].get("holderIdentity") == self._identity:
                        await self._write(lease, "")
                await self._client.delete(LEASES, self._namespace, self._replica_name(self._identity))
        except UNREACHABLE as error:
            self._log.warning("leases could not be given back", error=str(error) or repr(error))
