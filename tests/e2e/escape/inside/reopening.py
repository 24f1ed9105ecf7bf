"""An allowed connection to the attacker's port, and what the attacker makes of it when it is over.

Connection tracking remembers the connection for a while. Whoever answers on it is let through; whoever begins anew in
its reverse direction must not be. ``client`` runs in a pod that may reach the port, ``attacker`` in the sandbox.
"""

import contextlib
import json
import socket
import sys
import time
from typing import Any

OUR_PORT, THEIR_PORT = 8080, 40808
PATIENCE = 25.0
"""Seconds that one waits for the other to begin, on a busy machine."""
TRYING = 3.0


def bound(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """Open a socket at a port that may just have been in use."""
    opened = socket.socket(socket.AF_INET, kind)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    opened.settimeout(PATIENCE)
    opened.bind(("", port))
    return opened


def greeted(attacker: str) -> bytes:
    """Connect as soon as the attacker listens, and return its greeting."""
    end = time.monotonic() + PATIENCE
    while True:
        with bound(THEIR_PORT) as connection:
            try:
                connection.connect((attacker, OUR_PORT))
                return connection.recv(100)
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    raise
        time.sleep(0.2)


def client(attacker: str) -> str:
    """Connect, be answered, end the connection, and listen at its port for whoever comes back."""
    answer = greeted(attacker)
    with bound(THEIR_PORT) as listening:
        listening.listen()
        listening.settimeout(2 * TRYING)
        with contextlib.suppress(TimeoutError):
            _, (address, port) = listening.accept()
            return f"{address} came back from port {port}"
    return f"answered {answer!r}, nobody came back"


def attacker(victim: str) -> str:
    """Answer the connection, and begin one in its reverse direction, again and again."""
    with bound(OUR_PORT) as listening:
        listening.listen()
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"welcome")
            connection.recv(1)
    end = time.monotonic() + TRYING
    while time.monotonic() < end:
        with contextlib.suppress(OSError), bound(OUR_PORT) as reverse:
            reverse.settimeout(0.5)
            reverse.connect((victim, THEIR_PORT))
            return "got through: connected"
    return "no answer"


if __name__ == "__main__":
    scene: dict[str, Any] = json.load(sys.stdin)
    who = client if sys.argv[1] == "client" else attacker
    print(json.dumps(who(scene["addresses"][sys.argv[2]])))
