"""The whole gateway, as sandboxes meet it: who is asking decides what is reached, whatever happens around it."""

import socket
import time

import pytest

from api.gateway.conftest import StartGateway
from api.gateway.gateway_process import GatewayProcess
from api.gateway.sandboxes import Sandboxes, new_address
from api.gateway.site import NAMES, RAW_PORT, Site
from api.operator.proxy import answered
from api.operator.waiting import eventually
from sandkeeper.runtime.resource import CORE_EVENTS, EVENTS

REFUSED = "TLSV1_UNRECOGNIZED_NAME"
NOBODY = "TLSV1_ALERT_ACCESS_DENIED"
"""What a source hears that is no sandbox's."""


def ended(connection: socket.socket) -> bool:
    """Whether a connection has been ended by the other side, within a minute."""
    connection.settimeout(60)
    try:
        return connection.recv(100) == b""
    except ConnectionError:
        return True


@pytest.fixture
def gateway(start_gateway: StartGateway) -> GatewayProcess:
    """A gateway that is ready."""
    return start_gateway()


def test_what_a_sandbox_reaches_is_told_by_where_it_comes_from(gateway: GatewayProcess, sandboxes: Sandboxes) -> None:
    one = sandboxes.create("one", "allowed.test")
    two = sandboxes.create("two", "other.test", "*.wild.test")

    assert [one.says(name) for name in NAMES] == ["welcome", REFUSED, REFUSED]
    assert [two.says(name) for name in NAMES] == [REFUSED, "welcome", "welcome"]
    assert sandboxes.client(new_address()).says("allowed.test") == NOBODY


def test_names_lead_to_the_gateway_or_nowhere(
    gateway: GatewayProcess, sandboxes: Sandboxes, slots: dict[int, str], outside: Site
) -> None:
    raw = [f"{name}:{RAW_PORT}" for name in ("allowed.test", "other.test")]
    one = sandboxes.create("one", *raw)
    asked = len(outside.names.asked)

    assert one.resolve("allowed.test") == ("NOERROR", [slots[0]])
    assert one.resolve("other.test", tcp=True) == ("NOERROR", [slots[1]])
    assert one.resolve("allowed.test", "TXT") == ("NOERROR", [])
    assert one.resolve("secret.evil.test") == ("NXDOMAIN", [])
    assert sandboxes.client(new_address()).resolve("allowed.test") == ("REFUSED", [])
    assert len(outside.names.asked) == asked


def test_requests_tunnels_and_ports_without_names_go_by_the_same_rules(
    gateway: GatewayProcess, sandboxes: Sandboxes
) -> None:
    one = sandboxes.create("one", "allowed.test", f"other.test:{RAW_PORT}")

    assert one.get("allowed.test") == (200, "page")
    assert one.get("other.test")[0] == 403
    assert one.tunnel("allowed.test", 443) == (200, "welcome")
    assert one.tunnel("other.test", 443)[0] == 403
    with one.nameless(slot=0, index=1) as raw:
        assert raw.recv(100) == b"welcome"
    with one.nameless(slot=1, index=1) as raw:
        assert raw.recv(100) == b""


def test_a_policy_that_changes_is_in_force_at_once_for_what_is_open_too(
    gateway: GatewayProcess, sandboxes: Sandboxes
) -> None:
    one = sandboxes.create("one", "allowed.test")
    with one.tls("allowed.test") as secured:
        assert secured.recv(100) == b"welcome"

        sandboxes.allow("one", "other.test")

        assert ended(secured)
    assert one.says("allowed.test") == REFUSED
    assert one.says("other.test") == "welcome"
    (cut,) = eventually(lambda: gateway.records(reason="policy-changed"), "record of what was cut")
    assert (cut["domain"], cut["verdict"]) == ("allowed.test", "allowed")
    eventually(lambda: gateway.metric("sandkeeper_gateway_policy_lag_seconds_count"), "measured change")


def test_a_recycled_address_never_speaks_for_its_old_owner(gateway: GatewayProcess, sandboxes: Sandboxes) -> None:
    old = sandboxes.create("old", "allowed.test")
    assert old.says("allowed.test") == "welcome"

    sandboxes.create("new", "other.test", address=old.address)
    # Both claim it: it is nobody's.
    assert eventually(lambda: old.says("allowed.test") == NOBODY, "address that is nobody's")
    assert old.says("other.test") == NOBODY
    sandboxes.delete("old", grace=30)

    assert eventually(lambda: old.says("other.test") == "welcome", "address of the new one")
    assert old.says("allowed.test") == REFUSED
    sandboxes.report("new", old.address, "Failed")
    assert eventually(lambda: old.says("other.test") == NOBODY, "address that is nobody's")


def test_a_first_packet_that_is_faster_than_the_news_waits_for_it(
    start_gateway: StartGateway, sandboxes: Sandboxes
) -> None:
    start_gateway(wait_seconds=10)
    one = sandboxes.create("one", "allowed.test", address="")

    with one.connect(10443) as early:
        early.sendall(b"\x16")
        sandboxes.report("one", one.address)

        assert one.says("allowed.test") == "welcome"


