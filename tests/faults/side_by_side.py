"""Runs scenarios a few at a time: each is a plugin, a collector and a fault that mostly wait for each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import pytest

from faults.kit import Ledger, Outcome, Place

BOTH = ("http/protobuf", "grpc")


class Case(Protocol):
    """A fault; modules have their own kinds.

    Attributes:
        name: What its row in the table is called.
        protocols: Over which it is tried.
        long: Whether it takes long.
    """

    @property
    def name(self) -> str: ...
    @property
    def protocols(self) -> tuple[str, ...]: ...
    @property
    def long(self) -> bool: ...


@dataclass(frozen=True)
class Tried:
    """What became of a plugin and of its records."""

    place: Place
    outcome: Outcome
    ledger: Ledger


def each(cases: Sequence[Case]) -> pytest.MarkDecorator:
    """Parametrize a test with `case` and `protocol`."""
    params = [
        pytest.param(case, protocol, id=f"{case.name}-{protocol}", marks=[pytest.mark.long_fault] * case.long)
        for case in cases
        for protocol in case.protocols
    ]
    return pytest.mark.parametrize(("case", "protocol"), params)


class SideBySide:
    """Scenarios under way, by their parameters.

    Args:
        scenario: Tries a case in a place, over a protocol.
        new_directory: Makes an empty directory of a name like the one that it gets.
        workers: How many are tried at once.
    """

    def __init__(
        self, scenario: Callable[[Any, Place, str], Tried], new_directory: Callable[[str], Path], workers: int
    ) -> None:
        self._scenario = scenario
        self._new_directory = new_directory
        self._pool = ThreadPoolExecutor(workers)
        self._running: dict[tuple[str, str, str], Future[Tried]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def begin(self, wanted: Sequence[Mapping[str, Any]]) -> None:
        """Begin with all that tests will ask for, in that order."""
        for params in wanted:
            key = (params["case"].name, params["protocol"], params["shipper"])
            place = Place(self._new_directory("place"), params["shipper"])
            self._running[key] = self._pool.submit(self._try, params["case"], place, params["protocol"])

    def tried(self, case: Case, protocol: str, shipper: str) -> Tried:
        """Wait for a scenario and return, or raise, what it did."""
        return self._running[case.name, protocol, shipper].result()

    def _try(self, case: Case, place: Place, protocol: str) -> Tried:
        try:
            return self._scenario(case, place, protocol)
        finally:
            place.close()
