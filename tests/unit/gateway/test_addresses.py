"""A name leads to public addresses only, in whatever form others are written, but for what a sandbox was granted."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.api.egress import AddressGrant, EgressGrant
from sandkeeper.gateway.addresses import AddressFilter, forbidden, never
from sandkeeper.gateway.rules import Rules

NOTHING = Rules(EgressGrant())
EVERYTHING = Rules(EgressGrant(cidrs=(AddressGrant(cidr="0.0.0.0/0"), AddressGrant(cidr="::/0"))))

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
    "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.1", "192.167.255.255",
    "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2000::1", "2001:200::1", "2001:4860:4860::8888",
    "2606:4700::1111", "2003::1", "2a00::1", "3ffe::1", "64:ff9b::8.8.8.8",
]  # fmt: skip
GRANTABLE = [
    "10.0.0.0", "10.255.255.255", "100.64.0.1", "100.127.255.255", "172.16.0.1", "172.31.255.255", "192.0.0.1",
    "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.7",
    "203.0.113.9", "240.0.0.1", "255.255.255.254", "fc00::1", "fd12:3456::1", "fdff::1", "fec0::1", "feff::1",
    "2001:db8::1", "2001:2::1", "2001:10::1", "2001:20::1", "3fff::1", "100::1", "4000::1", "5f00::1", "8000::1",
    "64:ff9b::10.0.0.1", "64:ff9b::192.168.1.1", "64:ff9b::100.64.0.1", "64:ff9b::198.18.0.1",
]  # fmt: skip
NEVER = [
    "0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "169.254.0.1", "169.254.169.254", "169.254.170.2",
    "169.254.42.42", "100.100.100.200", "100.96.0.96", "168.63.129.16", "192.0.0.192", "224.0.0.1", "239.255.255.255",
    "255.255.255.255", "::", "::1", "fe80::1", "febf::1", "fe80::a9fe:a9fe", "ff02::1", "ff0e::1", "fd00:ec2::254",
    "fd00:ec2::23", "fd20:ce::254", "fd00:42::42", "fd00:42::1",
    # IPv4 in IPv6: compatible, mapped, translated; also of public addresses, for no resolver gives them.
    "::10.0.0.1", "::8.8.8.8", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8",
    "::ffff:169.254.169.254", "::ffff:0:10.0.0.1", "::ffff:0:a9fe:a9fe",
    # NAT64, 6to4, Teredo, ISATAP.
    "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::168.63.129.16", "64:ff9b::0.0.0.0",
    "64:ff9b::255.255.255.255", "64:ff9b::224.0.0.1", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:ffff::8.8.8.8",
    "2002:a00:1::1", "2002:a9fe:a9fe::", "2002:808:808::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:808:808", "fd00::5efe:a9fe:a9fe",
]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_reached(text: str) -> None:
    assert AddressFilter().refusal(ip_address(text), 443, NOTHING) == ""


@pytest.mark.parametrize("text", GRANTABLE)
def test_an_address_that_is_not_public_is_reached_only_by_who_was_granted_it(text: str) -> None:
    assert AddressFilter().refusal(ip_address(text), 443, NOTHING)
    assert AddressFilter().refusal(ip_address(text), 443, EVERYTHING) == ""


@pytest.mark.parametrize("text", NEVER)
def test_what_belongs_to_the_gateway_its_node_or_no_host_is_not_reached_by_anybody(text: str) -> None:
    assert AddressFilter().refusal(ip_address(text), 443, NOTHING)
    assert AddressFilter().refusal(ip_address(text), 443, EVERYTHING)


def test_a_grant_is_of_its_addresses_and_ports_alone() -> None:
    rules = Rules(EgressGrant(cidrs=(AddressGrant(cidr="10.7.0.0/16", ports=(5432,)),)))
    judge = AddressFilter()
    assert judge.refusal(ip_address("10.7.1.2"), 5432, rules) == ""
    assert judge.refusal(ip_address("10.7.1.2"), 443, rules) == "private"
    assert judge.refusal(ip_address("10.8.1.2"), 5432, rules) == "private"
    assert judge.refusal(ip_address("::ffff:10.7.1.2"), 5432, rules)
    assert judge.refusal(ip_address("64:ff9b::10.7.1.2"), 5432, rules) == "private"


def test_networks_of_the_cluster_are_private_although_their_numbers_are_not() -> None:
    judge = AddressFilter(["34.118.224.0/20", "2600:1900::/28"])
    granted = Rules(EgressGrant(cidrs=(AddressGrant(cidr="34.118.224.10/32"),)))
    for text in ("34.118.224.10", "64:ff9b::34.118.224.10", "2600:1900::7"):
        assert judge.refusal(ip_address(text), 443, NOTHING) == "of the cluster"
    assert judge.refusal(ip_address("34.118.224.10"), 443, granted) == ""
    assert judge.refusal(ip_address("34.118.240.1"), 443, NOTHING) == ""
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        AddressFilter(["10.0.0.1/8"])


ADDRESSES = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    st.sampled_from([*PUBLIC, *GRANTABLE, *NEVER]).map(ip_address),
    st.builds(
        lambda network, bits: ip_network(network)[bits % ip_network(network).num_addresses],
        st.sampled_from(
            ["::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/23", "2002::/16", "fe80::/9"]
        ),
        st.integers(0, 2**128),
    ),
)


@given(ADDRESSES)
def test_nothing_is_public_that_python_does_not_hold_for_global(address: IPv4Address | IPv6Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert forbidden(address) or address in ip_network("64:ff9b::/96")
    if never(address):
        assert forbidden(address)


@given(st.ip_addresses(v=4))
def test_an_address_that_is_carried_is_never_judged_milder_than_itself(carried: IPv4Address) -> None:
    number = int(carried)
    forms = [
        number,
        0xFFFF << 32 | number,
        0xFFFF << 48 | number,
        0x2002 << 112 | number << 80 | 1,
        0x2001_0000 << 96 | 0x0808_0808 << 64 | number ^ 0xFFFF_FFFF,
        0x2606_4700 << 96 | 0x5EFE << 32 | number,
    ]
    assert all(never(IPv6Address(form)) for form in forms)
    nat64 = IPv6Address(0x0064_FF9B << 96 | number)
    assert forbidden(nat64) == forbidden(carried)
    assert never(nat64) == never(carried)
