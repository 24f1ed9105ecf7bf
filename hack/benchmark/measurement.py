"""The runs: timed rounds of raw pods and sandboxes in turn, and a counting run with an audit log."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmark import generator
from benchmark.audit import AuditLog, Request
from benchmark.connection import connected
from benchmark.errors import BenchmarkError
from benchmark.objects import Target, plain_pod, raw_from, raw_pods, sandboxes, unguarded
from benchmark.results import Counted, Results
from benchmark.rounds import Bench, Round
from benchmark.scenarios import COUNTED, WARM_UP, Phase, Scenario
from benchmark.testbed import Testbed
from benchmark.usage import ForeignUse
from localcluster.progress import say, step
from sandkeeper.runtime.resource import PODS, Key

IDLE_SECONDS = 10.0
PROBE = Scenario("probe", "probe", 1)


@dataclass(frozen=True)
class Setup:
    """What all runs have in common.

    Parameters
    ----------
    folder
        Where the testbeds put their files.
    nodes
        Number of simulated nodes.
    operator
        The operator's command; none for raw pods alone.
    without_policies
        Whether sandboxes are measured without the admission policies too.
    """

    folder: Path
    nodes: int
    operator: Sequence[str] | None
    without_policies: bool = False


@asynccontextmanager
async def prepared(setup: Setup, name: str, *, counted: bool = False) -> AsyncIterator[tuple[Bench, list[Target]]]:
    """Start a testbed, connect to it, and warm it up.

    Parameters
    ----------
    setup
        What all runs have in common.
    name
        The testbed's name, also that of its folder.
    counted
        Whether there is an audit log.

    Yields
    ------
    tuple of Bench and list of Target
        The raw pods first, then the sandboxes unless there is no operator.
    """
    bed = Testbed(setup.folder / name, nodes=setup.nodes, counted=counted, operator=setup.operator)
    with ExitStack() as stack:
        with step(f"starting the {name} testbed: a control plane, {setup.nodes} simulated nodes, the operator"):
            stack.enter_context(bed)
        async with connected(bed.client) as client:
            bench = Bench(bed, client)
            measured = await targets(bench)
            with step("warming up"):
                for target in measured:
                    await bench.round(target, WARM_UP, 0)
            yield bench, measured


async def targets(bench: Bench) -> list[Target]:
    """Return what is measured; the raw pod is the pod that a sandbox gets.

    Raises
    ------
    BenchmarkError
        If a first sandbox does not become Running.
    """
    if not bench.bed.has_operator:
        return [raw_pods(plain_pod())]
    sandbox = sandboxes()
    keys = PROBE.keys(0)
    timing = await generator.create(bench.client, sandbox, PROBE, keys)
    bench.bed.check()
    if not timing.complete:
        raise BenchmarkError(
            f"the first sandbox did not become Running: {await _condition(bench, sandbox, keys[0])}; "
            f"the operator's log is {bench.bed.plane.logs / 'operator.log'}"
        )
    pods = sandbox.gone[1]
    pod = await bench.client.get(PODS, keys[0].namespace, pods.named(keys[0].name))
    await generator.delete(bench.client, sandbox, PROBE, keys)
    return [raw_pods(raw_from(pod)), sandbox]


async def _condition(bench: Bench, target: Target, key: Key) -> str:
    obj = await bench.client.get(target.resource, key.namespace, key.name)
    held = obj.get("status", {}).get("conditions", [])
    return ", ".join(f"{one['type']}={one['status']} ({one.get('reason')})" for one in held) or "it has no conditions"


async def timed(setup: Setup, scenarios: Sequence[Scenario], rounds: int, results: Results) -> None:
    """Measure every scenario, raw pods and sandboxes in turn so that both see the same machine."""
    async with prepared(setup, "timed") as (bench, measured):
        if setup.without_policies:
            measured.append(unguarded(measured[-1]))
        results.idle = await bench.idle(IDLE_SECONDS)
        foreign = ForeignUse(bench.bed.pids)
        for scenario in scenarios:
            for number in range(rounds):
                # In turn also who comes first, since a machine is seldom the same for long.
                for target in measured if number % 2 == 0 else reversed(measured):
                    done = await bench.round(target, scenario, number)
                    results.add(scenario, target.name, done)
                    say(told(scenario, target, number, done))
        results.foreign_share = foreign.share()


def told(scenario: Scenario, target: Target, number: int, done: Round) -> str:
    """Say how a round went, for the one who waits."""
    created, deleted = done.create.timing, done.delete.timing
    return (
        f"{scenario.name}, round {number + 1}, {target.name}: {len(created.latencies)} of {created.expected} at "
        f"{created.per_second:.1f} a second, gone at {deleted.per_second:.1f} a second"
    )


async def counted(setup: Setup, results: Results) -> None:
    """Count the requests that objects cause, on a testbed of its own since an audit log takes time."""
    async with prepared(setup, "counting", counted=True) as (bench, measured):
        log = AuditLog(bench.bed.audit_log, bench.bed.users)
        log.skip()
        with step(f"counting requests: idle for {IDLE_SECONDS:.0f} s, then {COUNTED.count} of each"):
            await asyncio.sleep(IDLE_SECONDS)
            idle = log.take()
            by_half: dict[tuple[str, Phase], Counter[Request]] = {}
            for target in measured:
                await _count(bench, target, log, by_half, results)
    results.counted = Counted(COUNTED.count, by_half, idle, IDLE_SECONDS)


async def _count(
    bench: Bench,
    target: Target,
    log: AuditLog,
    by_half: dict[tuple[str, Phase], Counter[Request]],
    results: Results,
) -> None:
    keys = COUNTED.keys(0)
    log.skip()
    created = await bench.created(target, COUNTED, keys)
    await bench.quiet()
    by_half[target.name, "create"] = log.take()
    deleted = await bench.deleted(target, COUNTED, keys)
    await bench.quiet()
    by_half[target.name, "delete"] = log.take()
    results.note(f"{COUNTED.name}, {target.name}", Round(created, deleted))
