"""The journal's file format, version 1.

A journal is a sequence of segments, ``00000001.seg``, ``00000002.seg``, ... A segment is a header and frames:

    offset  size  field
    0       8     magic, ``SYNOTEL`` and a newline
    8       2     format version, little endian like every number here
    10      2     zero
    12      4     length L of the identity, at most ``MAX_IDENTITY``
    16      4     CRC-32 of the bytes 0 to 15 and the identity
    20      L     identity: MessagePack map, see ``records.Identity``
    20+L    ...   frames, one after another without padding

    frame:  4     length N of the record, never zero, at most ``MAX_RECORD``
            4     CRC-32 of the record
            N     record: MessagePack array that begins with its kind, see ``records``

The first frame of a segment is a ``SegmentOpened``. Whatever follows the last frame is zero: segments are
allocated whole and written through a memory map, so the file is longer than its content while it is written and is
trimmed when it is left. A segment appears under its name with its header and first frame in it, and when it does,
nothing is appended to the one before it any more.

What a reader may rely on, and what it does:

- Frames are written front to back, each with a single copy. A writer that is killed leaves at most its last frame
  incomplete. While the writer lives, an incomplete frame is one that is just being written: look again later.
- A frame is intact when its length is possible and its CRC matches. Where a frame is not, the next intact one is
  looked for. If there is one, what is between is damaged, counted as one record, and skipped; if only the frame's
  length was hit, the CRC of what is between matches, and the record is read all the same. If there is none, this is the
  end of the segment for now.
- The sequence number in the next ``SegmentOpened`` tells how many records damage really took.
- A header that is damaged is skipped like a frame; any other segment says who wrote the journal.
- A file may hold anything, and be of any size. What looks like frames and is none costs time in proportion to its
  length: where there is too much of it, an intact frame behind it may be skipped as well.
- The bytes 0 to 19, and what the CRC in them covers, are the same in every version. A greater version than
  ``VERSION`` is refused with ``NewerFormatError``; older ones are read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Generator, Iterator
from functools import partial
from typing import NamedTuple
from zlib import crc32

import msgspec

from synapse_otel.journal.records import Identity

MAGIC = b"SYNOTEL\n"
VERSION = 1
SUFFIX = ".seg"

_PREFIX = struct.Struct("<8sHHI")
_CRC = struct.Struct("<I")
_FRAME = struct.Struct("<II")
# Behind a frame's length, of which the upper bytes are nearly zero, and its CRC.
_RECORD_BEGINS = re.compile(rb"[\x92-\x9f](?<=[\x00-\x04]\x00.{5})[\x00-\x7f]", re.DOTALL)
# Made at import: msgspec describes a type in steps, and a fork, or another thread, that comes in between crashes.
_decode_identity = msgspec.msgpack.Decoder(Identity).decode
FRAME_OVERHEAD = _FRAME.size
HEADER_PREFIX = _PREFIX.size + _CRC.size

MAX_RECORD = 256 * 1024
"""Bytes of the largest record that is written; larger data is cut before."""


MAX_SEGMENT = 64 * 1024 * 1024
"""Bytes of the largest segment; ours have 8 MiB, and are larger only for a single record."""

MAX_NAME = 2048
"""Characters of the longest name of a job, a run, a step, an event or a category; ours are half as long."""

MAX_IDENTITY = 1024 * 1024
"""Bytes of the largest identity; the environment, which most of it comes from, has less room."""

_CHECKED_PER_BYTE = 16
"""Bytes of what may be frames that are checked for each byte in which an intact one is looked for."""


class JournalError(Exception):
    """A journal that cannot be read."""


class NewerFormatError(JournalError):
    """A journal that a newer version of this package wrote."""


class DamagedHeaderError(JournalError):
    """A file that does not begin like a segment."""


class Frame(NamedTuple):
    """One frame: the record's bytes (None where they are damaged) and the offset behind it."""

    payload: bytes | None
    end: int


_frame = partial(tuple.__new__, Frame)  # what `Frame` does, at half the cost: each record passes here


