"""``python -m walkthrough [down]``: run the demo, or remove what it brought up."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from localcluster.errors import ClusterError
from localcluster.selection import choose, write_record
from walkthrough.stage import Stage
from walkthrough.story import tell

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def demo(
    context: typer.Context,
    kube_context: Annotated[str | None, typer.Option("--context", help="Use the cluster of this context.")] = None,
) -> None:
    """Bring up a cluster, install Sandkeeper, and show what it does. `down` removes everything again."""
    if context.invoked_subcommand is None:
        driver = choose("auto", kube_context)
        write_record(driver, kube_context)
        tell(driver, Stage())


@app.command()
def down() -> None:
    """Remove the cluster, with all that the demo put into it."""
    choose().down()


if __name__ == "__main__":
    try:
        app()
    except ClusterError as failure:
        typer.echo(f"error: {failure}", err=True)
        sys.exit(1)
