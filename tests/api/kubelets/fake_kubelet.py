"""A kubelet that has nothing but its page of measurements, behind TLS as a real one."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

from aiohttp import web

from localcluster.pki import Authority

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

PAGE = """\
# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the container in core-seconds
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="sandbox",namespace="team",pod="sbx-a"} 12.5 1795530868905
# HELP pod_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the pod in core-seconds
# TYPE pod_cpu_usage_seconds_total counter
pod_cpu_usage_seconds_total{namespace="team",pod="other"} 99 1795530868000
pod_cpu_usage_seconds_total{namespace="team",pod="sbx-a"} 12.75 1795530868905
pod_cpu_usage_seconds_total{namespace="ream",pod="sbx-a"} 1.5e-05 1795530868906
# HELP resource_scrape_error [STABLE] 1 if there was an error while getting container metrics, 0 otherwise
# TYPE resource_scrape_error gauge
resource_scrape_error 0
"""


class FakeKubelet:
    """Answers on a port of the loopback address.

    Parameters
    ----------
    authority
        Signs its certificate.
    folder
        For certificate and key.
    names
        What the certificate is for.

    Attributes
    ----------
    tokens
        What it accepts; everything while it is None.
    seen
        Tokens in the order in which they came.
    """

    def __init__(self, authority: Authority, folder: Path, *names: str) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*authority.server("kubelet", names or ("127.0.0.1",)).write(folder, "kubelet"))
        self.answer: Answer = text(PAGE)
        self.tokens: set[str] | None = None
        self.seen: list[str] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/metrics/resource", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.seen.append(token)
        if self.tokens is not None and token not in self.tokens:
            return web.Response(status=401)
        return await self.answer(request)


def text(page: str, status: int = 200) -> Answer:
    """Answer with a page."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=page, status=status)

    return answer


def endless(chunk: bytes) -> Answer:
    """Answer without end."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(chunk)
            await asyncio.sleep(0)

    return answer


async def silence(_: web.Request) -> web.StreamResponse:
    """Give no answer."""
    await asyncio.sleep(3600)
    return web.Response()