def pack_header(identity: Identity) -> bytes:
    """Return the header of a segment that `identity` writes."""
    body = msgspec.msgpack.encode(identity)
    prefix = _PREFIX.pack(MAGIC, VERSION, 0, len(body))
    return prefix + _CRC.pack(crc32(body, crc32(prefix))) + body


def pack_frame(payload: bytes) -> bytes:
    """Return `payload` as a frame."""
    return _FRAME.pack(len(payload), crc32(payload)) + payload


def header_size(data: bytes) -> int:
    """Return how many bytes the header at the beginning of `data` says that it has, as far as there can be so many."""
    size = int(_PREFIX.unpack_from(data)[3]) if len(data) >= HEADER_PREFIX else 0
    return HEADER_PREFIX + min(size, MAX_IDENTITY)


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
    magic, version, _, size = _PREFIX.unpack_from(data)
    if magic != MAGIC:
        raise DamagedHeaderError(f"{source}: expected the magic {MAGIC!r}, got {magic!r}")
    end = HEADER_PREFIX + size
    body = data[HEADER_PREFIX:end]
    if len(body) < size or crc32(body, crc32(data[: _PREFIX.size])) != _CRC.unpack_from(data, _PREFIX.size)[0]:
        raise DamagedHeaderError(f"{source}: the header is damaged")
    if version > VERSION:
        raise NewerFormatError(
            f"{source}: the journal has format version {version}, this synapse-otel reads up to {VERSION}: "
            "upgrade synapse-otel to read it"
        )
    try:
        identity = _decode_identity(body)
    except (ValueError, RecursionError) as error:
        raise DamagedHeaderError(f"{source}: the identity in the header is not readable: {error}") from error
    job_id, name = identity.job_id[:MAX_NAME], identity.name[:MAX_NAME]
    return msgspec.structs.replace(identity, job_id=job_id, name=name), end


def frames(data: bytes) -> Iterator[Frame]:
    """Yield the frames of `data`, which begins at a frame, also those behind damage."""
    offset = 0
    while True:
        offset = yield from intact_frames(data, offset)
        following = next_intact(data, offset)
        if following is None:
            return
        yield Frame(salvage(data[offset:following]), following)
        offset = following


def intact_frames(data: bytes, offset: int = 0) -> Generator[Frame, None, int]:
    """Yield the frames of `data` from `offset` on, up to the first that is not intact; return where that begins."""
    unpack, last, length = _FRAME.unpack_from, len(data) - FRAME_OVERHEAD, len(data)
    while offset <= last:
        size, crc = unpack(data, offset)
        start = offset + FRAME_OVERHEAD
        end = start + size
        if not 0 < size <= MAX_RECORD or end > length:
            break
        payload = data[start:end]
        if crc32(payload) != crc:
            break
        yield _frame((payload, end))
        offset = end
    return offset


def next_intact(data: bytes, offset: int = 0) -> int | None:
    """Return where behind `offset` the next intact frame begins, None where there is none."""
    checked = 0
    for match in _RECORD_BEGINS.finditer(data, offset + FRAME_OVERHEAD + 1):
        begin = match.start() - FRAME_OVERHEAD
        if checked > MAX_RECORD + _CHECKED_PER_BYTE * (begin - offset):
            continue
        checked += int(_FRAME.unpack_from(data, begin)[0])
        if next(intact_frames(data, begin), None):
            return begin
    return None


def salvage(data: bytes) -> bytes | None:
    """Return the record of a frame that is exactly `data` but for its length, None where more of it is damaged."""
    payload = data[FRAME_OVERHEAD:]
    intact = 0 < len(payload) <= MAX_RECORD and crc32(payload) == _FRAME.unpack_from(data)[1]
    return payload if intact else None


def frame_size(data: bytes) -> int:
    """Return how many bytes the first frame of `data` says that it has, zero where there is none."""
    size = int(_FRAME.unpack_from(data)[0]) if len(data) >= FRAME_OVERHEAD else 0
    return FRAME_OVERHEAD + size if size else 0
