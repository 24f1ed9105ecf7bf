"""The run `hack/bench tenants`: three comparisons on one testbed, and requests counted on another."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.audit import AuditLog, Request
from benchmark.chart import installation
from benchmark.errors import BenchmarkError
from benchmark.measurement import Setup, prepared
from benchmark.rounds import Bench, Half
from benchmark.scenarios import namespace
from benchmark.tenants.arms import Arm, counted_by_hand, governed, spelled_out
from benchmark.tenants.fairness import BURST, OTHER, Fairness, measure_fairness
from benchmark.tenants.namespaces import await_counting, make_namespaces
from benchmark.testbed import OPERATOR
from benchmark.usage import forget_peak, peak_memory
from localcluster.progress import say, step

ROUNDS = 4
MANY_ROUNDS = 3
FAIR_ROUNDS = 3
NAMESPACES = 200
_ONE = (300, 1)
MANY = (1000, NAMESPACES)
_BASE = Arm("busy", spelled_out().target)
_WRITES = frozenset({"create", "update", "patch", "delete"})


@dataclass
class Comparison:
    """Bursts of both sides in turn.

    Attributes
    ----------
    count, namespaces
        Sandboxes of a burst, and over how many namespaces they are spread.
    halves
        How they were created, by side, a round each.
    """

    count: int
    namespaces: int
    halves: dict[str, list[Half]] = field(default_factory=dict)


@dataclass
class Tenants:
    """Everything that was measured.

    Attributes
    ----------
    writes
        By side, of a burst of the first comparison.
    memory
        The operator's resident memory in bytes before the policies, templates and quotas were there, and after.
    """

    one: Comparison
    many: Comparison
    fairness: Fairness
    writes: dict[str, Counter[Request]]
    memory: tuple[int, int]


async def measure_tenants(folder: Path, nodes: int, rounds: int | None) -> Tenants:
    """Measure all three.

    Parameters
    ----------
    rounds
        Of each comparison; None for each one's own.
    """
    setup = Setup(folder, nodes, OPERATOR)
    sides = spelled_out(), counted_by_hand(installation().settings["SANDKEEPER_PRIORITY_CLASS"]), governed()
    async with prepared(setup, "tenants") as (bench, targets):
        memory = await _make_all(bench, sides)
        one = await _compared(bench, sides, Comparison(*_ONE), rounds or ROUNDS)
        many = await _compared(bench, sides, Comparison(*MANY), rounds or MANY_ROUNDS)
        fairness = await measure_fairness(bench, targets, rounds or FAIR_ROUNDS)
    return Tenants(one, many, fairness, await _counted(setup, sides), memory)


async def _make_all(bench: Bench, sides: Sequence[Arm]) -> tuple[int, int]:
    before = 0
    await await_counting(bench.client)
    for side in sides:
        names = [namespace(index, side.prefix) for index in range(NAMESPACES)]
        before = await _memory(bench)
        with step(f"making {NAMESPACES} namespaces, {side.name}"):
            await make_namespaces(bench.client, side, names)
    after = await _memory(bench)
    await make_namespaces(bench.client, _BASE, [namespace(0, BURST.prefix), OTHER])
    return before, after


async def _memory(bench: Bench) -> int:
    await bench.quiet()
    operator = bench.bed.pids["operator"]
    forget_peak(operator)
    await bench.idle(1.0)
    return peak_memory(operator)


async def _compared(bench: Bench, sides: Sequence[Arm], found: Comparison, rounds: int) -> Comparison:
    for number in range(rounds):
        # In turn also who comes first, since a machine is seldom the same for long.
        for side in sides if number % 2 == 0 else reversed(sides):
            scenario = side.scenario(found.count, found.namespaces)
            done = await bench.round(side.target, scenario, number)
            if not done.converged:
                raise BenchmarkError(f"not all of {found.count} sandboxes became Running and were gone: {side.name}")
            found.halves.setdefault(side.name, []).append(done.create)
            say(f"{scenario.name}, round {number + 1}, {side.name}: {done.create.timing.per_second:.1f} a second")
    return found


async def _counted(setup: Setup, sides: Sequence[Arm]) -> dict[str, Counter[Request]]:
    """Count what a burst of each side writes, on a testbed of its own since an audit log takes time."""
    async with prepared(setup, "counting", counted=True) as (bench, _):
        log = AuditLog(bench.bed.audit_log, bench.bed.users)
        found = {}
        await await_counting(bench.client)
        for side in sides:
            scenario = side.scenario(*_ONE)
            await make_namespaces(bench.client, side, [namespace(0, side.prefix)])
            await bench.quiet()
            log.skip()
            await bench.created(side.target, scenario, scenario.keys(0, side.target.series))
            await bench.quiet()
            counts = log.take()
            found[side.name] = Counter({kind: counts[kind] for kind in counts if kind.verb in _WRITES})
    return found
