"""The commands of ``hack/cluster``."""

import json
import sys
from typing import Annotated

import typer

from localcluster.docker import engine_answers
from localcluster.driver import Driver
from localcluster.errors import ClusterError
from localcluster.images.operator import build_operator_image, operator_image_name
from localcluster.native.driver import NativeDriver
from localcluster.progress import console, say
from localcluster.report import report, report_text
from localcluster.selection import choose, read_record, write_record
from localcluster.tools import PROGRAMS
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
    path = choose().kubeconfig
    if not path.exists():
        raise ClusterError("there is no cluster yet; `hack/cluster up` brings one up")
    print(path)


@app.command()
def load(
    image: Annotated[
        str, typer.Argument(help="An archive's path or an image known to Docker; 'operator' builds this checkout's.")
    ],
) -> None:
    """Give the cluster's nodes an image."""
    chosen = choose()
    if image == "operator":
        chosen.load(str(build_operator_image()))
        print(operator_image_name())
        return
    for name in chosen.load(image):
        print(name)


@app.command()
def tool(name: Annotated[str, typer.Argument(help="A program's name, as kubectl or helm.")]) -> None:
    """Print the path of a program, built first if it is missing."""
    print(path_of_tool(name))


@app.command()
def build(
    names: Annotated[list[str] | None, typer.Argument(help="Programs' names; all of them where none is given.")] = None,
) -> None:
    """Build what is missing of the programs, so that nothing later has to wait for it."""
    useful = [name for name in PROGRAMS if name != "kind" or engine_answers()]
    for name in names or useful:
        path_of_tool(name)


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
