"""A fork is never of a moment before it was asked for: whoever works on it, however late, and by whatever clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from sandkeeper.api.snapshot import SandboxSnapshot
from sandkeeper.plan.fork import snapshot_name
from sandkeeper.plan.observed import SourceFacts
from sandkeeper.plan.snapshot import plan_snapshot
from sandkeeper.plan.snapshot_classes import SnapshotClasses
from sandkeeper.plan.snapshot_observed import ObservedSnapshot
from sandkeeper.plan.storage_classes import StorageClasses
from sandkeeper.plan.writes import Create
from unit.fakes.copies import READY, snapshot, volume_snapshot
from unit.fakes.objects import NOW, claim_of, plan, sandbox

if TYPE_CHECKING:
    from sandkeeper.api.sandbox import Sandbox

Json = dict[str, Any]

SOURCE: Json = {"metadata": {"name": "a", "namespace": "team"}, "spec": {}}
FORKED = sandbox(workspace={"type": "Persistent", "storageClassName": "standard"})
CLASSES = StorageClasses({"standard": {"default": True, "grows": True, "driver": "disks"}})
COPIES = SnapshotClasses({"copies": {"driver": "disks", "default": False}})
REPLICAS = st.integers(0, 1)


@dataclass
class Replica:
    """An operator's process: what it has heard of, and a clock of its own."""

    skew: timedelta
    forks: set[str] = field(default_factory=set)
    snapshots: dict[str, Json] = field(default_factory=dict)


class Forking(RuleBasedStateMachine):
    """Two replicas take each other's work over at any moment; only the API server's versions are between them."""

    def __init__(self) -> None:
        super().__init__()
        self.step = 0
        self.replicas = [Replica(timedelta(seconds=-30)), Replica(timedelta(seconds=30))]
        self.asked: dict[str, int] = {}
        self.began: dict[str, int] = {}
        self.snapshots: dict[str, Json] = {}

    @rule()
    def ask(self) -> None:
        """Somebody forks."""
        self.step += 1
        self.asked[f"f{len(self.asked)}"] = self.step

    @rule(number=REPLICAS, whole=st.booleans())
    def hear(self, number: int, whole: bool) -> None:
        """A replica hears of forks, and of snapshots too or not yet."""
        replica = self.replicas[number]
        replica.forks = set(self.asked)
        if whole:
            replica.snapshots = dict(self.snapshots)

    @rule(number=REPLICAS)
    def restart(self, number: int) -> None:
        """A replica starts anew, on another machine."""
        self.replicas[number] = Replica(-self.replicas[number].skew)

    @rule(number=REPLICAS)
    def work_on_forks(self, number: int) -> None:
        """A replica runs a pass over each fork that it knows."""
        replica = self.replicas[number]
        for name in sorted(replica.forks):
            forks = tuple(each for _, each in sorted(replica.snapshots.items()))
            volumes = {each["metadata"]["name"]: volume_snapshot(each["metadata"]["name"]) for each in forks}
            facts = SourceFacts(sandbox=SOURCE, forks=forks, volume_snapshots=volumes)
            seen = plan(fork(name), claims=(), source=facts, now=NOW + replica.skew)
            for each in (write.obj for write in seen.writes if isinstance(write, Create)):
                if each["kind"] == "SandboxSnapshot":
                    self._create(each, replica)
                elif each["kind"] == "PersistentVolumeClaim":
                    self.restored(name, each["spec"]["dataSource"]["name"].removeprefix("sbx-"))

    def _create(self, made: Json, replica: Replica) -> None:
        name, labels = made["metadata"]["name"], made["metadata"]["labels"]
        if name not in self.snapshots:
            self._write(name, snapshot(name, {}, labels=labels), replica)

    def restored(self, name: str, source: str) -> None:
        """Judge the moment that a fork is of."""
        assert self.began[source] > self.asked[name], f"{name} is of a moment before it was asked for"

    @rule(number=REPLICAS)
    def work_on_snapshots(self, number: int) -> None:
        """A replica runs a pass over each snapshot that it knows; what it writes on an old version is refused."""
        replica = self.replicas[number]
        for name, raw in sorted(replica.snapshots.items()):
            self.step += 1
            decided = plan_snapshot(observed(raw, replica), NOW + replica.skew)
            if raw is not self.snapshots[name] or not decided.status:
                continue
            if decided.state.begins:
                self.began[name] = self.step
            self._write(name, {**raw, "status": {**raw["status"], **decided.status}}, replica)

    @precondition(lambda self: self.began)
    @rule()
    def finish(self) -> None:
        """All snapshots that have begun are ready."""
        for name in self.began:
            found = self.snapshots[name]
            self._write(name, {**found, "status": {**found["status"], **READY}})

    def _write(self, name: str, obj: Json, replica: Replica | None = None) -> None:
        self.step += 1
        self.snapshots[name] = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.step)}}
        if replica:
            replica.snapshots[name] = self.snapshots[name]


def fork(name: str) -> Sandbox:
    return sandbox(name, uid=f"uid-{name}", source={"sandboxRef": {"name": "a"}})


def observed(raw: Json, replica: Replica) -> ObservedSnapshot:
    return ObservedSnapshot(
        snapshot=SandboxSnapshot.model_validate({"metadata": raw["metadata"], "spec": raw["spec"]}),
        raw=raw,
        sandbox=FORKED,
        claim=claim_of(FORKED),
        classes=CLASSES,
        snapshot_classes=COPIES,
        forks=tuple(snapshot_name(fork(each)) for each in replica.forks),
    )


TestForking = Forking.TestCase
