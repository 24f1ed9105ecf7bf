"""What is allowed works, by every way that programs take; and is on record."""

import json

from e2e.egress.grounds import Grounds
from e2e.egress.internet import ALLOWED, OTHERS
from e2e.operator.sandboxes import eventually

FETCH = """
import sys, urllib.request
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
print(direct.open(sys.argv[1], timeout=20).read().decode())
"""
BY_PROXY = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())
"""
"""As programs do that heed the variables which name a proxy."""
UPLOAD = """
import hashlib, os, sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sent = os.urandom(5_000_000)
back = opener.open(sys.argv[1], data=sent, timeout=30).read()
print(hashlib.sha256(sent).hexdigest() == hashlib.sha256(back).hexdigest())
"""
UPGRADE = """
import socket
with socket.create_connection(("allowed.example", 80), 10) as connection:
    lines = ["GET /ws HTTP/1.1", "Host: allowed.example", "Connection: Upgrade", "Upgrade: echo", "", ""]
    connection.sendall("\\r\\n".join(lines).encode())
    said = connection.recv(4096)
    connection.sendall(b"hello there")
    while b"hello there" not in said:
        said += connection.recv(4096)
    print(said.split()[1].decode())
"""
BANNER = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as connection:
    print(connection.makefile().readline())
"""
TUNNEL = """
from e2e.egress.inside.talk import hello, through_proxy
print(through_proxy("allowed.example:443", hello("allowed.example"))[2:6])
"""


def test_a_site_by_tls_whose_certificate_is_its_own(grounds: Grounds) -> None:
    found = grounds.site("allowed.example")
    assert (found["address"], found["sni"]) == (ALLOWED, "allowed.example")


def test_a_name_below_a_wildcard(grounds: Grounds) -> None:
    assert grounds.site("b.wild.example")["address"] == ALLOWED


def test_a_request_on_port_80(grounds: Grounds) -> None:
    found = json.loads(grounds.python("sandbox", FETCH, "http://allowed.example/"))
    assert (found["address"], found["host"]) == (ALLOWED, "allowed.example")


def test_a_large_body_both_ways(grounds: Grounds) -> None:
    assert grounds.python("sandbox", UPLOAD, "http://allowed.example/echo") == "True"


def test_an_upgraded_connection(grounds: Grounds) -> None:
    assert grounds.python("sandbox", UPGRADE) == "101"


def test_hosts_of_one_port_that_carries_no_name_are_told_apart(grounds: Grounds) -> None:
    git = json.loads(grounds.python("sandbox", BANNER, "git.example", "22"))
    other = json.loads(grounds.python("sandbox", BANNER, "other.example", "22"))
    database = json.loads(grounds.python("sandbox", BANNER, "db.example", "5432"))

    assert [each["address"] for each in (git, other, database)] == [ALLOWED, OTHERS, ALLOWED]


def test_a_tunnel_by_the_proxy(grounds: Grounds) -> None:
    # How a handshake goes on: the record of a ServerHello.
    assert grounds.python("sandbox", TUNNEL) == "\\x16"


def test_a_request_by_the_proxy(grounds: Grounds) -> None:
    found = json.loads(grounds.python("sandbox", BY_PROXY, "http://allowed.example/by-proxy"))

    assert (found["address"], found["target"]) == (ALLOWED, "/by-proxy")


def test_the_public_one_of_several_addresses(grounds: Grounds) -> None:
    assert grounds.site("mixed.example")["address"] == ALLOWED


def test_a_name_that_changes_its_address_to_a_private_one(grounds: Grounds) -> None:
    assert grounds.site("rebind.example")["address"] == ALLOWED

    eventually(lambda: grounds.refused("rebind.example"), bool, 60)
    assert {each["reason"] for each in grounds.audit(domain="rebind.example", verdict="denied")} == {
        "forbidden-address"
    }


def test_a_private_address_is_reached_by_the_one_sandbox_that_is_granted_it(grounds: Grounds) -> None:
    private = grounds.addresses["bystander"]
    grounds.add(
        "granted", ["private.example:8443"], egress={"cidrs": [{"cidr": f"{private}/32", "ports": [8080, 8443]}]}
    )
    connect = "import socket, sys; socket.create_connection((sys.argv[1], 8080), 10); print('connected')"

    assert eventually(lambda: grounds.python("granted", connect, private), bool, 30) == "connected"
    assert grounds.refused("private.example")
    assert {each["reason"] for each in grounds.audit(name="attacker", domain="private.example")} == {
        "forbidden-address"
    }


def test_domains_of_setup_are_reached_while_it_installs_and_no_longer(grounds: Grounds) -> None:
    fetch = "import urllib.request as r; print(r.urlopen('http://setup.example/', timeout=20).read().decode())"
    grounds.add("installing", [], setup=f'python3 -c "{fetch}" > /workspace/got')

    assert json.loads(grounds.run("installing", "cat", "/workspace/got"))["host"] == "setup.example"
    eventually(lambda: grounds.refused("setup.example", "installing"), bool, 30)
    assert grounds.refused("setup.example")


def test_who_is_no_sandbox_does_not_get_to_the_gateway(grounds: Grounds) -> None:
    address = grounds.run("sandbox", "cat", "/etc/resolv.conf").split()[1]
    ask = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"

    for port in ("53", "80", "443"):
        exec_in_open = ("-n", grounds.sandboxes.namespace, "exec", "open", "--", "python3", "-c")
        assert "TimeoutError" in grounds.kubectl.refused(*exec_in_open, ask, address, port)


def test_everything_is_on_record(grounds: Grounds) -> None:
    grounds.site("allowed.example")
    grounds.python("sandbox", FETCH, "http://allowed.example/some/path?key=hidden")

    def records() -> list[dict[str, object]]:
        return [
            *grounds.audit(kind="tls", sni="allowed.example", verdict="allowed"),
            *grounds.audit(kind="http", path="/some/path"),
        ]

    tls, *_, http = eventually(records, lambda found: len({each["kind"] for each in found}) == 2, 30)
    assert (tls["name"], tls["domain"], tls["port"], tls["address"], tls["rule"]) == (
        "attacker", "allowed.example", 443, ALLOWED, "allowed.example",
    )  # fmt: skip
    assert (http["method"], http["host"], http["status"], http["verdict"]) == ("GET", "allowed.example", 200, "allowed")
    assert "hidden" not in json.dumps(grounds.audit())
