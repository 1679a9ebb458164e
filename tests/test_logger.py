import asyncio
import contextvars
import decimal
import enum
import fractions
import pathlib
import pickle
import threading

import numpy as np
import pytest

from synapse_otel.logger import (
    BaseLogger,
    NoOpLogger,
    ProgressTrack,
    check_category,
    check_level,
    check_mapping,
    check_progress,
    check_status,
    check_text,
    describe,
    file_text,
    one_category,
)
from synapse_otel.models import ActionStatus, DeliveryReport, LogLevel, ProgressData, RunStatus


class SdkLevel(str, enum.Enum):  # noqa: UP042  # as users write it
    """The shape of the Synapse SDK's own enum."""

    WARNING = "warning"


class Category(str, enum.Enum):  # noqa: UP042  # as users write it
    TRAIN = "train"


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no repr")


class Recorder(BaseLogger):
    """Keeps every call of a hook."""

    def __init__(self, job_id=None):
        super().__init__(job_id)
        self.calls = []

    def _log_impl(self, event, data, file, step, level):
        self.calls.append(("log", event, data, file, step, level))

    def _on_progress(self, progress, category):
        self.calls.append(("progress", progress.current, progress.total, category, progress.status))

    def _on_metrics(self, category, metrics):
        self.calls.append(("metrics", category, dict(metrics)))

    def _on_step_start(self, step):
        self.calls.append(("start", step.name))

    def _on_step_end(self, step):
        self.calls.append(("end", step.name, step.status, step.error))

    def _on_finish(self):
        self.calls.append(("finish", self._status, self._error))


@pytest.fixture
def logger():
    return Recorder("job-1")


@pytest.fixture(params=[Recorder, NoOpLogger])
def either(request):
    return request.param("job-1")


def raised(kind, call, *args, **kwargs):
    with pytest.raises(kind) as error:
        call(*args, **kwargs)
    assert type(error.value) is kind
    return str(error.value)


class TestProgress:
    def test_a_report_reaches_the_hook_with_its_category(self, logger):
        logger.set_progress(1, 10, "train")
        logger.set_progress(2, 10, step="load")
        logger.set_progress(10, 10)
        assert logger.calls == [
            ("progress", 1, 10, "train", "running"),
            ("progress", 2, 10, "load", "running"),
            ("progress", 10, 10, None, "completed"),
        ]

    @pytest.mark.parametrize(
        ("current", "total", "message"),
        [
            (0, 0, "total must be a finite number greater than 0, got 0"),
            (0, -1, "total must be a finite number greater than 0, got -1"),
            (0, float("nan"), "total must be a finite number greater than 0, got nan"),
            (0, float("inf"), "total must be a finite number greater than 0, got inf"),
            pytest.param(0, 10**400, "total must be a finite number greater than 0, got inf", id="huge"),
            pytest.param(-(10**400), 1, "current must be between 0 and total (1), got -inf", id="huge and negative"),
            (-1, 10, "current must be between 0 and total (10), got -1"),
            (11, 10, "current must be between 0 and total (10), got 11"),
            (0.5, 0.25, "current must be between 0 and total (0.25), got 0.5"),
            (float("nan"), 10, "current must be between 0 and total (10), got nan"),
        ],
    )
    def test_numbers_out_of_range_are_value_errors(self, either, current, total, message):
        assert raised(ValueError, either.set_progress, current, total) == message

    @pytest.mark.parametrize(
        ("current", "total", "message"),
        [
            ("1", 10, "current must be a real number, got str '1'"),
            (1, None, "total must be a real number, got None"),
            (1j, 10, "current must be a real number, got complex 1j"),
            (1, [10], "total must be a real number, got list [10]"),
            (np.array([1, 2]), 10, "current must be a real number, got ndarray array([1, 2])"),
        ],
    )
    def test_what_is_no_number_is_a_type_error(self, either, current, total, message):
        assert raised(TypeError, either.set_progress, current, total) == message

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (np.int64(3), 3),
            (np.float32(0.5), 0.5),
            (np.array(3), 3),
            (fractions.Fraction(1, 2), 0.5),
            (decimal.Decimal("0.5"), 0.5),
            (True, 1),
            (2**70, float(2**70)),
        ],
    )
    def test_numbers_of_any_library_become_plain_ones(self, given, expected):
        current, total = check_progress(given, given)
        assert (current, total, type(current)) == (expected, expected, type(expected))

    def test_the_category_has_one_value_in_two_spellings(self, either):
        message = "category and step are two names of one argument, got category='a' and step='b'"
        assert raised(TypeError, either.set_progress, 1, 2, "a", step="b") == message

    def test_the_same_category_in_both_spellings_is_one(self, logger):
        logger.set_progress(1, 2, "a", step="a")
        assert logger.calls == [("progress", 1, 2, "a", "running")]

    def test_a_category_that_is_no_string_is_a_type_error(self, either):
        assert raised(TypeError, either.set_progress, 1, 2, 3) == "category must be a str or None, got int 3"

    def test_an_empty_category_is_none_even_inside_a_step(self, logger):
        with logger.step("load"):
            logger.set_progress(1, 2, "")
        assert logger.calls[1] == ("progress", 1, 2, None, "running")

    def test_a_category_of_a_string_enum_is_its_value(self, logger):
        logger.set_progress(1, 2, Category.TRAIN)
        assert type(logger.calls[0][3]) is str

    def test_the_last_progress_can_be_asked_for(self, logger):
        logger.set_progress(0, 4, "train")
        progress = logger.get_progress("train")
        assert (progress, logger.get_progress("other")) == (ProgressData(0, 4, "train", 0.0, None, "running"), None)

    def test_a_failure_keeps_the_last_numbers(self, logger):
        logger.set_progress(1, 4, "train")
        logger.set_progress_failed("train")
        assert logger.calls[-1] == ("progress", 1, 4, "train", "failed")

    def test_a_failure_may_be_the_first_report(self, logger):
        logger.set_progress_failed(step="train")
        assert logger.get_progress("train") == ProgressData(0, 0, "train", None, None, "failed")


