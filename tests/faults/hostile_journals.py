"""Journals as no writer of ours leaves them, each written into a directory that is there."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from journal.kit import T, identity, message
from synapse_otel.journal import format as fmt
from synapse_otel.journal import records as rec
from synapse_otel.journal.cursor import SIGNALS, Cursor
from synapse_otel.journal.directory import JournalPath

SECOND = 1_000_000_000
LARGEST = 2**64 - 1
HUGE = 10 * 2**30
"""Bytes of a sparse file, which takes none on the disk."""


def frame(*fields: Any) -> bytes:
    """A record of any fields in a frame that is whole."""
    return fmt.pack_frame(msgspec.msgpack.encode(fields))


def header(**fields: Any) -> bytes:
    """The header of a segment, with fields of the identity that its type does not allow."""
    body = msgspec.msgpack.encode({**msgspec.structs.asdict(identity("a" * 32, name="hostile")), **fields})
    return header_of(body)


def header_of(body: bytes, size: int | None = None) -> bytes:
    prefix = struct.pack("<8sHHI", fmt.MAGIC, fmt.VERSION, 0, len(body) if size is None else size)
    return prefix + struct.pack("<I", zlib.crc32(body, zlib.crc32(prefix))) + body


def opened(seq: int = 0, **fields: Any) -> bytes:
    """The beginning of a segment."""
    return header(**fields) + frame(0, T, seq)


def records(*found: rec.Record) -> bytes:
    return b"".join(fmt.pack_frame(rec.encode(record)) for record in found)


def nested(depth: int = 100_000) -> bytes:
    """MessagePack of arrays inside one another."""
    return b"\x91" * depth + b"\x00"


def written(path: JournalPath, *segments: bytes, size: int = 0) -> None:
    """Write segments; the last one is sparse up to `size`."""
    for index, content in enumerate(segments, 1):
        path.segment(index).write_bytes(content)
    if size:
        os.truncate(path.segment(len(segments)), size)


def _segments(*contents: bytes, size: int = 0) -> Callable[[JournalPath], None]:
    return lambda path: written(path, *contents, size=size)


def _records(*found: rec.Record, **fields: Any) -> Callable[[JournalPath], None]:
    return _segments(opened(**fields) + records(*found))


def _cursor(cursor: Cursor, *, as_it_is: bytes = b"") -> Callable[[JournalPath], None]:
    def write(path: JournalPath) -> None:
        written(path, opened() + records(message("a"), message("b")))
        body = as_it_is or msgspec.msgpack.encode(cursor)
        for signal in SIGNALS:
            path.cursor(signal).write_bytes(zlib.crc32(body).to_bytes(4, "little") + body)

    return write


def _cursor_of(**fields: Any) -> Callable[[JournalPath], None]:
    return _cursor(Cursor(), as_it_is=msgspec.msgpack.encode({**msgspec.structs.asdict(Cursor()), **fields}))


def _planted(name: str, plant: Callable[[Path], object]) -> Callable[[JournalPath], None]:
    def write(path: JournalPath) -> None:
        written(path, opened() + records(message("a")))
        (path.path / name).unlink(missing_ok=True)
        plant(path.path / name)

    return write


def _sparse(file: Path) -> None:
    file.touch()
    os.truncate(file, HUGE)


def _many_segments(path: JournalPath) -> None:
    written(path, opened())
    for index in range(2, 202):
        path.segment(index).touch()


def _alive(count: int, step: int) -> Iterable[rec.Record]:
    return (rec.Heartbeat(T + number * step) for number in range(count))


_CANDIDATE = struct.pack("<II", 0x3F000, 1) + b"\x92\x00"
_TORN = b"\xff" * 9
_STEP = bytes(range(8))
_LONG = "x" * 200_000

FORGED: dict[str, Callable[[JournalPath], None]] = {
    "header that says to be 4 GiB": _segments(header_of(b"", 2**32 - 1), size=HUGE),
    "header of nested arrays": _segments(header_of(nested())),
    "header of a map of maps": _segments(header_of(b"\x81\xa1a" * 300_000)),
    "sparse": _segments(opened() + records(message("a")), size=HUGE),
    "sparse in the middle": lambda path: (
        written(path, opened() + records(message("a"))),
        os.truncate(path.segment(1), HUGE),
        path.segment(2).write_bytes(opened(1) + records(message("b"))),
    ),  # type: ignore[func-returns-value,return-value]  # a write in a lambda
    "nothing but sparse": _segments(b"", size=HUGE),
    "frame that says to be 4 GiB": _segments(opened() + b"\xff" * 8 + records(message("a")), size=HUGE),
    "beginnings of records": _segments(opened() + b"\x92\x00" * 2**18, opened(1)),
    "what may be frames": _segments(opened() + _CANDIDATE * (2**19 // len(_CANDIDATE)), opened(1)),
    "torn again and again": _segments(opened() + (_TORN + records(rec.RunStarted(T))) * 8_000),
    "200 segments": _many_segments,
    "nested data": _segments(opened() + fmt.pack_frame(b"\x97\x07\x00\xc4\x00\xc4\x00\xa1a\xa4info" + nested())),
    "wrong types": _segments(
        opened() + frame(8, T, 1, 2, 3, 4) + frame(6, T, b"", b"", "c", [1]) + frame(99, T) + frame([], T) + frame(5)
    ),
    "texts that are none": _segments(opened() + fmt.pack_frame(b"\x96\x08\x00\xc4\x00\xc4\x00\xa2\xff\xfe\xa4info")),
    "times without end": _segments(opened() + frame(8, LARGEST, b"", b"", "a", "info") + frame(12, -1)),
    "the end of time": _records(message("a", t=2**63 - 1), rec.RunEnded(2**63 - 1, "completed")),
    "sequence numbers without end": _segments(opened(LARGEST) + frame(0, T, 2**63) + records(message("a"))),
    "dropped without end": _segments(
        opened() + b"".join(frame(13, T, {"message": count, "x": 1}) for count in (LARGEST, 2**63, -(2**63), 2**61) * 9)
    ),
    "begun at the end of time": _records(message("a"), started=LARGEST),
    "begun before time": _records(message("a"), started=-(2**63)),
    "begun at no time": _records(message("a"), started="now"),
    "resource of huge numbers": _records(message("a"), resource={"a": LARGEST, "b": -(2**63), "c": float("nan")}),
    "long job": _records(*(rec.Metrics(T, b"", b"", "c", {"a": 1}) for _ in range(1000)), job_id="j" * 500_000),
    "long name": _records(*_alive(500, 61 * SECOND), name="n" * 500_000),
    "odd ids": _records(message("a"), journal_id="../../etc", parent_span_id=b"\0" * 8),
    "odd progress": _records(
        *(
            rec.Progress(T, b"", b"", "c", current, total)
            for current in (0, -1, LARGEST, float("nan"), float("inf"), 1e308)
            for total in (0, -1, LARGEST, float("nan"), float("inf"), 1e-308)
        )
    ),
    "progress of nothing": _records(rec.Progress(T, b"", b"", "c", 0, 0)),
    "odd counts": _segments(
        opened()
        + frame(12, T, {"accepted": LARGEST, "delivered": -(2**63), "": 1})
        + frame(2, T, "completed", "", {"pending": LARGEST})
    ),
    "odd status and level": _records(
        rec.Message(T, b"", b"", "a", "x" * 1000), rec.StepEnded(T, b"", "y" * 1000), rec.RunEnded(T, "z" * 1000)
    ),
    "long category": _records(rec.Metrics(T, b"", b"", _LONG, {f"{key}": key for key in range(1500)})),
    "long step": _records(
        rec.StepStarted(T, _STEP, b"", _LONG), *(rec.Message(T, _STEP, b"", "a", "info") for _ in range(1000))
    ),
    "many categories": _records(
        *(rec.Progress(T, b"", b"", f"{number}", 1, 2) for number in range(300)), *_alive(100, 61 * SECOND)
    ),
    "position behind the end": _cursor_of(position=(1, 2**60, 5)),
    "position that no number is": _cursor_of(position=(LARGEST, LARGEST, LARGEST)),
    "position before the beginning": _cursor_of(position=(-1, -1, -1)),
    "counts without end": _cursor_of(passed={"message": LARGEST}, dropped={"x": 2**63}, dead_lettered={"y": -1}),
    "a request without end": _cursor_of(ends=((1, 2**40, 2**61),)),
    "a request over segments without end": _cursor_of(ends=((2**31 - 2, 0, 5),)),
    "requests without end": _cursor_of(ends=[(1, 1, 1)] * 300_000),
    "answers without end": _cursor_of(answers=[None] * 500_000),
    "state that is none": _cursor_of(state=nested()),
    "large state": _cursor_of(
        state=msgspec.msgpack.encode({"steps": {number.to_bytes(8, "big"): "a" for number in range(300_000)}})
    ),
    "cursor of nested arrays": _cursor(Cursor(), as_it_is=nested()),
}


PLANTED: dict[str, Callable[[JournalPath], None]] = {
    f"{name} that is {what}": _planted(name, plant)
    for name in ("00000001.seg", "traces.cursor", "ship.lock", "dead-letters.jsonl")
    for what, plant in {
        "a pipe": os.mkfifo,
        "a directory": os.mkdir,
        "a link to an endless device": lambda file: file.symlink_to("/dev/zero"),
        "sparse": _sparse,
    }.items()
    if not (name.endswith("lock") and what == "sparse")
}


def plant_all(root: Path, journals: Mapping[str, Callable[[JournalPath], None]]) -> list[str]:
    """Write journals under a journal directory, each as a run of its own; return the runs' names."""
    runs = []
    for number, (what, write) in enumerate(journals.items()):
        run = root / f"{''.join(char if char.isalnum() else '-' for char in what)}~{number:016x}"
        path = JournalPath(run / f"{number:032x}")
        path.path.mkdir(parents=True, mode=0o700)
        write(path)
        runs.append(run.name)
    return runs
