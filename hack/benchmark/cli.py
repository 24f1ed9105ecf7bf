"""The command ``hack/bench``: progress on standard error, the report on standard output."""

import json
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from benchmark import measurement, report, state
from benchmark.errors import BenchmarkError
from benchmark.machine import environment
from benchmark.measurement import Setup
from benchmark.profiles import profiled
from benchmark.results import Results
from benchmark.scenarios import NAMES, QUICK, Scenario, chosen
from benchmark.testbed import OPERATOR
from localcluster.errors import ClusterError
from localcluster.progress import say
from sandkeeper.runtime.errors import ApiError

NOT_CONVERGED = 1
FAILED = 2
_SCENARIOS_HELP = (
    f"Of {', '.join(NAMES)}; by default all. Or of {', '.join(state.NAMES)}: workspaces, sleep, packs and copies, "
    "all but idle on this checkout's cluster (`hack/cluster`)."
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def known(names: list[str] | None) -> list[str] | None:
    """Refuse a scenario that there is not, and those together that make different reports."""
    every = (*NAMES, *state.NAMES)
    if unknown := sorted(set(names or ()) - set(every)):
        raise typer.BadParameter(f"there is no scenario {', '.join(unknown)}; there are {', '.join(every)}")
    if 0 < len(set(names or ()) & set(state.NAMES)) < len(set(names or ())):
        raise typer.BadParameter(f"{', '.join(state.NAMES)} are measured in runs of their own")
    return names


@app.command()
def bench(
    scenarios: Annotated[
        list[str] | None,
        typer.Argument(callback=known, metavar="[SCENARIO]...", help=_SCENARIOS_HELP),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help=f"Two minutes instead of ten: {', '.join(QUICK)}.")] = False,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=20,
            help="Rounds per scenario; 3, with --quick 1; of life and snapshots 20, of packs and minutes 5.",
        ),
    ] = None,
    nodes: Annotated[int, typer.Option(min=1, max=1000, help="Simulated nodes.")] = 100,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the results here too.")] = None,
    profile: Annotated[Path | None, typer.Option(help="Folder for profiles of operator and apiserver.")] = None,
    count: Annotated[bool, typer.Option(help="Count requests, in a run of its own.")] = True,
    raw_only: Annotated[bool, typer.Option("--raw-only", help="Raw pods alone, without the operator.")] = False,
    without_policies: Annotated[
        bool, typer.Option("--without-policies", help="Sandboxes once more without the admission policies.")
    ] = False,
    operator: Annotated[str | None, typer.Option(help="Another operator's command, for comparison.")] = None,
) -> None:
    """Measure sandboxes beside raw pods on a control plane of its own with simulated nodes.

    The exit status speaks of convergence alone: 0 if everything became Running and was gone later, 1 if not;
    2 if the measurement itself failed.
    """
    if raw_only and profile:
        raise typer.BadParameter("a profile needs the operator, so it excludes --raw-only", param_hint="--profile")
    if raw_only and without_policies:
        raise typer.BadParameter("policies cost raw pods alone nothing to compare", param_hint="--without-policies")
    command = None if raw_only else shlex.split(operator) if operator else OPERATOR
    if profile:
        profile.mkdir(parents=True, exist_ok=True)
    with told_plainly(), workspace() as folder:
        if set(scenarios or ()) & set(state.NAMES):
            for part in state.measured(scenarios or [], folder, nodes, rounds):
                sys.stdout.write(part)
            return
        setup = Setup(folder, nodes, command, without_policies)
        results = Results(environment())
        wanted = chosen(scenarios or [], quick=quick)
        try:
            uvloop.run(run(setup, wanted, rounds or (1 if quick else 3), results, count, profile))
        finally:
            # What was measured is told even if a later run fails.
            publish(results, json_file)
        if results.unconverged:
            raise typer.Exit(NOT_CONVERGED)


async def run(
    setup: Setup, scenarios: Sequence[Scenario], rounds: int, results: Results, count: bool, profile: Path | None
) -> None:
    """Do the timed run, then the others, each on a testbed of its own."""
    await measurement.timed(setup, scenarios, rounds, results)
    if count:
        await measurement.counted(setup, results)
    if profile:
        await profiled(setup, profile)


def publish(results: Results, json_file: Path | None) -> None:
    """Print the report, and write it as JSON where asked to, if there is anything to tell."""
    if not results.rounds:
        return
    sys.stdout.write(report.markdown(results))
    if json_file:
        json_file.write_text(json.dumps(report.document(results), indent=2) + "\n")


@contextmanager
def workspace() -> Iterator[Path]:
    """Give a folder for the testbeds and remove it; after a failure the logs stay."""
    folder = Path(tempfile.mkdtemp(prefix="sandkeeper-bench-"))
    try:
        yield folder
    except BaseException:
        keep_logs(folder)
        raise
    else:
        shutil.rmtree(folder)


def keep_logs(folder: Path) -> None:
    """Remove what a run left but its logs."""
    for entry in [entry for bed in folder.iterdir() for entry in bed.iterdir() if entry.name != "logs"]:
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    say(f"logs are kept in {folder}")


@contextmanager
def told_plainly() -> Iterator[None]:
    """Show what the reader can act on as a sentence; only what nobody expects has a traceback."""
    try:
        yield
    except* (BenchmarkError, ClusterError, ApiError, OSError) as errors:
        for error in leaves(errors):
            say(f"hack/bench: {error}")
        raise typer.Exit(FAILED) from None
    except* KeyboardInterrupt:
        raise typer.Exit(130) from None


def leaves(errors: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    """Return the errors themselves out of a group of groups."""
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


def main() -> None:
    """Run the command."""
    app()