class TestProgressTrack:
    def reported(self, *reports):
        track = ProgressTrack("train", 0.0)
        for current, total, now in reports:
            track.report(current, total, now)
        return track.snapshot()

    def test_the_remaining_time_follows_from_the_rate(self):
        assert self.reported((0, 10, 5.0), (4, 10, 7.0)) == ProgressData(4, 10, "train", 2.0, 3.0, "running")

    def test_a_category_that_is_resumed_counts_from_where_it_began(self):
        assert self.reported((500, 1000, 0.0), (600, 1000, 10.0)).time_remaining == 40.0

    def test_the_first_report_knows_no_rate(self):
        assert self.reported((1, 10, 5.0)) == ProgressData(1, 10, "train", 0.0, None, "running")

    def test_a_report_of_zero_starts_the_clock_over(self):
        assert self.reported((1, 10, 0.0), (0, 10, 50.0), (1, 10, 51.0)).elapsed_time == 1.0

    def test_a_smaller_report_after_the_end_starts_the_clock_over(self):
        assert self.reported((1, 2, 0.0), (2, 2, 50.0), (1, 2, 51.0)) == ProgressData(
            1, 2, "train", 0.0, None, "running"
        )

    def test_reports_out_of_order_do_not_start_the_clock_over(self):
        assert self.reported((1, 10, 0.0), (5, 10, 4.0), (4, 10, 6.0)).elapsed_time == 6.0

    def test_what_is_completed_has_no_time_remaining(self):
        assert self.reported((1, 1, 0.0)) == ProgressData(1, 1, "train", 0.0, 0.0, "completed")

    def test_what_has_failed_has_no_known_time_remaining(self):
        track = ProgressTrack("train", 0.0)
        track.report(0, 10, 0.0)
        track.report(5, 10, 1.0)
        track.fail(2.0)
        assert track.snapshot() == ProgressData(5, 10, "train", 2.0, None, "failed")


class TestMetrics:
    def test_a_sample_reaches_the_hook_with_the_latest_of_its_category(self, logger):
        logger.set_metrics({"loss": 0.5, "epoch": 1}, "train")
        logger.set_metrics({"loss": 0.25}, step="train")
        assert logger.calls == [
            ("metrics", "train", {"loss": 0.5, "epoch": 1}),
            ("metrics", "train", {"loss": 0.25, "epoch": 1}),
        ]

    def test_without_category_and_step_they_are_default(self, logger):
        logger.set_metrics({"loss": 0.5})
        assert logger.get_metrics() == {"default": {"loss": 0.5}}

    def test_inside_a_step_they_are_its(self, logger):
        with logger.step("validate"):
            logger.set_metrics({"mAP": 0.87})
        assert logger.get_metrics("validate") == {"mAP": 0.87}

    def test_a_copy_is_kept_and_given(self, logger):
        value = {"loss": 0.5}
        logger.set_metrics(value, "train")
        value["loss"] = logger.get_metrics("train")["loss"] = 9
        assert logger.get_metrics("train") == {"loss": 0.5}

    def test_an_empty_category_is_a_value_error(self, either):
        assert raised(ValueError, either.set_metrics, {}, "") == "category must not be empty, got ''"

    def test_what_is_no_mapping_is_a_type_error(self, either):
        message = "value must be a mapping such as a dict, got list [0.5]"
        assert raised(TypeError, either.set_metrics, [0.5], "train") == message

    def test_an_unknown_category_has_no_metrics(self, logger):
        assert logger.get_metrics("none") == {}


