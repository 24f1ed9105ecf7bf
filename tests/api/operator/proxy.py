"""What stands between operator and apiserver: it records every call, and does harm where a test asks for it."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Event
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from api.operator.background import Background

Json = dict[str, Any]

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_PASSED_ON = ("Accept", "Content-Type", "User-Agent")
_PASSED_BACK = ("Content-Type", "Retry-After")


@dataclass
class Call:
    """One call of the operator, in the words of RBAC.

    Attributes
    ----------
    at
        When it came, in monotonic seconds.
    code
        HTTP status of the apiserver's answer; 0 while there is none.
    """

    verb: str
    resource: str
    namespace: str
    name: str
    body: Json = field(repr=False)
    at: float = field(default_factory=time.monotonic)
    code: int = 0

    @property
    def is_write(self) -> bool:
        """Whether it changes a sandbox or a child; Leases and Events are the operator's own bookkeeping."""
        return self.verb in _VERBS.values() and self.resource not in {"leases", "events"}

    @property
    def what(self) -> str:
        """What it does, such as ``create pods``."""
        return f"{self.verb} {self.resource}"


Forward = Callable[[], Awaitable[web.StreamResponse]]
Fault = Callable[[web.Request, Call, Forward], Awaitable[web.StreamResponse]]


@dataclass
class Rule:
    """A fault that befalls some calls.

    Attributes
    ----------
    befallen
        Calls that it befell.
    """

    matches: Callable[[Call], bool]
    fault: Fault
    times: int | None
    befallen: list[Call] = field(default_factory=list)

    @property
    def spent(self) -> bool:
        """Whether it has done all the harm that it was asked for."""
        return self.times is not None and len(self.befallen) >= self.times


class Proxy:
    """A plain HTTP server that forwards to the apiserver with the operator's credentials."""

    def __init__(self, background: Background, server: str, credentials: ssl.SSLContext) -> None:
        self._background = background
        self._server = server
        self._credentials = credentials
        self._rules: list[Rule] = []
        self._streams: dict[asyncio.Task[Any], web.Request] = {}
        self.calls: list[Call] = []
        self.url = ""

    def start(self) -> None:
        """Listen on a free port of loopback."""
        self._background.run(self._start())

    def stop(self) -> None:
        """Close every connection."""
        self._background.run(self._stop())

    def writes(self, namespace: str) -> list[str]:
        """Writes in a namespace that took effect, in their order."""
        own = [call for call in self.calls if call.is_write and call.namespace == namespace]
        return [call.what for call in own if 200 <= call.code < 300]

    def harm(self, matches: Callable[[Call], bool], fault: Fault, times: int | None = 1) -> Rule:
        """Let a fault befall the next calls that match; all of them where ``times`` is None."""
        self._rules.append(Rule(matches, fault, times))
        return self._rules[-1]

    def heal(self) -> None:
        """Do no more harm."""
        self._rules.clear()

    def cut_watches(self) -> None:
        """Break every open watch, as a network does."""
        self._background.run(self._cut())

    async def _start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._credentials, limit=0), timeout=aiohttp.ClientTimeout()
        )
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        await self._cut()
        await self._runner.cleanup()
        await self._session.close()

    async def _cut(self) -> None:
        for task, request in list(self._streams.items()):
            abort(request)
            task.cancel()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        call = _call(request, body)
        self.calls.append(call)

        async def forward() -> web.StreamResponse:
            return await self._forward(request, call, body)

        rule = next((rule for rule in self._rules if not rule.spent and rule.matches(call)), None)
        if rule is None:
            return await forward()
        rule.befallen.append(call)
        return await rule.fault(request, call, forward)

    async def _forward(self, request: web.Request, call: Call, body: bytes) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        url = self._server + request.raw_path
        try:
            async with self._session.request(request.method, url, data=body or None, headers=headers) as answer:
                call.code = answer.status
                back = {name: answer.headers[name] for name in _PASSED_BACK if name in answer.headers}
                if call.verb != "watch":
                    return web.Response(status=answer.status, body=await answer.read(), headers=back)
                return await self._stream(request, answer, back)
        except aiohttp.ClientError:
            return abort(request)

    async def _stream(
        self, request: web.Request, answer: aiohttp.ClientResponse, headers: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=headers)
        task = asyncio.current_task()
        assert task is not None
        self._streams[task] = request
        try:
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
        except ConnectionError:
            return response
        finally:
            del self._streams[task]
        return response


def _call(request: web.Request, body: bytes) -> Call:
    parts = request.path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if len(parts) > 2 and parts[0] == "namespaces":
        namespace, parts = parts[1], parts[2:]
    resource, name, *subresource = [*parts, "", ""][: max(2, len(parts))]
    verb = _VERBS.get(request.method) or ("get" if name else "list")
    if request.query.get("watch") in {"1", "true"}:
        verb = "watch"
    return Call(verb, "/".join([resource, *subresource]), namespace, name, orjson.loads(body) if body else {})


def abort(request: web.Request) -> web.StreamResponse:
    """Break a connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)


def answered(status: int, reason: str, message: str = "injected", retry_after: int | None = None) -> Fault:
    """Answer instead of the apiserver."""

    async def fault(request: web.Request, call: Call, forward: Forward) -> web.StreamResponse:
        body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status}
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return web.Response(status=status, body=orjson.dumps(body), content_type="application/json", headers=headers)

    return fault


async def broken(request: web.Request, call: Call, forward: Forward) -> web.StreamResponse:
    """Break the connection before anything reaches the apiserver."""
    return abort(request)


async def answer_lost(request: web.Request, call: Call, forward: Forward) -> web.StreamResponse:
    """Let the apiserver do it, and break the connection before its answer."""
    await forward()
    return abort(request)


async def expired(request: web.Request, call: Call, forward: Forward) -> web.StreamResponse:
    """Open a watch only to say that its resourceVersion is too old."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}
    event = {"type": "ERROR", "object": {**status, "message": "too old resource version"}}
    return web.Response(body=orjson.dumps(event) + b"\n", content_type="application/json")


def held(until: Event) -> Fault:
    """Forward only after an event was set."""

    async def fault(request: web.Request, call: Call, forward: Forward) -> web.StreamResponse:
        await asyncio.to_thread(until.wait, 60)
        return await forward()

    return fault


def dated(ahead: timedelta) -> Fault:
    """Answer as an apiserver whose clock is ahead of this machine's by so much."""

    async def fault(request: web.Request, call: Call, forward: Forward) -> web.StreamResponse:
        answer = await forward()
        answer.headers["Date"] = format_datetime(datetime.now(UTC) + ahead, usegmt=True)
        return answer

    return fault


def before(act: Callable[[], None]) -> Fault:
    """Act when a call comes; it reaches nobody."""

    async def fault(request: web.Request, call: Call, forward: Forward) -> web.StreamResponse:
        act()
        return abort(request)

    return fault


def after(act: Callable[[], None]) -> Fault:
    """Act when the apiserver has done what it was asked for, before the operator learns of it."""

    async def fault(request: web.Request, call: Call, forward: Forward) -> web.StreamResponse:
        with suppress(aiohttp.ClientError):
            await forward()
        act()
        return abort(request)

    return fault
