from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.kit import T, exhaustive, identity, message, texts
from synapse_otel.journal import format as fmt
from synapse_otel.journal.records import Heartbeat, SegmentOpened, decoded, encode

IDENTITY = identity("0123456789abcdef" * 2)
VERSION_1 = bytes.fromhex(
    "53594e4f54454c0a01000000bb00000072ee00af89aa6a6f75726e616c5f6964d9203031323334353637383961626364656630313233"
    "343536373839616263646566a66a6f625f6964a56a6f622d31a46e616d65a5747261696ea874726163655f6964c41074747474747474"
    "747474747474747474a77370616e5f6964c4087373737373737373ae706172656e745f7370616e5f6964c400a773746172746564cf17"
    "979cfe362a0000a87265736f7572636581ac736572766963652e6e616d65a6706c7567696ea6776f726b6572c2"
    "0c00000001a2be7c9300cf17979cfe362a0000070b000000a1f995b6920ccf17979cfe362a0000"
)
"""A segment of version 1. Never change it: every later version reads it."""

MESSAGES = [f"message {number} " + "x" * (number * 7 % 40) for number in range(12)]
FRAMES = [fmt.pack_frame(encode(message(text))) for text in MESSAGES]
DATA = b"".join(FRAMES)


def read(data: bytes) -> list[str | None]:
    """Return the texts of the messages in `data`, None for each damaged one."""
    found = [decoded(frame.payload) if frame.payload else None for frame in fmt.frames(data)]
    return [texts([record])[0] if record else None for record in found]


def test_what_version_1_wrote_is_read() -> None:
    """A segment that was written long ago is the same today; what has no new fields is written as the same bytes."""
    found, start = fmt.unpack_header(VERSION_1, "it")
    records = [decoded(frame.payload or b"") for frame in fmt.frames(VERSION_1[start:])]
    assert (found, records) == (IDENTITY, [SegmentOpened(T, 7), Heartbeat(T)])
    assert VERSION_1.startswith(fmt.pack_header(IDENTITY) + fmt.pack_frame(encode(SegmentOpened(T, 7))))


def header(
    version: int = fmt.VERSION, magic: bytes = fmt.MAGIC, body: bytes = b"\x80", size: int | None = None
) -> bytes:
    prefix = struct.pack("<8sHHI", magic, version, 0, len(body) if size is None else size)
    return prefix + struct.pack("<I", zlib.crc32(prefix + body)) + body


@pytest.mark.parametrize(
    ("data", "error", "reason"),
    [
        (
            header(version=2),
            fmt.NewerFormatError,
            "it: the journal has format version 2, this synapse-otel reads up to 1: upgrade synapse-otel to read it",
        ),
        (b"", fmt.DamagedHeaderError, "it: expected a segment header of 20 bytes, got 0"),
        (header()[:19], fmt.DamagedHeaderError, "it: expected a segment header of 20 bytes, got 19"),
        (
            header(magic=b"PK\3\4PK\3\4"),
            fmt.DamagedHeaderError,
            "it: expected the magic b'SYNOTEL\\n', got b'PK\\x03\\x04PK\\x03\\x04'",
        ),
        (header(size=2**32 - 1), fmt.DamagedHeaderError, "it: the header is damaged"),
        (header()[:-1] + b"\x81", fmt.DamagedHeaderError, "it: the header is damaged"),
        (
            header(),
            fmt.DamagedHeaderError,
            "it: the identity in the header is not readable: Object missing required field `journal_id`",
        ),
        (
            header(body=b"\x81\xa1\xff\x00"),
            fmt.DamagedHeaderError,
            "it: the identity in the header is not readable: Object missing required field `journal_id`",
        ),
    ],
    ids=["newer", "empty", "short", "magic", "length bomb", "crc", "identity", "not UTF-8"],
)
def test_a_header_that_cannot_be_read_says_why(data: bytes, error: type[Exception], reason: str) -> None:
    """A newer version is told from damage, and the message says what was expected and what came."""
    with pytest.raises(fmt.JournalError) as caught:
        fmt.unpack_header(data, "it")
    assert (type(caught.value), str(caught.value)) == (error, reason)


