"""Raw sockets, forged addresses and hand-made packets.

A sandbox lacks the capability, so that none of these is even sent. The same is tried from a caged pod: an ordinary one,
root with NET_RAW and NET_ADMIN over its own link, under a policy that allows it nothing. There the fence stands alone.
"""

import fcntl
import os
import socket
import struct
import time
from collections.abc import Callable
from functools import partial

from . import frames
from .kit import NO_ANSWER, ClosedError, Group, Scene
from .syscalls import syscall

GROUP = Group()
SENDER_CHECK = "without the capability, and by the enforcer's check that a source address belongs to its link"
SET_ADDRESS = 0x8916
SILENCE = (NO_ANSWER,)
UNROUTED = ("EINVAL", "ENETUNREACH")
INVALID = "no control: connection tracking takes it for invalid, whoever sends it"
Packet = Callable[[Scene, bytes], bytes]


def arrival() -> str:
    """Wait for nothing: whether it arrived is told by those who watch the targets."""
    raise TimeoutError


def sending(packet: Packet) -> Callable[[Scene], str]:
    """Return a way that hands an IPv4 packet to the node by a raw frame."""

    def way(scene: Scene) -> str:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW):
            gateway = frames.gateway_mac(scene["addresses"]["gateway"])
        frames.send(frames.IPV4, packet(scene, scene["token"].encode()), gateway)
        return arrival()

    return way


def add(what: str, packet: Packet, *, control: str = "open", note: str = SENDER_CHECK) -> None:
    """Add an attempt to send an IPv4 packet."""
    GROUP.add(what, "EPERM", way=sending(packet), caged=SILENCE, control=control, note=note)


def forged(by: str, target: str) -> Packet:
    """Return a datagram in the name of another; the control sends the same in its own name."""

    def packet(scene: Scene, token: bytes) -> bytes:
        addresses = scene["addresses"]
        source = addresses["own"] if scene["actor"] == "open" else addresses.get(by, by)
        return frames.ipv4(source, addresses[target], 17, frames.udp(token))

    return packet


NAMES = {
    "open": "an ordinary pod that nothing fences",
    "neighbour": "the neighbour",
    "node": "the node",
    "gateway": "the gateway",
    "kubernetes": "a Service",
    "internet": "an address outside",
    "dns": "the cluster's resolver",
    "10.244.3.250": "an address of the pods' range that nobody has",
    "127.0.0.1": "loopback",
    "0.0.0.0": "nobody: 0.0.0.0",
    "255.255.255.255": "everybody: the broadcast address",
}
for by, words in NAMES.items():
    add(f"a frame in the name of {words}, to an ordinary pod", forged(by, "bystander"))
for by in ("open", "node", "gateway"):
    add(f"a frame in the name of {NAMES[by]}, to an address outside", forged(by, "internet"))
    add(f"a frame in the name of {NAMES[by]}, to the metadata service", forged(by, "metadata"))


def own(protocol: int, payload: Callable[[Scene, bytes], bytes], target: str = "bystander") -> Packet:
    """Return a packet in its sender's own name."""

    def packet(scene: Scene, token: bytes) -> bytes:
        addresses = scene["addresses"]
        return frames.ipv4(addresses["own"], addresses[target], protocol, payload(scene, token))

    return packet


def ends(scene: Scene) -> tuple[str, str]:
    """Return the two addresses of a segment to the bystander."""
    return scene["addresses"]["own"], scene["addresses"]["bystander"]


add("a datagram by a raw frame in its own name", own(17, lambda _scene, token: frames.udp(token)))
add("a TCP acknowledgement of nothing, to be taken for the middle of a connection",
    own(6, lambda scene, token: frames.tcp(ends(scene), frames.ACK, token, source=5001)))  # fmt: skip
add("a TCP answer to nobody's question",
    own(6, lambda scene, token: frames.tcp(ends(scene), frames.SYN | frames.ACK, token, source=5002)),
    control="", note=INVALID)  # fmt: skip
add("an ICMP echo reply that carries data", own(1, lambda _scene, token: frames.icmp(0, 0, token)),
    control="", note=INVALID)  # fmt: skip
for protocol, words in {
    4: "IP in IP",
    41: "IPv6 in IP",
    47: "GRE",
    50: "ESP",
    253: "an unknown protocol",
}.items():
    add(f"data in a packet of {words}", own(protocol, lambda _scene, token: bytes(4) + token))


