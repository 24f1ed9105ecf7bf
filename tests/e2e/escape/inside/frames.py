"""Packets made by hand, and sent past the kernel's own idea of what is right."""

import socket
import struct
import time
from pathlib import Path

LINK = "eth0"
IPV4, IPV6, ARP, VLAN, EXPERIMENT = 0x0800, 0x86DD, 0x0806, 0x8100, 0x88B5
EVERYBODY = b"\xff" * 6
MORE_FRAGMENTS = 0x2000
SYN, ACK = 0x02, 0x10


def checksum(data: bytes) -> int:
    """Return the internet checksum."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(source: str, target: str, protocol: int, payload: bytes, *, fragment: int = 0, identity: int = 1) -> bytes:
    """Return an IPv4 packet."""
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), identity, fragment, 64, protocol, 0)
    return head[:10] + struct.pack("!H", checksum(head + addresses)) + addresses + payload


def udp(payload: bytes, *, source: int = 4444, target: int = 9000) -> bytes:
    """Return a UDP datagram without a checksum, which IPv4 allows."""
    return struct.pack("!4H", source, target, 8 + len(payload), 0) + payload


def tcp(
    addresses: tuple[str, str], flags: int, payload: bytes = b"", *, source: int = 4444, target: int = 9000
) -> bytes:
    """Return a TCP segment."""
    segment = struct.pack("!HHIIBBHHH", source, target, 1000, 1000, 0x50, flags, 8192, 0, 0) + payload
    pseudo = b"".join(map(socket.inet_aton, addresses)) + struct.pack("!HH", 6, len(segment))
    return segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]


def icmp(kind: int, code: int, payload: bytes) -> bytes:
    """Return an ICMP message."""
    head = struct.pack("!BBHI", kind, code, 0, 0)
    return head[:2] + struct.pack("!H", checksum(head + payload)) + head[4:] + payload


def ipv6(target: str, protocol: int, payload: bytes) -> bytes:
    """Return an IPv6 packet from a link-local address."""
    addresses = socket.inet_pton(socket.AF_INET6, "fe80::bad") + socket.inet_pton(socket.AF_INET6, target)
    return struct.pack("!IHBB", 0x60000000, len(payload), protocol, 255) + addresses + payload


def own_mac() -> bytes:
    """Return the address of our end of the link."""
    return bytes.fromhex(Path(f"/sys/class/net/{LINK}/address").read_text().strip().replace(":", ""))


def gateway_mac(gateway: str) -> bytes:
    """Return the address of the link's other end, which the kernel asks for when it is spoken to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.sendto(b"", (gateway, 9))
    for _ in range(20):
        for line in Path("/proc/net/arp").read_text().splitlines()[1:]:
            address, _, flags, mac, *_ = line.split()
            if address == gateway and flags == "0x2":
                return bytes.fromhex(mac.replace(":", ""))
        time.sleep(0.05)
    return EVERYBODY


def send(kind: int, payload: bytes, to: bytes) -> None:
    """Send a frame, more than once since a single one may get lost."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.bind((LINK, 0))
        for _ in range(3):
            link.send(to + own_mac() + struct.pack("!H", kind) + payload)
