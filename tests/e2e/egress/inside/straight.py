"""Past the gateway: raw addresses by every protocol, the cluster's own services, and the gateway's other doors."""

import os
import socket
import struct
from functools import partial

from e2e.escape.inside.kit import NO_ANSWER, SECONDS, Group, Scene, Way
from e2e.escape.inside.network import Protocol, datagram, ping, tcp

from .talk import gateway, question, resolve

GROUP = Group()
NO_ROUTE = ("ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "EPERM")


def at(where: str, port: int, protocol: Protocol = tcp) -> Way:
    """Return a way to an address of the scene."""
    return lambda scene: protocol((scene["addresses"][where], port), scene["token"])


def service(port: int) -> Way:
    """Return a way to a port of the gateway's Service."""
    return lambda _scene: tcp((gateway(), port))


def ask(where: str, *, by_tcp: bool) -> Way:
    """Return a way to a resolver of the scene, which is asked for what it knows."""
    name = "kubernetes.default.svc.cluster.local" if where == "dns" else "allowed.example"
    return lambda scene: resolve(question(name), tcp=by_tcp, address=scene["addresses"][where])


for port in (22, 80, 443, 5432, 8443):
    GROUP.add(f"TCP to port {port} of a forbidden site's address", NO_ANSWER, way=at("forbidden", port))
GROUP.add("TCP to the address of an allowed site", NO_ANSWER, way=at("allowed", 443))
GROUP.add("UDP to a site", NO_ANSWER, way=at("forbidden", 443, datagram))
GROUP.add("UDP as QUIC begins", NO_ANSWER, way=at("forbidden", 443, partial(datagram, size=1200)))
GROUP.add("ICMP echo to a site", NO_ANSWER, "EPERM", way=at("forbidden", 0, ping))
GROUP.add("TCP to the metadata service", NO_ANSWER, way=at("metadata", 80))
GROUP.add("the kubelet", NO_ANSWER, way=at("node", 10250))
GROUP.add("the apiserver's Service", NO_ANSWER, way=at("kubernetes", 443))
GROUP.add("a Service of the namespace", NO_ANSWER, way=at("service", 80))
GROUP.add("another sandbox", NO_ANSWER, way=at("neighbour", 9000), control="")
GROUP.add("an ordinary pod", NO_ANSWER, way=at("bystander", 9000))
GROUP.add("the gateway's metrics", NO_ANSWER, way=at("gateway-pod", 8080), control="")
GROUP.add("the gateway's probes", NO_ANSWER, way=at("gateway-pod", 8081), control="")
GROUP.add("the gateway's record of who was active", NO_ANSWER, way=at("gateway-pod", 8082), control="")
GROUP.add("the operator's metrics", NO_ANSWER, way=at("operator-pod", 8080), control="")
for port in (8080, 8081, 8082, 10443):
    GROUP.add(f"port {port} of the gateway's Service", NO_ANSWER, "ECONNREFUSED", control="",
              way=service(port))  # fmt: skip
GROUP.add("UDP to the gateway's port of TLS, as for QUIC", NO_ANSWER, "ECONNREFUSED", control="",
          way=lambda scene: datagram((gateway(), 443), scene["token"]))  # fmt: skip
for where, words in {"resolver": "a resolver outside", "dns": "the cluster's resolver"}.items():
    for by_tcp in (False, True):
        GROUP.add(f"DNS by {'TCP' if by_tcp else 'UDP'} to {words}", NO_ANSWER,
                  way=ask(where, by_tcp=by_tcp))  # fmt: skip


@GROUP.attempt("TCP by IPv6", NO_ANSWER, *NO_ROUTE, control="", note="no control: the node has no IPv6 outside")
def six(_scene: Scene) -> str:
    return tcp6("2001:4:112::1")


@GROUP.attempt("an IPv4 address by an IPv6 socket", NO_ANSWER)
def mapped(scene: Scene) -> str:
    return tcp6(f"::ffff:{scene['addresses']['forbidden']}")


def tcp6(address: str) -> str:
    """Connect by an IPv6 socket."""
    with socket.socket(socket.AF_INET6) as connection:
        connection.settimeout(SECONDS)
        connection.connect((address, 443))
        return "connected"


@GROUP.attempt("a source address that is another sandbox's", NO_ANSWER, *NO_ROUTE, control="",
               note="no control: who may, and has the link for it, is tried by the escape suite")  # fmt: skip
def forged(scene: Scene) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.settimeout(SECONDS)
        # IP_FREEBIND lets a program bind an address that is not the pod's.
        sending.setsockopt(socket.IPPROTO_IP, 15, 1)
        sending.bind((scene["addresses"]["neighbour"], 0))
        sending.sendto(question("neighbour-only.example"), (gateway(), 53))
        return sending.recvfrom(2000)[0].hex()


@GROUP.attempt("an address of the neighbour's added to the interface", "EPERM", "EACCES", control="")
def added(scene: Scene) -> str:
    # RTM_NEWADDR by netlink, as "ip address add" does.
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as link:
        address = socket.inet_aton(scene["addresses"]["neighbour"])
        attributes = struct.pack("HH4sHH4s", 8, 2, address, 8, 1, address)
        body = struct.pack("BBBBI", socket.AF_INET, 32, 0, 0, socket.if_nametoindex("eth0")) + attributes
        link.send(struct.pack("IHHII", 16 + len(body), 20, 0x605, 1, 0) + body)
        number = -struct.unpack("i", link.recv(4096)[16:20])[0]
        if number:
            raise OSError(number, os.strerror(number))
        return "added"
