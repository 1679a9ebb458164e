"""What the collector refused for good: a file of letters, one JSON object a line, each with a request as it was sent.

A record that was refused in parts is several letters; where a part of a request was rejected, one letter stands for
several records; and a crash may repeat a letter. So the letters of a signal that have one `seq`, which follow one
another, stand together for the `records` that any of them names.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from synapse_otel.export.settings import Signal
from synapse_otel.journal.locks import open_private, open_to_read

MOST = 32 * 1024 * 1024
"""Bytes of dead letters that a journal keeps; further ones are only counted."""

_LONGEST = 2 * MOST
"""Bytes of a line that are looked at at once; no letter has as many."""


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was refused.

    Attributes:
        signal: The signal that it carries.
        seq: The sequence number of the record that it comes from, of the last one where it comes from several.
        kind: That record's kind.
        reason: What the collector said.
        request: The request; empty where the record could not be encoded.
        records: How many records it stands for, by kind; one, where it does not say.
    """

    signal: Signal
    seq: int
    kind: str
    reason: str
    request: bytes = b""
    records: dict[str, int] = {}

    @property
    def counted(self) -> Counter[str]:
        """How many records it stands for, by kind."""
        return Counter(self.records or {self.kind: 1})


_decoder = msgspec.json.Decoder(Letter)


def bury(
    file: Path | None,
    signal: Signal,
    seq: int,
    kind: str,
    reason: str,
    body: bytes,
    records: Mapping[str, int] | None = None,
) -> bool:
    """Append a letter, see `Letter`; return whether it is kept. One that is not is counted all the same.

    Args:
        file: Where to, None for a journal that has no disk.
        signal: The signal that the request carries.
        seq: The sequence number of the record that the request comes from.
        kind: That record's kind.
        reason: What the collector said.
        body: The encoded request.
        records: How many records it stands for, by kind; by default one.
    """
    if file is None:
        return False
    counted = dict(records or {kind: 1})
    letter = Letter(signal=signal, seq=seq, kind=kind, reason=reason, request=body, records=counted)
    try:
        with os.fdopen(open_private(file, os.O_RDWR | os.O_CREAT | os.O_APPEND), "rb+", buffering=0) as target:
            size = _checked(target.fileno()).st_size
            # Who died, or met a full disk, in the middle of a letter has left a line without an end.
            torn = size > 0 and os.pread(target.fileno(), 1, size - 1) != b"\n"
            line = b"\n" * torn + encoded(letter)
            return size + len(line) <= MOST and target.write(line) == len(line)
    except OSError:
        return False


def encoded(letter: Letter) -> bytes:
    """Return a letter as a line of the file."""
    sound = letter.reason.encode("utf-8", "replace").decode()  # lone surrogates are no JSON
    return msgspec.json.encode(msgspec.structs.replace(letter, reason=sound)) + b"\n"


def read(file: Path) -> Iterator[tuple[bytes, Letter | None]]:
    """Yield the lines of a file of letters, one at a time, with the letter in each; None where there is none.

    Raises:
        OSError: It cannot be read, or somebody else has written it.
    """
    with os.fdopen(open_to_read(file), "rb") as source:
        _checked(source.fileno())
        while line := source.readline(_LONGEST):
            if line.strip():
                yield line.rstrip(b"\n") + b"\n", _decoded(line)


def _checked(fd: int) -> os.stat_result:
    """Return what is known of an open file, if it is one, and ours."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise OSError("it is no regular file")
    if found.st_uid != os.geteuid():
        raise PermissionError(f"the user {found.st_uid} owns it")
    return found


def _decoded(line: bytes) -> Letter | None:
    with suppress(ValueError, RecursionError):
        return _decoder.decode(line)
    return None


def rejected(kinds: Counter[str], items: int) -> Counter[str]:
    """Return how many records of each of the `kinds` of a request were rejected, of which only the number is said."""
    found = Counter[str]()
    for kind, count in kinds.most_common():
        found[kind] = min(count, items - found.total())
    return +found
