import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import fractions
import io
import itertools
import math
import pathlib
import re
import threading
import time
import types
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synapse_otel.values import DEFAULT_LIMITS, Limits, plain, text

# -- stand-ins --------------------------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"
    BOTH = {"a": [1, 2]}  # noqa: RUF012  # as users write it
    NESTED = fractions.Fraction(1, 2)


class Level(enum.IntEnum):
    HIGH = 3


class Name(enum.StrEnum):
    BOB = "bob"


class Flags(enum.Flag):
    A = 1
    B = 2


@dataclasses.dataclass
class Point:
    x: int
    y: Any = 2
    hidden: dataclasses.InitVar[int] = 5

    @property
    def boom(self) -> int:
        raise AssertionError


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: int
    password: str = "p"


class Struct(msgspec.Struct):
    x: int
    y: str = "y"


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    x: int
    items: list[int] = []

    @pydantic.computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def boom(self) -> int:
        raise AssertionError

    @pydantic.model_serializer
    def serialize(self) -> dict[str, Any]:
        raise AssertionError


class Attrs:
    """As attrs makes it: attrs itself is not installed."""

    __attrs_attrs__ = (types.SimpleNamespace(name="x"), types.SimpleNamespace(name="y"))
    __slots__ = ("x", "y")

    def __init__(self) -> None:
        self.x = 1


class Tensor:
    """As torch makes it: torch itself is not installed."""

    __module__ = "torch"
    dtype = "torch.float32"

    def __init__(self, *values: float, shape: tuple[int, ...] | None = None) -> None:
        self.values, self.shape = values, (len(values),) if shape is None else shape

    def item(self) -> float:
        if self.shape not in ((), (1,)):
            raise RuntimeError("more than one element")
        return self.values[0]

    def tolist(self) -> list[float]:
        return list(self.values)


class MetaTensor(Tensor):
    def tolist(self) -> list[float]:
        raise NotImplementedError("no storage")

    item = tolist  # type: ignore[assignment]  # hostile on purpose

    def __repr__(self) -> str:
        raise AssertionError


class DataFrame:
    """As pandas makes it: pandas itself is not installed."""

    __module__ = "pandas.core.frame"
    shape = (1000, 3)

    def __iter__(self) -> Any:
        raise AssertionError

    __repr__ = __len__ = __iter__


class Series(DataFrame):
    __module__ = "pandas.core.series"
    shape = (1000,)  # type: ignore[assignment]  # hostile on purpose
    dtype = np.dtype("int64")


class Timestamp(datetime.datetime):
    __module__ = "pandas._libs.tslibs.timestamps"

    def isoformat(self, *_: Any, **__: Any) -> str:  # type: ignore[override]  # as users write it
        return "2026-01-01T00:00:00.000000001"


class LazyMapping(collections.abc.Mapping):  # type: ignore[type-arg]  # as users write it
    def __getitem__(self, key: Any) -> Any:
        return key * 2

    def __len__(self) -> int:
        return 10**9

    def __iter__(self) -> Any:
        return itertools.count()


def boom(*_: Any, **__: Any) -> Any:
    raise RuntimeError("hostile")


_HOOKS = [
    *("__repr__", "__str__", "__eq__", "__hash__", "__len__", "__iter__", "__getattr__", "__bool__", "__format__"),
    *("__getitem__", "__contains__", "__int__", "__float__", "__index__", "__lt__", "keys", "items", "item", "tolist"),
]


def hostile(*bases: type, **more: Any) -> type:
    return type("Hostile", bases, {**dict.fromkeys(_HOOKS, boom), "__class__": property(boom), **more})


class HostileMeta(type):
    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(name)

    def __hash__(cls) -> int:
        raise RuntimeError("hash")

    def __eq__(cls, other: object) -> bool:
        raise RuntimeError("eq")


class OfHostileMeta(metaclass=HostileMeta):
    pass


class ReprBomb:
    def __repr__(self) -> str:
        return repr(self)


# -- tables -----------------------------------------------------------------------------------------------------------

MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)

