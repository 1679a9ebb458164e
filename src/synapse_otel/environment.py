"""Configuration of a plugin: from the environment, from TOML files, with typed getters."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar, overload

from synapse_otel.secret_keys import is_secret_key
from synapse_otel.values import REDACTED

T = TypeVar("T")

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


class PluginEnvironment:
    """Names and their values, read-only.

    The typed getters return `default` for a name that is missing, and for one set to an empty string, which is how
    a variable is unset in many shells. Attributes are a short form: `env.storage_path` is the value of `storage_path`
    or else of `STORAGE_PATH`, and None without either, so that an optional setting can be asked for with a plain `if`.

    It is no `Mapping`, so that a whole environment, with its secrets, is not logged as data by mistake.

    Args:
        data: Names and values; copied.
    """

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        self._data: dict[str, Any] = dict(data or {})

    @classmethod
    def from_environ(cls, prefix: str = "", *, prefixes: Iterable[str] | None = None) -> Self:
        """The process's environment variables.

        Args:
            prefix: Take only names that start with it, and cut it off.
            prefixes: Take only names that start with one of them, and leave them whole. They win over `prefix`.
        """
        if prefixes:
            kept = (prefixes,) if isinstance(prefixes, str) else tuple(prefixes)
            return cls({name: value for name, value in os.environ.items() if name.startswith(kept)})
        cut = len(prefix)
        return cls({name[cut:]: value for name, value in os.environ.items() if name.startswith(prefix) and name[cut:]})

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """The top level of a TOML file.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is no valid TOML; the message says where.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
            return cls(tomllib.loads(text))
        except FileNotFoundError:
            raise FileNotFoundError(f"configuration file not found: {path}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"configuration file {path} is not valid TOML: {error}") from error

    @classmethod
    def merge(cls, *environments: PluginEnvironment | Mapping[str, Any]) -> Self:
        """Several environments as one; where names collide, the later wins."""
        merged: dict[str, Any] = {}
        for environment in environments:
            merged.update(environment._data if isinstance(environment, PluginEnvironment) else environment)
        return cls(merged)

    def get(self, key: str, default: Any = None) -> Any:
        """The value as it is."""
        return self._data.get(key, default)

    @overload
    def get_str(self, key: str) -> str | None: ...
    @overload
    def get_str(self, key: str, default: T) -> str | T: ...
    def get_str(self, key: str, default: Any = None) -> Any:
        """The value as text, also if it is empty."""
        value = self._data.get(key)
        return default if value is None else str(value)

    @overload
    def get_int(self, key: str) -> int | None: ...
    @overload
    def get_int(self, key: str, default: T) -> int | T: ...
    def get_int(self, key: str, default: Any = None) -> Any:
        """The value as an integer.

        Raises:
            ValueError: It is none.
        """
        return self._typed(key, default, _as_int, "an integer")

    @overload
    def get_float(self, key: str) -> float | None: ...
    @overload
    def get_float(self, key: str, default: T) -> float | T: ...
    def get_float(self, key: str, default: Any = None) -> Any:
        """The value as a float.

        Raises:
            ValueError: It is no number.
        """
        return self._typed(key, default, _as_float, "a number")

    @overload
    def get_bool(self, key: str) -> bool | None: ...
    @overload
    def get_bool(self, key: str, default: T) -> bool | T: ...
    def get_bool(self, key: str, default: Any = None) -> Any:
        """The value as a truth value: true, 1, yes, on, or false, 0, no, off, in any case.

        Raises:
            ValueError: It is none of them.
        """
        return self._typed(key, default, _as_bool, "true, 1, yes, on, false, 0, no or off")

    @overload
    def get_list(self, key: str) -> list[Any] | None: ...
    @overload
    def get_list(self, key: str, default: T) -> list[Any] | T: ...
    def get_list(self, key: str, default: Any = None) -> Any:
        """The value as a list: text is split at its commas, empty parts are left out.

        Raises:
            ValueError: It is neither text nor a list.
        """
        value = self._data.get(key)
        return default if value is None else self._converted(key, value, _as_list, "a comma-separated list")

    @property
    def debug(self) -> bool:
        """Whether `debug` or `DEBUG` is set to anything but false, 0, no, off or nothing; never raises."""
        return str(self._attribute("debug") or "").strip().lower() not in _FALSE | {""}

    def to_dict(self) -> dict[str, Any]:
        """Names and values as a new dictionary."""
        return dict(self._data)

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._data.keys()

    def _typed(self, key: str, default: Any, convert: Callable[[Any], Any], expected: str) -> Any:
        value = self._data.get(key)
        return default if value is None or value == "" else self._converted(key, value, convert, expected)

    def _converted(self, key: str, value: Any, convert: Callable[[Any], Any], expected: str) -> Any:
        try:
            return convert(value)
        except (ValueError, TypeError, OverflowError):
            raise ValueError(f"{key} must be {expected}, got {_shown(key, value)}") from None

    def _attribute(self, name: str) -> Any:
        return self._data[name] if name in self._data else self._data.get(name.upper())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what Python and other libraries probe for, during unpickling before `_data` is there
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self._attribute(name)

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __contains__(self, key: object) -> bool:
        return key in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self._data == other._data if isinstance(other, PluginEnvironment) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # how Python says: not hashable

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(sorted(self._data))})"


def _as_int(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    return int(value)


def _as_float(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    return float(value)


def _as_bool(value: Any) -> bool:
    word = str(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list | tuple):
        return list(value)
    raise TypeError


def _shown(key: str, value: Any) -> str:
    """A wrong value for an error message, unless its name says that it is a secret."""
    return REDACTED if is_secret_key(key) else repr(value)
