"""The report of what tenants cost, and take from each other, in Markdown."""

from collections.abc import Callable, Iterable, Sequence

from benchmark.audit import Request
from benchmark.report import NOTHING, number, table
from benchmark.results import cpu_ms, ratio
from benchmark.statistics import middle
from benchmark.tenants.fairness import Fairness, Single, accepted, made, running, typical
from benchmark.tenants.measure import Comparison, Tenants

_PROCESSES = ("operator", "apiserver", "etcd", "controller-manager")


def tenants_report(tenants: Tenants) -> str:
    """Return all tables."""
    before, after = (size / 1e6 for size in tenants.memory)
    namespaces = f"{tenants.many.namespaces} namespaces"
    return "\n\n".join(
        [
            comparison_table([tenants.one, tenants.many]),
            f"Operator memory before {namespaces} had a policy, two quotas and a template each {before:.0f} MB, "
            f"with them {after:.0f} MB.",
            writes_table(tenants),
            fairness_table(tenants.fairness),
        ]
    )


def comparison_table(comparisons: Sequence[Comparison]) -> str:
    """Return throughput and CPU of both sides; each ratio is the median of the rounds' own."""
    cpu = [f"{name} CPU ms" for name in _PROCESSES]
    head = ["burst of", "namespaces", "sandboxes", "rounds", "a second", "ratio", *cpu, "operator RSS MB"]
    rows = [row for comparison in comparisons for row in _sides(comparison)]
    return table(head, rows, words=3)


def _sides(comparison: Comparison) -> Iterable[list[str]]:
    first = next(iter(comparison.halves.values()))
    for name, halves in comparison.halves.items():
        pairs = zip(halves, first, strict=True)
        times = middle(ratio(ours.timing.per_second, theirs.timing.per_second) for ours, theirs in pairs)
        cpu, memory = cpu_ms(halves, comparison.count), middle(half.peak_memory for half in halves)
        yield [
            f"{comparison.count:,}", f"{comparison.namespaces}", name, str(len(halves)),
            number(middle(half.timing.per_second for half in halves), 1),
            NOTHING if halves is first else number(times, 3),
            *(number(cpu.get(process), 2) for process in _PROCESSES),
            number(memory / 1e6 if memory else None, 0),
        ]  # fmt: skip


def writes_table(tenants: Tenants) -> str:
    """Return the writes per sandbox of both sides; what less than one in a hundred causes is only in the sum."""
    count, sides = tenants.one.count, tenants.writes
    kinds = sorted({kind for counts in sides.values() for kind in counts if not kind.standing})
    shown = [kind for kind in kinds if any(counts[kind] >= count / 100 for counts in sides.values())]

    def cells(title: str, of: Sequence[Request]) -> list[str]:
        return [title, *(number(sum(counts[kind] for kind in of) / count or None, 2) for counts in sides.values())]

    rows = [cells(str(kind), [kind]) for kind in shown]
    return table([f"writes per sandbox, burst of {count}", *sides], [*rows, cells("**all**", kinds)], words=1)


def fairness_table(fairness: Fairness) -> str:
    """Return how long single objects take, alone and beside a burst."""
    steps = [
        cell for step in ("POST answered", "pod made", "Running") for cell in (f"{step}, p50 ms", "p90", "× alone")
    ]
    head = ["one at a time", "meanwhile", "n", *steps]
    rows = [row for target in fairness.bursts for row in _beside(fairness, target)]
    return table(head, rows, words=2)


def _beside(fairness: Fairness, target: str) -> Iterable[list[str]]:
    pace = number(middle(fairness.bursts[target]), 0)
    yield [target, "nothing", *_latencies(fairness.alone[target], lambda _: None)]
    yield [
        target, f"1,000 of another tenant, {pace} a second",
        *_latencies(fairness.beside[target], lambda of: fairness.times(target, of)),
    ]  # fmt: skip


def _latencies(
    rounds: Sequence[Sequence[Single]], times: Callable[[Callable[[Single], float | None]], float | None]
) -> list[str]:
    cells = [str(sum(map(len, rounds)))]
    for of in (accepted, made, running):
        percentiles = (middle(typical(singles, of, share) for singles in rounds) for share in (0.5, 0.9))
        cells += [*(number(value and value * 1e3, 0) for value in percentiles), number(times(of), 2)]
    return cells
