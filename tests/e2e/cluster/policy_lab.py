"""Pods that talk to each other, and policies between them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from e2e.cluster.conftest import Pods
from localcluster.process import wait_until

IMAGE = "docker.io/library/debian:12"
# Answers every byte on three TCP and three UDP ports, and writes down who sent a datagram.
SERVE = """
import socket, threading
def tcp(port):
    listening = socket.create_server(("", port))
    while True:
        threading.Thread(target=echo, args=(listening.accept()[0],), daemon=True).start()
def echo(connection):
    while said := connection.recv(100):
        connection.sendall(said)
def udp(port):
    bound = socket.socket(type=socket.SOCK_DGRAM)
    bound.bind(("", port))
    while True:
        said, sender = bound.recvfrom(100)
        with open("/tmp/senders", "a") as file:
            print(sender[0], said.decode(), file=file, flush=True)
        bound.sendto(said, sender)
for port in (8080, 8081, 8090):
    for serve in (tcp, udp):
        threading.Thread(target=serve, args=(port,)).start()
"""
ASK = """
import socket, sys
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
asking = socket.socket(family, socket.SOCK_DGRAM if kind == "UDP" else socket.SOCK_STREAM)
asking.settimeout(float(sys.argv[4]))
try:
    asking.connect(socket.getaddrinfo(host, port, family)[0][4])
    if kind == "connect":
        print("answered")
        sys.exit()
    asking.send(b"x")
    print("answered" if asking.recv(1) == b"x" else "closed")
except ConnectionRefusedError:
    print("refused")
except OSError:
    print("silence")
"""
PING = """
import socket, sys
asking = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
asking.settimeout(1)
asking.sendto(bytes([8, 0, 0xF7, 0xFD, 0, 1, 0, 1]), (sys.argv[1], 0))
try:
    while asking.recv(100)[20] != 0:
        pass
    print("answered")
except OSError:
    print("silence")
"""
# One connection, over which something is said until it is not answered any more.
TALK = """
import socket, sys, time
talking = socket.create_connection((sys.argv[1], 8080), 5)
talking.settimeout(2)
try:
    while True:
        talking.sendall(b"x")
        print("answered" if talking.recv(1) else "closed", flush=True)
        time.sleep(0.05)
except OSError:
    print("cut", flush=True)
"""
# An echo of its own making: any source address, straight to the wire.
FORGE = """
import socket, struct, sys
def checksum(words):
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
source, target, text = socket.inet_aton(sys.argv[1]), socket.inet_aton(sys.argv[2]), sys.argv[3].encode()
datagram = struct.pack("!HHHH", 4000, 8080, 8 + len(text), 0) + text
head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 7, 0, 64, 17, 0, source, target)
head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
gateway = open("/proc/net/arp").read().splitlines()[1].split()[3]
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0x0800))
ours = bytes.fromhex(open("/sys/class/net/eth0/address").read().strip().replace(":", ""))
wire.send(bytes.fromhex(gateway.replace(":", "")) + ours + struct.pack("!H", 0x0800) + head + datagram)
"""
PORTS = [
    {"name": "web", "containerPort": 8080},
    {"name": "other", "containerPort": 8081},
]


class Lab:
    """A server, a friend and a stranger in one namespace, and a neighbour in another.

    Parameters
    ----------
    here, there
        The two namespaces.
    """

    def __init__(self, here: Pods, there: Pods) -> None:
        self.here, self.there = here, there
        self.address: dict[str, str] = {}
        for name in ("server", "friend", "stranger", "neighbour"):
            self.start(name)

    def start(self, name: str) -> None:
        """Start one of the pods; it is ready when its node has reached it."""
        container = {"name": "main", "image": IMAGE, "command": ["python3", "-c", SERVE], "ports": PORTS}
        probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
        pods = self._of(name)
        pods.run(name, containers=[{**container, "readinessProbe": probe}])
        self.address[name] = pods("get", "pod", name, "-o", "jsonpath={.status.podIP}")

    def run(self, who: str, script: str, *arguments: str) -> str:
        """Run a Python script in a pod and return what it prints."""
        return self._of(who).inside(who, "python3", "-c", script, *arguments).strip()

    def ask(self, who: str, host: str, port: int = 8080, kind: str = "TCP", seconds: float = 1.0) -> str:
        """Try to reach a port from a pod, and return ``answered``, ``refused`` or ``silence``."""
        if kind == "ICMP":
            return self.run(who, PING, host)
        return self.run(who, ASK, kind, host, str(port), str(seconds))

    def reaches(self, who: str, whom: str = "server", port: int = 8080, kind: str = "TCP") -> bool:
        """Tell whether a pod gets an answer of another."""
        return self.ask(who, self.address[whom], port, kind) == "answered"

    def becomes(self, expected: dict[tuple[Any, ...], bool]) -> None:
        """Wait until every attempt ends as expected; a policy is in force a moment after it was made."""
        for attempt, passes in expected.items():
            wait_until(lambda a=attempt, p=passes: self.reaches(*a) is p, f"{attempt} {passes}", 20.0)  # type: ignore[misc]

    @contextmanager
    def policy(self, name: str = "rule", **spec: Any) -> Iterator[None]:
        """Have a policy, by default for the server, for a while."""
        self.apply(name, **spec)
        try:
            yield
        finally:
            self.here("delete", "networkpolicy", name)

    def apply(self, name: str = "rule", **spec: Any) -> None:
        """Make or change a policy, by default for the server."""
        content = {"podSelector": {"matchLabels": {"app": "server"}}, **spec}
        kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        self.here.apply({**kind, "metadata": {"name": name}, "spec": content})

    def _of(self, who: str) -> Pods:
        return self.there if who == "neighbour" else self.here


def pod_selector(**labels: str) -> dict[str, Any]:
    """Return a peer by its labels."""
    return {"podSelector": {"matchLabels": labels}}
