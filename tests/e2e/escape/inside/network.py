"""Pods, sandboxes and the world outside, by every protocol that a program without rights can speak."""

import socket
import struct
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from .frames import checksum, gateway_mac
from .kit import NO_ANSWER, SECONDS, Group, Scene
from .listener import SCTP, UDP_LITE

GROUP = Group(caged=True)
PORT = 9000
FENCED = "the fence, where the cluster enforces NetworkPolicies; only then are sandboxes started at all"
Address = tuple[str, int]


def tcp(address: Address, _token: str = "", *, source: int = 0) -> str:
    """Connect; being refused is an answer too."""
    with socket.socket() as connection:
        connection.settimeout(SECONDS)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.bind(("", source))
        connection.connect(address)
        return f"connected from {connection.getsockname()}"


def datagram(address: Address, token: str, *, protocol: int = 0, size: int = 0, source: int = 0) -> str:
    """Send a datagram and get an answer."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM, protocol) as sending:
        sending.settimeout(SECONDS / 3)
        sending.bind(("", source))
        for _ in range(2):
            sending.sendto(token.encode().ljust(size), address)
        return f"answer {sending.recvfrom(2000)[0]!r}"


def ping(address: Address, token: str) -> str:
    """Send an echo request, as a program without rights may where the kernel lets its group, and get the reply."""
    request = struct.pack("!BBHHH", 8, 0, 0, 0, 1) + token.encode()
    with icmp_socket() as sending:
        sending.settimeout(SECONDS)
        sending.sendto(request[:2] + struct.pack("!H", checksum(request)) + request[4:], (address[0], 0))
        while True:
            answer, sender = sending.recvfrom(2000)
            if sender[0] == address[0] and token.encode() in answer and answer[-len(request)] == 0:
                return f"reply from {sender[0]}"


def icmp_socket() -> socket.socket:
    """Open a socket for echo requests: the one for everybody where the kernel lets this group, else the raw one."""
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    except PermissionError:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


def sctp(address: Address, _token: str) -> str:
    """Connect by SCTP."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, SCTP) as connection:
        connection.settimeout(SECONDS)
        connection.connect(address)
        return "connected"


def fast_open(address: Address, token: str) -> str:
    """Send data in the first segment of a connection."""
    with socket.socket() as connection:
        connection.sendto(token.encode(), socket.MSG_FASTOPEN, address)
        return f"answer {connection.recv(100)!r}"


def mapped(address: Address, _token: str) -> str:
    """Connect by an IPv6 socket to an IPv4 address."""
    with socket.socket(socket.AF_INET6) as connection:
        connection.settimeout(SECONDS)
        connection.connect((f"::ffff:{address[0]}", address[1]))
        return "connected"


