"""Which category a report has that names none: the current step's, told as fast as one that is named."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synapse_otel import BaseLogger, NoOpLogger, OTelLogger, TelemetrySettings
from synapse_otel.models import LogLevel

NAMES = st.sampled_from(["load", "train", "", None])
GIVEN = st.fixed_dictionaries({}, optional={"category": NAMES, "step": NAMES})
USUAL = st.sampled_from([("enter", "load"), ("leave", None), ("here", {}), ("in a thread", {})])
ACTIONS = st.lists(
    st.one_of(
        USUAL,
        USUAL,
        st.tuples(st.sampled_from(["enter", "enter another's"]), st.sampled_from(["load", "train"])),
        st.tuples(st.just("rename"), st.sampled_from(["load", "train", None])),
        st.tuples(st.sampled_from(["here", "in a thread"]), GIVEN),
    ),
    min_size=10,
    max_size=40,
)


class Plain(BaseLogger):
    """Asks anew which step is the current one, each time."""

    def _log_impl(self, event: str, data: dict[str, Any], file: str | None, step: str | None, level: LogLevel) -> None:
        pass


def reported(logger: BaseLogger, another: BaseLogger, actions: list[tuple[str, Any]]) -> list[object]:
    """Do it all; return what came of each report, and what is known in the end."""
    answers = list[object]()
    with ExitStack() as stack:
        entered = list[ExitStack]()
        for number, (what, argument) in enumerate(actions, 1):
            if what.startswith("enter"):
                entered.append(stack.enter_context(ExitStack()))
                entered[-1].enter_context((another if "another" in what else logger).step(argument))
            elif what == "leave" and entered:
                entered.pop().close()
            elif what == "rename":
                logger.set_step(argument)
            elif what == "in a thread":
                thread = threading.Thread(target=report, args=(logger, number, argument, answers))
                thread.start()
                thread.join()
            elif what == "here":
                report(logger, number, argument, answers)
    tracks = {name: (track.current, track.total) for name, track in logger._tracks.items()}
    return [*answers, tracks, logger.get_metrics()]


def report(logger: BaseLogger, number: int, given: dict[str, Any], answers: list[object]) -> None:
    """Report progress and metrics; note the errors, if there are any."""
    for call in (
        lambda: logger.set_progress(number, 1000, **given),
        lambda: logger.set_metrics({"n": number}, **given),
    ):
        try:
            call()
        except (TypeError, ValueError) as error:
            answers.append(str(error))


@given(ACTIONS)
@settings(deadline=None, max_examples=300)
def test_the_category_is_that_of_a_logger_that_asks_each_time(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, Any]]
) -> None:
    """Whatever steps begin, end and are renamed, also those of another logger, in whatever thread is reported."""
    settings = TelemetrySettings(journal_dir=tmp_path_factory.mktemp("runs"), shipper="off")
    logger, plain = OTelLogger("job-1", settings=settings), Plain("job-1")
    try:
        assert reported(logger, NoOpLogger(), actions) == reported(plain, NoOpLogger(), actions)
    finally:
        logger.finish()


def test_steps_of_another_logger_are_not_kept() -> None:
    """A logger that has no steps of its own remembers nothing of those that it is asked in."""
    logger, another = OTelLogger("job-1", settings=TelemetrySettings(shipper="off")), NoOpLogger()
    for _ in range(100):
        with another.step("train"):
            logger.set_metrics({"loss": 1})
    assert len(logger._steps) <= 1
    logger.finish()
