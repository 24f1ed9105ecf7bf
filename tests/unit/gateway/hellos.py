"""ClientHellos: as real programs send them (`CORPUS`: the first bytes), and built by hand, to be wrong in one thing."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

CORPUS = {each.stem: each.read_bytes() for each in sorted((Path(__file__).parent / "corpus").glob("*.bin"))}


def vector(width: int, content: bytes) -> bytes:
    return len(content).to_bytes(width) + content


def server_name(name: bytes, kind: int = 0) -> bytes:
    return vector(2, bytes([kind]) + vector(2, name))


def hello(
    name: bytes | None = b"api.example.com",
    extensions: Iterable[tuple[int, bytes]] = (),
    *,
    version: bytes = b"\x03\x03",
    session: bytes = bytes(32),
    suites: bytes = b"\x13\x01\x13\x02",
    compressions: bytes = b"\x00",
) -> bytes:
    """Build the body of a ClientHello."""
    named = [] if name is None else [(0, server_name(name))]
    block = b"".join(kind.to_bytes(2) + vector(2, content) for kind, content in [*named, *extensions])
    head = version + bytes(range(32)) + vector(1, session) + vector(2, suites) + vector(1, compressions)
    return head + vector(2, block)


def message(body: bytes, kind: int = 1) -> bytes:
    return bytes([kind]) + vector(3, body)


def records(content: bytes, *cuts: int, kind: int = 22, version: bytes = b"\x03\x01") -> bytes:
    """Put a handshake message into records that end at these places."""
    ends = [0, *cuts, len(content)]
    return b"".join(bytes([kind]) + version + vector(2, content[start:end]) for start, end in pairwise(ends))


def payload(data: bytes) -> bytes:
    """Take the contents out of records."""
    contents = b""
    while len(data) >= 5:
        end = 5 + int.from_bytes(data[3:5])
        contents, data = contents + data[5:end], data[end:]
    return contents