PLAIN = {
    "none": (None, None),
    "true": (True, True),
    "int": (7, 7),
    "largest int": (2**63 - 1, 2**63 - 1),
    "smallest int": (-(2**63), -(2**63)),
    "too large int": (2**63, "9223372036854775808"),
    "too small int": (-(2**63) - 1, "-9223372036854775809"),
    "int of 600 digits": (10**600, "1" + "0" * 600),
    "int of a million digits": (1 << 3321928, "int(3321929 bits)"),
    "float": (1.5, 1.5),
    "infinity": (-math.inf, -math.inf),
    "str": ("héllo", "héllo"),
    "lone surrogate": ("a\ud800b", "a\ufffdb"),
    "surrogate pair": ("\ud83d\ude00", "😀"),
    "complex": (1 + 2j, "(1+2j)"),
    "decimal": (decimal.Decimal("1.25"), 1.25),
    "decimal without a value": (decimal.Decimal("sNaN"), "Decimal('sNaN')"),
    "fraction": (fractions.Fraction(1, 4), 0.25),
    "datetime": (MOMENT, "2026-01-02T03:04:05+00:00"),
    "date": (MOMENT.date(), "2026-01-02"),
    "time": (MOMENT.time(), "03:04:05"),
    "timedelta": (datetime.timedelta(minutes=1, milliseconds=500), 60.5),
    "uuid": (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    "path": (pathlib.PurePosixPath("/a/b"), "/a/b"),
    "enum": (Colour.RED, "red"),
    "enum of a dict": (Colour.BOTH, {"a": [1, 2]}),
    "enum of a fraction": (Colour.NESTED, 0.5),
    "int enum": (Level.HIGH, 3),
    "str enum": (Name.BOB, "bob"),
    "flags": (Flags.A | Flags.B, 3),
    "bytes": (b"ab\x00", "bytes(3): b'ab\\x00'"),
    "long bytes": (bytearray(b"x" * 200), f"bytearray(200): b'{'x' * 128}'…[cut: 72 bytes]"),
    "memoryview": (memoryview(b"abc"), "memoryview(3): b'abc'"),
    "memoryview with gaps": (memoryview(b"abcd")[::2], "memoryview(2)"),
    "exception": (ValueError("boom"), "ValueError: boom"),
    "exception without a message": (KeyboardInterrupt(), "KeyboardInterrupt"),
    "builtin class": (int, "int"),
    "class": (decimal.Decimal, "decimal.Decimal"),
    "function": (dataclasses.replace, "dataclasses.replace"),
    "builtin function": (len, "len"),
    "method": (MOMENT.isoformat, "datetime.isoformat"),
    "module": (math, "math"),
    "range": (range(3), "range(0, 3)"),
    "generic alias": (list[int], "list[int]"),
    "list": ([1, "a", [None]], [1, "a", [None]]),
    "tuple": ((1, (2,)), [1, [2]]),
    "set of int": ({3, 1, 2}, [1, 2, 3]),
    "frozenset of str": (frozenset("cab"), ["a", "b", "c"]),
    "deque": (collections.deque([1, 2]), [1, 2]),
    "user list": (collections.UserList([1]), [1]),
    "dict views": ([{"a": 1}.keys(), {"a": 1}.values()], [["a"], [1]]),
    "ordered dict": (collections.OrderedDict(a=1), {"a": 1}),
    "counter": (collections.Counter("aab"), {"a": 2, "b": 1}),
    "mapping proxy": (types.MappingProxyType({"a": (1,)}), {"a": [1]}),
    "user dict": (collections.UserDict({"a": 1}), {"a": 1}),
    "namedtuple": (collections.namedtuple("Pair", "x y")(1, [2]), {"x": 1, "y": [2]}),
    "dataclass": (Point(1, Point(3), 4), {"x": 1, "y": {"x": 3, "y": 2}}),
    "slotted dataclass": (Slotted(1), {"x": 1, "password": "p"}),
    "dataclass without a field": (object.__new__(Slotted), {}),
    "struct": (Struct(1), {"x": 1, "y": "y"}),
    "model": (Model(x=1, extra=MOMENT.date()), {"x": 1, "items": [], "extra": "2026-01-02"}),
    "attrs": (Attrs(), {"x": 1}),
    "keys": (
        {None: 0, True: 1, 2: 2, 1.5: 3, (1, "a"): 4, Colour.RED: 5, b"b": 6, np.int64(7): 7, MOMENT.date(): 8},
        {
            "None": 0, "True": 1, "2": 2, "1.5": 3, "(1, 'a')": 4, "red": 5, "bytes(1): b'b'": 6, "7": 7,
            "2026-01-02": 8,
        },
    ),
    "equal keys": ({1: "a", "1": "b", "1#2": "c"}, {"1": "a", "1#2": "b", "1#2#2": "c"}),
    "odd keys": ({"a\ud800": 1, "k" * 300: 2, 2**64: 3}, {"a\ufffd": 1, "k" * 255 + "…": 2, "18446744073709551616": 3}),
}  # fmt: skip

NUMPY = {
    "float32": (np.float32(1.5), 1.5),
    "float64": (np.float64(2.5), 2.5),
    "int64": (np.int64(-3), -3),
    "uint64": (np.uint64(2**64 - 1), "18446744073709551615"),
    "bool": (np.bool_(True), True),
    "str": (np.str_("a"), "a"),
    "complex": (np.complex64(1 + 2j), "(1+2j)"),
    "longdouble": (np.longdouble(1.5), 1.5),
    "0-d array": (np.array(4), 4),
    "one element": (np.array([[7.0]]), 7.0),
    "no element": (np.array([]), []),
    "small array": (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    "longdouble array": (np.array([1, 2], dtype=np.longdouble), [1.0, 2.0]),
    "array of the limit": (np.zeros(128, dtype=int), [0] * 128),
    "large array": (np.zeros((1000, 3), dtype="f4"), "ndarray(shape=(1000, 3), dtype=float32)"),
    "object array": (np.array([Colour.RED, MOMENT], dtype=object), ["red", "2026-01-02T03:04:05+00:00"]),
    "huge dict in an array": (np.array([dict.fromkeys(range(200))], dtype=object), None),
    "datetime64": (np.datetime64("2026-01-01T00:00:00.000000001"), "2026-01-01T00:00:00.000000001"),
    "datetime64 array": (np.array(["2026-01-01", "NaT"], dtype="M8[D]"), ["2026-01-01", "NaT"]),
    "timedelta64": (np.timedelta64(1500, "ms"), 1.5),
    "dtype": (np.dtype("f4"), "dtype('float32')"),
    "scalar type": (np.float16, "numpy.float16"),
}

STAND_INS = {
    "tensor of one": (Tensor(1.5), 1.5),
    "0-d tensor": (Tensor(2.5, shape=()), 2.5),
    "small tensor": (Tensor(1.0, 2.0), [1.0, 2.0]),
    "large tensor": (Tensor(shape=(1000, 3)), "Tensor(shape=(1000, 3), dtype=float32)"),
    "tensor without storage": (MetaTensor(1.0, 2.0), "MetaTensor(shape=(2,), dtype=float32)"),
    "data frame": (DataFrame(), "DataFrame(shape=(1000, 3))"),
    "series": (Series(), "Series(shape=(1000,), dtype=int64)"),
    "timestamp": (Timestamp(2026, 1, 1), "2026-01-01T00:00:00.000000001"),
}


def _cases(table: dict[str, tuple[Any, Any]]) -> Any:
    return pytest.mark.parametrize(("value", "expected"), table.values(), ids=table.keys())


@_cases(PLAIN)
def test_value_becomes_plain(value: Any, expected: Any) -> None:
    assert plain(value) == expected
    assert type(plain(value)) is type(expected)


@_cases({name: case for name, case in NUMPY.items() if case[1] is not None})
def test_numpy_value_becomes_plain(value: Any, expected: Any) -> None:
    assert plain(value) == expected
    assert type(plain(value)) is type(expected)


@_cases(STAND_INS)
def test_value_of_a_package_becomes_plain(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def test_container_in_an_array_is_cut_like_any_other() -> None:
    value, _ = NUMPY["huge dict in an array"]
    snapshot = plain(value)
    assert isinstance(snapshot, dict)
    assert (len(snapshot), snapshot["…"]) == (129, "[cut: 72 items]")


def test_nan_stays_a_number() -> None:
    assert [math.isnan(float(str(plain(value)))) for value in (math.nan, np.float32("nan"), Tensor(math.nan))] == [
        True
    ] * 3


# -- a snapshot -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [{"a": 1}, {"a": [1, {"b": 2}]}, [1, [2]]])
def test_snapshot_shares_nothing_with_the_value(value: Any) -> None:
    snapshot = plain(value)
    before = msgspec.json.encode(snapshot)
    if isinstance(value, dict):
        if isinstance(value["a"], list):
            value["a"][1]["c"] = 3
            value["a"].append(4)
        value["b"] = 5
    else:
        value[1].append(3)
    assert msgspec.json.encode(snapshot) == before
    assert plain(value) != snapshot


def test_nothing_is_consumed() -> None:
    generator, iterator, file, lock = (n for n in range(3)), iter([1, 2]), io.StringIO("abc"), threading.Lock()
    snapshot = plain([generator, iterator, file, lock])
    assert isinstance(snapshot, list)
    assert [str(item).split()[0] for item in snapshot] == ["<generator", "<list_iterator", "<_io.StringIO", "<unlocked"]
    assert (list(generator), list(iterator), file.read(), lock.locked()) == ([0, 1, 2], [1, 2], "abc", False)


def test_only_the_first_items_of_a_foreign_mapping_are_read() -> None:
    assert plain(LazyMapping(), Limits(max_items=2)) == {"0": 0, "1": 2, "…": "[cut: 999999998 items]"}


# -- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "limits", "expected"),
    [
        ("abcdef", Limits(max_string=3), "abc…[cut: 3 characters]"),
        ("äbcdef", Limits(max_string=3), "äbc…[cut: 3 characters]"),
        ({"a": "abcdef"}, Limits(max_string=3), {"a": "abc…[cut: 3 characters]"}),
        ([1, 2, 3], Limits(max_items=2), [1, 2, "…[cut: 1 items]"]),
        ((1, 2, 3), Limits(max_items=2), [1, 2, "…[cut: 1 items]"]),
        (collections.deque([1, 2, 3]), Limits(max_items=2), [1, 2, "…[cut: 1 items]"]),
        ({"a": 1, "b": 2, "c": 3}, Limits(max_items=2), {"a": 1, "b": 2, "…": "[cut: 1 items]"}),
        ({"…": 1, "b": 2}, Limits(max_items=1), {"…": 1, "…#2": "[cut: 1 items]"}),
        (Point(1), Limits(max_items=1), {"x": 1, "…": "[cut: 1 items]"}),
        (Struct(1), Limits(max_items=1), {"x": 1, "…": "[cut: 1 items]"}),
        (np.arange(3), Limits(max_items=2), "ndarray(shape=(3,), dtype=int64)"),
        ([[[1]]], Limits(max_depth=2), [["<depth limit> list"]]),
        ({"a": {"b": Point(1)}}, Limits(max_depth=2), {"a": {"b": "<depth limit> Point"}}),
        ([1, Colour.RED], Limits(max_depth=1), [1, "red"]),
        ([1, 2, 3], Limits(max_nodes=3), [1, 2, "…[cut: 1 items]"]),
        ([[1, 2], [3], 4], Limits(max_nodes=4), [[1, 2], "…[cut: 2 items]"]),
        ({"a": 1, "b": {"c": 2}}, Limits(max_nodes=3), {"a": 1, "b": {"…": "[cut: 1 items]"}}),
        ({"a": 1, "b": 2}, Limits(max_nodes=2), {"a": 1, "…": "[cut: 1 items]"}),
        (["abc", "def", "g"], Limits(max_text=4), ["abc", "d…[cut: 2 characters]", "…[cut: 1 characters]"]),
        ({"a": "abc", "b": "def"}, Limits(max_text=4), {"a": "abc", "b": "d…[cut: 2 characters]"}),
    ],
)
def test_cut_is_marked_in_place(value: Any, limits: Limits, expected: Any) -> None:
    assert plain(value, limits) == expected


def test_cycles_are_cut() -> None:
    mapping: dict[str, Any] = {"a": 1}
    mapping["self"] = mapping
    sequence: list[Any] = [1]
    sequence.append((sequence,))
    point = Point(1)
    point.y = [point]
    assert plain(mapping) == {"a": 1, "self": "<cycle>"}
    assert plain(sequence) == [1, ["<cycle>"]]
    assert plain(point) == {"x": 1, "y": ["<cycle>"]}


def test_value_that_occurs_twice_is_no_cycle() -> None:
    shared = [1]
    assert plain([shared, {"a": shared}]) == [[1], {"a": [1]}]


def test_deep_nesting_is_cut_at_the_limit() -> None:
    value: Any = 1
    for _ in range(1000):
        value = [value]
    expected: Any = "<depth limit> list"
    for _ in range(8):
        expected = [expected]
    assert plain(value) == expected


def test_defaults_are_as_documented() -> None:
    assert dataclasses.astuple(DEFAULT_LIMITS) == (8, 128, 2000, 32_768, 262_144)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_items": 0}, "Limits.max_items must be at least 1, got 0"),
        ({"max_string": -1}, "Limits.max_string must be at least 1, got -1"),
        ({"max_depth": 65}, "Limits.max_depth must be at most 64, got 65"),
    ],
)
def test_impossible_limit_is_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Limits(**arguments)


