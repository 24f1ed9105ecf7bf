"""When a splice ends: what real sockets show only with luck, played on transports that do as they are told."""

import asyncio

import pytest

from sandkeeper.gateway import reasons
from sandkeeper.gateway.splice import Half, Splice

HIGH_WATER = 65_536


class Wire(asyncio.Transport):
    """A transport that keeps what is written until the test takes it."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: asyncio.BaseProtocol = Half()
        self.unsent = 0
        self.closed = self.reading = self.gone = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.unsent += len(data)
        if self.unsent > HIGH_WATER:
            self.protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write_eof(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.closed = True
        if not self.unsent:
            self.abort()

    def abort(self) -> None:
        self.closed = True
        if not self.gone:
            self.gone = True
            self.protocol.connection_lost(None)


class Joined:
    """A splice of two wires, and how often it was said to be over, with which reasons."""

    def __init__(self, early: bytes = b"", first: bytes = b"hello") -> None:
        self.client, self.upstream, self.half, self.ends = Wire(), Wire(), Half(), list[str]()
        self.upstream.protocol = self.half
        self.half.connection_made(self.upstream)
        if early:
            self.half.data_received(early)
        self.splice = Splice(self.client, self.half, first, self.ends.append)

    def sweep(self, seconds: float) -> None:
        self.splice.sweep(seconds, idle=3600.0, linger=60.0)


def test_what_a_server_says_before_it_is_joined_is_kept_and_counted() -> None:
    joined = Joined(early=b"SSH-2.0")
    assert (joined.client.unsent, joined.upstream.unsent) == (7, 5)
    assert (joined.splice.up, joined.splice.down, joined.upstream.reading) == (5, 7, True)


def test_a_side_that_cannot_be_written_to_stops_the_other_from_being_read() -> None:
    joined = Joined()
    joined.splice.pause_writing()
    assert (joined.upstream.reading, joined.client.reading) == (False, True)
    joined.half.pause_writing()
    assert (joined.upstream.reading, joined.client.reading) == (False, False)
    joined.splice.resume_writing()
    assert (joined.upstream.reading, joined.client.reading) == (True, False)


@pytest.mark.parametrize(("early", "first"), [(b"x" * 70_000, b"hello"), (b"SSH-2.0", b"x" * 70_000)])
def test_what_is_too_much_before_the_two_are_joined_stops_its_side_as_well(early: bytes, first: bytes) -> None:
    joined = Joined(early, first)
    assert joined.upstream.reading == (len(early) < HIGH_WATER)
    assert joined.client.reading == (len(first) < HIGH_WATER)


def test_a_side_that_took_nothing_before_the_two_are_joined_stops_the_other_from_being_read() -> None:
    """As where an upgrade was asked for with a body that the host did not take."""
    client, half, ends = Wire(), Half(), list[str]()
    half.connection_made(Wire())
    half.pause_writing()
    client.reading = True
    splice = Splice(client, half, b"", ends.append)
    assert not client.reading
    half.resume_writing()
    assert client.reading
    splice.cut("")


def test_a_client_that_takes_what_is_left_for_it_may_go_on_and_one_that_does_not_is_cut() -> None:
    joined = Joined()
    joined.half.data_received(b"x" * 1000)
    joined.sweep(3000.0)
    joined.upstream.abort()
    joined.sweep(3100.0)
    joined.client.unsent = 500
    joined.sweep(3159.0)
    joined.sweep(3218.0)
    assert joined.ends == []
    joined.sweep(3219.0)
    assert joined.ends == [reasons.TIMEOUT]


def test_two_sides_that_have_ended_are_not_waited_for_as_if_they_were_idle() -> None:
    joined = Joined()
    joined.half.data_received(b"x" * 1000)
    joined.half.eof_received()
    joined.splice.eof_received()
    joined.sweep(0.0)
    joined.sweep(60.0)
    assert joined.ends == [reasons.TIMEOUT]


def test_idle_counts_from_the_last_byte_in_either_direction() -> None:
    joined = Joined()
    joined.sweep(0.0)
    joined.splice.data_received(b"x")
    joined.sweep(3000.0)
    joined.half.data_received(b"x")
    joined.sweep(6000.0)
    joined.sweep(9599.0)
    assert joined.ends == []
    joined.sweep(9600.0)
    assert joined.ends == [reasons.TIMEOUT]


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_the_end_is_told_once_and_only_when_both_are_gone(first: str) -> None:
    joined = Joined()
    joined.half.data_received(b"x")
    wires = {"client": joined.client, "upstream": joined.upstream}
    wires.pop(first).abort()
    assert joined.ends == []
    (other,) = wires.values()
    assert other.closed
    other.abort()
    joined.splice.cut(reasons.POLICY_CHANGED)
    assert joined.ends == [""]


def test_a_server_that_is_gone_before_it_is_joined_still_said_what_it_said() -> None:
    client, half, ends = Wire(), Half(), list[str]()
    half.connection_made(Wire())
    half.data_received(b"too many")
    half.connection_lost(None)
    Splice(client, half, b"hello", ends.append)
    assert (client.unsent, client.closed, ends) == (8, True, [])
    client.unsent = 0
    client.abort()
    assert ends == [""]


def test_the_first_reason_to_cut_stays() -> None:
    joined = Joined()
    joined.splice.cut(reasons.SANDBOX_GONE)
    joined.splice.cut(reasons.DRAINED)
    assert joined.ends == [reasons.SANDBOX_GONE]
