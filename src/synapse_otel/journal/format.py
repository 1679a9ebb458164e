"""The journal's file format, version 1.

A journal is a sequence of segments, ``00000001.seg``, ``00000002.seg``, ... A segment is a header and frames:

    offset  size  field
    0       8     magic, ``SYNOTEL`` and a newline
    8       2     format version, little endian like every number here
    10      2     zero
    12      4     length L of the identity
    16      4     CRC-32 of the identity
    20      L     identity: MessagePack map, see ``records.Identity``
    20+L    ...   frames, one after another without padding

    frame:  4     length N of the record, never zero
            4     CRC-32 of the record
            N     record: MessagePack array, see ``records``

The first frame of a segment is a ``SegmentOpened``. Whatever follows the last frame is zero: segments are
allocated whole and written through a memory map, so the file is longer than its content while it is written and is
trimmed when it is left.

What a reader may rely on, and what it does:

- Frames are written front to back, each with a single copy. A writer that is killed leaves at most its last frame
  incomplete. While the writer lives, an incomplete frame is one that is just being written: look again later.
- A length of zero, or the end of the file, is the end of the segment for now.
- A frame whose CRC does not match is damaged. If a whole frame follows where the length says so, only that
  record is lost: it is counted and skipped. Otherwise nothing behind it can be trusted, and the segment ends there.
- A version greater than ``VERSION`` is refused with ``NewerFormatError``; older ones are read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from synapse_otel.journal.records import Identity

MAGIC = b"SYNOTEL\n"
VERSION = 1
SUFFIX = ".seg"

_HEADER = struct.Struct("<8sHHII")
_FRAME = struct.Struct("<II")
FRAME_OVERHEAD = _FRAME.size
HEADER_PREFIX = _HEADER.size

MAX_RECORD = 256 * 1024
"""Bytes of the largest record that is written; larger data is cut before."""


class JournalError(Exception):
    """A journal that cannot be read."""


class NewerFormatError(JournalError):
    """A journal that a newer version of this package wrote."""


class DamagedHeaderError(JournalError):
    """A file that does not begin like a segment."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: the record's bytes (None where they are damaged) and the offset behind it."""

    payload: bytes | None
    end: int


def pack_header(identity: Identity) -> bytes:
    """Return the header of a segment that `identity` writes."""
    body = msgspec.msgpack.encode(identity)
    return _HEADER.pack(MAGIC, VERSION, 0, len(body), zlib.crc32(body)) + body


def pack_frame(payload: bytes) -> bytes:
    """Return `payload` as a frame."""
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def unpack_header(data: bytes, source: str) -> tuple[Identity, int]:
    """Return the identity and the offset of the first frame.

    Args:
        data: The beginning of a segment, with the whole header.
        source: What to call the segment in an error.

    Raises:
        NewerFormatError: If the version is greater than ours.
        DamagedHeaderError: If this is not the beginning of a segment.
    """
    if len(data) < HEADER_PREFIX:
        raise DamagedHeaderError(f"{source}: expected a segment header of {HEADER_PREFIX} bytes, got {len(data)}")
    magic, version, _, size, crc = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise DamagedHeaderError(f"{source}: expected the magic {MAGIC!r}, got {magic!r}")
    if version > VERSION:
        raise NewerFormatError(
            f"{source}: the journal has format version {version}, this synapse-otel reads up to {VERSION}: "
            "upgrade synapse-otel to read it"
        )
    end = HEADER_PREFIX + size
    body = data[HEADER_PREFIX:end]
    if len(body) < size or zlib.crc32(body) != crc:
        raise DamagedHeaderError(f"{source}: the identity in the header is damaged")
    try:
        return msgspec.msgpack.decode(body, type=Identity), end
    except msgspec.DecodeError as error:
        raise DamagedHeaderError(f"{source}: the identity in the header is not readable: {error}") from error


def frames(data: bytes) -> Iterator[Frame]:
    """Yield the frames of `data`, which begins at a frame, up to the first that is incomplete or cannot be trusted."""
    offset = 0
    while (payload := _intact(data, offset)) is not None or _skippable(data, offset):
        offset += FRAME_OVERHEAD + _length(data, offset)
        yield Frame(payload, offset)


def frame_size(data: bytes) -> int:
    """Return how many bytes the first frame of `data` needs, zero where there is none."""
    return FRAME_OVERHEAD + _length(data, 0) if _length(data, 0) else 0


def _length(data: bytes, offset: int) -> int:
    if offset + FRAME_OVERHEAD > len(data):
        return 0
    return int(_FRAME.unpack_from(data, offset)[0])


def _intact(data: bytes, offset: int) -> bytes | None:
    if offset + FRAME_OVERHEAD > len(data):
        return None
    size, crc = _FRAME.unpack_from(data, offset)
    start = offset + FRAME_OVERHEAD
    if size == 0 or start + size > len(data):
        return None
    payload = data[start : start + size]
    return payload if zlib.crc32(payload) == crc else None


def _skippable(data: bytes, offset: int) -> bool:
    size = _length(data, offset)
    return size > 0 and _intact(data, offset + FRAME_OVERHEAD + size) is not None