def source_routed(address: Address, token: str) -> str:
    """Send a datagram whose header asks routers to pass it by the gateway: loose source routing."""
    route = bytes([1, 131, 7, 4]) + socket.inet_aton(address[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.settimeout(SECONDS)
        sending.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, route)
        sending.sendto(token.encode(), address)
        return f"answer {sending.recvfrom(100)[0]!r}"


def many(address: Address, _token: str) -> str:
    """Begin 500 connections at once, in the hope that one slips through."""
    begun = []
    for _ in range(500):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(address)
        begun.append(connection)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if through := [each for each in begun if is_connected(each)]:
            return f"{len(through)} connected"
        time.sleep(0.1)
    raise TimeoutError


def is_connected(connection: socket.socket) -> bool:
    """Tell whether there is somebody at the other end."""
    try:
        connection.getpeername()
    except OSError:
        return False
    return True


Protocol = Callable[[Address, str], str]
TARGETS = {
    "neighbour": "the neighbour, a sandbox of its namespace",
    "stranger": "a sandbox of another namespace",
    "bystander": "an ordinary pod of its namespace",
    "outsider": "an ordinary pod of another namespace",
    "internet": "an address outside of the cluster",
}
SANDBOXES = ("neighbour", "stranger")


def towards(target: str, protocol: Protocol, port: int = PORT) -> Callable[[Scene], str]:
    """Return a way to a target of the scene by a protocol."""
    return lambda scene: protocol((scene["addresses"][target], port), scene["token"])


def add(group: Group, what: str, target: str, protocol: Protocol, *others: str, port: int = PORT, **rest: Any) -> None:
    """Add an attempt at a target; nobody but the node reaches a sandbox, so that it shows that there is one."""
    control = "watchtower" if target in SANDBOXES else "open"
    way = towards(target, protocol, port)
    group.add(what, NO_ANSWER, *others, way=way, **({"control": control, "note": FENCED} | rest))


NO_SOCKET = f"{FENCED}; EPERM where the kernel gives the group no such socket"
for target, words in TARGETS.items():
    add(GROUP, f"TCP to {words}", target, tcp)
    add(GROUP, f"UDP to {words}", target, datagram)
    add(GROUP, f"ICMP echo to {words}", target, ping, "EPERM", note=NO_SOCKET)
add(GROUP, "TCP to the port that the neighbour declared, which its namespace may reach", "neighbour", tcp, port=8080)
add(GROUP, "TCP to the metadata service", "metadata", tcp, port=80)
add(GROUP, "UDP to the metadata service", "metadata", datagram, port=80)
add(GROUP, "HTTPS port of an address outside", "internet", tcp, port=443)
add(GROUP, "UDP-Lite to an ordinary pod", "bystander", partial(datagram, protocol=UDP_LITE), "EPROTONOSUPPORT",
    control="", note="no control: connection tracking may take all of it for invalid")  # fmt: skip
add(GROUP, "a datagram in fragments to an ordinary pod", "bystander", partial(datagram, size=9000))
add(GROUP, "a datagram from the source port of DNS", "bystander", partial(datagram, source=53))
add(GROUP, "a datagram from the source port of DHCP", "bystander", partial(datagram, source=68))
add(GROUP, "a connection from the source port of HTTPS", "bystander", partial(tcp, source=443))
add(GROUP, "data in the first segment: TCP fast open", "bystander", fast_open, seconds=4.0)
add(GROUP, "an IPv4 address by an IPv6 socket", "bystander", mapped)
add(GROUP, "500 connections at once", "bystander", many)
GROUP.add("SCTP to an ordinary pod", NO_ANSWER, "EPROTONOSUPPORT", way=towards("bystander", sctp), control="",
          note=f"{FENCED}; EPROTONOSUPPORT, and no control, where the kernel has no SCTP")  # fmt: skip
GROUP.add("loose source routing around the fence", NO_ANSWER, "EPERM", "ENETUNREACH",
          way=towards("bystander", source_routed), control="",
          note="no control: Linux does not route such packets for anybody unless told to")  # fmt: skip


def spread(address: str) -> Callable[[Scene], str]:
    """Return a way that sends to many at once."""

    def send(scene: Scene) -> str:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sending:
            sending.settimeout(SECONDS)
            sending.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            scope = socket.if_nametoindex("eth0")
            where = (address, PORT, 0, scope) if ":" in address else (address, PORT)
            sending.sendto(scene["token"].encode(), where)
            return f"answer {sending.recvfrom(100)[0]!r}"

    return send


for address, words in {
    "255.255.255.255": "broadcast to every pod of the node",
    "10.244.3.255": "broadcast to the pods' range",
    "224.0.0.1": "multicast to every pod of the node",
    "ff02::1": "IPv6 multicast to every pod of the node",
}.items():
    GROUP.add(words, NO_ANSWER, "ENETUNREACH", "EACCES", "EADDRNOTAVAIL", way=spread(address), control="",
              note="no control: with a link of its own for each pod there is nobody whom it could reach")  # fmt: skip


@GROUP.attempt("a port of the node by IPv6, at the other end of its link", NO_ANSWER, "ENETUNREACH",
               "EADDRNOTAVAIL", control="", note="no control: enforcers may drop all IPv6 of pods")  # fmt: skip
def link_local(scene: Scene) -> str:
    with socket.socket(socket.AF_INET6) as connection:
        connection.settimeout(SECONDS)
        mac = gateway_mac(scene["addresses"]["gateway"])
        other_end = bytes([mac[0] ^ 2, *mac[1:3], 0xFF, 0xFE, *mac[3:]])
        address = socket.inet_ntop(socket.AF_INET6, b"\xfe\x80" + bytes(6) + other_end)
        connection.connect((address, 9100, 0, socket.if_nametoindex("eth0")))
        return "connected"
