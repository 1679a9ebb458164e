"""Types whose instances lie, raise or have side effects, whatever is asked of them."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pydantic


class HostileError(Exception):
    """What the code of a hostile value raises, which is no plugin's misuse and must not come out anywhere."""


def refuse(*_: Any, **__: Any) -> Any:
    raise HostileError("hostile")


HOOKS = (
    *("__repr__", "__str__", "__eq__", "__ne__", "__hash__", "__len__", "__iter__", "__next__", "__bool__"),
    *("__float__", "__int__", "__index__", "__format__", "__getattr__", "__getitem__", "__contains__", "__fspath__"),
    *("__lt__", "__le__", "__gt__", "__ge__", "__call__", "__enter__", "__array__", "__reduce_ex__", "__sizeof__"),
    *("keys", "items", "values", "item", "tolist", "lower", "isoformat", "copy"),
)


def hostile(*bases: type, **more: Any) -> type:
    """A type whose every hook raises, its `__class__` too."""
    return type("Hostile", bases, {**dict.fromkeys(HOOKS, refuse), "__class__": property(refuse), **more})


def raising(name: str, *bases: type) -> type:
    """A type of which one hook raises."""
    return type(f"Raising{name.strip('_').title()}", bases, {name: refuse})


class BadMapping(Mapping[str, Any]):
    """A mapping that has nothing to give."""

    __getitem__ = __iter__ = __len__ = refuse


class LyingMapping(Mapping[str, Any]):
    """A mapping of which every statement contradicts the others."""

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[str]:
        return iter("abcdef")


class Watched:
    """Has properties with side effects, of which none may happen."""

    happened: ClassVar[collections.Counter[str]] = collections.Counter()

    @property
    def secret(self) -> str:
        self.happened["property"] += 1
        return "x"

    def __getattr__(self, name: str) -> str:
        self.happened[name] += 1
        return name

    def __iter__(self) -> Iterator[int]:
        self.happened["iter"] += 1
        return iter(())

    def __call__(self) -> None:
        self.happened["call"] += 1


@dataclasses.dataclass
class RaisingField:
    """A dataclass whose field cannot be read."""

    x: int = 1

    def __getattribute__(self, name: str) -> Any:
        raise HostileError(name)


class RaisingModel(pydantic.BaseModel):
    """A model whose computed field and serializer raise."""

    x: int = 1

    @pydantic.computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def broken(self) -> int:
        raise HostileError

    @pydantic.model_serializer
    def serialize(self) -> dict[str, Any]:
        raise HostileError


class Odd(enum.Enum):
    """An enum of values that no enum should have."""

    OBJECT = raising("__repr__")()
    LIST = [1, [2]]  # noqa: RUF012  # as users write it
    NAN = float("nan")
    SURROGATE = "\udc80"
    HUGE = 1 << 5000


class Meta(type):
    """A metaclass under which a class says nothing of itself."""

    def __getattribute__(cls, name: str) -> Any:
        raise HostileError(name)

    __hash__ = __eq__ = refuse  # type: ignore[assignment]  # hostile on purpose


class OfMeta(metaclass=Meta):
    pass


class BadZone(datetime.tzinfo):
    """A time zone that does not know the time."""

    utcoffset = dst = tzname = refuse  # type: ignore[assignment]  # hostile on purpose


class SelfPrinting:
    def __repr__(self) -> str:
        return repr(self)
