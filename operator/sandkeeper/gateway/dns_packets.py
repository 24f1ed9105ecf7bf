"""Packets of DNS: reads what a question is of, and writes what it is answered; pure, and given anything at all.

A name is a host only if its labels, as they are on the wire, are a host's: no dot within one, no escape, no byte that
a comparison might take for another. An answer is never larger than its question by much.
"""

from __future__ import annotations

import struct
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
MOST_QUESTION_BYTES: Final = 512
"""Of a whole packet: the longest name takes 255, and the options of EDNS that a stub sends less than 60."""
_COUNTS: Final = struct.Struct("!4H")
_MOST_ADDITIONAL: Final = 2
"""Records: EDNS and a signature."""
PAYLOAD: Final = 1232
LEAST_PAYLOAD: Final = 512
MOST_STREAM_BYTES: Final = 65_535
SECONDS: Final = 5
"""How long an answer may be kept: a change of what is allowed is soon seen."""
MOST_TEXT: Final = 253
_KEPT: Final = 2048
"""Of what was read and written last: most questions are asked again and again, and cost a hundredth then."""
_REPEATED: Final = dns.flags.RD | dns.flags.CD | 0x7800
"""Flags, and the opcode."""
# An authority for all there is: short, and no sandbox needs to know more.
_NOTHING: Final = dns.rrset.from_text(".", SECONDS, "IN", "SOA", f". . 1 3600 600 86400 {SECONDS}")
_REFUSED_KINDS: Final = frozenset({RdataType.AXFR, RdataType.IXFR})


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What was asked; each is equal to itself alone.

    Attributes
    ----------
    rcode
        NOERROR for what can be judged by name; anything else is the answer.
    flags
        Of the packet, as far as an answer repeats them; with the opcode.
    name, kind, among
        As they were asked for, the last being the class; no name where there is none that can be read.
    payload
        Bytes that the client takes by UDP; 0 for one that does not know EDNS.
    dnssec
        Whether it said that it knows DNSSEC.
    host
        As `rules.normal_name` gives it; empty for what is none.
    reason
        One of `reasons`, why there is no host.
    """

    rcode: Rcode
    flags: int
    name: dns.name.Name | None = None
    kind: RdataType = RdataType.NONE
    among: RdataClass = RdataClass.IN
    payload: int = 0
    dnssec: bool = False
    host: str = ""
    reason: str = ""

    @property
    def text(self) -> str:
        """The name for a record: bounded, and in printable ASCII."""
        if self.host or self.name is None:
            return self.host
        return self.name.to_text(omit_final_dot=True)[:MOST_TEXT]


def read(wire: bytes) -> Question | None:
    """Read a packet; None for one that gets no answer: an answer itself, or less than a header.

    Its identity is not looked at: the same packet with another one is the same question.
    """
    if len(wire) < HEADER_BYTES or wire[2] & 0x80:
        return None
    flags = int.from_bytes(wire[2:4], "big")
    if dns.opcode.from_flags(flags) != Opcode.QUERY:
        return Question(Rcode.NOTIMP, flags & _REPEATED)
    asked, answers, authorities, additional = _COUNTS.unpack_from(wire, 4)
    # Before anything is read: what is not there costs nothing.
    if (asked, answers, authorities) != (1, 0, 0) or additional > _MOST_ADDITIONAL or len(wire) > MOST_QUESTION_BYTES:
        return Question(Rcode.FORMERR, flags & _REPEATED)
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
    flags = int.from_bytes(wire[2:4], "big") & _REPEATED
    try:
        message = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return Question(Rcode.FORMERR, flags)
    asked = message.question[0]
    # A name that points elsewhere is not written by a client, and could not be given back as it came.
    if not wire.startswith(asked.name.to_wire() or b"\xff", HEADER_BYTES):
        return Question(Rcode.FORMERR, flags)
    rcode, host, reason = Rcode.NOERROR, "", ""
    if message.edns > 0:
        rcode = Rcode.BADVERS
    elif asked.rdclass != RdataClass.IN or asked.rdtype in _REFUSED_KINDS:
        rcode = Rcode.REFUSED
    try:
        host = _host(asked.name)
    except ValueError as error:
        reason = str(error)
    payload = max(message.payload, LEAST_PAYLOAD) if message.edns >= 0 else 0
    dnssec = bool(message.ednsflags & dns.flags.DO)
    return Question(rcode, flags, asked.name, asked.rdtype, asked.rdclass, payload, dnssec, host, reason)


def _host(name: dns.name.Name) -> str:
    labels = name.labels[:-1]
    if any(b"." in label or not label.isascii() for label in labels):
        raise ValueError(reasons.BAD_NAME)
    return normal_name(b".".join(labels).decode("ascii"))


@lru_cache(_KEPT)
def _write(question: Question, rcode: Rcode, addresses: tuple[str, ...], stream: bool) -> bytes:
    response = dns.message.QueryMessage(0)
    response.flags = dns.flags.QR | dns.flags.RA | question.flags
    if question.name is not None:
        response.question = [dns.rrset.RRset(question.name, question.among, question.kind)]
    if question.payload:
        response.use_edns(0, dns.flags.DO if question.dnssec else 0, PAYLOAD)
    response.set_rcode(rcode)
    if question.name is not None and addresses:
        records = [dns.rdata.from_text("IN", "AAAA" if ":" in each else "A", each) for each in addresses]
        response.answer.append(dns.rrset.from_rdata_list(question.name, SECONDS, records))
    elif rcode in (Rcode.NOERROR, Rcode.NXDOMAIN):
        response.authority.append(_NOTHING)
    size = MOST_STREAM_BYTES if stream else min(max(question.payload, LEAST_PAYLOAD), PAYLOAD)
    return response.to_wire(max_size=size, prefer_truncation=True)[2:]
