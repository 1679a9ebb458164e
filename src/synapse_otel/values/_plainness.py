"""Tells at a glance what is plain data already: it needs no snapshot where it is encoded at once."""

from collections.abc import Callable, Mapping
from operator import index
from typing import Any

from synapse_otel.values._limits import DEFAULT_LIMITS
from synapse_otel.values._strings import MAX_KEY, module_of, mro_of, short_name, type_name

_NUMBERS = frozenset({int, float, bool})
_SCALARS = _NUMBERS | {type(None)}
_CONTAINERS = frozenset({dict, list, tuple})
_MAX_ITEMS = DEFAULT_LIMITS.max_items
_MAX_STRING = DEFAULT_LIMITS.max_text // _MAX_ITEMS // 2
"""Characters: all strings together stay below the limit of them, also with what is inside of other values."""
_SMALL = 256
"""Values inside of other values that are looked at here; long texts count as several."""
_TEXT = 64
_DEPTH = 4
_NUMPY: dict[str, Callable[[Any], object]] = {
    **dict.fromkeys(("bool", "bool_"), bool),
    **dict.fromkeys(("float16", "float32", "float64"), float),
    **dict.fromkeys(("int8", "int16", "int32", "int64"), index),
}
"""Types of NumPy's scalars that are a number of ours, and what makes it of one, in a tenth of the time of `item`."""

_number_of: dict[type, Callable[[Any], object]] = {}


def plain_at_a_glance(data: dict[Any, Any], verdicts: Mapping[str, bool]) -> dict[str, Any] | None:
    """Returns what `plain` would: `data` itself, or a copy with the numbers of NumPy's scalars; None where it may not.

    That is so for a small mapping of exact built-in types, without secrets or cycles, also nested. Integers and
    strings that cannot be encoded are not looked for: who encodes meets them.

    Args:
        data: A mapping.
        verdicts: Says of a key whether its value is a secret.
    """
    found, room = data, _SMALL
    try:
        for key, item in data.items():
            kind = type(item)
            if type(key) is not str or len(key) > MAX_KEY or verdicts[key]:
                return None
            if kind in _SCALARS:
                continue
            if kind is str:
                if len(item) > _MAX_STRING:
                    return None
            elif kind in _CONTAINERS:
                room = _room(item, key, verdicts, room, _DEPTH)
                if room < 0:
                    return None
            elif number := _number_of.get(kind) or _learn(kind):
                found = data.copy() if found is data else found
                found[key] = number(item)
            else:
                return None
    except Exception:  # noqa: BLE001  # another thread changes the dict, or a type has no hash
        return None
    return found if len(found) <= _MAX_ITEMS else None


def numbers_at_a_glance(values: dict[Any, Any], most: int) -> dict[str, Any] | None:
    """Returns `values` if they are at most so many numbers by name, or numbers by name by name; a copy of what else is.

    What is in other dicts is copied, too, so that the result changes no more than `values` itself does.
    """
    try:
        return _numbers(values, nested=True) if len(values) <= most else None
    except Exception:  # noqa: BLE001  # as above
        return None


def _numbers(values: dict[Any, Any], *, nested: bool) -> dict[str, Any] | None:
    found = values
    for key, item in values.items():
        kind = type(item)
        if type(key) is not str:
            return None
        if kind in _NUMBERS:
            continue
        if kind is dict and nested:
            number: Any = _numbers(item.copy(), nested=False)
        else:
            convert = _number_of.get(kind) or _learn(kind)
            number = convert and convert(item)
        if number is None:
            return None
        found = values.copy() if found is values else found
        found[key] = number
    return found


def _learn(kind: type) -> Callable[[Any], object] | None:
    """Returns how a type of NumPy's scalars becomes a number; None for any other type."""
    if module_of(kind) != "numpy" or short_name(kind) not in _NUMPY:
        return None
    if any(type_name(base) == "numpy.generic" for base in mro_of(kind)):
        _number_of[kind] = _NUMPY[short_name(kind)]
    return _number_of.get(kind)


def _room(container: Any, within: str, verdicts: Mapping[str, bool], room: int, depth: int) -> int:
    """Returns for how many more values there is room behind those of a container; less than none if it is not plain.

    Args:
        container: A dict, list or tuple.
        within: The key under which it stands.
        verdicts: Says of a key whether its value is a secret.
        room: For how many values there is room.
        depth: How many containers may stand inside each other.
    """
    room -= len(container)
    if room < 0 or depth == 0:
        return -1
    keyed = type(container) is dict
    for item in container:
        key = within
        if keyed:
            key, item = item, container[item]  # one loop for all: this is asked at each call
            if type(key) is not str or len(key) > MAX_KEY or verdicts[key] or verdicts[f"{within}.{key}"]:
                return -1
        kind = type(item)
        if kind in _SCALARS:
            continue
        if kind is str:
            room -= len(item) // _TEXT
        elif kind in _CONTAINERS:
            room = _room(item, key, verdicts, room, depth - 1)
        else:
            return -1
        if room < 0:
            return -1
    return room