def test_largest_value_fits_a_request() -> None:
    widest = {f"{number:0256}": "\u4e2d" * 32_768 for number in range(128)}
    value = [widest for _ in range(128)]
    assert len(msgspec.msgpack.encode(plain(value))) < 4 * 2**20


# -- hostile values ---------------------------------------------------------------------------------------------------


HOSTILE = {
    "object": (lambda: hostile()(), "Hostile (repr failed: RuntimeError)>"),
    "int": (lambda: hostile(int)(7), 7),
    "float": (lambda: hostile(float)(1.5), 1.5),
    "str": (lambda: hostile(str)("a"), "a"),
    "bytes": (lambda: hostile(bytes)(b"a"), "Hostile(1): b'a'"),
    "dict": (lambda: hostile(dict)(a=1), {"a": 1}),
    "list": (lambda: hostile(list)([1]), [1]),
    "tuple": (lambda: hostile(tuple)((1,)), [1]),
    "set": (lambda: hostile(set)([1]), [1]),
    "frozenset": (lambda: hostile(frozenset)([1]), [1]),
    "deque": (lambda: hostile(collections.deque)([1]), [1]),
    "exception": (lambda: hostile(Exception)("a"), "Hostile (str failed: RuntimeError)>"),
    "dataclass": (lambda: hostile(Point, __init__=object.__init__)(), {}),
    "mapping": (lambda: hostile(collections.abc.Mapping)(), "Hostile (repr failed: RuntimeError)>"),
    "date": (
        lambda: hostile(datetime.datetime, isoformat=boom)(2026, 1, 1),
        "Hostile (repr failed: RuntimeError)>",
    ),
    "tensor": (lambda: hostile(Tensor)(1.0, 2.0), "Hostile(shape=(2,), dtype=float32)"),
    "module": (lambda: hostile(__module__=7)(), "<Hostile (repr failed: RuntimeError)>"),
    "repr bomb": (ReprBomb, "ReprBomb (repr failed: RecursionError)>"),
}


