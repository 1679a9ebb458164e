from __future__ import annotations

import typing
from math import inf

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.kit import T, exhaustive
from synapse_otel.journal import records as rec

SPAN, ACTIVE = b"12345678", b"0123456789abcdef12345678"

VERSION_1 = {
    "9300cf17979cfe362a000007": rec.SegmentOpened(T, 7),
    "9201cf17979cfe362a0000": rec.RunStarted(T),
    "9502cf17979cfe362a0000a66661696c6564a3776879c0": rec.RunEnded(T, "failed", "why"),
    "9503cf17979cfe362a0000c4083132333435363738c400a46c6f6164": rec.StepStarted(T, SPAN, b"", "load"),
    "9504cf17979cfe362a0000c4083132333435363738a9636f6d706c65746564a0": rec.StepEnded(T, SPAN, "completed"),
    "9805cf17979cfe362a0000c4083132333435363738c400a5747261696e05cb4024000000000000c2": rec.Progress(
        T, SPAN, b"", "train", 5, 10.0
    ),
    "9606cf17979cfe362a0000c400c418303132333435363738396162636465663132333435363738a5747261696e82a46c6f7373"
    "cb3fe0000000000000a16e03": rec.Metrics(T, b"", ACTIVE, "train", {"loss": 0.5, "n": 3}),
    "9907cf17979cfe362a0000c400c400a473617665a4696e666f81a16b93c0c3a176a5612e706e67a474657374": rec.Event(
        T, b"", b"", "save", "info", {"k": [None, True, "v"]}, "a.png", "test"
    ),
    "9808cf17979cfe362a0000c400c400a668c3a96c6c6fa4696e666fc0a4434f4445": rec.Message(
        T, b"", b"", "héllo", "info", None, "CODE"
    ),
    "9609cf17979cfe362a0000c400c400a364657681a178cb7ff0000000000000": rec.DevEvent(T, b"", b"", "dev", {"x": inf}),
    "970acf17979cfe362a0000c4083132333435363738c400aa56616c75654572726f72a3626164a954726163656261636b": (
        rec.ExceptionRecorded(T, SPAN, b"", "ValueError", "bad", "Traceback")
    ),
    "940bcf17979cfe362a0000c400c400": rec.LogEnded(T, b"", b""),
    "930ccf17979cfe362a0000c0": rec.Heartbeat(T),
    "930dcf17979cfe362a000081a96465765f6576656e7403": rec.Dropped(T, {"dev_event": 3}),
    "950ecf17979cfe362a0000a5747261696eae6e657572616c5f6e6574776f726bc3": rec.ActionNamed(
        T, "train", "neural_network", True
    ),
    "940fcf17979cfe362a0000a9636f6d706c65746564a0": rec.Rested(T),
}
"""What this version writes, and every later one reads as this. A line whose record grew moves to the ones below."""

BEFORE_DEFAULTS = {
    "9708cf17979cfe362a0000c400c400a668c3a96c6c6fa4696e666fc0": rec.Message(T, b"", b"", "héllo", "info"),
    "930ecf17979cfe362a0000a5747261696e": rec.ActionNamed(T, "train"),
    "9302cf17979cfe362a0000a66661696c6564": rec.RunEnded(T, "failed"),
    "9402cf17979cfe362a0000a66661696c6564a3776879": rec.RunEnded(T, "failed", "why"),
    "920ccf17979cfe362a0000": rec.Heartbeat(T),
    "9705cf17979cfe362a0000c400c400a5747261696e0102": rec.Progress(T, b"", b"", "train", 1, 2),
    "9708cf17979cfe362a0000c400c400a16da4696e666fa173": rec.Message(T, b"", b"", "m", "info", "s"),
    "9608cf17979cfe362a0000c400c400a16da4696e666f": rec.Message(T, b"", b"", "m", "info"),
}


@pytest.mark.parametrize(("written", "record"), VERSION_1.items(), ids=lambda value: type(value).__name__)
def test_what_version_1_wrote_is_read(written: str, record: rec.AnyRecord) -> None:
    """Bytes that were written long ago are the same record today, and a record is written as the same bytes."""
    assert rec.decode(bytes.fromhex(written)) == record
    assert rec.encode(record).hex() == written


@pytest.mark.parametrize(("written", "record"), BEFORE_DEFAULTS.items())
def test_fields_that_came_later_have_defaults(written: str, record: rec.AnyRecord) -> None:
    """A record from before a field was added is read with the field's default."""
    assert rec.decode(bytes.fromhex(written)) == record


def test_fields_that_come_later_are_passed_over() -> None:
    """A record with more fields than are known is read without them."""
    assert rec.decode(bytes.fromhex("940ccf17979cfe362a0000c0a5747261696e")) == rec.Heartbeat(T)


def test_every_kind_stands_in_the_fixture() -> None:
    """No kind of record is without its version-1 bytes."""
    assert {type(record) for record in VERSION_1.values()} == set(typing.get_args(rec.AnyRecord))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x93\x63\x00\x00",
        bytes.fromhex("9708cf17979cfe362a0000c400c400a1ffa4696e666fc0"),
        bytes.fromhex("9609cf17979cfe362a0000c400c400a36465768191c0"),
        bytes.fromhex("9609cf17979cfe362a0000c400c400a364657681a178ddffffffff"),
        bytes.fromhex("9609cf17979cfe362a0000c400c400a364657681a178") + b"\x91" * 200_000,
    ],
    ids=["empty", "no type", "unknown kind", "not UTF-8", "list as key", "four billion items", "nested without end"],
)
def test_what_is_no_record_is_none(payload: bytes) -> None:
    """Bytes that are no record are told as such, whatever is wrong with them."""
    assert rec.decoded(payload) is None


@given(st.binary(max_size=60))
@exhaustive
def test_any_bytes_are_a_record_or_none(payload: bytes) -> None:
    """Decoding never raises."""
    found = rec.decoded(payload)
    assert found is None or isinstance(found, rec.Record)


def test_a_dev_event_is_known_by_its_bytes() -> None:
    """Whether a payload is a dev event is told without decoding it, for every kind."""
    told = {type(record) for written, record in VERSION_1.items() if rec.is_dev_event(bytes.fromhex(written))}
    assert told == {rec.DevEvent}


@pytest.mark.parametrize(
    ("field", "value"), [("trace_id", b"t" * 15), ("span_id", b""), ("parent_span_id", b"p" * 9), ("resource", [])]
)
def test_an_identity_has_ids_of_the_right_length(field: str, value: object) -> None:
    """Ids of a wrong length do not get past the header, so that nothing behind it has to expect them."""
    fields = {
        "journal_id": "j",
        "job_id": "job",
        "name": "n",
        "trace_id": b"t" * 16,
        "span_id": b"s" * 8,
        "parent_span_id": b"",
        "started": T,
        "resource": {},
    }
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=rec.Identity) == rec.Identity(**fields)  # type: ignore[arg-type]  # values by name
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode({**fields, field: value}), type=rec.Identity)
