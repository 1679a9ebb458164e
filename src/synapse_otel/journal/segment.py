"""A segment while it is written."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from synapse_otel.journal.locks import open_private, remove_file


class Segment:
    """A file that was really allocated, mapped into memory, and how far it is filled.

    Nothing fits into one whose capacity is zero.
    """

    __slots__ = ("capacity", "file", "index", "map", "offset")

    def __init__(self, file: Path, mapped: mmap.mmap | None = None, capacity: int = 0) -> None:
        self.file = file
        self.map = mapped
        self.capacity = capacity
        self.offset = 0
        self.index = 0

    @classmethod
    def allocate(cls, file: Path, size: int) -> Segment:
        """Create `file` with `size` bytes.

        Raises:
            OSError: If there is no room for them, or `file` exists.
        """
        fd = open_private(file, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            # Really allocated, so that a full disk is an error here and not a SIGBUS at a store into the map.
            os.posix_fallocate(fd, 0, size)
            return cls(file, mmap.mmap(fd, size), size)
        except BaseException:
            remove_file(file)
            raise
        finally:
            os.close(fd)

    def begin(self, index: int, content: bytes) -> None:
        """Make this the segment `index`, which begins with `content`: a header and frames."""
        assert self.map is not None
        self.map[: len(content)] = content
        self.index, self.offset = index, len(content)

    def content(self) -> bytes:
        """Return what was written."""
        return self.map[: self.offset] if self.map is not None else b""

    def note(self, frame: bytes) -> None:
        """Add a frame, if there is room: one that tells how many records there should be, where damage took some."""
        if self.map is not None and self.offset + len(frame) <= self.capacity:
            self.map[self.offset : self.offset + len(frame)] = frame
            self.offset += len(frame)

    def leave(self) -> None:
        """Cut the file to its content and let go of it."""
        self.capacity = 0
        mapped, self.map = self.map, None
        if mapped is None:
            return
        try:
            mapped.resize(self.offset)
        except OSError:
            pass  # the file stays longer than its content, which readers know
        finally:
            mapped.close()

    def discard(self) -> None:
        """Remove a segment that was never written."""
        self.capacity = 0
        mapped, self.map = self.map, None
        if mapped is not None:
            mapped.close()
        remove_file(self.file)