@pytest.mark.parametrize(("make", "expected"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_value_gets_some_form(make: Callable[[], Any], expected: Any) -> None:
    snapshot = plain(make())
    if isinstance(expected, str) and expected.endswith(">"):
        assert isinstance(snapshot, str)
        assert snapshot.endswith(expected)
    else:
        assert snapshot == expected
        assert type(snapshot) is type(expected)


def test_hostile_value_does_not_harm_its_neighbours() -> None:
    snapshot = plain({"a": 1, "bad": hostile()(), "b": [2, OfHostileMeta(), OfHostileMeta], "c": 3})
    assert isinstance(snapshot, dict)
    assert (snapshot["a"], snapshot["c"]) == (1, 3)
    assert isinstance(snapshot["b"], list)
    assert snapshot["b"][0] == 2
    assert str(snapshot["b"][2]).endswith("OfHostileMeta")


def test_hostile_key_loses_no_value() -> None:
    bad = hostile(__hash__=lambda self: 1)()
    worse = hostile(str, __hash__=lambda self: 2)("name")
    snapshot = plain({bad: 1, worse: 2})
    assert isinstance(snapshot, dict)
    assert list(snapshot.values()) == [1, 2]
    assert list(snapshot)[1] == "name"


def test_dict_that_changes_while_it_is_read() -> None:
    value: dict[str, Any] = {}

    class Grows:
        def __repr__(self) -> str:
            value[f"new {len(value)}"] = self
            return "grows"

    value.update(a=Grows(), b=Grows())
    assert plain(value) == {"a": "grows", "b": "grows"}


def test_dict_that_other_threads_change() -> None:
    value: dict[int, int] = {}
    stop = threading.Event()

    def churn() -> None:
        for number in itertools.count():
            value[number % 97] = number
            value.pop((number * 7) % 97, None)
            if stop.is_set():
                return

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        assert all(isinstance(plain(value), dict) for _ in range(2000))
    finally:
        stop.set()
        thread.join()


def test_interrupt_passes() -> None:
    def interrupt(self: object) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plain([hostile(__repr__=interrupt)()])


def test_caller_at_the_end_of_the_stack_gets_a_description() -> None:
    results: list[Any] = []

    def descend() -> None:
        with contextlib.suppress(RecursionError):
            results.append(plain({"a": [[[1]]]}))
            descend()

    descend()
    assert results[0] == {"a": [[[1]]]}
    assert {str(result) for result in results} <= {"{'a': [[[1]]]}", "<dict (snapshot failed: RecursionError)>"}


@pytest.mark.parametrize(
    "value",
    ["x" * 1_000_000, "\ud800" * 1_000_000, list(range(1_000_000)), dict.fromkeys(range(1_000_000)), 1 << 8_000_000],
    ids=["str", "surrogates", "list", "dict", "int"],
)
def test_huge_value_costs_little(value: Any) -> None:
    start = time.process_time()
    for _ in range(10):
        plain({"value": value})
    assert time.process_time() - start < 1


# -- secrets ----------------------------------------------------------------------------------------------------------


def test_secrets_are_replaced_at_any_depth() -> None:
    value = {
        "password": "x",
        "n": {"password": 5, "m": [{"password": {"a": 1}}, Slotted(1)]},
        "more": {"password": np.float32(1)},
    }
    assert plain(value, is_secret=lambda key: key == "password") == {
        "password": "[REDACTED]",
        "n": {"password": "[REDACTED]", "m": [{"password": "[REDACTED]"}, {"x": 1, "password": "[REDACTED]"}]},
        "more": {"password": "[REDACTED]"},
    }


@pytest.mark.parametrize("value", [None, True, False, "", [], {}, (), set()])
def test_secret_that_tells_nothing_stays(value: Any) -> None:
    kept = list(value) if isinstance(value, (tuple, set)) else value
    assert plain({"password": value}, is_secret=lambda _: True) == {"password": kept}


def test_verdict_is_asked_about_every_form_of_a_key() -> None:
    asked: list[str] = []

    def ask(key: str) -> bool:
        asked.append(key)
        return key in ("1", "red")

    assert plain({1: "a", "1": "b", Colour.RED: "c", "x": "d"}, is_secret=ask) == {
        "1": "[REDACTED]",
        "1#2": "[REDACTED]",
        "red": "[REDACTED]",
        "x": "d",
    }
    assert asked == ["1", "1", "red", "x"]


@pytest.mark.parametrize("value", [{"a": "x"}, {"a": {"b": "x"}}])
def test_verdict_that_fails_counts_as_yes(value: Any) -> None:
    assert plain(value, is_secret=boom) == {"a": "[REDACTED]"}


# -- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"),
        ("a\ud800", "a\ufffd"),
        (Name.BOB, "bob"),
        (np.str_("a"), "a"),
        (7, "7"),
        (True, "True"),
        (None, "None"),
        (b"ab", "bytes(2): b'ab'"),
        (ValueError("boom"), "boom"),
        (pathlib.PurePosixPath("/a"), "/a"),
        ([1], "[1]"),
    ],
)
def test_text_of_anything(value: Any, expected: str) -> None:
    assert text(value) == expected
    assert type(text(value)) is str