def test_a_worker_that_is_killed_is_replaced_and_the_others_go_on(
    gateway: GatewayProcess, sandboxes: Sandboxes
) -> None:
    one = sandboxes.create("one", "allowed.test")
    before = {each.pid for each in gateway.workers}
    victim = gateway.workers[0]

    victim.kill()

    eventually(lambda: gateway.ready and {each.pid for each in gateway.workers} - before, "another worker")
    assert [one.says("allowed.test") for _ in range(20)] == ["welcome"] * 20
    assert one.says("other.test") == REFUSED


def test_a_gateway_that_cannot_see_the_apiserver_keeps_what_it_knew(
    gateway: GatewayProcess, sandboxes: Sandboxes
) -> None:
    one = sandboxes.create("one", "allowed.test")
    assert one.says("allowed.test") == "welcome"
    gateway.proxy.harm(lambda _: True, answered(503, "ServiceUnavailable"), times=None)
    gateway.proxy.cut_watches()

    two = sandboxes.create("two", "allowed.test")

    assert one.says("allowed.test") == "welcome"
    assert one.says("other.test") == REFUSED
    assert two.says("allowed.test") == NOBODY
    assert gateway.ready
    # A worker of that time knows as much as the one before it.
    before = {each.pid for each in gateway.workers}
    for each in gateway.workers:
        each.kill()
    eventually(lambda: gateway.ready and not before & {each.pid for each in gateway.workers}, "other workers")
    assert (one.says("allowed.test"), two.says("allowed.test")) == ("welcome", NOBODY)
    gateway.proxy.heal()
    assert eventually(lambda: two.says("allowed.test") == "welcome", "news of the second one")


def test_a_restarted_gateway_denies_until_it_knows_everything(
    start_gateway: StartGateway, sandboxes: Sandboxes
) -> None:
    one = sandboxes.create("one", "allowed.test")
    gateway = start_gateway(begin=False)
    gateway.proxy.harm(lambda call: call.what == "list pods", answered(503, "ServiceUnavailable"), times=None)

    gateway.begin()

    eventually(lambda: gateway.probe("readyz") == (503, "pods are not listed yet"), "answer that names what is missing")
    with pytest.raises(ConnectionRefusedError):
        one.connect(10443)
    gateway.proxy.heal()
    eventually(lambda: gateway.ready, "ready gateway")
    assert one.says("allowed.test") == "welcome"


def test_everything_is_recorded_counted_and_told(gateway: GatewayProcess, sandboxes: Sandboxes, outside: Site) -> None:
    one = sandboxes.create("one", "allowed.test")
    began = time.time()

    one.says("allowed.test")
    one.says("other.test")
    one.get("allowed.test", "/page?secret=no")

    (reached,) = eventually(lambda: gateway.records(kind="tls", verdict="allowed"), "record of what was reached")
    assert (reached["namespace"], reached["name"], reached["sni"]) == (sandboxes.namespace, "one", "allowed.test")
    assert (reached["address"], reached["rule"]) == (outside.address, "allowed.test")
    assert reached["bytesUp"] > 0 < reached["bytesDown"]
    (denied,) = eventually(lambda: gateway.records(kind="tls", verdict="denied"), "record of what was refused")
    assert (denied["domain"], denied["reason"]) == ("other.test", "domain-not-allowed")
    (page,) = eventually(lambda: gateway.records(kind="http"), "record of the page")
    assert (page["method"], page["status"], page["host"]) == ("GET", 200, "allowed.test")
    assert page["path"].startswith("/page")

    def notes() -> list[str]:
        events = sandboxes.api.list(CORE_EVENTS, sandboxes.namespace)["items"]
        return [each["message"] for each in events if each["involvedObject"]["name"] == "one"]

    assert eventually(notes, "Event") == ["Denied other.test:443 (once): not in spec.egress.domains."]
    regarding = [each["regarding"]["kind"] for each in sandboxes.api.list(EVENTS, sandboxes.namespace)["items"]]
    assert regarding == ["Sandbox"]
    uid = sandboxes.pod_uid("one")
    assert eventually(lambda: gateway.activity().get(uid), "activity") >= began - 1
    connections = "sandkeeper_gateway_connections_total"
    eventually(lambda: gateway.metric(connections, kind="tls", verdict="allowed") == 1, "count of what was reached")
    assert gateway.metric(connections, kind="tls", reason="domain-not-allowed") == 1


def test_a_long_connection_is_activity_while_it_lasts(gateway: GatewayProcess, sandboxes: Sandboxes) -> None:
    one = sandboxes.create("one", "allowed.test")
    uid = sandboxes.pod_uid("one")
    with one.tls("allowed.test") as secured:
        secured.recv(100)
        first = eventually(lambda: gateway.activity().get(uid), "activity")

        secured.sendall(b"more")

        assert eventually(lambda: gateway.activity()[uid] > first, "later activity")


def test_a_gateway_that_is_told_to_stop_lets_open_connections_end(
    gateway: GatewayProcess, sandboxes: Sandboxes
) -> None:
    one = sandboxes.create("one", "allowed.test")
    with one.tls("allowed.test") as secured:
        secured.recv(100)

        gateway.terminate()

        eventually(lambda: gateway.probe("readyz") == (503, "the gateway is stopping"), "word that it is stopping")
        eventually(lambda: one.says("allowed.test") == "closed", "end of new connections")
        secured.sendall(b"still here")
        assert secured.recv(100) == b"still here"
    assert gateway.stop() == 0
    assert gateway.records(sni="allowed.test", verdict="allowed", reason="")
