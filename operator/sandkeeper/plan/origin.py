"""From what a workspace's claim is made, as long as it is not there: a snapshot, a fork, or a claim that was kept.

Whatever is missing is told and healed; nothing is made that could not be what was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from sandkeeper.api.names import IN_USE_FINALIZER, volume_snapshot_name
from sandkeeper.plan.captured import moment_of
from sandkeeper.plan.claim_state import capacity
from sandkeeper.plan.fork import fork_snapshot, fork_step, is_there
from sandkeeper.plan.made_from import captured_text
from sandkeeper.plan.pod_state import PodState, condition
from sandkeeper.plan.workspace_choice import kept_claims

if TYPE_CHECKING:
    from datetime import datetime

    from sandkeeper.plan.captured import Moment
    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.writes import Write

Json = dict[str, Any]


@dataclass(frozen=True)
class Origin:
    """What a claim is made from.

    Attributes
    ----------
    data_source
        As it stands in the claim.
    note
        What the claim is to tell of it.
    captured
        JSON of the environment that was captured with it; empty for none.
    least
        Smallest size that holds it.
    driver
        CSI driver that it is of; empty where nobody knows.
    class_name
        StorageClass that a clone has to be of; empty where the spec decides.
    snapshot
        SandboxSnapshot that must not go while it is read.
    node
        Node that it lies on, where it can be read on that one alone; empty for any.
    """

    data_source: Json
    note: Json
    captured: str = ""
    least: str = "0"
    driver: str = ""
    class_name: str = ""
    snapshot: Json | None = None
    node: str = ""


@dataclass(frozen=True)
class Awaited:
    """What has to come before a claim can be made.

    Attributes
    ----------
    state
        What is said of it.
    writes
        What is done for it.
    not_before
        When that may be done; None for now.
    """

    state: PodState
    writes: tuple[Write, ...] = ()
    not_before: datetime | None = None

    def at(self, now: datetime) -> tuple[PodState, tuple[Write, ...]]:
        """Tell what is said and done at a moment."""
        if self.not_before is None or now >= self.not_before:
            return self.state, self.writes
        return replace(self.state, look_again=self.not_before), ()


def origin_of(observed: Observed) -> Origin | Awaited | None:
    """Find what the workspace is to be made from; None where it begins empty."""
    source = observed.sandbox.spec.source
    if source is None:
        return None
    if source.claim_ref:
        return _of_claim(observed, source.claim_ref.name)
    if source.sandbox_ref:
        return _of_fork(observed, source.sandbox_ref.name)
    name = source.snapshot_ref.name if source.snapshot_ref else ""
    snapshot = observed.source.snapshot
    if snapshot is None:
        return _wrong("SnapshotNotFound", f"spec.source.snapshotRef.name: there is no SandboxSnapshot {name}.")
    return _of_snapshot(observed, snapshot, {"snapshot": name})


def _of_fork(observed: Observed, name: str) -> Origin | Awaited:
    found = fork_snapshot(observed)
    if found is None:
        state, write, not_before = fork_step(observed, name)
        return Awaited(state, (write,) if write else (), not_before)
    made = _of_snapshot(observed, found, {"sandbox": name, "snapshot": found["metadata"]["name"]})
    if isinstance(made, Origin) or is_there(observed):
        return made
    # Whoever waits for the snapshot should know that it may never come.
    message = f"{made.state.message} Sandbox {name} itself is gone: name another source."
    return replace(made, state=replace(made.state, message=message))


def _of_snapshot(observed: Observed, snapshot: Json, note: Json) -> Origin | Awaited:
    name = snapshot["metadata"]["name"]
    if "deletionTimestamp" in snapshot["metadata"] and IN_USE_FINALIZER not in snapshot["metadata"].get(
        "finalizers", ()
    ):
        return _wrong("SnapshotNotFound", f"SandboxSnapshot {name} is being deleted.")
    ready = condition(snapshot, "Ready")
    if ready.get("status") != "True":
        said = str(ready.get("message") or "nothing is known of it yet").rstrip(".")
        return _wrong("SnapshotNotReady", f"SandboxSnapshot {name} is not ready: {said}.")
    volume = observed.source.volume_snapshots.get(name)
    if volume is None:
        message = f"The VolumeSnapshot {volume_snapshot_name(name)} behind SandboxSnapshot {name} is gone."
        return _wrong("SnapshotNotFound", message)
    if not volume["status"].get("readyToUse"):
        message = f"The VolumeSnapshot {volume_snapshot_name(name)} behind SandboxSnapshot {name} is not ready to use."
        return _wrong("SnapshotNotReady", message)
    return _readable(observed, snapshot, volume, note)


def _readable(observed: Observed, snapshot: Json, volume: Json, note: Json) -> Origin:
    environment, moment = snapshot["status"].get("captured", {}).get("environment"), moment_of(volume)
    return Origin(
        data_source={
            "apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": volume["metadata"]["name"],
        },
        note={**note, "uid": snapshot["metadata"]["uid"], **_packless(moment)},
        captured=captured_text(volume) or (orjson.dumps(environment).decode() if environment else ""),
        least=str(volume["status"].get("restoreSize") or snapshot["status"].get("restoreSize") or "0"),
        driver=observed.source.drivers.get(volume["spec"].get("volumeSnapshotClassName", ""), ""),
        snapshot=snapshot,
        node=moment.node or "",
    )  # fmt: skip


def _packless(moment: Moment) -> Json:
    """Tell that nothing is packed on a volume, so that nobody waits for it to be unpacked; the guest looks anyway."""
    return {"packed": False} if moment.packed is False else {}


def _of_claim(observed: Observed, name: str) -> Origin | Awaited:
    kept = {each["metadata"]["name"]: each for each in kept_claims(observed)}
    claim = kept.get(name)
    if claim is None:
        there = f"there is {', '.join(sorted(kept))}" if kept else "there is none"
        message = (
            f"spec.source.claimRef.name: {name} is no workspace of this sandbox that a rollback replaced and "
            f"keepPrevious kept; {there}."
        )
        return _wrong("ClaimNotFound", message)
    return Origin(
        data_source={"kind": "PersistentVolumeClaim", "name": name},
        note={"claim": name},
        captured=captured_text(claim),
        least=capacity(claim),
        class_name=claim["spec"].get("storageClassName", ""),
    )


def _wrong(reason: str, message: str) -> Awaited:
    return Awaited(PodState(reason, message, wrong=True))
