"""Values that a plugin may have in its hands, by mistake or by malice; each is made anew when it is asked for."""

from __future__ import annotations

import array
import collections
import contextlib
import ctypes
import datetime
import decimal
import enum
import fractions
import functools
import io
import itertools
import os
import pathlib
import re
import sys
import tempfile
import threading
import types
import uuid
import weakref
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import MagicMock, Mock

import numpy as np

from faults.hostile_types import (
    HOOKS,
    BadMapping,
    BadZone,
    LyingMapping,
    Odd,
    OfMeta,
    RaisingField,
    RaisingModel,
    SelfPrinting,
    Watched,
    hostile,
    raising,
    refuse,
)


def nested(make: Callable[[Any], Any], depth: int = 1000) -> Any:
    return functools.reduce(lambda inner, _: make(inner), range(depth), 0)


def cyclic(container: Any, put: Callable[[Any, Any], object]) -> Any:
    put(container, container)
    return container


def cyclic_errors() -> BaseException:
    one, other = ValueError("one"), KeyError("other")
    one.__cause__, other.__context__ = other, one
    return one


def deep_group(depth: int = 2000) -> BaseException:
    return nested(lambda inner: ExceptionGroup("deep", [inner or ValueError("leaf")]), depth)  # type: ignore[no-any-return]  # any value


def closed_file() -> Any:
    file = io.StringIO("x")
    file.close()
    return file


def closed_temporary() -> Any:
    with tempfile.TemporaryFile() as file:
        return file


def closed_coroutine() -> Any:
    async def work() -> None: ...

    coroutine = work()
    coroutine.close()
    return coroutine


def released() -> memoryview:
    view = memoryview(b"abc")
    view.release()
    return view


def dead_proxy() -> Any:
    value = Watched()
    proxy = weakref.proxy(value)
    del value
    return proxy


def changing() -> dict[Any, Any]:
    """A dict that grows and shrinks while its values are described."""
    value: dict[Any, Any] = {}
    changes = type("Changes", (), {"__repr__": lambda _: value.setdefault("new", "new") and value.pop("new")})
    value.update(a=changes(), b=changes())
    return value


def frame() -> Any:
    password = "made-up"  # noqa: F841  # for the stack trace
    return sys._getframe()


@contextlib.contextmanager
def quiet_numpy() -> Iterator[None]:
    """Without the warnings that numpy has for numbers like these."""
    with np.errstate(all="ignore"):
        yield


