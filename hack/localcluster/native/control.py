"""Questions and orders to a node's supervisor: a line of JSON each way over a socket in the state folder."""

import json
import os
import socket
import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcluster.errors import ClusterError

SOCKET_NAME = "control.sock"
ANSWER_SECONDS = 180.0

Handler = Callable[[dict[str, str]], Any]


def serve(folder: Path, handle: Handler) -> socketserver.ThreadingUnixStreamServer:
    """Return a server for orders; the caller runs it.

    Parameters
    ----------
    folder
        The state folder.
    handle
        Carries out one order and returns the answer; a ClusterError becomes the answer's ``error``.
    """

    class Connection(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                answer = {"answer": handle(json.loads(self.rfile.readline()))}
            except ClusterError as error:
                answer = {"error": str(error)}
            self.wfile.write(json.dumps(answer).encode() + b"\n")

    with _short_path(folder) as path:
        Path(path).unlink(missing_ok=True)
        server = socketserver.ThreadingUnixStreamServer(path, Connection)
    server.daemon_threads = True
    return server


def ask(folder: Path, order: dict[str, str]) -> Any:
    """Send an order and return its answer.

    Raises
    ------
    ClusterError
        If nobody answers, or with the answer's ``error``.
    """
    try:
        with _short_path(folder) as path, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(path)
            connection.sendall(json.dumps(order).encode() + b"\n")
            answer = json.loads(connection.makefile().readline() or "{}")
    except (OSError, ValueError) as error:
        raise ClusterError(f"the node's supervisor does not answer: {error}") from error
    if "error" in answer:
        raise ClusterError(answer["error"])
    return answer.get("answer")


@contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    # A socket's path may have 107 bytes only, however deep the folder is.
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)