def test_text_of_a_hostile_string_is_its_characters() -> None:
    assert text(hostile(str)("a")) == "a"


def test_text_of_an_int_that_str_refuses_is_its_size() -> None:
    assert text(10**5000) == "int(16610 bits)"


def test_text_that_fails_says_so() -> None:
    assert text(hostile()()).endswith("Hostile (str failed: RuntimeError)>")


def test_long_text_is_cut() -> None:
    assert text("abcdef", Limits(max_string=2)) == "ab…[cut: 4 characters]"


# -- properties -------------------------------------------------------------------------------------------------------


def _one_of(values: list[Any]) -> st.SearchStrategy[Any]:
    """As sampled_from, which compares and prints what it gets."""
    return st.integers(0, len(values) - 1).map(lambda index: values[index])


_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(codec=None, categories=None)),
    st.binary(max_size=200),
    st.decimals(),
    st.fractions(),
    st.datetimes(),
    st.timedeltas(),
    st.uuids(),
    st.complex_numbers(),
    _one_of([case[0] for case in (*NUMPY.values(), *STAND_INS.values())]),
    _one_of([Colour.BOTH, [OfHostileMeta], [OfHostileMeta()], object(), *(make() for make, _ in HOSTILE.values())]),
)
_keys = st.one_of(st.text(max_size=300), st.integers(), st.none(), st.booleans(), st.floats(), st.tuples(st.text()))


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=8),
        st.dictionaries(_keys, inner, max_size=8),
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, max_size=4).map(hostile(list)),
        st.dictionaries(_keys, inner, max_size=4).map(hostile(dict)),
        inner.map(lambda value: Point(1, value)),
        inner.map(lambda value: Struct(value, value)),
        inner.map(lambda value: Model.model_construct(x=value)),
    )


