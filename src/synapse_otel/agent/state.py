"""What an agent does, as it says itself, for `doctor` and for people who look."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from synapse_otel.agent.place import AgentPlace, places
from synapse_otel.journal.locks import open_to_read, replace_file

_MOST = 1024 * 1024


class AgentState(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent does.

    Attributes:
        pid: Its process.
        version: Of this package.
        started: Nanoseconds since the Unix epoch.
        endpoints: Where it sends to, without credentials.
        live: How many runs it ships whose processes live.
        left: How many journals it ships whose processes are dead.
        problems: What does not work at the moment.
    """

    pid: int
    version: str
    started: int
    endpoints: list[str]
    live: int = 0
    left: int = 0
    problems: list[str] = []


_decode = msgspec.json.Decoder(AgentState).decode  # made at import, see `journal.cursor`


def save(place: AgentPlace, state: AgentState) -> None:
    """Say what the agent does.

    Raises:
        OSError: If the disk cannot take it.
    """
    replace_file(place.state.with_suffix(".new"), place.state, msgspec.json.format(msgspec.json.encode(state)))


def agents(root: Path) -> list[AgentState]:
    """Return what the agents do that live in a journal directory."""
    return [state for place in places(root) if place.is_taken() and (state := load(place.state)) is not None]


def load(file: Path) -> AgentState | None:
    """Return what the agent says in `file`, None where it says nothing."""
    try:
        with os.fdopen(open_to_read(file), "rb") as source:
            return _decode(source.read(_MOST))
    except (OSError, ValueError):
        return None
