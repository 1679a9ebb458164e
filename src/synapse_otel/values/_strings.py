"""Text that encodes as UTF-8, and names for what has no better form. Nothing here trusts the value."""

from collections.abc import Callable
from typing import Any

MAX_KEY = 256

_SIGNED_64 = range(-(1 << 63), 1 << 63)

# 2048 bits are at most 617 decimal digits: below 640, the smallest limit that sys.set_int_max_str_digits accepts.
_MAX_INTEGER_BITS = 2048

# The descriptors of `type` itself: a metaclass can override what `kind.__name__` does, not these.
_module_of: Callable[[type], Any] = type.__dict__["__module__"].__get__
mro_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
_qualname_of: Callable[[type], str] = type.__dict__["__qualname__"].__get__
_name_of: Callable[[type], str] = type.__dict__["__name__"].__get__


def encodable(value: str) -> str:
    """Returns `value` with surrogate pairs joined and lone surrogates replaced by U+FFFD."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def clean(value: str, room: int) -> str:
    """Returns an exact `str` of at most `room` characters, and a mark if any were cut."""
    size = len(value)
    kept = value if size <= room else value[:room]
    if not kept.isascii():
        kept = encodable(kept)
    return kept if size <= room else f"{kept}…[cut: {size - room} characters]"


def clean_key(value: str) -> str:
    """Returns `value` as a mapping key: at most `MAX_KEY` characters, the last an ellipsis if it was longer."""
    return encodable(value if len(value) <= MAX_KEY else f"{value[: MAX_KEY - 1]}…")


def integer(value: int) -> int | str:
    """Returns an int that MessagePack and OTLP can hold, the digits of a larger one, or its size in bits."""
    if value in _SIGNED_64:
        return value
    bits = value.bit_length()
    return str(value) if bits <= _MAX_INTEGER_BITS else f"int({bits} bits)"


def short_name(kind: type) -> str:
    """Returns the name of a type, without its module."""
    return _name_of(kind)


def module_of(kind: type) -> str:
    """Returns the name of the module that defines a type; empty where the class says something odd."""
    module = _module_of(kind)
    return module if type(module) is str else ""


def type_name(kind: type) -> str:
    """Returns the qualified name of a type; without the module for the builtin ones."""
    module, name = module_of(kind), _qualname_of(kind)
    return name if module in ("", "builtins") else f"{module}.{name}"


def describe(how: Callable[[object], str], value: object) -> str:
    """Returns `how(value)` (`repr` or `str`), or what failed, as an exact `str`.

    The value's own code runs here, and it may raise anything: only what is no `Exception` (KeyboardInterrupt) passes.
    """
    try:
        return str.__str__(how(value))
    except Exception as error:  # noqa: BLE001  # a foreign __str__ may raise anything
        return f"<{type_name(type(value))} ({how.__name__} failed: {short_name(type(error))})>"
