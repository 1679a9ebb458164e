"""Where faulty plugins run, both ways of shipping, and the table of what became of them (`--fault-table`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.kit import Place
from faults.side_by_side import SideBySide
from faults.table import FaultTable

TABLE = pytest.StashKey[FaultTable]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-table", action="store_true", help="print what became of the records under each fault")
    parser.addoption("--long-faults", action="store_true", help="run the faults that take minutes as well")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long_fault: takes long, so it runs with --long-faults only")
    config.stash[TABLE] = FaultTable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless it is asked for."""
    if config.getoption("--long-faults", default=False):
        return
    left_out = [item for item in items if item.get_closest_marker("long_fault")]
    items[:] = [item for item in items if item not in left_out]
    if left_out:
        config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table, if it is asked for."""
    if config.getoption("--fault-table", default=False):
        terminalreporter.section("faults")
        for line in config.stash[TABLE].lines():
            terminalreporter.write_line(line)


@pytest.fixture(params=["thread", "agent"])
def shipper(request: pytest.FixtureRequest) -> str:
    """Each way of shipping."""
    return request.param


@pytest.fixture
def place(tmp_path: Path, shipper: str) -> Iterator[Place]:
    """A directory with an empty journal directory in it."""
    place = Place(tmp_path, shipper)
    yield place
    place.close()


@pytest.fixture(scope="module")
def side_by_side(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SideBySide]:
    """The module's `scenario` for every test that was chosen of it, a few at a time: they wait, mostly.

    One at a time for the table: what is measured there is not to wait for the others.
    """
    chosen = [item for item in request.session.items if getattr(item, "module", None) is request.module]
    workers = 1 if request.config.getoption("--fault-table", default=False) else 4
    with SideBySide(request.module.scenario, tmp_path_factory.mktemp, workers) as running:
        running.begin([item.callspec.params for item in chosen if isinstance(item, pytest.Function)])
        yield running


@pytest.fixture
def fault_table(pytestconfig: pytest.Config) -> FaultTable:
    """Where every test takes down what became of its records."""
    return pytestconfig.stash[TABLE]
