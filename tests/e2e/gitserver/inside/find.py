"""Prints which of some words stand in what a guest packed; runs in a sandbox, with the libzstd that dpkg needs."""

import ctypes
import sys
from pathlib import Path

SIZE = 1 << 20


class Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer, which are alike."""

    _fields_ = (("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("position", ctypes.c_size_t))


def unpacked(content: bytes) -> bytes:
    zstd = ctypes.CDLL("libzstd.so.1")
    zstd.ZSTD_createDStream.restype = ctypes.c_void_p
    zstd.ZSTD_decompressStream.restype = ctypes.c_size_t
    stream = ctypes.c_void_p(zstd.ZSTD_createDStream())
    given = Buffer(ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p), len(content), 0)
    room, plain = ctypes.create_string_buffer(SIZE), b""
    while given.position < given.size:
        made = Buffer(ctypes.cast(room, ctypes.c_void_p), SIZE, 0)
        code = zstd.ZSTD_decompressStream(stream, ctypes.byref(made), ctypes.byref(given))
        if zstd.ZSTD_isError(ctypes.c_size_t(code)):
            raise SystemExit("this is no pack")
        plain += room.raw[: made.position]
    return plain


if __name__ == "__main__":
    found = unpacked(Path(sys.argv[1]).read_bytes())
    print(*(word for word in sys.argv[2:] if word.encode() in found))
