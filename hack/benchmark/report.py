"""The report: Markdown for people, JSON for programs."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from benchmark.audit import Request
from benchmark.results import Counted, PolicyCost, Results, Row
from benchmark.scenarios import Phase

PROCESSES = ("operator", "apiserver", "etcd", "controller-manager", "scheduler", "kwok", "client")
NOTHING = "–"
_COLUMNS = ("scenario", "what", "n", "p50 ms", "p90 ms", "p99 ms", "a second", "of raw pods", "p50 × raw")


def markdown(results: Results) -> str:
    """Return the whole report."""
    header = "; ".join(f"{name} {value}" for name, value in results.environment.items())
    parts = [
        f"**{header}**",
        "From the client's request until its own watch sees the pod Ready, the sandbox Running, or everything gone;"
        " CPU in milliseconds per object; medians over the rounds.",
        timings(results.rows()),
        *([policies(costs)] if (costs := results.policy_costs()) else []),
        *([requests(results.counted)] if results.counted else []),
        idle(results),
        f"Programs that are no part of the benchmark used {results.foreign_share:.0%} of the machine meanwhile.",
        *(f"**Not converged**: {sentence}." for sentence in results.unconverged),
    ]
    return "\n\n".join(parts) + "\n"


def timings(rows: Sequence[Row]) -> str:
    """Return the table of latencies, throughput and cost."""
    processes = [name for name in PROCESSES if any(name in row.cpu_ms for row in rows)]
    head = [*_COLUMNS, *(f"{name} CPU" for name in processes), "operator RSS MB"]
    return table(head, (timing_cells(row, processes) for row in rows), words=2)


def timing_cells(row: Row, processes: Sequence[str]) -> list[str]:
    """Return a row's cells."""
    count = f"{row.count:,}" if row.arrived == row.count else f"{row.arrived:,} of {row.count:,}"
    return [
        row.scenario,
        row.target,
        count,
        *(number(value, 1) for value in (row.p50, row.p90, row.p99, row.per_second)),
        *(number(value, 2) for value in (row.rate_ratio, row.p50_ratio)),
        *(number(row.cpu_ms.get(name), 1) for name in processes),
        number(row.memory_mb, 0),
    ]


def policies(costs: Sequence[PolicyCost]) -> str:
    """Return the table of what the admission policies cost."""
    head = ["sandboxes", "n", "a second with policies", "without", "with ÷ without", "apiserver CPU, with ÷ without"]
    rows = [
        [
            cost.scenario,
            f"{cost.count:,}",
            *(number(value, 1) for value in (cost.guarded, cost.unguarded)),
            *(number(value, 3) for value in (cost.rate_ratio, cost.cpu_ratio)),
        ]
        for cost in costs
    ]
    return table(head, rows, words=1)


def requests(counted: Counted) -> str:
    """Return the table of what an object costs in requests.

    Watches and Leases stand in the idle table; what less than one object in a hundred causes is only in the sums.
    """
    halves = list(counted.by_half)
    kinds = sorted({kind for count in counted.by_half.values() for kind in count if not kind.standing})
    shown = [kind for kind in kinds if any(count[kind] >= counted.objects / 100 for count in counted.by_half.values())]
    head = ["requests per object", *(half_title(target, phase) for target, phase in halves)]

    def cells(title: str, of: Iterable[Request]) -> list[str]:
        chosen = list(of)
        sums = (sum(counted.by_half[half][kind] for kind in chosen) / counted.objects for half in halves)
        return [title, *(number(value or None, 2) for value in sums)]

    body = [cells(str(kind), [kind]) for kind in shown]
    clients = sorted({kind.client for kind in kinds})
    sums = [cells(f"{client}, all", (kind for kind in kinds if kind.client == client)) for client in clients]
    return table(head, [*body, *sums, cells("**all clients**", kinds)], words=1)


def half_title(target: str, phase: Phase) -> str:
    """Say which half of a round a column is for."""
    return target if phase == "create" else f"{target}, deletion"


def idle(results: Results) -> str:
    """Return the table of what goes on while nothing is asked for."""
    rows = [[f"CPU ms: {name}", number(results.idle[name] * 1e3, 1)] for name in PROCESSES if name in results.idle]
    if results.counted:
        seconds = results.counted.idle_seconds
        counts = sorted(results.counted.idle.items())
        rows += [[str(kind), number(count / seconds, 2)] for kind, count in counts]
    return table(["while nothing is asked for", "a second"], rows, words=1)


def number(value: float | None, digits: int) -> str:
    """Write a number for a cell."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: int) -> str:
    """Write a Markdown table whose first columns hold words and the others numbers."""
    rule = ["---"] * words + ["--:"] * (len(head) - words)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])


def document(results: Results) -> dict[str, Any]:
    """Return the results for JSON."""
    counted = results.counted
    return {
        "environment": results.environment,
        "converged": not results.unconverged,
        "unconverged": results.unconverged,
        "foreignShare": results.foreign_share,
        "rows": [dataclasses.asdict(row) for row in results.rows()],
        "policyCosts": [dataclasses.asdict(cost) for cost in results.policy_costs()],
        "idleCpuPerSecond": results.idle,
        "requests": counted and _counts(counted),
    }


def _counts(counted: Counted) -> dict[str, Any]:
    halves = {half_title(*half): count for half, count in counted.by_half.items()}
    return {
        "objects": counted.objects,
        "idleSeconds": counted.idle_seconds,
        "idle": {str(kind): count for kind, count in sorted(counted.idle.items())},
        "counts": {title: {str(kind): n for kind, n in sorted(count.items())} for title, count in halves.items()},
    }
