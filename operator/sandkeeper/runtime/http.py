"""A process's own HTTP endpoints: metrics on one port, probes on another that no policy need expose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prometheus_client import CollectorRegistry


async def serve_metrics(registry: CollectorRegistry, port: int) -> web.AppRunner:
    """Serve ``/metrics``.

    Returns
    -------
    web.AppRunner
        To be cleaned up by the caller.
    """

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return await _serve({"/metrics": metrics}, port)


async def serve_probes(alive: Callable[[], str], ready: Callable[[], str], port: int) -> web.AppRunner:
    """Serve ``/healthz`` and ``/readyz``.

    Parameters
    ----------
    alive, ready
        Each returns what is wrong, or an empty string.
    """

    def endpoint(check: Callable[[], str]) -> Callable[[web.Request], object]:
        async def answer(_: web.Request) -> web.Response:
            problem = check()
            return web.Response(status=503 if problem else 200, text=problem or "ok")

        return answer

    return await _serve({"/healthz": endpoint(alive), "/readyz": endpoint(ready)}, port)


async def serve_json(documents: Mapping[str, Callable[[], object]], port: int) -> web.AppRunner:
    """Serve JSON documents, each made when it is asked for.

    Parameters
    ----------
    documents
        By path.
    """

    def endpoint(document: Callable[[], object]) -> Callable[[web.Request], object]:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(body=orjson.dumps(document()), content_type="application/json")

        return answer

    return await _serve({path: endpoint(document) for path, document in documents.items()}, port)


async def _serve(routes: dict[str, Callable[[web.Request], object]], port: int) -> web.AppRunner:
    app = web.Application()
    for path, handler in routes.items():
        app.router.add_get(path, handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
