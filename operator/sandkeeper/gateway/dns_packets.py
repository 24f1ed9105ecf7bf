"""Packets of DNS: reads what a question is of, and writes what it is answered; pure, and given anything at all.

A name is a host only if its labels, as they are on the wire, are a host's: no dot within one, no escape, no byte that
a comparison might take for another. An answer is never larger than its question by much.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdata
import dns.rrset
from dns.opcode import Opcode
from dns.rcode import Rcode
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

from sandkeeper.gateway import reasons
from sandkeeper.gateway.rules import normal_name

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER_BYTES: Final = 12
MOST_QUESTION_BYTES: Final = 1024
"""Of a whole packet: the longest name takes 255, and no option of EDNS that a stub sends takes much more."""
PAYLOAD: Final = 1232
LEAST_PAYLOAD: Final = 512
MOST_STREAM_BYTES: Final = 65_535
SECONDS: Final = 5
"""How long an answer may be kept: a change of what is allowed is soon seen."""
MOST_TEXT: Final = 253
_KEPT: Final = 2048
_FLAGS: Final = dns.flags.RD | dns.flags.CD
# An authority for all there is: short, and no sandbox needs to know more.
_NOTHING: Final = dns.rrset.from_text(".", SECONDS, "IN", "SOA", f". . 1 3600 600 86400 {SECONDS}")
_REFUSED_KINDS: Final = frozenset({RdataType.AXFR, RdataType.IXFR})


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What was asked; each is equal to itself alone.

    Attributes
    ----------
    message
        Packet as it was read; without a question if it has none that can be read.
    rcode
        NOERROR for what can be judged by name; anything else is the answer.
    host
        As `rules.normal_name` gives it; empty for what is none.
    reason
        One of `reasons`, why there is no host.
    """

    message: dns.message.Message
    rcode: Rcode
    host: str = ""
    reason: str = ""

    @property
    def kind(self) -> RdataType:
        """Type that was asked for."""
        return self.message.question[0].rdtype

    @property
    def text(self) -> str:
        """The name for a record: bounded, and in printable ASCII."""
        if self.host or not self.message.question:
            return self.host
        return self.message.question[0].name.to_text(omit_final_dot=True)[:MOST_TEXT]


def read(wire: bytes) -> Question | None:
    """Read a packet; None for one that gets no answer: an answer itself, or less than a header.

    Its identity is not looked at: the same packet with another one is the same question.
    """
    if len(wire) < HEADER_BYTES or wire[2] & 0x80:
        return None
    opcode = dns.opcode.from_flags(int.from_bytes(wire[2:4], "big"))
    if opcode != Opcode.QUERY:
        return _unread(wire, opcode, Rcode.NOTIMP)
    if len(wire) > MOST_QUESTION_BYTES:
        return _unread(wire, opcode, Rcode.FORMERR)
    return _read_query(wire[2:])


def write(
    question: Question, rcode: Rcode, addresses: Sequence[str] = (), *, identity: bytes, stream: bool = False
) -> bytes:
    """Write an answer.

    Parameters
    ----------
    rcode
        NXDOMAIN, and NOERROR without addresses, say that there is nothing.
    addresses
        Of one family.
    identity
        First two bytes of the packet that is answered.
    stream
        Whether it goes by TCP, where no size is too large.
    """
    return identity + _write(question, rcode, tuple(addresses), stream)


def of_kind(addresses: Sequence[str], kind: RdataType) -> tuple[str, ...]:
    """Choose the addresses that answer a question of a type: of one family, and none for other types.

    ANY is answered with one family (RFC 8482).
    """
    families = {RdataType.A: [each for each in addresses if ":" not in each]}
    families[RdataType.AAAA] = [each for each in addresses if ":" in each]
    families[RdataType.ANY] = families[RdataType.A] or families[RdataType.AAAA]
    return tuple(families.get(kind, ()))


@lru_cache(_KEPT)
def _read_query(tail: bytes) -> Question:
    wire = bytes(2) + tail
    try:
        message = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return _unread(wire, Opcode.QUERY, Rcode.FORMERR)
    if not _is_plain(message, wire):
        return _unread(wire, Opcode.QUERY, Rcode.FORMERR)
    asked = message.question[0]
    if message.edns > 0:
        return Question(message, Rcode.BADVERS)
    if asked.rdclass != RdataClass.IN or asked.rdtype in _REFUSED_KINDS:
        return Question(message, Rcode.REFUSED)
    try:
        return Question(message, Rcode.NOERROR, _host(asked.name))
    except ValueError as error:
        return Question(message, Rcode.NOERROR, reason=str(error))


def _is_plain(message: dns.message.Message, wire: bytes) -> bool:
    """Whether a packet asks one thing, by a name that is written out: another could not be given back as it came."""
    if len(message.question) != 1 or message.answer or message.authority:
        return False
    return wire.startswith(message.question[0].name.to_wire() or b"\xff", HEADER_BYTES)


def _host(name: dns.name.Name) -> str:
    labels = name.labels[:-1]
    if any(b"." in label or not label.isascii() for label in labels):
        raise ValueError(reasons.BAD_NAME)
    return normal_name(b".".join(labels).decode("ascii"))


def _unread(wire: bytes, opcode: Opcode, rcode: Rcode) -> Question:
    message = dns.message.Message(0)
    message.set_opcode(opcode)
    message.flags |= int.from_bytes(wire[2:4], "big") & _FLAGS
    return Question(message, rcode)


@lru_cache(_KEPT)
def _write(question: Question, rcode: Rcode, addresses: tuple[str, ...], stream: bool) -> bytes:
    asked = question.message
    response = dns.message.Message(0)
    response.flags = dns.flags.QR | dns.flags.RA | (asked.flags & _FLAGS)
    response.set_opcode(asked.opcode())
    response.question = list(asked.question)
    if asked.edns >= 0:
        response.use_edns(0, asked.ednsflags & dns.flags.DO, PAYLOAD)
    response.set_rcode(rcode)
    if addresses:
        name = asked.question[0].name
        records = [dns.rdata.from_text("IN", "AAAA" if ":" in each else "A", each) for each in addresses]
        response.answer.append(dns.rrset.from_rdata_list(name, SECONDS, records))
    elif rcode in (Rcode.NOERROR, Rcode.NXDOMAIN):
        response.authority.append(_NOTHING)
    payload = min(max(asked.payload, LEAST_PAYLOAD), PAYLOAD)
    size = MOST_STREAM_BYTES if stream else payload
    return response.to_wire(max_size=size, prefer_truncation=True)[2:]
