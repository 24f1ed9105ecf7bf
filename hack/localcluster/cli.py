"""The commands of ``hack/cluster``."""

import json
import signal
import sys
from typing import Annotated

import typer

from localcluster.conformance.suite import FOCUS, Run, judge, left_out, prepare
from localcluster.conformance.verdict import outcome_text
from localcluster.docker import engine_answers
from localcluster.driver import Driver
from localcluster.errors import ClusterError
from localcluster.images.guest import build_guest_image, guest_image_name
from localcluster.images.operator import build_operator_image, operator_image_name
from localcluster.native.driver import NativeDriver
from localcluster.progress import console, say
from localcluster.report import report, report_text
from localcluster.selection import choose, read_record, write_record
from localcluster.tools import ON_DEMAND, PROGRAMS
from localcluster.tools import tool as path_of_tool

app = typer.Typer(
    name="cluster",
    help="A local Kubernetes cluster: kind where a Docker engine answers, a native node elsewhere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Component = Annotated[str, typer.Argument(help="A program of the native node, as kube-apiserver.")]


@app.command()
def up(
    driver: Annotated[str, typer.Option(help="kind, native, or auto: what the machine has.")] = "auto",
    context: Annotated[str | None, typer.Option(help="Use the cluster of this kubeconfig context.")] = None,
) -> None:
    """Bring the cluster up, or repair it; do nothing where it runs."""
    chosen = choose(driver, context)
    used = read_record().get("driver", chosen.name)
    if used != chosen.name:
        raise ClusterError(f"this checkout's cluster is by the driver {used}; `hack/cluster down` removes it first")
    write_record(chosen, context)
    chosen.up()
    say("to use it:  export KUBECONFIG=$(hack/cluster kubeconfig); alias kubectl=$(hack/cluster tool kubectl)")


@app.command()
def down() -> None:
    """Remove the cluster and everything that belongs to it."""
    choose().down()


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Tell what the cluster is and has."""
    content = report(choose())
    print(json.dumps(content, indent=2) if as_json else report_text(content))


@app.command()
def kubeconfig() -> None:
    """Print the path of the administrator's kubeconfig."""
    chosen = choose()
    _brought_up(chosen)
    print(chosen.kubeconfig)


def _brought_up(driver: Driver) -> None:
    if not driver.kubeconfig.exists():
        raise ClusterError("there is no cluster yet; `hack/cluster up` brings one up")


@app.command()
def load(
    image: Annotated[
        str,
        typer.Argument(
            help="An archive's path or an image known to Docker; 'operator' and 'guest' build this checkout's."
        ),
    ],
) -> None:
    """Give the cluster's nodes an image."""
    chosen = choose()
    if image == "operator":
        chosen.load(str(build_operator_image()))
        print(operator_image_name())
        return
    if image == "guest":
        chosen.load(str(build_guest_image()))
        print(guest_image_name())
        return
    for name in chosen.load(image):
        print(name)


@app.command()
def tool(name: Annotated[str, typer.Argument(help="A program's name, as kubectl or helm.")]) -> None:
    """Print the path of a program, built first if it is missing."""
    print(path_of_tool(name))


@app.command()
def build(
    names: Annotated[
        list[str] | None, typer.Argument(help="Programs' names; where none is given, all usual ones.")
    ] = None,
) -> None:
    """Build what is missing of the programs, so that nothing later has to wait for it."""
    for name in names or usual_programs():
        path_of_tool(name)


def usual_programs() -> list[str]:
    """Return the programs that a test or a cluster on this machine may need."""
    names = (name for name, module in PROGRAMS.items() if module not in ON_DEMAND)
    return [name for name in names if name != "kind" or engine_answers()]


@app.command()
def conformance(
    focus: Annotated[str, typer.Option(help="Which tests: a regular expression for their names.")] = FOCUS,
    keep: Annotated[bool, typer.Option("--keep", help="Leave a failed test's namespaces for a look.")] = False,
    processes: Annotated[int, typer.Option(min=1, help="How many tests run at a time.")] = 4,
) -> None:
    """Let Kubernetes' own tests judge the cluster's network policies; the first run builds them.

    The exit status tells whether every test passed that this machine can run; log and JUnit file are in the state
    folder.
    """
    chosen = choose()
    _brought_up(chosen)
    prepare(chosen)
    run = Run(chosen.kubeconfig, chosen.state / "conformance", focus, processes, keep, left_out())
    # To be killed means what Ctrl-C does: the tests remove what they made.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = judge(run)
    print(outcome_text(found))
    say(f"log: {run.log}; JUnit: {run.junit}")
    raise typer.Exit(0 if found.good else 1)


@app.command()
def logs(component: Component) -> None:
    """Print a native program's log."""
    print(_native(choose()).log(component).read_text(errors="replace"), end="")


@app.command()
def stop(component: Component) -> None:
    """End a program of the native node; it stays down."""
    _native(choose()).order({"do": "stop", "component": component})


@app.command()
def start(component: Component) -> None:
    """Start a program of the native node again."""
    _native(choose()).order({"do": "start", "component": component})


@app.command()
def restart(component: Component) -> None:
    """End a program of the native node and start it again."""
    _native(choose()).order({"do": "restart", "component": component})


@app.command()
def kill(component: Component) -> None:
    """Kill a program of the native node; the supervisor starts it again."""
    _native(choose()).order({"do": "kill", "component": component})


def _native(driver: Driver) -> NativeDriver:
    if not isinstance(driver, NativeDriver):
        raise ClusterError(
            f"only a native cluster's programs can be reached, and this one is by the driver {driver.name}"
        )
    return driver


def main() -> None:
    """Run a command; what a user can act on is one sentence on standard error."""
    try:
        app()
    except ClusterError as failure:
        console.print(f"error: {failure}", markup=False)
        sys.exit(1)
