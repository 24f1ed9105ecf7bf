"""The runs that have reports of their own: life, packs and copies of real pods, idle and tenants' simulated, egress."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import uvloop

from benchmark import copies, life, packs, state_report
from benchmark.egress.policy import measure_policy
from benchmark.egress.report import ROUNDS, egress_table, measure_egress, policy_line
from benchmark.idling import measure_idling
from benchmark.machine import environment
from benchmark.real import real_cluster
from benchmark.tenants.measure import measure_tenants
from benchmark.tenants.report import tenants_report

NAMES = ("life", "packs", "snapshots", "idle", "egress", "policy", "tenants")
_ON_REAL_NODES = frozenset({"life", "packs", "snapshots"})
IDLE_MINUTES = 5


def measured(names: Sequence[str], folder: Path, nodes: int, rounds: int | None) -> Iterator[str]:
    """Measure what is named, and give each part of the report as soon as it is there.

    Parameters
    ----------
    folder
        For what the runs need.
    nodes
        Simulated nodes that idle sandboxes are on.
    rounds
        For idle sandboxes, minutes; None for each run's own.
    """
    yield state_report.heading(environment())
    if _ON_REAL_NODES & set(names):
        yield from _on_real_nodes(names, rounds)
    if "idle" in names:
        idling = uvloop.run(measure_idling(folder, nodes, rounds or IDLE_MINUTES))
        yield f"\n{state_report.idle_table(idling)}\n"
    if "egress" in names:
        yield f"\n{egress_table(measure_egress(rounds or ROUNDS))}\n"
    if "policy" in names:
        yield f"\n{policy_line(uvloop.run(measure_policy(folder, nodes)))}\n"
    if "tenants" in names:
        yield f"\n{tenants_report(uvloop.run(measure_tenants(folder, nodes, rounds)))}\n"


def _on_real_nodes(names: Sequence[str], rounds: int | None) -> Iterator[str]:
    with real_cluster() as cluster:
        if "life" in names:
            lived = uvloop.run(life.measure_life(cluster, rounds or life.ROUNDS))
            yield f"\n{state_report.life_table(lived)}\n"
        if "packs" in names:
            packed = packs.measure_packs(cluster, rounds or packs.ROUNDS)
            yield f"\n{state_report.packs_table(packed)}\n"
        if "snapshots" in names:
            copied = uvloop.run(copies.measure_copies(cluster, rounds or copies.ROUNDS))
            yield f"\n{state_report.copies_table(copied)}\n"
