"""The processes of this package: ``python -m sandkeeper operator``."""

from __future__ import annotations

import asyncio
import gc
import os
import sys

import kopf
import typer
import uvloop
from pydantic import ValidationError
from pydantic_settings import SettingsError

from sandkeeper import handlers
from sandkeeper.logs import configure_logs
from sandkeeper.runtime.connection import NoCredentialsError, connect
from sandkeeper.settings import OperatorSettings

_OTHER_CALLS = 10
"""Connections beside the workers': watches, leases, events. Each costs 100 KiB of TLS buffers."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Sandkeeper gives every AI agent a machine of its own on Kubernetes."""


@app.command()
def operator() -> None:
    """Run the operator until it is told to stop; settings come from the environment (SANDKEEPER_*)."""
    settings = _settings()
    configure_logs(settings)
    raise typer.Exit(uvloop.run(_run(settings)))


def _settings() -> OperatorSettings:
    """Read the settings; what is wrong with them is said in a line per variable."""
    try:
        return OperatorSettings()
    except ValidationError as error:
        for problem in error.errors():
            variable = "SANDKEEPER_" + "_".join(str(part) for part in problem["loc"]).upper()
            typer.echo(f"{variable}: {problem['msg']} (got {problem['input']!r})", err=True)
        raise typer.Exit(2) from error
    except SettingsError as error:
        # The one way to get here is text that is not JSON; the message ends in the field's name and its source.
        field = str(error).partition('"')[2].partition('"')[0]
        variable = f"SANDKEEPER_{field.upper()}"
        typer.echo(f"{variable}: must be a JSON object, such as {{}} (got {os.environ.get(variable)!r})", err=True)
        raise typer.Exit(2) from error


async def _run(settings: OperatorSettings) -> int:
    """Run Kopf until a signal, or until a background task ended that should not."""
    # What was imported lives as long as the process: the collector need not walk over it at every turn.
    gc.collect()
    gc.freeze()
    try:
        connection = await connect(
            f"sandkeeper-operator/{settings.pod_name}", limit=settings.workers + settings.packs + _OTHER_CALLS
        )
    except NoCredentialsError as error:
        typer.echo(f"no credentials for a cluster: {error}", err=True)
        return 2
    failed = asyncio.Event()
    memo = handlers.Memo(settings=settings, connection=connection, failed=failed, exit_status=1)
    await kopf.operator(
        clusterwide=True,
        standalone=True,
        # Kopf would otherwise ask for the user's name, which a container's uid need not have.
        identity=settings.pod_name,  # type: ignore[arg-type]
        memo=memo,
        stop_flag=failed,
    )
    return memo.exit_status


if __name__ == "__main__":
    sys.exit(app())
