"""The processes of this package: ``python -m sandkeeper operator``."""

from __future__ import annotations

import asyncio
import gc
import sys

import kopf
import typer
import uvloop
from pydantic import ValidationError

from sandkeeper import handlers
from sandkeeper.logs import configure_logs
from sandkeeper.settings import OperatorSettings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Sandkeeper gives every AI agent a machine of its own on Kubernetes."""


@app.command()
def operator() -> None:
    """Run the operator until it is told to stop; settings come from the environment (SANDKEEPER_*)."""
    try:
        settings = OperatorSettings()
    except ValidationError as error:
        for problem in error.errors():
            variable = "SANDKEEPER_" + "_".join(str(part) for part in problem["loc"]).upper()
            typer.echo(f"{variable}: {problem['msg']} (got {problem['input']!r})", err=True)
        raise typer.Exit(2) from error
    configure_logs(settings)
    raise typer.Exit(uvloop.run(_run(settings)))


async def _run(settings: OperatorSettings) -> int:
    """Run Kopf until a signal, or until a background task ended that should not."""
    # What was imported lives as long as the process: the collector need not walk over it at every turn.
    gc.collect()
    gc.freeze()
    failed = asyncio.Event()
    memo = handlers.Memo(settings=settings, failed=failed)
    await kopf.operator(
        clusterwide=True,
        standalone=True,
        # Kopf would otherwise ask for the user's name, which a container's uid need not have.
        identity=settings.pod_name,  # type: ignore[arg-type]
        memo=memo,
        stop_flag=failed,
    )
    return 1 if failed.is_set() else 0


if __name__ == "__main__":
    sys.exit(app())