def error_about(scene: Scene, token: bytes) -> bytes:
    """Return an ICMP error about an exchange that two others have: conntrack calls it related to theirs."""
    addresses = scene["addresses"]
    theirs = frames.udp(token, source=40404)
    return frames.icmp(3, 3, frames.ipv4(addresses["bystander"], addresses["internet"], 17, theirs))


add("an ICMP error about an exchange of two others, to be taken for a part of it", own(1, error_about),
    control="", note="no control: an error about one's own exchange comes from elsewhere")  # fmt: skip


def in_fragments(scene: Scene) -> str:
    """Send a datagram whose first fragment is too short to tell what it is."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW):
        gateway = frames.gateway_mac(scene["addresses"]["gateway"])
    whole = frames.udp(scene["token"].encode().ljust(64))
    for fragment, part in ((frames.MORE_FRAGMENTS, whole[:8]), (1, whole[8:])):
        frames.send(frames.IPV4, frames.ipv4(*ends(scene), 17, part, fragment=fragment, identity=77), gateway)
    return arrival()


GROUP.add(
    "a datagram whose first fragment is its head alone", "EPERM", way=in_fragments, caged=SILENCE, note=SENDER_CHECK
)


@GROUP.attempt("the node's loopback, by a frame to 127.0.0.1", "EPERM", caged=SILENCE, control="",
               note="no control: the kernel drops it for everybody unless route_localnet is set")  # fmt: skip
def nodes_loopback(scene: Scene) -> str:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as link:
        gateway = frames.gateway_mac(scene["addresses"]["gateway"])
        source = scene["addresses"]["own"]
        for port in (2379, 9100, 10248):
            segment = frames.tcp((source, "127.0.0.1"), frames.SYN, source=5003, target=port)
            frames.send(frames.IPV4, frames.ipv4(source, "127.0.0.1", 6, segment), gateway)
        link.settimeout(1.5)
        while frame := link.recv(2000):
            if frame[26:30] == socket.inet_aton("127.0.0.1"):
                return "an answer"
    return "the link is down"


def broadcasting(kind: int, payload: Callable[[bytes], bytes], to: bytes = frames.EVERYBODY) -> Callable[[Scene], str]:
    """Return a way that sends a frame to everybody on the link."""

    def way(scene: Scene) -> str:
        frames.send(kind, payload(scene["token"].encode()), to)
        return arrival()

    return way


def gratuitous_arp(scene: Scene) -> str:
    """Claim that an ordinary pod's address is ours."""
    victim = socket.inet_aton(scene["addresses"]["bystander"])
    claim = struct.pack("!HHBBH", 1, frames.IPV4, 6, 4, 2) + frames.own_mac() + victim + frames.EVERYBODY + victim
    frames.send(frames.ARP, claim + scene["token"].encode(), frames.EVERYBODY)
    return arrival()


ALONE = "without the capability, and by a link of its own for each pod: there is no bridge to speak across"
LINK_ONLY = f"{ALONE}; no control: it reaches nobody from any pod"
GROUP.add("ARP: another pod's address is mine", "EPERM", way=gratuitous_arp, caged=SILENCE, control="", note=LINK_ONLY)
for words, kind, payload, to in (
    ("a frame of an unknown kind to everybody", frames.EXPERIMENT, lambda token: token, frames.EVERYBODY),
    ("a frame with a VLAN's tag", frames.VLAN, lambda token: b"\0\5\x08\0" + token, frames.EVERYBODY),
    ("IPv6: I am your router", frames.IPV6,
     lambda token: frames.ipv6("ff02::1", 58, b"\x86\0\0\0\x40\x08\x07\x08" + bytes(8) + token), b"\x33\x33\0\0\0\1"),
    ("IPv6: your neighbour is me", frames.IPV6,
     lambda token: frames.ipv6("ff02::1", 58, b"\x88\0\0\0\x20\0\0\0" + bytes(16) + token), b"\x33\x33\0\0\0\1"),
    ("IPv6 datagram to every pod", frames.IPV6,
     lambda token: frames.ipv6("ff02::1", 17, frames.udp(token)), b"\x33\x33\0\0\0\1"),
):  # fmt: skip
    GROUP.add(words, "EPERM", caged=SILENCE, way=broadcasting(kind, payload, to), control="", note=LINK_ONLY)


