"""Where the API server is and who we are: credentials by the official client, transport by aiohttp."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

if TYPE_CHECKING:
    import ssl

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_REFRESH_SECONDS = 60
"""Bound service-account tokens live an hour and are replaced on disk after 80 % of it."""


@dataclass
class Connection:
    """One session for Kopf and for us, and the base URL that goes with it.

    Attributes
    ----------
    session
        Its Authorization header is renewed in place, so that every holder sees it.
    server
        Base URL of the API server.
    """

    session: aiohttp.ClientSession
    server: str
    _configuration: Configuration = field(repr=False)
    _loader: config.kube_config.KubeConfigLoader | None = field(repr=False, default=None)

    @property
    def authority(self) -> str:
        """File with the authorities that the API server is verified by; empty where there is none."""
        return str(self._configuration.ssl_ca_cert or "")

    async def keep_fresh(self) -> None:
        """Renew the bearer token until cancelled: from its file, or by the kubeconfig's credential plugin."""
        async with asyncio.TaskGroup() as tasks:
            if self._loader is not None:
                renewal = config.refresh_token(self._loader, self._configuration, _REFRESH_SECONDS)  # type: ignore[no-untyped-call]
                tasks.create_task(renewal)
            while True:
                await asyncio.sleep(_REFRESH_SECONDS)
                await self._authorize()

    async def _authorize(self) -> None:
        token = await self._configuration.get_api_key_with_prefix("BearerToken")
        if token:
            self.session.headers["Authorization"] = token

    async def close(self) -> None:
        """Close the session."""
        await self.session.close()


class NoCredentialsError(Exception):
    """Neither a service account nor a kubeconfig says where the API server is."""


async def connect(user_agent: str, *, limit: int = 64) -> Connection:
    """Open a connection with the pod's service account, or else with ``KUBECONFIG``.

    Parameters
    ----------
    user_agent
        How we appear in the API server's audit log.
    limit
        Most simultaneous connections; requests beyond it wait.

    Returns
    -------
    Connection
        With credentials set.

    Raises
    ------
    NoCredentialsError
        If there are none that can be used.
    """
    configuration = Configuration()
    loader = await _configure(configuration)
    connector = aiohttp.TCPConnector(
        ssl=_tls(configuration),
        limit=limit,
        # aiohttp drops idle connections after 15 s; a handshake costs more than a request.
        keepalive_timeout=300,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": user_agent, "Accept": "application/json"},
        timeout=aiohttp.ClientTimeout(total=60, sock_connect=10),
        # Looking for proxies in the environment costs 0.5 ms a request.
        trust_env=False,
    )
    connection = Connection(session, configuration.host.rstrip("/"), configuration, loader)
    await connection._authorize()
    return connection


async def _configure(configuration: Configuration) -> config.kube_config.KubeConfigLoader | None:
    """Fill in where the server is and who we are; a kubeconfig's loader is what renews its credentials."""
    named = os.environ.get("KUBECONFIG")
    try:
        if (_SERVICE_ACCOUNT / "token").exists() and not named:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            return None
        loader = await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except (config.ConfigException, OSError) as error:
        raise NoCredentialsError(f"{named or 'the default kubeconfig'}: {error}") from error
    return loader  # type: ignore[no-any-return]


def _tls(configuration: Configuration) -> ssl.SSLContext:
    """TLS context of the official client, which knows every way a kubeconfig can say it."""
    context: ssl.SSLContext = RESTClientObject(configuration).ssl_context
    return context


def own_namespace(default: str) -> str:
    """Name of the namespace that the process runs in, by its service account."""
    path = _SERVICE_ACCOUNT / "namespace"
    return path.read_text().strip() if path.exists() else default
