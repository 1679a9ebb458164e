"""Plain data as attributes: nested on log records, flat with dotted keys on spans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from opentelemetry.attributes import BoundedAttributes

Scalar: TypeAlias = str | bool | int | float
Attributes: TypeAlias = Mapping[str, Any]

_INT64 = range(-(2**63), 2**63)
_RESERVED = "level"


@dataclass(frozen=True, slots=True)
class AttributeLimits:
    """OpenTelemetry's limits: how many attributes, how long a string in one, how many events a span holds."""

    count: int = 128
    value_length: int | None = None
    events: int = 100


DEFAULT_LIMITS = AttributeLimits()
"""The limits where the environment sets none."""


def flat(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return `data` with dotted keys and values that a span can hold: scalars, or sequences of one scalar type."""
    return dict(_flatten("", data))


def nested(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return `data` as attributes of a log record, which may be nested."""
    return {_named(key): _fitting(value) for key, value in data.items()}


def bounded(attributes: Attributes, limits: AttributeLimits) -> Attributes:
    """Return `attributes` within `limits`; what was dropped is counted as the SDK counts it."""
    if len(attributes) <= limits.count and limits.value_length is None:
        return attributes
    return BoundedAttributes(limits.count, dict(attributes), immutable=True, max_value_len=limits.value_length)


def _named(key: str) -> str:
    # Loki takes an attribute called `level` for the severity, so a plugin's own never leaves under that name.
    return f"data.{key}" if key == _RESERVED else key


def _flatten(prefix: str, data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        name = f"{prefix}.{key}" if prefix else _named(key)
        if isinstance(value, dict) and value:
            yield from _flatten(name, value)
        else:
            yield name, _flat_value(value)


def _flat_value(value: Any) -> Any:
    if isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return _fitting(value)
    if value is None:
        return "null"
    if isinstance(value, list) and _is_uniform(value):
        return tuple(_fitting(item) for item in value)
    return msgspec.json.encode(value).decode()


def _is_uniform(items: list[Any]) -> bool:
    types = {type(item) for item in items}
    return len(types) <= 1 and types <= {str, bool, int, float} and all(_fits(item) for item in items)


def _fits(value: Any) -> bool:
    return not isinstance(value, int) or value in _INT64


def _fitting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _fitting(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_fitting(item) for item in value]
    return value if _fits(value) else str(value)
