"""Answers whoever gets through: ``python3 -m inside.listener WHO MARK PORT...``.

It answers by TCP and UDP on every address. WHO tells it apart from the listeners of all other pods of the node.
"""

import contextlib
import os
import socket
import sys
import threading
from pathlib import Path

ANSWER = b"sk-escape-answer"
UDP_LITE, SCTP = 136, 132
Listening = socket.socket


def opened(kind: int, protocol: int, port: int) -> Listening | None:
    """Open a socket on all addresses, of both families where there are two; None where the kernel has no such thing."""
    with contextlib.suppress(OSError):
        listening = socket.socket(socket.AF_INET6, kind, protocol)
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
        listening.bind(("::", port))
        return listening
    return None


def answer_datagrams(listening: Listening) -> None:
    """Send every datagram's sender an answer."""
    while True:
        _, sender = listening.recvfrom(65535)
        with contextlib.suppress(OSError):
            listening.sendto(ANSWER, sender)


def answer_connections(listening: Listening) -> None:
    """Answer every connection and end it."""
    listening.listen(64)
    while True:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(2)
            connection.sendall(ANSWER)
            connection.recv(1000)


def listen(ports: list[int]) -> None:
    """Answer on all ports, each by a thread."""
    for port in ports:
        for kind, protocol in ((socket.SOCK_STREAM, 0), (socket.SOCK_STREAM, SCTP)):
            if (listening := opened(kind, protocol, port)) is not None:
                threading.Thread(target=answer_connections, args=(listening,)).start()
        for protocol in (0, UDP_LITE):
            if (listening := opened(socket.SOCK_DGRAM, protocol, port)) is not None:
                threading.Thread(target=answer_datagrams, args=(listening,)).start()


def leave_marks(mark: str) -> Listening:
    """Put what others look for where a careless wall would show it; the socket goes with the process."""
    for folder in ("/dev/shm", "/tmp", "/workspace"):
        if os.access(folder, os.W_OK):
            Path(folder, mark).write_text(mark)
    named = socket.socket(socket.AF_UNIX)
    named.bind(f"\0{mark}")
    named.listen()
    return named


if __name__ == "__main__":
    held = leave_marks(sys.argv[2])
    listen([int(port) for port in sys.argv[3:]])
    print("listening", flush=True)
