"""File systems of a test's own, which are really full, read-only or without what others have; root mounts them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(where: Path, kind: str, options: str = "defaults", source: Path | str = "none") -> Iterator[None]:
    """Mount a file system, and take it away whoever uses it still.

    Args:
        where: The directory, which is created.
        kind: Such as `tmpfs`, or `ramfs`, which has no `fallocate`.
        options: What `mount -o` takes.
        source: A device or an image.
    """
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED HERE: file systems of its own, which only root can mount")
    where.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", kind, "-o", options, str(source), str(where)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=True)


def image(file: Path, size: int) -> Path:
    """Make an image of an ext2 file system, which has no `fallocate` either, but an end.

    Args:
        file: Where.
        size: Bytes.
    """
    with file.open("wb") as empty:
        empty.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-t", "ext2", str(file)], check=True)
    return file