_values = st.recursive(_leaves, _containers, max_leaves=30)
_limits = st.builds(
    Limits,
    max_depth=st.integers(1, 5),
    max_items=st.integers(1, 10),
    max_nodes=st.integers(1, 40),
    max_string=st.integers(1, 300),
    max_text=st.integers(1, 600),
)


def _walk(value: Any, depth: int = 0) -> Any:
    yield value, depth
    children = value.values() if type(value) is dict else value if type(value) is list else ()
    for child in children:
        yield from _walk(child, depth + 1)


@settings(max_examples=300, deadline=None)
@given(_values)
def test_any_value_encodes_and_decodes_to_an_equal_value(value: Any) -> None:
    snapshot = plain(value)
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot))
    assert repr(decoded) == repr(snapshot)
    assert {type(item) for item, _ in _walk(snapshot)} <= {type(None), bool, int, float, str, list, dict}


@settings(max_examples=300, deadline=None)
@given(_values, _limits)
def test_any_value_stays_within_the_limits(value: Any, limits: Limits) -> None:
    mark = 40
    nodes = list(_walk(plain(value, limits)))
    strings = [item for item, _ in nodes if type(item) is str]
    containers = [(item, depth) for item, depth in nodes if type(item) in (list, dict)]
    assert all(depth < limits.max_depth for _, depth in containers)
    assert all(len(item) <= limits.max_items + 1 for item, _ in containers)
    assert len(nodes) <= limits.max_nodes + len(containers)
    assert all(len(item) <= limits.max_string + mark for item in strings)
    assert sum(map(len, strings)) <= limits.max_text + mark * len(strings)
    assert all(len(key) <= 256 + 4 for item, _ in containers if type(item) is dict for key in item)


@settings(max_examples=200, deadline=None)
@given(_values)
def test_snapshot_of_a_snapshot_is_the_same(value: Any) -> None:
    snapshot = plain(value)
    assert repr(plain(snapshot, Limits(max_depth=20, max_items=200, max_string=100_000))) == repr(snapshot)


@settings(max_examples=200, deadline=None)
@given(_values)
def test_secrets_never_show_under_any_value(value: Any) -> None:
    snapshot = plain({"outer": value, "secret": ["hidden", value]}, is_secret=lambda key: key == "secret")
    assert isinstance(snapshot, dict)
    assert snapshot["secret"] == "[REDACTED]"


@given(_values)
def test_text_of_any_value_encodes(value: Any) -> None:
    text(value).encode()
