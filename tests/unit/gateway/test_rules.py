"""A sandbox reaches the names it is allowed, by the ports it is allowed, and no name that merely looks like them."""

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from sandkeeper.api.egress import AddressGrant, EgressGrant
from sandkeeper.gateway import reasons
from sandkeeper.gateway.rules import SLOTS, Rules, assigned_slots, normal_name

NOW = 1_000.0


def reached(rules: Rules, host: str, port: int = 443, now: float = NOW) -> str:
    verdict = rules.verdict(host, port, now)
    return verdict.rule or verdict.reason


def test_a_host_is_reached_by_the_ports_of_the_web_and_nothing_else_is() -> None:
    rules = Rules(EgressGrant(domains=("api.openai.com",)))
    assert reached(rules, "api.openai.com", 443) == reached(rules, "api.openai.com", 80) == "api.openai.com"
    assert reached(rules, "api.openai.com", 22) == reasons.PORT_NOT_ALLOWED
    for other in ("openai.com", "x.api.openai.com", "api.openai.com.evil.example", "evilapi.openai.com"):
        assert reached(rules, other) == reasons.NOT_ALLOWED


def test_a_wildcard_is_of_whole_labels_below_and_never_of_the_suffix_itself() -> None:
    rules = Rules(EgressGrant(domains=("*.supabase.co",)))
    assert reached(rules, "a.supabase.co") == reached(rules, "a.b.supabase.co") == "*.supabase.co"
    assert reached(rules, "supabase.co") == reached(rules, "evilsupabase.co") == reasons.NOT_ALLOWED


def test_a_port_limits_a_host_and_another_pattern_may_add_one() -> None:
    rules = Rules(EgressGrant(domains=("github.com:443", "github.com:22", "*.com:80")))
    assert [reached(rules, "github.com", port) for port in (443, 22, 80, 8080)] == [
        "github.com:443",
        "github.com:22",
        "*.com:80",
        reasons.PORT_NOT_ALLOWED,
    ]


def test_names_of_setup_are_reached_until_it_is_over() -> None:
    grant = EgressGrant(domains=("a.example",), setup=("b.example",), setup_until=datetime.fromtimestamp(NOW, UTC))
    rules = Rules(grant)
    assert reached(rules, "b.example", now=NOW - 1) == "b.example"
    assert rules.resolves("b.example", NOW - 1)
    assert reached(rules, "b.example", now=NOW) == reasons.NOT_ALLOWED
    assert not rules.resolves("b.example", NOW)
    assert reached(rules, "a.example", now=NOW - 1) == "a.example"


@pytest.mark.parametrize(
    ("written", "normal"),
    [("API.OpenAI.com.", "api.openai.com"), ("xn--bcher-kva.example", "xn--bcher-kva.example"), ("_x.a", "_x.a")],
)
def test_names_have_one_form(written: str, normal: str) -> None:
    assert normal_name(written) == normal


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("127.0.0.1", reasons.IP_LITERAL),
        ("127.0.0.1.", reasons.IP_LITERAL),
        ("0x7f000001", reasons.IP_LITERAL),
        ("2130706433", reasons.IP_LITERAL),
        ("a.0x1", reasons.IP_LITERAL),
        ("[::1]", reasons.IP_LITERAL),
        ("::1", reasons.IP_LITERAL),
        ("", reasons.BAD_NAME),
        ("a..b", reasons.BAD_NAME),
        ("a.b..", reasons.BAD_NAME),
        ("-a.b", reasons.BAD_NAME),
        ("a b.c", reasons.BAD_NAME),
        ("a.b\n", reasons.BAD_NAME),
        ("bücher.example", reasons.BAD_NAME),
        ("\N{KELVIN SIGN}.example", reasons.BAD_NAME),
        ("a" * 64 + ".b", reasons.BAD_NAME),
        (".".join(["abc"] * 64), reasons.BAD_NAME),
    ],
)
def test_what_is_no_name_is_told_from_an_address(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        normal_name(name)


def test_hosts_that_share_a_port_have_slots_of_their_own() -> None:
    grant = EgressGrant(domains=("a.example:22", "b.example:22", "c.example:5432", "a.example:5432", "d.example"))
    rules = Rules(grant)
    assert [rules.slot(f"{host}.example") for host in "abcd"] == [0, 1, 1, 0]
    assert rules.host_at(1, 22) == "b.example"
    assert rules.host_at(1, 5432) == "c.example"
    assert rules.host_at(2, 22) is None
    assert rules.host_at(0, 443) is None


def test_more_hosts_than_slots_leave_the_last_without_one() -> None:
    hosts = [f"h{number}.example" for number in range(SLOTS + 1)]
    assert assigned_slots(f"{host}:22" for host in hosts) == {host: slot for slot, host in enumerate(hosts[:SLOTS])}


def test_private_addresses_are_granted_by_port() -> None:
    cidrs = (AddressGrant(cidr="10.1.0.0/16", ports=(5432,)), AddressGrant(cidr="fd00::/8"))
    rules = Rules(EgressGrant(cidrs=cidrs))
    assert rules.grants_address(ip_address("10.1.2.3"), 5432)
    assert not rules.grants_address(ip_address("10.1.2.3"), 443)
    assert not rules.grants_address(ip_address("10.2.2.3"), 5432)
    assert rules.grants_address(ip_address("fd00::1"), 1)