ZOO: dict[str, Callable[[], Any]] = {
    "object": hostile(),
    **{f"hostile {base.__name__}": functools.partial(hostile(base), *given) for base, *given in (
        (int, 7), (float, 1.5), (str, "a"), (bytes, b"a"), (list, [1]), (tuple, (1,)), (set, [1]), (frozenset, [1]),
        (collections.deque, [1]), (decimal.Decimal, "1.5"), (fractions.Fraction, 3, 4), (uuid.UUID, "0" * 32),
        (pathlib.PurePosixPath, "/a"), (ValueError, "a"), (np.ndarray, (2,)), (datetime.date, 1960, 1, 2),
        (datetime.datetime, 1960, 1, 2), (datetime.timedelta, 1), (bytearray, b"a"), (collections.UserDict,),
    )},
    **{name: raising(name) for name in HOOKS},
    "dict": lambda: hostile(dict)(a=1, b=hostile()()),
    "repr that is no text": lambda: type("NoText", (), {"__repr__": lambda _: 7})(),
    "repr of 10 MB": lambda: type("Long", (), {"__repr__": lambda _: "x" * 10_000_000})(),
    "repr that calls itself": SelfPrinting,
    "bad mapping": BadMapping,
    "lying mapping": LyingMapping,
    "watched": Watched,
    "dataclass": RaisingField,
    "model": RaisingModel,
    "bare model": lambda: RaisingModel.__new__(RaisingModel),
    **{f"enum {name}": lambda name=name: Odd[name] for name in ("OBJECT", "LIST", "NAN", "SURROGATE", "HUGE")},
    "flag": lambda: enum.Flag("F", ["A", "B"]).A,  # type: ignore[attr-defined]  # made by name
    "class of a hostile metaclass": lambda: [OfMeta],
    "object of a hostile metaclass": OfMeta,
    "mock": MagicMock,
    "mock of a dict": lambda: Mock(spec=dict),
    "mock of a str": lambda: MagicMock(spec=str),
    "mock of a Path": lambda: MagicMock(spec=pathlib.Path),
    "generator": lambda: (number for number in itertools.count()),
    "endless iterator": itertools.count,
    "coroutine": closed_coroutine,
    "partial": lambda: functools.partial(refuse, 1),
    "lambda": lambda: lambda: 0,
    "bound method": lambda: Watched().__iter__,
    "closed file": closed_file,
    "closed temporary file": closed_temporary,
    "standard error": lambda: sys.stderr,
    "lock": threading.Lock,
    "thread": threading.current_thread,
    "frame": frame,
    "module table": lambda: sys.modules,
    "environment": lambda: os.environ,
    "regular expression": lambda: re.compile("a").match("a"),
    "released memoryview": released,
    "strided memoryview": lambda: memoryview(b"abcdef")[::2],
    "a megabyte of bytes": lambda: bytes(1_000_000),
    "array": lambda: array.array("d", [1.5, 2.5]),
    "pointer": lambda: ctypes.c_void_p(0),
    "weak proxy": lambda: weakref.proxy(threading.main_thread()),
    "dead proxy": dead_proxy,
    "dead reference": lambda: weakref.ref(Watched()),
    "cyclic list": lambda: cyclic([], list.append),
    "cyclic dict": lambda: cyclic({}, lambda inner, value: inner.update(self=value)),
    "cyclic namespace": lambda: cyclic(types.SimpleNamespace(), lambda inner, value: inner.__dict__.update(me=value)),
    "cyclic deque": lambda: cyclic(collections.deque(), collections.deque.append),
    "cyclic user dict": lambda: cyclic(collections.UserDict(), lambda inner, value: inner.data.update(self=value)),
    "chain of itself": lambda: cyclic(collections.ChainMap(), lambda inner, value: inner.maps.append({"a": value})),
    "default dict": lambda: collections.defaultdict(refuse, a=1),
    "changing dict": changing,
    "deep list": lambda: nested(lambda inner: [inner]),
    "deep tuple": lambda: nested(lambda inner: (inner,), 10_000),
    "deep dict": lambda: nested(lambda inner: {"a": inner}),
    "deep objects": lambda: nested(lambda inner: functools.partial(dict, a=inner)),
    "many items": lambda: list(range(20_000)),
    "many keys": lambda: dict.fromkeys(range(20_000)),
    "wide and deep": lambda: nested(lambda inner: [inner] * 100, 50),
    "exceptions in a circle": cyclic_errors,
    "deep exception group": deep_group,
    "exception of a hostile argument": lambda: ValueError(hostile()()),
    "exception of itself": lambda: cyclic(ValueError(), lambda error, value: setattr(error, "args", (value,))),
    "huge int": lambda: 1 << 8_000_000,
    "int of 64 bits": lambda: 2**64,
    "int of 5000 digits": lambda: -(10**5000),
    "NaN": lambda: float("nan"),
    "decimal NaN": lambda: decimal.Decimal("sNaN"),
    "huge decimal": lambda: decimal.Decimal("1e999999"),
    "huge fraction": lambda: fractions.Fraction(10**5000, 3),
    "year 1": lambda: datetime.datetime.min,
    "before 1970": lambda: datetime.datetime(1969, 12, 31, tzinfo=datetime.UTC),
    "in a bad zone": lambda: datetime.datetime(2026, 1, 1, tzinfo=BadZone()),
    "longest time": lambda: datetime.timedelta.max,
    "numpy NaT": lambda: np.datetime64("NaT"),
    "numpy before 1970": lambda: np.datetime64("1066-10-14"),
    "numpy records": lambda: np.zeros(2, dtype=[("a", "i4"), ("b", "U3")]),
    "numpy void": lambda: np.zeros(1, dtype=[("a", "i4")])[0],
    "numpy masked": lambda: np.ma.masked_array([1, 2], [True, False]),
    "numpy of objects": lambda: cyclic(np.empty(2, dtype=object), lambda values, _: values.fill(hostile()())),
    "numpy of itself": lambda: cyclic(np.empty(1, dtype=object), lambda values, value: values.__setitem__(0, value)),
    "numpy half NaN": lambda: np.float16("nan"),
    "numpy huge": lambda: np.longdouble("1e4000"),
    "numpy complex": lambda: np.array([1 + 2j]),
    "numpy of 8 GB": lambda: np.broadcast_to(np.float64(1), (10**9,)),
    "text of a megabyte": lambda: "ä" * 1_000_000,
    "surrogates": lambda: "\ud800" * 100_000,
    "path": lambda: "../../../../etc/passwd\0",
    "controls": lambda: "".join(map(chr, range(0x2000))),
}  # fmt: skip