class TestEvents:
    def test_an_event_reaches_the_implementation_with_a_copy_of_its_data(self, logger):
        data = {"epoch": 5}
        logger.log(LogLevel.INFO, "saved", data, pathlib.Path("/model.pt"))
        data["epoch"] = 6
        assert logger.calls == [("log", "saved", {"epoch": 5}, "/model.pt", None, LogLevel.INFO)]

    def test_an_event_belongs_to_the_named_step_or_else_to_the_current(self, logger):
        with logger.step("load"):
            logger.log("warning", "slow", {})
            logger.log("warning", "slow", {}, step="other")
        assert [call[4] for call in logger.calls if call[0] == "log"] == ["load", "other"]

    @pytest.mark.parametrize(
        ("kind", "args", "message"),
        [
            (TypeError, (None, "e", {}), f"level must be a LogLevel or one of {', '.join(LogLevel)}, got None"),
            (TypeError, ("loud", "e", {}), f"level must be a LogLevel or one of {', '.join(LogLevel)}, got str 'loud'"),
            (TypeError, ("info", 1, {}), "event must be a str, got int 1"),
            (ValueError, ("info", "", {}), "event must not be empty, got ''"),
            (TypeError, ("info", "e", None), "data must be a mapping such as a dict, got None"),
            (
                TypeError,
                ("info", "e", "x" * 99),
                f"data must be a mapping such as a dict, got str '{'x' * 12}...{'x' * 13}'",
            ),
            (TypeError, ("info", "e", {}, None, 1), "step must be a str, got int 1"),
        ],
    )
    def test_misuse_is_named(self, either, kind, args, message):
        assert raised(kind, either.log, *args) == message

    def test_a_message_is_an_event_of_its_content(self, logger):
        logger.log_message("low memory", LogLevel.WARNING)
        assert logger.calls == [("log", "message", {"content": "low memory"}, None, None, LogLevel.WARNING)]

    def test_a_message_may_be_any_object(self, logger):
        logger.log_message(7)
        logger.log_message(type("Rude", (), {"__str__": lambda self: 1 / 0, "__module__": "plugin"})())
        assert [call[2]["content"] for call in logger.calls] == ["7", "<plugin.Rude (str failed: ZeroDivisionError)>"]

    def test_each_level_has_its_method(self, logger):
        for name in ("debug", "info", "warning", "error", "critical"):
            getattr(logger, name)(name)
        assert [(call[2]["content"], call[5].value) for call in logger.calls] == [
            (name, name) for name in ("debug", "info", "warning", "error", "critical")
        ]

    def test_a_dev_event_is_a_debug_event(self, logger):
        logger.log_dev_event("initialized", {"layers": 12})
        logger.log_dev_event("started")
        assert logger.calls == [
            ("log", "dev_event", {"message": "initialized", "data": {"layers": 12}}, None, None, LogLevel.DEBUG),
            ("log", "dev_event", {"message": "started", "data": None}, None, None, LogLevel.DEBUG),
        ]

    def test_the_data_of_a_dev_event_is_a_mapping(self, either):
        message = "data must be a mapping such as a dict, got tuple (1,)"
        assert raised(TypeError, either.log_dev_event, "x", (1,)) == message

    def test_the_end_is_said_once(self, logger):
        logger.end_log()
        logger.end_log()
        assert logger.calls == [("log", "run_ended", {}, None, None, LogLevel.INFO)]


