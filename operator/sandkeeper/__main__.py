"""The processes of this package: ``python -m sandkeeper operator`` and ``python -m sandkeeper gateway``.

Each loads its own half of the code alone: the other one's is tens of megabytes.
"""

from __future__ import annotations

import sys

import typer
import uvloop

from sandkeeper.logs import configure_logs
from sandkeeper.variables import settings_of

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Sandkeeper gives every AI agent a machine of its own on Kubernetes."""


@app.command()
def operator() -> None:
    """Run the operator until it is told to stop; settings come from the environment (SANDKEEPER_*)."""
    from sandkeeper.settings import OperatorSettings  # noqa: PLC0415
    from sandkeeper.shell import run  # noqa: PLC0415

    settings = settings_of(OperatorSettings)
    configure_logs(settings)
    raise typer.Exit(uvloop.run(run(settings)))


@app.command()
def gateway() -> None:
    """Run an egress gateway until it is told to stop; settings come from the environment (SANDKEEPER_GATEWAY_*)."""
    from sandkeeper.gateway.settings import GatewaySettings  # noqa: PLC0415
    from sandkeeper.gateway.supervisor import run  # noqa: PLC0415

    settings = settings_of(GatewaySettings)
    configure_logs(settings)
    raise typer.Exit(uvloop.run(run(settings)))


if __name__ == "__main__":
    sys.exit(app())
