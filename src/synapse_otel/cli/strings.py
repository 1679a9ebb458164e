"""The strings of plain data whose keys are our own: there, what comes from a run is in the strings alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def in_strings(change: Callable[[str], str], value: Any) -> Any:
    """Return plain data with every string in it changed, and the keys of its mappings as they are."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: in_strings(change, item) for key, item in value.items()}
    return [in_strings(change, item) for item in value] if isinstance(value, list | tuple) else value