class TestSteps:
    def test_a_step_is_current_inside_and_restored_after(self, logger):
        seen = [logger.get_step()]
        with logger.step("outer"):
            seen.append(logger.get_step())
            with logger.step("inner"):
                seen.append(logger.get_step())
            seen.append(logger.get_step())
        seen.append(logger.get_step())
        assert seen == [None, "outer", "inner", "outer", None]

    def test_a_step_that_ends_is_completed(self, logger):
        with logger.step("load") as step:
            inside = step.status
        assert (inside, logger.calls) == (
            ActionStatus.RUNNING,
            [("start", "load"), ("end", "load", ActionStatus.COMPLETED, None)],
        )

    def test_an_exception_fails_the_step_and_goes_on(self, logger):
        error = ValueError("bad data")
        with pytest.raises(ValueError, match="bad data"), logger.step("load") as step:
            raise error
        assert (step.exception, logger.calls[-1]) == (error, ("end", "load", ActionStatus.FAILED, "bad data"))

    def test_an_exception_without_text_is_named(self, logger):
        with pytest.raises(KeyboardInterrupt), logger.step("load"):
            raise KeyboardInterrupt
        assert logger.calls[-1] == ("end", "load", ActionStatus.FAILED, "KeyboardInterrupt")

    def test_a_step_can_be_skipped_or_failed_by_word(self, logger):
        with logger.step("a") as step:
            step.skip("nothing new")
        with logger.step("b") as step:
            step.fail("no data")
        assert logger.calls[1::2] == [
            ("end", "a", ActionStatus.SKIPPED, "nothing new"),
            ("end", "b", ActionStatus.FAILED, "no data"),
        ]

    def test_it_is_the_default_category(self, logger):
        with logger.step("load"):
            logger.set_progress(1, 2)
            logger.set_progress_failed()
            progress = logger.get_progress()
        assert (progress.category, progress.status, logger.get_progress()) == ("load", "failed", None)

    def test_the_order_belongs_to_the_step(self, logger):
        with logger.step("load") as step:
            step.order = 3
            inside = logger.get_step_order()
        assert (inside, logger.get_step_order()) == (3, None)

    def test_set_step_names_the_step_until_it_is_cleared(self, logger):
        logger.set_step("load", order=1)
        named = logger.get_step(), logger.get_step_order()
        logger.set_step(None, order=1)
        assert (named, logger.get_step(), logger.get_step_order()) == (("load", 1), None, None)

    def test_set_step_inside_a_step_lasts_until_its_end(self, logger):
        logger.set_step("outside", 7)
        with logger.step("load"):
            logger.set_step("renamed", 2)
            inside = logger.get_step(), logger.get_step_order()
        assert (inside, logger.get_step(), logger.get_step_order()) == (("renamed", 2), "outside", 7)

    @pytest.mark.parametrize(
        ("kind", "name", "message"),
        [(TypeError, None, "name must be a str, got None"), (ValueError, "", "name must not be empty, got ''")],
    )
    def test_a_step_has_a_name(self, either, kind, name, message):
        assert raised(kind, either.step, name) == message

    def test_tasks_side_by_side_do_not_see_each_others_steps(self, logger):
        async def task(name, others):
            with logger.step(name):
                await others.wait()
                return logger.get_step()

        async def main():
            async with asyncio.timeout(5):
                barrier = asyncio.Barrier(2)
                return await asyncio.gather(task("a", barrier), task("b", barrier))

        assert (asyncio.run(main()), logger.get_step()) == (["a", "b"], None)

    def test_a_thread_started_inside_a_step_is_in_it(self, logger):
        seen = []
        with logger.step("upload"):
            thread = threading.Thread(target=lambda: seen.append(logger.get_step()))
            thread.start()
            thread.join()
        assert seen == ["upload"]

    def test_a_step_may_be_left_in_another_context(self, logger):
        step = logger.step("load")
        contextvars.copy_context().run(step.__enter__)
        inside = logger.get_step()
        step.__exit__(None, None, None)
        assert (inside, logger.get_step()) == ("load", None)

    def test_another_loggers_step_is_not_this_ones(self, logger):
        with Recorder().step("other"):
            assert logger.get_step() is None

    def test_steps_left_out_of_order_leave_none_behind(self, logger):
        first, second = logger.step("first"), logger.step("second")
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        between = logger.get_step()
        second.__exit__(None, None, None)
        assert (between, logger.get_step()) == ("second", None)


