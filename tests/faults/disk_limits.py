"""Programs whose process may not write, or not so much."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from pathlib import Path

from process_child import begin

_CAP_DAC_OVERRIDE = 1
_PR_CAPBSET_DROP = 24
_CAPABILITY_VERSION_3 = 0x20080522


def nothing() -> None:
    """As usual."""


def small_files() -> None:
    """Write no file that is as long as a segment."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))


def without_permission() -> None:
    """Meet a journal directory that is for somebody else, as root as well."""
    directory = Path(os.environ["SYNAPSE_OTEL_JOURNAL_DIR"])
    directory.mkdir(mode=0o555)
    if os.geteuid() == 0:
        _give_up(_CAP_DAC_OVERRIDE)


def _give_up(capability: int) -> None:
    """Be an ordinary user in this respect, as what is started from here will be."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_VERSION_3, 0))
    sets = ctypes.create_string_buffer(24)
    assert libc.capget(header, sets) == 0
    words = [word & ~(1 << capability) if place < 3 else word for place, word in enumerate(struct.unpack("6I", sets))]
    assert libc.capset(header, struct.pack("6I", *words)) == 0, ctypes.get_errno()


def main(name: str) -> None:
    """Limit the process, then report as usual."""
    globals()[name]()
    run = begin()
    run.calls().make(run.options["calls"], run.options["pause"])
    run.finish()
