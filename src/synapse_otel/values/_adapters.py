"""What is known about types: each adapter turns a value into a simpler one, for the walk to go on with.

An adapter is chosen by the type alone, read through the descriptors of `type`, so that no code of the value runs to
find out what it is. Optional packages (numpy, torch, pandas, pydantic, attrs) are recognised by their module, never
imported.
"""

import dataclasses
import datetime
import decimal
import enum
import fractions
import math
import pathlib
import types
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Set, ValuesView
from itertools import islice
from typing import Any, NamedTuple

from synapse_otel.values._limits import Limits
from synapse_otel.values._strings import describe, integer, module_of, mro_of, short_name, type_name


class Pairs(NamedTuple):
    """The first items of a mapping, and how many it has."""

    items: Sequence[tuple[object, object]]
    total: int


class Elements(NamedTuple):
    """The first elements of a list, a set, an array, and how many it has."""

    items: Sequence[object]
    total: int


Adapter = Callable[[Any, Limits], object]

_PREVIEW_BYTES = 128
_MAX_CACHED_TYPES = 512
_ARRAY_PACKAGES = frozenset({"numpy", "torch", "jax", "jaxlib", "cupy", "mlx", "tensorflow"})
_PYDANTIC_MODELS = frozenset({"pydantic.main.BaseModel", "pydantic.v1.main.BaseModel"})
_FRAME_PACKAGES = frozenset({"pandas", "polars", "pyarrow", "scipy", "xarray", "dask", "modin", "cudf"})

_dict_of: Callable[[type], Mapping[str, Any]] = type.__dict__["__dict__"].__get__

# Strong references: a weak dictionary costs ten times the lookup. Cleared when full, so that what it keeps alive is
# bounded.
_cache: dict[type, Adapter] = {}


def adapt(value: object, limits: Limits) -> object:
    """Returns something simpler than `value`: an atom, `Pairs`, `Elements`, or a value to be looked at again."""
    try:
        kind = type(value)
        adapter = _cache.get(kind)
        if adapter is None:
            adapter = _remember(kind)
        return adapter(value, limits)
    except Exception:  # noqa: BLE001  # foreign code runs in there
        return describe(repr, value)


def dict_items(value: dict[Any, Any], limits: Limits) -> Pairs:
    """Returns the items of a dict or of a subclass, whose own methods are not called."""
    return Pairs(_first(dict.items, value, limits), dict.__len__(value))


def _first(iterate: Callable[[Any], Iterable[Any]], value: object, limits: Limits) -> list[Any]:
    """Returns the first items, also of a container that another thread is changing."""
    for _ in range(3):
        try:
            return list(islice(iterate(value), limits.max_items))
        except RuntimeError:
            continue
    return []


def _remember(kind: type) -> Adapter:
    adapter = _choose(kind)
    if len(_cache) >= _MAX_CACHED_TYPES:
        _cache.clear()
    _cache[kind] = adapter
    return adapter


def _choose(kind: type) -> Adapter:
    if issubclass(kind, enum.Enum):
        return _enum
    mro = mro_of(kind)
    for base in mro:
        if base is tuple and isinstance(_class_attribute(kind, "_fields"), tuple):
            return _namedtuple
        if base in _BY_BASE:
            return _BY_BASE[base]
    return _of_package(kind, mro) or _of_record(kind, mro) or _of_protocol(kind) or _repr


def _of_package(kind: type, mro: tuple[type, ...]) -> Adapter | None:
    packages = {module_of(base).partition(".")[0] for base in mro}
    if packages & _ARRAY_PACKAGES and _has(kind, "item"):
        return _array
    if packages & _ARRAY_PACKAGES and _has(kind, "numpy"):
        return _tensorflow
    if packages & _FRAME_PACKAGES and _has(kind, "shape"):
        return _summary
    return None


def _of_record(kind: type, mro: tuple[type, ...]) -> Adapter | None:
    if any(type_name(base) in _PYDANTIC_MODELS for base in mro):
        return _record(kind, _pydantic_names(kind))
    if _has(type(kind), "__struct_fields__"):
        return _record(kind, _class_attribute(type(kind), "__struct_fields__").__get__(kind))
    if _has(kind, "__dataclass_fields__"):
        return _record(kind, tuple(field.name for field in dataclasses.fields(kind)))
    if _has(kind, "__attrs_attrs__"):
        return _record(kind, tuple(attribute.name for attribute in _class_attribute(kind, "__attrs_attrs__")))
    return None


def _of_protocol(kind: type) -> Adapter | None:
    if issubclass(kind, Mapping):
        return _mapping
    if issubclass(kind, (Sequence, Set, ValuesView)):
        return _sized
    return None


def _class_attribute(kind: type, name: str) -> Any:
    for base in mro_of(kind):
        if name in _dict_of(base):
            return _dict_of(base)[name]
    return None


def _has(kind: type, name: str) -> bool:
    return _class_attribute(kind, name) is not None


def _pydantic_names(kind: type) -> tuple[str, ...]:
    places = ("__pydantic_fields__", "model_fields", "__fields__")
    declared = next(fields for place in places if isinstance(fields := _class_attribute(kind, place), dict))
    return (*declared, "__pydantic_extra__")


def _record(kind: type, names: tuple[str, ...]) -> Adapter:
    """Returns an adapter that reads declared fields where they are stored, so that no property or serializer runs."""
    found = {name: _class_attribute(kind, name) for name in names}
    slots = {name: slot for name, slot in found.items() if isinstance(slot, types.MemberDescriptorType)}

    def read(value: object, limits: Limits) -> Pairs:
        own = _own_dict(value)
        pairs: list[tuple[object, object]] = []
        for name in names:
            stored = _slot(slots[name], value) if name in slots else own.get(name, _UNSET)
            if name == "__pydantic_extra__":
                pairs.extend(stored.items() if isinstance(stored, dict) else ())
            elif stored is not _UNSET:
                pairs.append((name, stored))
        return Pairs(pairs[: limits.max_items], len(pairs))

    return read


