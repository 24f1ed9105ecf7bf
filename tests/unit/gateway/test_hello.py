"""The parser of ClientHellos: what real programs send, what is wrong in one thing, and whatever else may come."""

import ssl
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.gateway import reasons
from sandkeeper.gateway.hello import MOST_RECORDS, Hello, HelloError, HelloReader, parse

from .hellos import CORPUS, hello, message, payload, records, server_name, vector

ECH = 0xFE0D
EXPECTED = {
    "openssl-no-name": reasons.NO_SNI,
    "openssl-address": reasons.IP_LITERAL,
    "go-encrypted": reasons.ENCRYPTED_HELLO,
}
NAMED = [data for name, data in CORPUS.items() if name not in EXPECTED]


def answer(data: bytes) -> str | None:
    """Give the name, the reason why not, or None for too little."""
    try:
        found = parse(data)
    except HelloError as error:
        return error.reason
    return None if found is None else found.server_name


@pytest.mark.parametrize("program", CORPUS)
def test_what_programs_send_is_understood(program: str) -> None:
    assert answer(CORPUS[program]) == EXPECTED.get(program, "api.example.com")


BODY = hello()
WRONG = {
    "not TLS": (b"GET / HTTP/1.1\r\n\r\n", reasons.BAD_HELLO),
    "SSH": (b"SSH-2.0-OpenSSH_9.9\r\n", reasons.BAD_HELLO),
    "one byte that is not TLS": (b"G", reasons.BAD_HELLO),
    "a hello of SSL 2": (b"\x80\x2e\x01\x03\x01" + bytes(43), reasons.BAD_HELLO),
    "an alert": (b"\x15\x03\x01\x00\x02\x01\x00", reasons.BAD_HELLO),
    "a record of another version": (records(message(BODY), version=b"\x02\x00"), reasons.BAD_HELLO),
    "an empty record": (records(b"") + records(message(BODY)), reasons.BAD_HELLO),
    "an empty record in the middle": (records(message(BODY), 9, 9), reasons.BAD_HELLO),
    "a record that is too long": (b"\x16\x03\x01\x40\x01", reasons.BAD_HELLO),
    "another kind of record in between": (
        records(message(BODY)[:9]) + b"\x14\x03\x01\x00\x01\x01",
        reasons.BAD_HELLO,
    ),
    "another message": (records(message(BODY, kind=2)), reasons.BAD_HELLO),
    "a message behind it in the same record": (records(message(BODY) + message(BODY)), reasons.BAD_HELLO),
    "a message longer than any": (records(b"\x01\x01\x00\x00" + bytes(100)), reasons.BAD_HELLO),
    "too many records": (records(message(BODY), *range(1, MOST_RECORDS + 1)), reasons.BAD_HELLO),
    "a version before TLS": (records(message(hello(version=b"\x02\x00"))), reasons.BAD_HELLO),
    "a session that is too long": (records(message(hello(session=bytes(33)))), reasons.BAD_HELLO),
    "no suites": (records(message(hello(suites=b""))), reasons.BAD_HELLO),
    "half a suite": (records(message(hello(suites=b"\x13\x01\x13"))), reasons.BAD_HELLO),
    "no compression": (records(message(hello(compressions=b""))), reasons.BAD_HELLO),
    "a body that ends too early": (records(message(BODY[:-1])), reasons.BAD_HELLO),
    "bytes behind the extensions": (records(message(BODY + b"\x00")), reasons.BAD_HELLO),
    "half an extension": (records(message(hello(None)[:-2] + vector(2, b"\x00\x00\x00"))), reasons.BAD_HELLO),
    "two names by two extensions": (
        records(message(hello(extensions=[(0, server_name(b"other.example.com"))]))),
        reasons.BAD_HELLO,
    ),
    "another extension twice": (records(message(hello(extensions=[(16, b""), (16, b"")]))), reasons.BAD_HELLO),
    "two names in one list": (
        records(message(hello(None, [(0, vector(2, (b"\x00" + vector(2, b"a.example.com")) * 2))]))),
        reasons.BAD_HELLO,
    ),
    "no name in the list": (records(message(hello(None, [(0, vector(2, b""))]))), reasons.BAD_HELLO),
    "an empty extension for the name": (records(message(hello(None, [(0, b"")]))), reasons.BAD_HELLO),
    "another kind of name": (records(message(hello(None, [(0, server_name(b"a", kind=1))]))), reasons.BAD_HELLO),
    "bytes behind the list": (
        records(message(hello(None, [(0, server_name(b"a.example.com") + b"\x00")]))),
        reasons.BAD_HELLO,
    ),
    "no name": (records(message(hello(None))), reasons.NO_SNI),
    "no extensions": (records(message(hello(None)[:-2])), reasons.NO_SNI),
    "an empty name": (records(message(hello(b""))), reasons.BAD_NAME),
    "an encrypted hello beside a name": (
        records(message(hello(extensions=[(ECH, b"\x00" + bytes(40))]))),
        reasons.ENCRYPTED_HELLO,
    ),
    "an encrypted hello without a name": (records(message(hello(None, [(ECH, b"")]))), reasons.ENCRYPTED_HELLO),
    "an encrypted name": (records(message(hello(None, [(0xFFCE, b"\x00")]))), reasons.ENCRYPTED_HELLO),
    "an address": (records(message(hello(b"93.184.216.34"))), reasons.IP_LITERAL),
    "an address as one number": (records(message(hello(b"2130706433"))), reasons.IP_LITERAL),
    "an address of IPv6": (records(message(hello(b"2001:db8::1"))), reasons.IP_LITERAL),
    "a zero in the name": (records(message(hello(b"api.example.com\x00.evil.example"))), reasons.BAD_NAME),
    "a name in UTF-8": (records(message(hello("bücher.example".encode()))), reasons.BAD_NAME),
    "a port in the name": (records(message(hello(b"api.example.com:443"))), reasons.IP_LITERAL),
    "a wildcard": (records(message(hello(b"*.example.com"))), reasons.BAD_NAME),
    "an empty label": (records(message(hello(b"api..example.com"))), reasons.BAD_NAME),
    "two dots at the end": (records(message(hello(b"api.example.com.."))), reasons.BAD_NAME),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_in_one_thing_is_refused(case: str) -> None:
    data, reason = WRONG[case]
    assert answer(data) == reason


def test_a_name_is_given_in_its_normal_form() -> None:
    assert parse(records(message(hello(b"API.Example.COM.")))) == Hello("api.example.com")


def test_what_follows_a_hello_is_no_part_of_it() -> None:
    early_data = b"\x17\x03\x03\x00\x03abc"
    assert answer(records(message(BODY)) + early_data) == "api.example.com"


def test_a_hello_of_many_records_is_read_up_to_the_limit() -> None:
    assert answer(records(message(BODY), *range(1, MOST_RECORDS))) == "api.example.com"


def test_no_more_is_read_than_may_be() -> None:
    large = records(message(hello(extensions=[(21, bytes(2000))])))
    assert HelloReader(most_bytes=4096).feed(large) == Hello("api.example.com")
    with pytest.raises(HelloError, match=reasons.BAD_HELLO):
        HelloReader(most_bytes=2000).feed(large[:100])


@given(st.binary(max_size=600))
def test_whatever_comes_is_a_name_or_a_refusal(data: bytes) -> None:
    for start in (b"", b"\x16\x03\x01", records(message(BODY)[:4]), records(message(BODY)[:60])):
        assert answer(start + data) in {None, "api.example.com"} | reasons.ALL


@given(st.binary(max_size=300), st.binary(max_size=100))
def test_whatever_a_hello_holds_is_a_name_or_a_refusal(body: bytes, block: bytes) -> None:
    assert answer(records(message(body))) in reasons.ALL
    assert answer(records(message(hello(None)[:-2] + vector(2, block)))) in reasons.ALL


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Cut something up."""
    places = draw(st.lists(st.integers(0, len(data)), max_size=40))
    return [data[start:end] for start, end in pairwise([0, *sorted(places), len(data)])]


@given(st.data())
def test_how_a_hello_is_cut_up_changes_nothing(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([*CORPUS.values(), records(message(BODY), 1, 3, 40, 77)]))
    expected = answer(whole)
    reader, found = HelloReader(), set()
    for piece in data.draw(cut(whole)):
        try:
            found |= {read.server_name if (read := reader.feed(piece)) else None}
        except HelloError as error:
            found |= {error.reason}
    assert found - {None} == {expected}
    assert bytes(reader.seen) == whole


@pytest.mark.parametrize("program", CORPUS)
def test_a_hello_is_not_judged_before_its_last_byte(program: str) -> None:
    whole = CORPUS[program]
    assert {answer(whole[:end]) for end in range(len(whole))} == {None}


@given(st.lists(st.integers(1, len(message(BODY)) - 1), unique=True, max_size=MOST_RECORDS - 1).map(sorted))
def test_how_a_hello_is_put_into_records_changes_nothing(ends: list[int]) -> None:
    assert answer(records(message(BODY), *ends)) == "api.example.com"


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Change, add or take away a few bytes of a real hello."""
    data = bytearray(draw(st.sampled_from(NAMED)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        data[start : start + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data)


@given(mutated())
def test_no_mutation_gives_a_name_that_is_not_there(data: bytes) -> None:
    found = answer(data)
    if found is not None and found not in reasons.ALL:
        assert found.encode() in payload(data).lower()


def names_read_by_openssl(data: bytes) -> list[str]:
    """Ask a server that has no certificate, and so gets no further than the name."""
    names: list[str] = []
    server, incoming = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.MemoryBIO()
    server.sni_callback = lambda _socket, name, _context: names.append(str(name))
    incoming.write(data)
    with pytest.raises(ssl.SSLError):
        server.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True).do_handshake()
    return names


def test_openssl_reads_the_name_of_a_real_hello() -> None:
    assert names_read_by_openssl(CORPUS["curl"]) == ["api.example.com"]


@given(mutated())
def test_openssl_never_reads_another_name(data: bytes) -> None:
    # A hello that a server reads in another way than the gateway would reach what was never judged.
    found = answer(data)
    if found is not None and found not in reasons.ALL:
        assert {name.lower().removesuffix(".") for name in names_read_by_openssl(data)} <= {found}