@GROUP.attempt("a frame to the hardware address of another pod, across the node", "EPERM", caged=SILENCE, control="",
               note=LINK_ONLY)  # fmt: skip
def across(scene: Scene) -> str:
    packet = frames.ipv4(*ends(scene), 17, frames.udp(scene["token"].encode()))
    frames.send(frames.IPV4, packet, bytes.fromhex(scene["addresses"]["bystander-mac"].replace(":", "")))
    return arrival()


@GROUP.attempt("listens on its link for what others say", "EPERM", caged=("its own only",), control="", note=LINK_ONLY)
def listen(scene: Scene) -> str:
    mine = {socket.inet_aton(scene["addresses"][name]) for name in ("own", "gateway")}
    foreign: set[str] = set()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as link:
        link.settimeout(0.5)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            try:
                frame, (_, _, kind, *_) = link.recvfrom(2000)
            except TimeoutError:
                continue
            if kind != 4 and frame[12:14] == b"\x08\x00" and mine.isdisjoint({frame[26:30], frame[30:34]}):
                foreign.add(socket.inet_ntoa(frame[26:30]))
    if not foreign:
        raise ClosedError("its own only")
    return f"heard {foreign}"


@GROUP.attempt("sends from an address of another by IP_TRANSPARENT", "EPERM", caged=SILENCE, note=SENDER_CHECK)
def transparent(scene: Scene) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.SOL_IP, 19, 1)
        out.bind((scene["addresses"]["own" if scene["actor"] == "open" else "open"], 0))
        for _ in range(3):
            out.sendto(scene["token"].encode(), (scene["addresses"]["internet"], 9000))
    return arrival()


@GROUP.attempt("sends from an address of another by IP_FREEBIND", "EINVAL", "ENETUNREACH", caged=UNROUTED,
               note="the kernel lets everybody bind, and sends from no address that is not its own")  # fmt: skip
def freebind(scene: Scene) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.SOL_IP, 15, 1)
        out.bind((scene["addresses"]["own" if scene["actor"] == "open" else "outsider"], 0))
        out.sendto(scene["token"].encode(), (scene["addresses"]["internet"], 9000))
    return arrival()


@GROUP.attempt("gives its link the address of another pod", "EPERM", caged=SILENCE, note=SENDER_CHECK, control="")
def second_address(scene: Scene) -> str:
    taken = scene["addresses"]["open"]
    alias = struct.pack("16sHH4s8x", f"{frames.LINK}:1".encode(), socket.AF_INET, 0, socket.inet_aton(taken))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        fcntl.ioctl(asking, SET_ADDRESS, alias)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.bind((taken, 0))
        out.sendto(scene["token"].encode(), (scene["addresses"]["internet"], 9000))
    return arrival()


@GROUP.attempt("makes a link of its own by tun", "ENOENT", control="",
               note="there is no such device in a pod, and no right to make one")  # fmt: skip
def tun(_scene: Scene) -> str:
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, 0x400454CA, struct.pack("16sH", b"sk0", 0x0002))
    return "there is a link"


def opening(family: int, kind: int, protocol: int, _scene: Scene) -> str:
    """Open a socket."""
    with socket.socket(family, kind, protocol):
        return "there is a socket"


for words, family, kind, protocol in (
    ("a raw IPv4 socket", socket.AF_INET, socket.SOCK_RAW, 255),
    ("a raw ICMP socket", socket.AF_INET, socket.SOCK_RAW, 1),
    ("a raw IPv6 socket", socket.AF_INET6, socket.SOCK_RAW, 58),
    ("a packet socket", socket.AF_PACKET, socket.SOCK_DGRAM, 0),
):
    GROUP.add(
        f"opens {words}", "EPERM",
        way=partial(opening, family, kind, protocol),
        note="sandboxes lack NET_RAW",
    )  # fmt: skip


@GROUP.attempt("enters the network namespace of another by setns", "ENOENT", control="watchtower",
               note="there is no file of another's namespace to be seen, and no right to enter one")  # fmt: skip
def enter(scene: Scene) -> str:
    return str(syscall("setns", os.open(f"/proc/{scene['host_pid']}/ns/net", os.O_RDONLY), 0))