class TestFinish:
    def test_the_first_finish_counts(self, logger):
        error = ValueError("x")
        logger.finish(RunStatus.FAILED, error)
        logger.finish()
        assert (logger.calls, logger.is_finished, logger.status) == ([("finish", "failed", error)], True, "failed")

    def test_without_a_word_the_run_is_completed(self, logger):
        before = logger.status, logger.is_finished
        logger.finish()
        assert (before, logger.status) == ((RunStatus.RUNNING, False), RunStatus.COMPLETED)

    def test_of_many_at_once_one_finishes(self, logger):
        threads = [threading.Thread(target=logger.finish) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert logger.calls == [("finish", RunStatus.COMPLETED, None)]

    @pytest.mark.parametrize(
        ("kind", "status", "message"),
        [
            (
                ValueError,
                RunStatus.RUNNING,
                "status must be one of cancelled, completed, crashed, failed, got 'running'",
            ),
            (ValueError, "done", "status must be one of cancelled, completed, crashed, failed, got 'done'"),
            (TypeError, None, "status must be a RunStatus, got None"),
        ],
    )
    def test_a_run_ends_with_a_final_status(self, either, kind, status, message):
        assert raised(kind, either.finish, status) == message

    @pytest.mark.parametrize(
        ("call", "args"),
        [
            ("set_progress", (1, 2)),
            ("set_progress", (1, 2.5)),
            ("set_progress_failed", ()),
            ("set_metrics", ({}, "train")),
            ("log", ("info", "e", {})),
            ("log_message", ("m",)),
            ("log_dev_event", ("m",)),
            ("step", ("load",)),
        ],
    )
    def test_after_it_every_report_raises(self, either, call, args):
        either.finish()
        message = f"cannot {call} on a finished logger (job 'job-1'): finish() was called"
        assert raised(RuntimeError, getattr(either, call), *args) == message

    def test_a_logger_without_a_job_does_not_name_one(self):
        logger = NoOpLogger()
        logger.finish()
        assert raised(RuntimeError, logger.info, "m") == "cannot log_message on a finished logger: finish() was called"

    def test_ending_and_asking_after_it_raise_nothing(self, logger):
        logger.set_metrics({"loss": 1}, "train")
        logger.finish()
        logger.end_log()
        assert (logger.get_metrics(), logger.flush(), len(logger.calls)) == ({"train": {"loss": 1}}, True, 2)


class TestChecks:
    @pytest.mark.parametrize("level", [LogLevel.WARNING, "warning", "WARNING", "Warning", SdkLevel.WARNING])
    def test_a_level_in_any_form(self, level):
        assert check_level(level) is LogLevel.WARNING

    @pytest.mark.parametrize("level", [None, 20, [], {}, "", "warn", RunStatus.FAILED, enum.Enum("E", "A").A])
    def test_what_is_no_level(self, level):
        assert raised(TypeError, check_level, level, "context").startswith(
            "context must be a LogLevel or one of debug,"
        )

    def test_a_mapping_is_returned_as_it_is(self):
        value = {}
        assert check_mapping("data", value) is value

    def test_a_category_is_not_empty(self):
        assert raised(ValueError, check_category, "", "step") == "step must not be empty, got ''"

    def test_a_name_of_a_string_enum_is_its_value(self):
        assert type(check_text("event", Category.TRAIN)) is str

    def test_a_status_may_be_its_value(self):
        assert check_status("failed") is RunStatus.FAILED

    @pytest.mark.parametrize(
        ("category", "step", "one"), [(None, None, None), ("a", None, "a"), (None, "a", "a"), ("", None, "")]
    )
    def test_one_category_of_two_spellings(self, category, step, one):
        assert one_category(category, step) == one

    @pytest.mark.parametrize(
        ("file", "text"), [(None, None), ("/a", "/a"), (pathlib.Path("/a"), "/a"), (b"/a", "/a"), (7, "7")]
    )
    def test_a_file_is_a_path_of_any_kind(self, file, text):
        assert file_text(file) == text

    def test_a_wrong_value_that_cannot_be_printed_does_not_get_in_the_way(self):
        assert describe([Unprintable()]).startswith("list [<Unprintable instance at 0x")


class TestNoOp:
    def test_it_keeps_nothing(self):
        logger = NoOpLogger()
        logger.set_progress(1, 2, "train")
        logger.set_progress(1.0, 2.0, step="train")
        logger.set_progress_failed("train")
        logger.set_metrics({"loss": 1}, "train")
        logger.log("info", "e", {})
        logger.set_action("train")
        assert (logger.get_progress("train"), logger.get_metrics(), logger.report()) == (
            None,
            {},
            DeliveryReport.empty(),
        )

    def test_it_traces_nothing(self):
        logger = NoOpLogger("job-1")
        assert (logger.job_id, logger.trace_id, logger.propagation_env()) == ("job-1", None, {})

    def test_it_survives_pickling(self):
        logger = pickle.loads(pickle.dumps(NoOpLogger("job-1")))
        logger.finish()
        assert (logger.job_id, logger.is_finished) == ("job-1", True)
