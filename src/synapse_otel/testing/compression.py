"""Content encodings of OTLP over HTTP, with a bound on what they may expand to."""

import zlib
from typing import Any

from synapse_otel.testing.answers import Refused, too_large

_PIECE = 4096
"""Bytes that are decompressed at once: what is left of them is copied for each of many small streams in a row."""

_GZIP, _ZLIB, _RAW_DEFLATE = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a content encoding.

    Args:
        body: What was received.
        encoding: The value of Content-Encoding: `gzip`, `deflate`, `identity` or empty.
        limit: The most bytes that may come out.

    Returns:
        The plain body.

    Raises:
        Refused: With 413 if more than `limit` bytes come out, 400 if the body is damaged, 415 for another encoding.
    """
    match encoding.strip().lower():
        case "" | "identity":
            plain = body
        case "gzip" | "x-gzip":
            plain = _inflate(body, _GZIP, limit)
        case "deflate":
            plain = _inflate(body, _ZLIB if _has_zlib_header(body) else _RAW_DEFLATE, limit)
        case other:
            raise Refused(415, f"Content-Encoding {other!r} is none of gzip, deflate, identity")
    if len(plain) > limit:
        raise too_large(len(plain), limit)
    return plain


def _has_zlib_header(body: bytes) -> bool:
    # RFC 1950: method 8 in the low bits, and both bytes together a multiple of 31.
    return len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0


def _inflate(body: bytes, wbits: int, limit: int) -> bytes:
    plain, rest = bytearray(), memoryview(body)
    while True:
        stream = zlib.decompressobj(wbits)
        while rest and not stream.eof:
            piece = rest[:_PIECE]
            plain += _decompressed(stream, piece, limit + 1 - len(plain))
            if len(plain) > limit:
                raise too_large(len(plain), limit)
            rest = rest[len(piece) - len(stream.unused_data) :]
        if not stream.eof:
            raise Refused(400, "the body cannot be decompressed: it ends too early")
        if not rest or wbits != _GZIP:  # only gzip may be several streams in a row
            return bytes(plain)


def _decompressed(stream: Any, piece: memoryview, most: int) -> bytes:
    try:
        return bytes(stream.decompress(piece, most))
    except zlib.error as error:
        raise Refused(400, f"the body cannot be decompressed: {error}") from error
