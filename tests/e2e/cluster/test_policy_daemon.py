"""The native node's own enforcement: no forged sources, no IPv6, nothing of the node, and closed while it is away."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api.kubectl import Kubectl
from e2e.cluster.conftest import Pods
from e2e.cluster.policy_lab import FORGE, Lab, pod_selector
from e2e.conftest import hack_cluster
from localcluster.native.driver import NativeDriver
from localcluster.process import wait_until

# Says something to everybody on the link by IPv6, and tells whether anybody answers or asks who we are.
KNOCK = """
import socket
asking = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
asking.settimeout(1)
asking.sendto(bytes([128, 0, 0, 0, 0, 1, 0, 1]), ("ff02::1%eth0", 0))
own = open("/proc/net/if_inet6").read()
try:
    while True:
        said, sender = asking.recvfrom(1000)
        address = socket.inet_pton(socket.AF_INET6, sender[0].split("%")[0]).hex()
        if said[0] in (129, 135) and address not in own:
            print("heard")
            break
except TimeoutError:
    print("silence")
"""
# Quotes somebody else's datagram in an error to its sender, as if the port that it went to were closed.
MISQUOTE = """
import socket, struct, sys, time
source, target = socket.inet_aton(sys.argv[1]), socket.inet_aton(sys.argv[2])
quoted = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 29, 7, 0, 64, 17, 0, source, target)
quoted += struct.pack("!HHHH", 4001, 8080, 9, 0)
words = struct.pack("!BBHI", 3, 3, 0, 0) + quoted
total = sum(struct.unpack(f"!{len(words) // 2}H", words))
total = (total & 0xFFFF) + (total >> 16)
words = words[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + words[4:]
saying = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
for attempt in range(30):
    saying.sendto(words, (sys.argv[1], 0))
    time.sleep(0.1)
"""
CONVERSE = """
import socket, sys, time
asking = socket.socket(type=socket.SOCK_DGRAM)
asking.bind(("", 4001))
asking.connect((sys.argv[1], 8080))
asking.settimeout(1)
try:
    for attempt in range(20):
        asking.send(b"x")
        asking.recv(1)
        time.sleep(0.1)
    print("undisturbed")
except OSError as error:
    print(repr(error))
"""


@pytest.fixture(scope="module")
def lab(kubectl: Kubectl) -> Iterator[Lab]:
    """The same few pods for all tests."""
    names = [f"daemon-{which}-{uuid.uuid4().hex[:6]}" for which in ("here", "there")]
    for name in names:
        kubectl("create", "namespace", name)
    yield Lab(*(Pods(kubectl, name) for name in names))
    kubectl("delete", "namespace", *names, "--wait=false")


def told() -> dict[str, Any]:
    """What the daemon tells of itself, by way of the supervisor."""
    content: dict[str, Any] = NativeDriver().order({"do": "status"})["policies"]
    return content


def test_status_tells_which_generations_are_in_force(lab: Lab) -> None:
    with lab.policy("told", policyTypes=["Ingress"]):
        name = f"{lab.here.namespace}/told"
        wait_until(lambda: told()["policies"].get(name, {}).get("generation") == 1, "the first generation", 20.0)

        lab.apply("told", policyTypes=["Ingress", "Egress"])

        wait_until(lambda: told()["policies"].get(name, {}).get("generation") == 2, "the second generation", 20.0)
        count = len(told()["policies"])
        status = json.loads(hack_cluster("status", "--json"))
        assert status["policyEnforcement"] == f"nftables (development), policies in force: {count}"


def test_the_nodes_own_ports_are_outside_like_anything_else(lab: Lab) -> None:
    node = lab.here("get", "nodes", "-o", "jsonpath={.items[0].status.addresses[0].address}")
    gateway = lab.run("friend", "print(open('/proc/net/arp').read().splitlines()[1].split()[0])")
    doors = [(node, 10250), (node, 6443), (gateway, 10250), (gateway, 6443)]
    assert [lab.ask("friend", *door, kind="connect") for door in doors[:2]] == ["answered", "answered"]
    assert lab.ask("friend", gateway, 22, kind="connect") == "refused"

    friend: dict[str, Any] = {"podSelector": {"matchLabels": {"app": "friend"}}, "policyTypes": ["Egress"]}
    with lab.policy(**friend, egress=[{"to": [{"namespaceSelector": {}}]}]):
        wait_until(lambda: lab.ask("friend", node, 10250, kind="connect") == "silence", "a closed node", 20.0)
        assert {lab.ask("friend", *door, kind="connect") for door in [*doors, (gateway, 22)]} == {"silence"}
        assert lab.reaches("friend")

        lab.apply(**friend, egress=[{"to": [{"ipBlock": {"cidr": f"{node}/32"}}], "ports": [{"port": 6443}]}])
        wait_until(lambda: lab.ask("friend", node, 6443, kind="connect") == "answered", "an open apiserver", 20.0)
        assert lab.ask("friend", node, 10250, kind="connect") == "silence"


def test_nobody_speaks_in_anothers_name(lab: Lab) -> None:
    with lab.policy(policyTypes=["Ingress"], ingress=[{"from": [pod_selector(app="friend")]}]):
        lab.becomes({("friend",): True, ("stranger",): False})
        elsewhere = ("10.244.3.250", "192.0.2.1", "127.0.0.1", "10.244.0.1")

        for source in (lab.address["friend"], lab.address["server"], *elsewhere):
            lab.run("stranger", FORGE, source, lab.address["server"], "forged")
        lab.run("friend", FORGE, lab.address["friend"], lab.address["server"], "genuine")

        def senders() -> str:
            return lab.here.inside("server", "cat", "/tmp/senders")

        wait_until(lambda: "genuine" in senders(), "the genuine datagram", 20.0)
        assert "forged" not in senders()


def test_nobody_disturbs_a_conversation_of_others(lab: Lab) -> None:
    stranger = {"matchLabels": {"app": "stranger"}}
    with lab.policy(podSelector=stranger, policyTypes=["Egress"]), ThreadPoolExecutor(max_workers=1) as beside:
        lab.becomes({("stranger",): False})
        disturbing = beside.submit(lab.run, "stranger", MISQUOTE, lab.address["friend"], lab.address["server"])

        assert lab.run("friend", CONVERSE, lab.address["server"]) == "undisturbed"
        disturbing.result()


def test_ipv6_gets_nowhere(lab: Lab) -> None:
    assert lab.run("stranger", KNOCK) == "silence"


def test_a_crash_opens_nothing_and_is_made_good(lab: Lab) -> None:
    with lab.policy(policyTypes=["Ingress"], ingress=[{"from": [pod_selector(app="friend")]}]):
        lab.becomes({("stranger",): False, ("friend",): True})
        since = told()["enforcingSince"]

        hack_cluster("kill", "network-policy")

        def back() -> bool:
            assert not lab.reaches("stranger")
            assert lab.reaches("friend")
            return bool(told()["ready"]) and told()["enforcingSince"] != since

        wait_until(back, "return of the daemon", 60.0)
        lab.apply(policyTypes=["Ingress"], ingress=[{"from": [pod_selector(app="stranger")]}])
        lab.becomes({("stranger",): True, ("friend",): False})


def test_what_is_made_while_nobody_watches_is_closed(lab: Lab) -> None:
    hack_cluster("stop", "network-policy")
    try:
        lab.here("delete", "pod", "stranger")
        lab.start("stranger")

        assert not lab.reaches("stranger")
    finally:
        hack_cluster("start", "network-policy")
    lab.becomes({("stranger",): True})
