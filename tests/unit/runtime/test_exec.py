"""A command in a container, on a server that speaks as the API server does, refuses, says too much, falls silent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sandkeeper.runtime.client import ApiClient
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.exec import Command, ExecError, ExecResult, exec_in_pod
from sandkeeper.runtime.resource import Key

COMMAND = Command(Key("team", "sbx-a"), "sandbox", ("/bin/say", "a b", "$x"), seconds=5)
SUCCESS = b'\x03{"metadata":{},"status":"Success"}'
Story = Callable[[web.WebSocketResponse], Awaitable[None]]


class ApiServer:
    """Remembers how it was asked, and plays one story."""

    def __init__(self, story: Story | web.Response, protocol: str = "v5.channel.k8s.io") -> None:
        self._story = story
        self._protocol = protocol
        self.asked: list[web.Request] = []
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if isinstance(self._story, web.Response):
            return self._story
        socket = web.WebSocketResponse(protocols=[self._protocol])
        await socket.prepare(request)
        self.begun.set()
        try:
            await self._story(socket)
        finally:
            self.ended.set()
        return socket


@asynccontextmanager
async def serving(server: ApiServer) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """Give a session, and the address of a server that listens on loopback."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    async with (
        TestServer(app) as listening,
        aiohttp.ClientSession(headers={"Authorization": "Bearer secret", "Accept": "application/json"}) as session,
    ):
        yield session, str(listening.make_url("")).rstrip("/")


async def run(server: ApiServer, command: Command = COMMAND) -> ExecResult:
    async with serving(server) as (session, address):
        return await exec_in_pod(session, address, command)


def saying(*frames: bytes) -> Story:
    async def story(socket: web.WebSocketResponse) -> None:
        for frame in frames:
            await socket.send_bytes(frame)
        await socket.receive()

    return story


def failure(code: int, reason: str, message: str) -> bytes:
    return b"\x03" + orjson.dumps({"status": "Failure", "code": code, "reason": reason, "message": message})


def exited(code: str) -> bytes:
    details = {"causes": [{"reason": "ExitCode", "message": code}]}
    status = {"status": "Failure", "reason": "NonZeroExitCode", "message": "it failed", "details": details}
    return b"\x03" + orjson.dumps(status)


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io"])
async def test_a_command_is_run_and_heard(protocol: str) -> None:
    server = ApiServer(saying(b"\x01", b"\x01one ", b"\x02oh", b"\x01two", SUCCESS), protocol)

    assert await run(server) == ExecResult(0, b"one two", b"oh")

    (asked,) = server.asked
    assert asked.path == "/api/v1/namespaces/team/pods/sbx-a/exec"
    assert asked.query.getall("command") == ["/bin/say", "a b", "$x"]
    assert (asked.query["container"], asked.query.get("stdin")) == ("sandbox", None)
    assert (asked.headers["Authorization"], asked.headers["Accept"]) == ("Bearer secret", "*/*")
    assert asked.headers["Sec-WebSocket-Protocol"] == "v5.channel.k8s.io,v4.channel.k8s.io"


async def test_a_command_that_fails_is_heard_too() -> None:
    assert await run(ApiServer(saying(b"\x01{}", exited("3")))) == ExecResult(3, b"{}", b"")


@pytest.mark.parametrize("code", [403, 404, 500, 503])
async def test_a_refusal_keeps_the_servers_sentence(code: int) -> None:
    body = {"kind": "Status", "reason": "Because", "message": "it is not to be"}

    with pytest.raises(ApiError, match="it is not to be") as refused:
        await run(ApiServer(web.json_response(body, status=code)))

    assert (refused.value.status, refused.value.reason) == (code, "Because")
    assert str(refused.value).startswith("exec pods team/sbx-a: ")


async def test_a_node_that_can_not_be_reached_is_told_by_the_server() -> None:
    said = failure(500, "InternalError", "error dialing backend: connection refused")

    with pytest.raises(ApiError, match="error dialing backend") as unreachable:
        await run(ApiServer(saying(said)))

    assert unreachable.value.status == 500


async def test_a_server_that_does_not_listen_is_an_error_of_the_connection() -> None:
    async with serving(ApiServer(saying())) as (_, address):
        gone = address
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await exec_in_pod(session, gone, COMMAND)


async def test_too_much_is_not_listened_to() -> None:
    async def endless(socket: web.WebSocketResponse) -> None:
        while not socket.closed:
            await socket.send_bytes(b"\x01" + b"x" * 10_000)

    with pytest.raises(ExecError, match="more than 65536 bytes"):
        await run(ApiServer(endless))


@pytest.mark.parametrize(
    "frames",
    [
        (b"\x01half",),
        (b"\x03not json",),
        (b"\x03[]",),
        (b'\x03{"status":"Failure","reason":"NonZeroExitCode"}',),
        (exited("many"),),
    ],
    ids=["cut off", "no JSON", "no object", "no exit code", "no number"],
)
async def test_an_end_that_says_nothing_is_an_error(frames: tuple[bytes, ...]) -> None:
    async def story(socket: web.WebSocketResponse) -> None:
        for frame in frames:
            await socket.send_bytes(frame)
        await socket.close()

    with pytest.raises(ExecError):
        await run(ApiServer(story))


async def silence(socket: web.WebSocketResponse) -> None:
    await socket.receive()


async def test_neither_much_nor_nothing_keeps_anyone_listening_beyond_the_time_that_was_given() -> None:
    async def dripping(socket: web.WebSocketResponse) -> None:
        while not socket.closed:
            await socket.send_bytes(b"\x01")

    server = ApiServer(dripping)
    with pytest.raises(TimeoutError):
        await run(server, Command(COMMAND.pod, "sandbox", ("yes",), seconds=0.2))

    await server.ended.wait()


async def test_silence_ends_with_the_time_that_was_given() -> None:
    server = ApiServer(silence)

    with pytest.raises(TimeoutError):
        await run(server, Command(COMMAND.pod, "sandbox", ("sleep",), seconds=0.2))


async def test_whoever_listens_may_leave_and_the_connection_is_closed() -> None:
    server = ApiServer(silence)
    async with serving(server) as (session, address):
        listening = asyncio.create_task(exec_in_pod(session, address, COMMAND))
        await server.begun.wait()
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening

        await server.ended.wait()
        assert not session.closed


async def test_the_calls_are_counted() -> None:
    seen: list[tuple[str, str, int]] = []

    def observe(verb: str, resource: str, code: int, seconds: float) -> None:
        assert seconds >= 0
        seen.append((verb, resource, code))

    async with serving(ApiServer(saying(SUCCESS))) as (session, address):
        await ApiClient(session, address, observe).run(COMMAND)
    async with serving(ApiServer(web.Response(status=404))) as (session, address):
        with pytest.raises(ApiError):
            await ApiClient(session, address, observe).run(COMMAND)

    assert seen == [("exec", "pods", 101), ("exec", "pods", 404)]
