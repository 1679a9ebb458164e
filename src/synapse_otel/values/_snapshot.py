"""The walk over a value: from the outside in, within the limits, marking what it cuts."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from synapse_otel.values._adapters import Elements, Pairs, adapt
from synapse_otel.values._limits import DEFAULT_LIMITS, Limits
from synapse_otel.values._strings import MAX_KEY, clean, clean_key, describe, integer, short_name, type_name

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"

REDACTED = "[REDACTED]"

_CYCLE = "<cycle>"
_CUT_KEY = "…"
_LARGEST = (1 << 63) - 1
_SMALLEST = -(1 << 63)


def plain(value: object, limits: Limits = DEFAULT_LIMITS, is_secret: Callable[[str], bool] | None = None) -> Plain:
    """Returns a snapshot of any value as plain data, which MessagePack can encode and nobody changes later.

    Args:
        value: Anything. Its own code runs only where there is no other way to a text (`repr`, `str` of exceptions,
            the items of a foreign mapping), and may raise there; iterators, files and locks are never consumed.
        limits: How much is kept. What is cut is marked: `…[cut: N characters]` ends a string, `…[cut: N items]` a
            list, a key `…` a mapping; `<depth limit> dict` and `<cycle>` stand for what is too deep or contains itself.
        is_secret: Says of a key whether its value is a secret, at any depth; it is asked about `inner` and about
            `outer.inner`. A secret becomes `[REDACTED]`, unless it is a bool, None or empty: those say that something
            is set, not what it is. A verdict that raises is yes.

    Returns:
        None, bool, int (of 64 bits; the digits of a larger one), float (NaN and infinity too), str, list or dict.

    Note:
        Only what is no `Exception` is raised, such as a KeyboardInterrupt that arrives while the value is looked at.
    """
    try:
        if type(value) is dict:
            flat = _flat(value, limits, is_secret)
            if flat is not None:
                return flat
        return _Walk(limits, is_secret).visit(value)
    except Exception as error:  # noqa: BLE001  # foreign code runs in there
        # The caller stands at the end of the stack, or there is no memory left.
        return clean_key(f"<{type_name(type(value))} (snapshot failed: {short_name(type(error))})>")


def text(value: object, limits: Limits = DEFAULT_LIMITS) -> str:
    """Returns a message or a name as text that can be encoded: a string as it is, of anything else its `str`."""
    if type(value) is str:
        return clean(value, limits.max_string)
    if issubclass(type(value), str | bytes) or type(value) is int:
        return clean(str(adapt(value, limits)), limits.max_string)
    return clean(describe(str, value), limits.max_string)


def _flat(value: dict[Any, Any], limits: Limits, is_secret: Callable[[str], bool] | None) -> dict[str, Plain] | None:
    """Returns a copy of a small mapping of short keys to atoms, or None where there is more to do than to copy.

    That is what most calls bring, and it takes a third of the walk's time.
    """
    if len(value) > limits.max_items or len(value) >= limits.max_nodes:
        return None
    copy = value.copy()
    room = limits.max_text
    for key, item in copy.items():
        if type(key) is not str or len(key) > MAX_KEY or not key.isascii():
            return None
        kind = type(item)
        if kind is str:
            room -= len(item)
            if len(item) > limits.max_string or not item.isascii():
                return None
        elif kind is int:
            if not _SMALLEST <= item <= _LARGEST:
                return None
        elif kind is not float and kind is not bool and item is not None:
            return None
        if is_secret is not None and _verdict(is_secret, key):
            return None
    return copy if room >= 0 else None


def _verdict(is_secret: Callable[[str], bool], key: str) -> bool:
    try:
        return is_secret(key)
    except Exception:  # noqa: BLE001  # a verdict that raises is yes
        return True


class _Walk:
    """One walk: what is left of the limits, and the containers it stands in."""

    __slots__ = ("is_secret", "left", "limits", "max_items", "max_string", "path", "room", "within")

    def __init__(self, limits: Limits, is_secret: Callable[[str], bool] | None) -> None:
        self.limits = limits
        self.max_items = limits.max_items
        self.max_string = limits.max_string
        self.is_secret = is_secret
        self.left = limits.max_nodes
        self.room = limits.max_text
        self.path: list[int] = []
        self.within = ""

    def visit(self, value: Any) -> Plain:
        self.left -= 1
        kind = type(value)
        if kind is float or kind is bool or value is None:
            return value  # type: ignore[no-any-return]  # of a plain type, as was just found
        if kind is str:
            return self._string(value)
        if kind is int:
            return value if _SMALLEST <= value <= _LARGEST else integer(value)
        if (kind is dict or kind is list or kind is tuple) and len(value) <= self.max_items:
            return self._nested(value, value.copy() if kind is dict else value[:])
        return self._adapted(value)

    def _string(self, value: str) -> str:
        size = len(value)
        if size <= self.max_string and size <= self.room and value.isascii():
            self.room -= size
            return value
        room = min(self.max_string, self.room)
        self.room -= min(size, room)
        return clean(value, room)

    def _adapted(self, value: object) -> Plain:
        content = adapt(value, self.limits)
        if _is_atom(content):
            self.left += 1
            return self.visit(content)
        kind = type(content)
        if kind is dict or kind is list or kind is tuple:
            content = adapt(content, self.limits)
        return self._nested(value, content)

    def _nested(self, value: object, content: Any) -> Plain:
        """Returns what `content`, the parts of `value`, becomes one level deeper."""
        path, identity = self.path, id(value)
        if len(path) >= self.limits.max_depth:
            return f"<depth limit> {clean_key(short_name(type(value)))}"
        if identity in path:
            return _CYCLE
        path.append(identity)
        result = self._inside(content)
        path.pop()
        return result

    def _inside(self, content: Any) -> Plain:
        kind = type(content)
        if kind is dict:
            return self._mapping(content.items(), len(content))
        if kind is list or kind is tuple:
            return self._sequence(content, len(content))
        if kind is Pairs:
            return self._mapping(content.items, content.total)
        if kind is Elements:
            return self._sequence(content.items, content.total)
        return self.visit(content)

    def _sequence(self, items: Iterable[object], total: int) -> list[Plain]:
        kept: list[Plain] = []
        for item in items:
            if self.left <= 0:
                break
            kept.append(self.visit(item))
        if len(kept) < total:
            kept.append(f"…[cut: {total - len(kept)} items]")
        return kept

    def _mapping(self, pairs: Iterable[tuple[object, object]], total: int) -> dict[str, Plain]:
        kept: dict[str, Plain] = {}
        is_secret, within = self.is_secret, self.within
        for key, item in pairs:
            if self.left <= 0:
                break
            name = key if type(key) is str and len(key) <= MAX_KEY and key.isascii() else self._key(key)
            self.within = name
            result = self.visit(item)
            if is_secret is not None and (
                _verdict(is_secret, name) or (within and _verdict(is_secret, f"{within}.{name}"))
            ):
                result = _redacted(result)
            kept[_unique(name, kept) if name in kept else name] = result
        self.within = within
        if len(kept) < total:
            kept[_unique(_CUT_KEY, kept)] = f"[cut: {total - len(kept)} items]"
        return kept

    def _key(self, key: object) -> str:
        if type(key) is str:
            return clean_key(key)
        content = key if _is_atom(key) else adapt(key, self.limits)
        if type(content) is int:
            content = integer(content)
        return clean_key(str(content) if _is_atom(content) else describe(repr, key))


def _is_atom(value: object) -> bool:
    """Says whether `value` is plain already. By identity: the type of a foreign value may have no hash or equality."""
    kind = type(value)
    return kind is str or kind is float or kind is int or kind is bool or value is None


def _unique(name: str, taken: dict[str, Plain]) -> str:
    """Returns `name`, or the first of `name#2`, `name#3` ... that is not taken."""
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}#{number}", number + 1
    return unique


def _redacted(value: Plain) -> Plain:
    tells_nothing = value is None or isinstance(value, bool) or value in ("", [], {})
    return value if tells_nothing else REDACTED
