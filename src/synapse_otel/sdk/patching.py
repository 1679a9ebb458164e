"""Replaces attributes of somebody else's classes and modules, and puts them back."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from types import FunctionType, MethodType
from typing import Any
from weakref import WeakKeyDictionary

from synapse_otel.sdk.guard import guarded

Function = Callable[..., Any]

_SDK = "synapse_sdk"

_ORIGINAL = "__synapse_otel_original__"

UNSEEN = "<synapse_otel, as unseen as importlib._bootstrap>"
"""The file of our wrappers: `warnings` and `logging` pass over frames of such a name when they look for a caller."""


class OnlyHere:
    """What a wrapper does of ours. Where it is carried by value to another process, there is None in the place of this.

    Args:
        before: What is done first.
        after: What is done when the original has returned.
    """

    def __init__(self, before: Function, after: Function) -> None:
        self.before, self.after, self.leave_no_trace = before, after, leave_no_trace

    def __reduce__(self) -> tuple[Any, ...]:
        return operator.getitem, ((None,), 0)


def wraps(original: Function) -> Callable[[Function], Function]:
    """Let a wrapper say of itself what the original says, and be unseen."""

    def wrapped(function: Function) -> Function:
        function.__code__ = function.__code__.replace(co_filename=UNSEEN)
        if inspect.iscoroutinefunction(original):
            inspect.markcoroutinefunction(function)  # type: ignore[attr-defined]  # of Python 3.12, as the SDK
        return functools.wraps(original)(function)

    return wrapped


def _nothing(*_: Any, **__: Any) -> None:
    pass


def inside(
    original: Function,
    scope: Callable[..., AbstractContextManager[Any]],
    after: Callable[..., None] = _nothing,
) -> Function:
    """Return a function, run inside of a scope: what it returns, and what it raises and from where, is as it was.

    Args:
        original: The function.
        scope: Called with its arguments; what it returns is entered. Where it fails, there is no scope.
        after: Called with what the scope gave, what the function returned, and its arguments.
    """

    def before(*args: Any, **kwargs: Any) -> AbstractContextManager[Any]:
        with guarded("a call is not followed"):
            return scope(*args, **kwargs)
        return nullcontext()

    def afterwards(*args: Any, **kwargs: Any) -> None:
        with guarded("what a call returned is not looked at"):
            after(*args, **kwargs)

    ours: OnlyHere | None = OnlyHere(before, afterwards)

    @wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        if ours is None:
            return original(*args, **kwargs)
        try:
            with ours.before(*args, **kwargs) as entered:
                result = original(*args, **kwargs)
                ours.after(entered, result, *args, **kwargs)
                return result
        except BaseException as error:
            ours.leave_no_trace(error)
            raise

    return function


def leave_no_trace(error: BaseException) -> None:
    """Take the frame that catches an error out of its traceback; a bare `raise` does not put it there again."""
    while error.__traceback__ is not None and error.__traceback__.tb_frame.f_code.co_filename == UNSEEN:
        error.__traceback__ = error.__traceback__.tb_next


def as_method(original: Any) -> Function:
    """Return a function that calls what is an attribute of a class, but no function, as its instances do."""

    @wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = original.__get__(self, type(self)) if hasattr(type(original), "__get__") else original
        return bound(*args, **kwargs)

    return method


class Standin:
    """A function in the place of another one, which pickles as that other one.

    cloudpickle carries the classes of a script by value. What it would carry of ours may not be installed where it
    arrives, so the original goes.
    """

    # Apart from what `functools.wraps` copies to what is wrapped around it.
    __slots__ = ("__dict__", "_function", "_original")

    def __init__(self, original: Function, function: Function) -> None:
        functools.update_wrapper(self, original)
        self._original = original
        self._function = function

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self._function if instance is None else MethodType(self._function, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function that stands in."""
        return self._function(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return operator.getitem, ((self._original,), 0)  # of the standard library; it gives the original


class DescriptorStandin(Standin):
    """In the place of what is no function: a static method, a decorated one, any callable."""

    __slots__ = ()

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        if instance is not None:
            return MethodType(self._function, instance)
        return self._original.__get__(None, owner) if hasattr(type(self._original), "__get__") else self._original


def subclasses(cls: type[Any]) -> Iterator[type]:
    """Yield what is derived from a class, directly or not."""
    derived: type
    for derived in cls.__subclasses__():
        yield derived
        yield from subclasses(derived)


class Patches:
    """What was replaced, and what it was.

    A class that is forgotten by everybody else is forgotten here too: what it had is noted on what stands in its place.
    """

    def __init__(self) -> None:
        self._replaced: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()

    def wrap(self, owner: Any, name: str, make: Callable[[Function], Function]) -> None:
        """Replace the function `owner.name`, where `owner` itself has one, by what `make` makes of it; once."""
        original = vars(owner).get(name)
        if original is None or self._has(owner, name) or getattr(original, "__isabstractmethod__", False):
            return
        function = original.__func__ if isinstance(original, classmethod) else original
        if not callable(function):
            return
        if isinstance(owner, type) and type(function) is not FunctionType:
            self.put(owner, name, DescriptorStandin(original, make(as_method(original))))
            return
        replacement: Any = make(function)
        if isinstance(owner, type) and not owner.__module__.startswith(_SDK):
            replacement = Standin(function, replacement)
        self.put(owner, name, classmethod(replacement) if isinstance(original, classmethod) else replacement)

    def wrap_method(self, cls: type, base: type, name: str, make: Callable[[Function], Function]) -> None:
        """Replace a method of a class, and of all its bases that are derived from `base` and have one.

        What it inherits from anywhere else stays as it is for others: there, the class gets a method of its own.
        """
        owners = [owner for owner in cls.__mro__ if name in vars(owner)]
        for owner in owners:
            if owner is cls or issubclass(owner, base):
                self.wrap(owner, name, make)
        foreign = bool(owners) and owners[0] is not cls and not issubclass(owners[0], base)
        if foreign and not self._has(cls, name):
            self.put(cls, name, Standin(getattr(cls, name), make(_inherited(cls, name))))

    def _has(self, owner: Any, name: str) -> bool:
        return name in self._replaced.get(owner, ())

    def put(self, owner: Any, name: str, replacement: Any) -> None:
        """Replace an attribute, or add one that `owner` has not."""
        function = _function(replacement)
        function.__dict__[_ORIGINAL] = id(function), vars(owner).get(name)
        self._replaced.setdefault(owner, set()).add(name)
        setattr(owner, name, replacement)

    def restore(self) -> None:
        """Put everything back that nobody has replaced since."""
        for owner, names in list(self._replaced.items()):
            for name in names:
                function = _function(vars(owner).get(name))
                whose, original = getattr(function, "__dict__", {}).get(_ORIGINAL, (None, None))
                if whose != id(function):  # somebody else's, who has copied what ours says of itself
                    continue
                if original is None:
                    delattr(owner, name)
                else:
                    setattr(owner, name, original)
        self._replaced.clear()


def _function(replacement: Any) -> Any:
    return replacement.__func__ if isinstance(replacement, classmethod) else replacement


def _inherited(cls: type, name: str) -> Function:
    @wraps(getattr(cls, name))
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(super(cls, self), name)(*args, **kwargs)

    return method
