"""Runs the operator inside Kopf, until a signal, or until a background task ended that should not."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import kopf
import typer

from sandkeeper import handlers
from sandkeeper.runtime.connection import NoCredentialsError, connect

if TYPE_CHECKING:
    from sandkeeper.settings import OperatorSettings

_QUEUES = 4
_OTHER_CALLS = 30
"""Connections beside those of passes and packs: two dozen watches, leases, events. Each costs 100 KiB of TLS buffers,
once it is needed; requests beyond the limit would wait for a tenant's packs, which take minutes."""


async def run(settings: OperatorSettings) -> int:
    """Run Kopf, and give the process's exit status."""
    # What was imported lives as long as the process: the collector need not walk over it at every turn.
    gc.collect()
    gc.freeze()
    try:
        limit = _QUEUES * settings.workers + settings.packs + _OTHER_CALLS
        connection = await connect(f"sandkeeper-operator/{settings.pod_name}", limit=limit)
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
