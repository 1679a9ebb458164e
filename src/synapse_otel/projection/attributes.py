"""Plain data as attributes: nested on log records, flat with dotted keys on spans.

Nothing that a plugin gives is lost on the way: a key that cannot stay as it is gets another name, and a value that OTLP
has no type for becomes text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from opentelemetry.attributes import BoundedAttributes

from synapse_otel.projection import names

Attributes: TypeAlias = Mapping[str, Any]
Pairs: TypeAlias = Iterable[tuple[str, Any]]

_INT64 = range(-(2**63), 2**63)
_MAX_DEPTH = 24
"""Levels of nesting on the wire: each takes three messages, and protobuf parsers give up at 100 by default."""

_PLAIN_ITEMS = 129
"""Items of the largest mapping that a record holds: 128 (`values.Limits`), and the mark of what was cut."""


@dataclass(frozen=True, slots=True)
class AttributeLimits:
    """OpenTelemetry's limits: how many attributes, how long a string in one, how many events a span holds."""

    count: int = 128
    value_length: int | None = None
    events: int = 100


DEFAULT_LIMITS = AttributeLimits()
"""The limits where the environment sets none."""


class Kept(NamedTuple):
    """Attributes within the limits, and how many were dropped for them."""

    values: dict[str, Any]
    dropped: int = 0


class _Shortened(BoundedAttributes):
    """Attributes that tell the encoder how many of them were dropped."""

    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self._kept = kept.values
        self.dropped = kept.dropped

    def __getitem__(self, key: str) -> Any:
        return self._kept[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield `data` with dotted keys and values that a span can hold: scalars, or sequences of one scalar type."""
    for key, value in data.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _flat_value(value)


def nested(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield `data` as attributes of a log record, which may be nested."""
    for key, value in data.items():
        yield key, _nested_value(value)


def distinct(pairs: Pairs) -> dict[str, Any]:
    """Return `pairs` as a mapping; of a name that comes again, the later ones are called ``<name>#2`` and so on."""
    named: dict[str, Any] = {}
    for key, value in pairs:
        named[_unique(key, named)] = value
    return named


def limited(data: Pairs, own: dict[str, Any], limits: AttributeLimits) -> Kept:
    """Return a plugin's attributes and our own ones, within `limits`.

    Our own keep their names and are never dropped. A plugin's attribute whose name is taken or empty, or is `level`,
    which Loki takes for the severity, is called `data.<name>`, and if there are several, `<name>#2` and so on.
    Without any of a plugin's, what is returned may be the very mapping `own`.
    """
    if not data and limits.value_length is None:
        return Kept(own)
    named: dict[str, Any] = {}
    for key, value in data:
        named[_free_name(key, named, own)] = value
    room = _room(len(own), limits.count)
    kept = (named if len(named) <= room else dict(islice(named.items(), room))) | own
    if limits.value_length is not None:
        kept = {key: _shortened(value, limits.value_length) for key, value in kept.items()}
    return Kept(kept, max(0, len(named) - room))


def shown(kept: Kept) -> Attributes:
    """Return attributes as the SDK's data model has them; what was dropped is counted as the SDK counts it."""
    return _Shortened(kept) if kept.dropped else kept.values


def number(value: float) -> int | float:
    """Return a number that OTLP can express: a bool is 0 or 1, an int beyond 64 bits a float."""
    if isinstance(value, int):
        return int(value) if value in _INT64 else _as_float(value)
    return value


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _room(own: int, count: int) -> int:
    # By default nothing of a record gives way to our own; a limit that somebody set is kept to the letter.
    return _PLAIN_ITEMS if count == DEFAULT_LIMITS.count else max(0, count - own)


def _free_name(key: str, taken: Attributes, own: Attributes) -> str:
    if key and key not in own and key not in taken and key.lower() != names.RESERVED:
        return key
    name = names.DATA_PREFIX + key if not key or key in own or key.lower() == names.RESERVED else key
    return _unique(name, taken, own)


def _unique(name: str, *taken: Attributes) -> str:
    unique, number = name, 2
    while any(unique in some for some in taken):
        unique, number = f"{name}#{number}", number + 1
    return unique


def _flat_value(value: Any) -> Any:
    if isinstance(value, list) and (items := _uniform(value)) is not None:
        return items
    if isinstance(value, dict | list):
        return _text(value)
    return "null" if value is None else _nested_value(value)


def _uniform(items: list[Any]) -> tuple[Any, ...] | None:
    """Return `items` as a sequence of one scalar type, None where that would change one of them."""
    types = {type(item) for item in items}
    if types == {int, float} and all(float(item) == item for item in items if type(item) is int):
        return tuple(float(item) for item in items)
    if len(types) > 1 or not types <= {str, bool, int, float} or not all(_fits(item) for item in items):
        return None
    return tuple(items)


def _nested_value(value: Any, depth: int = 0) -> Any:
    if isinstance(value, dict | list) and depth >= _MAX_DEPTH:
        return _text(value)
    if isinstance(value, dict):
        fitting: dict[str, Any] = {}
        for key, item in value.items():
            fitting[_unique(str(key) or names.DATA_PREFIX, fitting)] = _nested_value(item, depth + 1)
        return fitting
    if isinstance(value, list):
        return [_nested_value(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool | str | float):
        return value
    return value if isinstance(value, int) and _fits(value) else str(value)


def _fits(value: Any) -> bool:
    return not isinstance(value, int) or value in _INT64


def _text(value: dict[str, Any] | list[Any]) -> str:
    # Not msgspec's encoder: it makes NaN and infinity null.
    return json.dumps(value, ensure_ascii=False, default=str)


def _shortened(value: Any, length: int) -> Any:
    if isinstance(value, str):
        return value[:length]
    if isinstance(value, dict):
        return {key: _shortened(item, length) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(item, length) for item in value]
    return value
