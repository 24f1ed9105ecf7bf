"""Runs a command in a container and hears it out, over a WebSocket as ``kubectl exec`` does (KEP-4006).

What comes back was written inside of the container: it is bounded, and nothing of it is taken for true here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import aiohttp
import orjson

from sandkeeper.runtime.errors import ApiError, error_from, where
from sandkeeper.runtime.resource import PODS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandkeeper.runtime.resource import Json, Key

_PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")
"""The newer one alone passes through every proxy; a kubelet that stands behind an older API server speaks the other."""
_STDOUT, _STDERR, _OUTCOME = 1, 2, 3
_HEARTBEAT_SECONDS: Final = 30.0
_LONGEST_MESSAGE: Final = 1024 * 1024
_SILENT_CLOSE: Final = aiohttp.ClientWSTimeout(ws_close=2.0)


class ExecError(Exception):
    """A command was not heard to its end: the connection broke, or it said more than is listened to."""


@dataclass(frozen=True)
class ExecResult:
    """How a command ended.

    Attributes
    ----------
    exit_code
        As the kubelet tells it.
    stdout, stderr
        All of what it wrote.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class Command:
    """What to run, and where.

    Attributes
    ----------
    pod, container
        The container runs.
    words
        The program and its arguments; no shell is between.
    seconds
        How long it may take, the connection included.
    longest
        Bytes of output, of both streams together, beyond which it is not listened to any more.
    """

    pod: Key
    container: str
    words: Sequence[str]
    seconds: float = 60.0
    longest: int = 64 * 1024


async def exec_in_pod(session: aiohttp.ClientSession, server: str, command: Command) -> ExecResult:
    """Run a command and wait for its end.

    Parameters
    ----------
    session
        Whose connections and credentials are used.
    server
        Base URL of the API server.

    Returns
    -------
    ExecResult
        Also of a command that failed.

    Raises
    ------
    ApiError
        If the API server refuses, or can't reach the node.
    ExecError
        If the connection broke, or the command said too much. It may still run.
    TimeoutError
        If it took too long. It may still run.
    aiohttp.ClientError
        If the API server can't be reached.
    """
    params = [("container", command.container), ("stdout", "true"), ("stderr", "true")]
    url = server + PODS.path(*command.pod, "exec")
    async with (
        asyncio.timeout(command.seconds),
        _listening(session, command) as own,
        own.ws_connect(
            url,
            params=[*params, *(("command", word) for word in command.words)],
            protocols=_PROTOCOLS,
            heartbeat=_HEARTBEAT_SECONDS,
            max_msg_size=_LONGEST_MESSAGE,
            timeout=_SILENT_CLOSE,
        ) as line,
    ):
        try:
            return await _heard(line, command)
        except BaseException:
            _hang_up(line)
            raise


def _listening(session: aiohttp.ClientSession, command: Command) -> aiohttp.ClientSession:
    """Make a session on the same connections that keeps what the server says when it refuses an upgrade."""

    async def refused(response: aiohttp.ClientResponse) -> None:
        if response.status != 101:
            body = await response.read()
            raise error_from("exec", _subject(command), response.status, response.headers, body)

    return aiohttp.ClientSession(
        connector=session.connector,
        connector_owner=False,
        # The API server finds no JSON in a stream and would answer 406.
        headers={**session.headers, "Accept": "*/*"},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        raise_for_status=refused,
        trust_env=False,
    )


def _hang_up(line: aiohttp.ClientWebSocketResponse) -> None:
    """Cut a connection: closing one properly would read on for as long as there is something to read."""
    open_socket = line.get_extra_info("socket")
    if open_socket is not None:
        with contextlib.suppress(OSError):
            open_socket.shutdown(socket.SHUT_RDWR)


@dataclass
class _Output:
    longest: int
    streams: dict[int, bytearray] = field(default_factory=lambda: {_STDOUT: bytearray(), _STDERR: bytearray()})

    def add(self, channel: int, data: bytes) -> None:
        if channel in self.streams:
            self.streams[channel] += data
        if sum(map(len, self.streams.values())) > self.longest:
            raise ExecError(f"the command said more than {self.longest} bytes")


async def _heard(line: aiohttp.ClientWebSocketResponse, command: Command) -> ExecResult:
    output = _Output(command.longest)
    async for message in line:
        if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
            break
        channel, data = message.data[0], message.data[1:]
        if channel == _OUTCOME:
            code = _exit_code(data, command)
            return ExecResult(code, bytes(output.streams[_STDOUT]), bytes(output.streams[_STDERR]))
        output.add(channel, data)
    raise ExecError(f"the connection to {_subject(command)} broke before the command ended")


def _exit_code(data: bytes, command: Command) -> int:
    """Read the ``Status`` that ends a command; that of one which never ran is an error."""
    try:
        status: Json = orjson.loads(data)
        if status["status"] == "Success":
            return 0
        if status.get("reason") == "NonZeroExitCode":
            causes = status["details"]["causes"]
            return next(int(each["message"]) for each in causes if each["reason"] == "ExitCode")
    except (ValueError, LookupError, TypeError, StopIteration) as error:
        raise ExecError(f"{_subject(command)} ended a command in an unknown way") from error
    raise ApiError("exec", _subject(command), status.get("code") or 500, status)


def _subject(command: Command) -> str:
    return where(PODS, *command.pod)
