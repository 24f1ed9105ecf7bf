"""What a run found out, and the summary of it that table and JSON share."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmark.audit import Request
from benchmark.objects import GUARDED, RAW, UNGUARDED
from benchmark.rounds import Half, Round
from benchmark.scenarios import Phase, Scenario
from benchmark.statistics import middle, percentile
from benchmark.usage import CpuSeconds

FEW = 50
"""With fewer objects than this the processes' idle use would drown what an object costs."""


@dataclass(frozen=True)
class Row:
    """One row of the table: medians over the rounds of a scenario.

    Parameters
    ----------
    scenario, target
        What was done, with what.
    count
        Objects per round.
    arrived
        The fewest that arrived in any round.
    p50, p90, p99
        Latencies in milliseconds.
    per_second
        Objects a second.
    rate_ratio, p50_ratio
        Beside raw pods of the same round; None for raw pods themselves.
    cpu_ms
        CPU milliseconds per object by process; empty where there are too few objects to tell.
    memory_mb
        The operator's peak resident memory in 10⁶ bytes.
    """

    scenario: str
    target: str
    count: int
    arrived: int
    p50: float | None
    p90: float | None
    p99: float | None
    per_second: float | None
    rate_ratio: float | None
    p50_ratio: float | None
    cpu_ms: dict[str, float]
    memory_mb: float | None


@dataclass(frozen=True)
class PolicyCost:
    """What the admission policies cost the sandboxes of a scenario.

    Parameters
    ----------
    guarded, unguarded
        Objects a second with them and without.
    rate_ratio
        The former beside the latter, in rounds that ran side by side.
    cpu_ratio
        The same for the apiserver's CPU per object; None where there are too few objects to tell.
    """

    scenario: str
    count: int
    guarded: float | None
    unguarded: float | None
    rate_ratio: float | None
    cpu_ratio: float | None


@dataclass(frozen=True)
class Counted:
    """Requests of a run with an audit log.

    Parameters
    ----------
    objects
        How many objects each count is for.
    by_half
        Counts by target and half of the round.
    idle
        Counts of an interval in which nothing was asked for.
    idle_seconds
        Its length.
    """

    objects: int
    by_half: dict[tuple[str, Phase], Counter[Request]]
    idle: Counter[Request]
    idle_seconds: float


@dataclass
class Results:
    """Everything that a run found out."""

    environment: dict[str, str]
    rounds: dict[Scenario, dict[str, list[Round]]] = field(default_factory=dict)
    idle: CpuSeconds = field(default_factory=dict)
    foreign_share: float = 0.0
    counted: Counted | None = None
    unconverged: list[str] = field(default_factory=list)

    def add(self, scenario: Scenario, target: str, done: Round) -> None:
        """Keep a round."""
        self.rounds.setdefault(scenario, {}).setdefault(target, []).append(done)
        self.note(f"{scenario.name}, {target}", done)

    def note(self, what: str, done: Round) -> None:
        """Remember a round in which something did not become Running, or was not gone later."""
        for half, verb in ((done.create, "Running"), (done.delete, "gone")):
            if not half.timing.complete:
                self.unconverged.append(f"{what}: {len(half.timing.latencies)} of {half.timing.expected} {verb}")

    def rows(self) -> list[Row]:
        """Return the table's rows, raw pods before sandboxes in each scenario."""
        return [
            row_of(scenario, target, rounds, by_target.get(RAW, []))
            for scenario, by_target in self.rounds.items()
            for target, rounds in by_target.items()
        ]

    def policy_costs(self) -> list[PolicyCost]:
        """Return what the admission policies cost, for the scenarios that were measured without them too."""
        return [
            policy_cost(scenario, by_target[GUARDED], by_target[UNGUARDED])
            for scenario, by_target in self.rounds.items()
            if by_target.keys() >= {GUARDED, UNGUARDED}
        ]


def policy_cost(scenario: Scenario, guarded: Sequence[Round], unguarded: Sequence[Round]) -> PolicyCost:
    """Compare the rounds of a scenario; a ratio is the median of the ratios of rounds that ran side by side."""
    ours = [half_of(done, scenario.phase) for done in guarded]
    theirs = [half_of(done, scenario.phase) for done in unguarded]
    pairs = list(zip(ours, theirs, strict=False))
    cpu = [(one.cpu.get("apiserver"), other.cpu.get("apiserver")) for one, other in pairs]
    return PolicyCost(
        scenario=scenario.title,
        count=scenario.count,
        guarded=middle(half.timing.per_second for half in ours),
        unguarded=middle(half.timing.per_second for half in theirs),
        rate_ratio=middle(ratio(one.timing.per_second, other.timing.per_second) for one, other in pairs),
        cpu_ratio=middle(ratio(*pair) for pair in cpu) if scenario.count >= FEW else None,
    )


def row_of(scenario: Scenario, target: str, rounds: Sequence[Round], raw: Sequence[Round]) -> Row:
    """Summarise the rounds of a scenario; a ratio is the median of the ratios of rounds that ran side by side."""
    halves = [half_of(done, scenario.phase) for done in rounds]
    beside = [] if target == RAW else [half_of(done, scenario.phase) for done in raw]
    pairs = list(zip(halves, beside, strict=False))
    memory = middle(half.peak_memory for half in halves)
    return Row(
        scenario=scenario.title,
        target=target,
        count=scenario.count,
        arrived=min(len(half.timing.latencies) for half in halves),
        p50=middle(latency_ms(half, 0.50) for half in halves),
        p90=middle(latency_ms(half, 0.90) for half in halves),
        p99=middle(latency_ms(half, 0.99) for half in halves),
        per_second=middle(half.timing.per_second for half in halves),
        rate_ratio=middle(ratio(ours.timing.per_second, theirs.timing.per_second) for ours, theirs in pairs),
        p50_ratio=middle(ratio(latency_ms(ours, 0.5), latency_ms(theirs, 0.5)) for ours, theirs in pairs),
        cpu_ms=cpu_ms(halves, scenario.count),
        memory_mb=memory / 1e6 if memory and target != RAW else None,
    )


def half_of(done: Round, phase: Phase) -> Half:
    """Return the half of a round that a row shows."""
    return done.create if phase == "create" else done.delete


def latency_ms(half: Half, share: float) -> float | None:
    """Return a percentile of a half's latencies in milliseconds."""
    seconds = percentile(half.timing.latencies, share)
    return None if seconds is None else seconds * 1e3


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """Divide where both are known."""
    return ours / theirs if ours is not None and theirs else None


def cpu_ms(halves: Sequence[Half], count: int) -> dict[str, float]:
    """Return the median CPU milliseconds per object of each process."""
    if count < FEW:
        return {}
    names = halves[0].cpu
    return {name: (middle(half.cpu.get(name) for half in halves) or 0.0) * 1e3 / count for name in names}
