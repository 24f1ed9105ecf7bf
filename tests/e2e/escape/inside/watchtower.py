"""Sees all that arrives: sits on the node, and in the network namespace of every target, fenced or not.

``python3 -m inside.watchtower PLACE=WHO...`` watches the pods of these listeners. It also makes the
world outside: a network namespace with addresses that stand for the internet, a foreign resolver and the metadata
service, which the node has routes to and which ends with this process.
"""

import contextlib
import ctypes
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

from .kit import numbers
from .listener import listen

SEEN = Path("/tmp/seen.jsonl")
OUTSIDE = {"internet": "203.0.113.7", "resolver": "198.51.100.53", "metadata": "169.254.169.254"}
PORTS = [53, 80, 443, 9000]
NEW_NETWORK = 0x40000000
OUTGOING = 4
TOKEN = re.compile(rb"sk-escape/[^;\x00-\x1f\x7f-\xff]*;")
PARENT_DIES = 1


def in_child(work: object) -> int:
    """Fork, and return the child's pid; the child ends with its parent."""
    child = os.fork()
    if child:
        return child
    ctypes.CDLL(None).prctl(PARENT_DIES, 9)
    assert callable(work)
    work()
    os._exit(0)


def watch(place: str) -> None:
    """Write down, once each, what arrives in this network namespace: source addresses, and what attempts carry."""
    known: set[tuple[str, str]] = set()
    sniffing = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    with SEEN.open("a") as file:
        while True:
            frame, (_, _, kind, *_) = sniffing.recvfrom(65535)
            if kind == OUTGOING:
                continue
            source = socket.inet_ntoa(frame[26:30]) if frame[12:14] == b"\x08\x00" else frame[12:14].hex()
            tokens = TOKEN.findall(frame) or [b""]
            for record in {(source, token.decode()) for token in tokens} - known:
                known.add(record)
                file.write(json.dumps({"place": place, "source": record[0], "token": record[1]}) + "\n")
                file.flush()


def network_of(who: str) -> int:
    """Open the network namespace of a listener's pod."""
    for pid in numbers("/proc"):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            if "inside.listener" in words and who in words:
                return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    raise LookupError(who)


def watch_pod(place: str, who: str) -> None:
    """Watch the network namespace of a pod."""
    descriptor = network_of(who)

    def enter() -> None:
        if ctypes.CDLL(None).setns(descriptor, NEW_NETWORK) != 0:
            os._exit(1)
        watch(place)

    in_child(enter)


def ip(*words: str) -> None:
    """Run the node's own ip in this process's namespaces, quietly where what is asked for is there already."""
    subprocess.run(["chroot", "/proc/1/root", "ip", *words], check=False, capture_output=True)


def world() -> None:
    """Be the world outside: wait for the link, take the addresses, answer."""
    while "world1" not in {name for _, name in socket.if_nameindex()}:
        time.sleep(0.05)
    ip("link", "set", "lo", "up")
    for address in (f"{OUTSIDE['internet']}/24", f"{OUTSIDE['resolver']}/32", f"{OUTSIDE['metadata']}/32"):
        ip("address", "add", address, "dev", "world1")
    ip("link", "set", "world1", "up")
    ip("route", "add", "default", "via", "203.0.113.1")
    in_child(lambda: watch("the world outside"))
    listen(PORTS)


def make_world() -> None:
    """Start the world outside and give the node its routes to it."""

    def begin() -> None:
        ctypes.CDLL(None).unshare(NEW_NETWORK)
        Path("/tmp/world").write_text(str(os.getpid()))
        world()
        time.sleep(100_000)

    Path("/tmp/world").unlink(missing_ok=True)
    child = in_child(begin)
    while not Path("/tmp/world").exists():
        time.sleep(0.02)
    ip("link", "delete", "world0")
    ip("link", "add", "world0", "type", "veth", "peer", "name", "world1", "netns", str(child))
    ip("address", "add", "203.0.113.1/24", "dev", "world0")
    ip("link", "set", "world0", "up")
    for address in (OUTSIDE["resolver"], OUTSIDE["metadata"]):
        ip("route", "replace", f"{address}/32", "dev", "world0")


if __name__ == "__main__":
    SEEN.unlink(missing_ok=True)
    for argument in sys.argv[1:]:
        watch_pod(*argument.split("=", 1))
    make_world()
    listen([9100])
    print("watching", flush=True)