def test_every_version_before_is_read() -> None:
    """A smaller version number is no error."""
    body = fmt.pack_header(IDENTITY)[fmt.HEADER_PREFIX :]
    assert fmt.unpack_header(header(version=0, body=body), "it") == (IDENTITY, fmt.HEADER_PREFIX + len(body))


def test_a_flipped_bit_in_a_header_is_damage_and_no_newer_version() -> None:
    """Whichever bit of the header is flipped, it is damaged: the version and the length are covered by the CRC."""
    whole = fmt.pack_header(IDENTITY)
    for place in range(len(whole) * 8):
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        with pytest.raises(fmt.DamagedHeaderError):
            fmt.unpack_header(bytes(data), "it")


def test_frames_are_read_up_to_where_they_are_cut() -> None:
    """Truncated at any byte: what is whole before it is read, and nothing else."""
    ends = [len(b"".join(FRAMES[: number + 1])) for number in range(len(FRAMES))]
    for cut in range(len(DATA) + 1):
        assert read(DATA[:cut]) == MESSAGES[: sum(end <= cut for end in ends)]


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
@exhaustive
def test_a_flipped_byte_costs_at_most_its_own_record(place: int, flip: int) -> None:
    """One damaged byte, in length, CRC or record: every other record is read, and the place of the lost one known."""
    data = bytearray(DATA)
    data[place] ^= flip
    hit = sum(len(b"".join(FRAMES[: number + 1])) <= place for number in range(len(FRAMES)))
    lost: list[str | None] = [None] if hit < len(FRAMES) - 1 else []
    found = read(bytes(data))
    assert found in ([*MESSAGES[:hit], *lost, *MESSAGES[hit + 1 :]], MESSAGES)


def test_a_damaged_length_costs_nothing() -> None:
    """Where only the length of a frame is damaged, the record is read all the same, even if the length is zero."""
    begin = len(b"".join(FRAMES[:3]))
    for length in (0, 1, 2**24, 2**32 - 1):
        assert read(DATA[:begin] + struct.pack("<I", length) + DATA[begin + 4 :]) == MESSAGES


@given(st.integers(0, len(DATA)), st.binary(max_size=300))
@exhaustive
def test_a_stretch_of_garbage_costs_what_it_covers(place: int, garbage: bytes) -> None:
    """Any bytes over any stretch: what was before and behind is read in order, and nothing is invented."""
    data = DATA[:place] + garbage + DATA[place + len(garbage) :]
    found = [text for text in read(data) if text is not None]
    starts = [len(b"".join(FRAMES[:number])) for number in range(len(FRAMES))]
    untouched = [
        text
        for text, start, frame in zip(MESSAGES, starts, FRAMES, strict=True)
        if start + len(frame) <= place or start >= place + len(garbage)
    ]
    assert [text for text in MESSAGES if text in found] == found
    assert set(untouched) <= set(found)


@given(st.binary(max_size=400))
@exhaustive
def test_any_bytes_can_be_read(data: bytes) -> None:
    """No bytes make the reader raise or read beyond them."""
    assert all(0 < frame.end <= len(data) for frame in fmt.frames(data))


def test_a_record_that_is_too_large_is_no_record() -> None:
    """A length over the limit is damage even where the CRC matches, so that no reader has to hold it."""
    huge = fmt.pack_frame(b"\x92\x0c" + b"x" * fmt.MAX_RECORD)
    assert [frame.payload for frame in fmt.frames(huge + FRAMES[0])] == [None, FRAMES[0][8:]]


def test_zeros_are_the_end() -> None:
    """The part of a segment that is not written yet holds no frame."""
    assert read(DATA + bytes(100_000)) == MESSAGES
    assert (fmt.frame_size(b""), fmt.frame_size(bytes(20)), fmt.frame_size(FRAMES[0])) == (0, 0, len(FRAMES[0]))