_UNSET = object()


def _own_dict(value: object) -> dict[str, object]:
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return own if type(own) is dict else {}


def _slot(slot: types.MemberDescriptorType, value: object) -> object:
    try:
        return slot.__get__(value)
    except AttributeError:
        return _UNSET


def _enum(value: enum.Enum, _: Limits) -> object:
    return object.__getattribute__(value, "_value_")


def _namedtuple(value: tuple[object, ...], limits: Limits) -> Pairs:
    names = _class_attribute(type(value), "_fields")
    pairs = list(zip(names, tuple.__iter__(value), strict=False))
    return Pairs(pairs[: limits.max_items], len(pairs))


def _tuple(value: tuple[object, ...], limits: Limits) -> Elements:
    return Elements(tuple.__getitem__(value, slice(limits.max_items)), tuple.__len__(value))


def _list(value: list[object], limits: Limits) -> Elements:
    return Elements(list.__getitem__(value, slice(limits.max_items)), list.__len__(value))


def _set(value: Any, limits: Limits) -> Elements:
    base: Any = set if issubclass(type(value), set) else frozenset
    items = _first(base.__iter__, value, limits)
    total = base.__len__(value)
    # The order of a set of strings changes with every process: sorted where all of it is here and comparable.
    if len(items) == total and any(all(type(item) is kind for item in items) for kind in (str, int, float)):
        items.sort()
    return Elements(items, total)


def _deque(value: deque[object], limits: Limits) -> Elements:
    return Elements(_first(deque.__iter__, value, limits), deque.__len__(value))


def _mapping(value: Mapping[object, object], limits: Limits) -> Pairs:
    return Pairs([(key, item) for key, item in islice(value.items(), limits.max_items)], len(value))


def _sized(value: Sequence[object], limits: Limits) -> Elements:
    return Elements(list(islice(value, limits.max_items)), len(value))


def _array(value: Any, limits: Limits) -> object:
    shape = value.shape
    size = math.prod(shape) if shape else 1
    if size > limits.max_items:
        return _summary(value, limits)
    try:
        return _array_elements(value, size)
    except Exception:  # noqa: BLE001  # for whatever reason it has no elements
        # On a device that is gone, without storage, sparse: the repr of a tensor would fail alike, or print it all.
        return _summary(value, limits)


def _tensorflow(value: Any, limits: Limits) -> object:
    return _array(value.numpy(), limits) if math.prod(value.shape) <= limits.max_items else _summary(value, limits)


def _array_elements(value: Any, size: int) -> object:
    unit = getattr(value.dtype, "kind", "")
    if unit == "M":
        value = value.astype("str")
    elif unit == "m":
        value = value.astype("timedelta64[ns]").astype("float64") / 1e9
    if size != 1:
        return value.tolist()
    item = value.item()
    # The item of a numpy.longdouble is a numpy.longdouble.
    return float(value) if type(item) is type(value) else item


def _summary(value: Any, _: Limits) -> str:
    kind, shape, dtype = short_name(type(value)), tuple(value.shape), getattr(value, "dtype", None)
    if dtype is None:
        return f"{kind}(shape={shape!r})"
    name = getattr(dtype, "name", None) or str(dtype).removeprefix("torch.")
    return f"{kind}(shape={shape!r}, dtype={name})"


def _bytes(value: bytes | bytearray | memoryview, _: Limits) -> str:
    view = memoryview(value)
    name = short_name(type(value))
    if not view.c_contiguous:
        return f"{name}({view.nbytes})"
    shown = bytes(view.cast("B")[:_PREVIEW_BYTES])
    cut = view.nbytes - len(shown)
    return f"{name}({view.nbytes}): {shown!r}" + (f"…[cut: {cut} bytes]" if cut else "")


def _exception(value: BaseException, _: Limits) -> str:
    name, message = short_name(type(value)), describe(str, value)
    return f"{name}: {message}" if message else name


def _callable(value: Any, _: Limits) -> str:
    module, name = value.__module__, value.__qualname__
    return f"{module}.{name}" if module and module != "builtins" else str(name)


def _repr(value: object, _: Limits) -> str:
    return describe(repr, value)


_BY_BASE: dict[type, Adapter] = {
    str: lambda value, _: str.__str__(value),
    int: lambda value, _: integer(int.__int__(value)),
    float: lambda value, _: float.__float__(value),
    complex: lambda value, _: str(complex.__complex__(value)),
    dict: dict_items,
    list: _list,
    tuple: _tuple,
    set: _set,
    frozenset: _set,
    deque: _deque,
    range: _repr,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    decimal.Decimal: lambda value, _: float(value),
    fractions.Fraction: lambda value, _: float(value),
    datetime.datetime: lambda value, _: str(value.isoformat()),
    datetime.date: lambda value, _: str(value.isoformat()),
    datetime.time: lambda value, _: str(value.isoformat()),
    datetime.timedelta: lambda value, _: datetime.timedelta.total_seconds(value),
    uuid.UUID: lambda value, _: str(value),
    pathlib.PurePath: lambda value, _: str(value),
    BaseException: _exception,
    type: lambda value, _: type_name(value),
    types.FunctionType: _callable,
    types.BuiltinFunctionType: _callable,
    types.MethodType: _callable,
    types.ModuleType: lambda value, _: str(value.__name__),
}
