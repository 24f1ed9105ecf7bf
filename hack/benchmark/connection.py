"""The client's connection: the session that requests and watches share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from benchmark.generator import CONNECTIONS
from sandkeeper.runtime.client import ApiClient

_WATCHES = 4
_GOODBYE_SECONDS = 1.0
"""aiohttp awaits no end of TLS on what streams leave behind, and a loop that ends before it leaves sockets open."""


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[ApiClient]:
    """Open a session for the user of a kubeconfig.

    Parameters
    ----------
    kubeconfig
        File with server and credentials.
    """
    settings = Configuration()
    await config.load_kube_config(str(kubeconfig), client_configuration=settings)  # type: ignore[no-untyped-call]
    transport = RESTClientObject(settings)
    await transport.close()
    connector = aiohttp.TCPConnector(
        ssl=transport.ssl_context, limit=CONNECTIONS + _WATCHES, keepalive_timeout=300, force_close=False
    )
    timeout = aiohttp.ClientTimeout(total=60)
    headers = {"User-Agent": "sandkeeper-benchmark"}
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
        yield ApiClient(session, settings.host.rstrip("/"))
    await asyncio.sleep(_GOODBYE_SECONDS)
