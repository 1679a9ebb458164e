import pickle

import pytest

from synapse_otel.models import ActionStatus, Counts, DeliveryReport, LogLevel, ProgressData, RunStatus


def test_levels_are_the_strings_of_the_documents():
    assert [level.value for level in LogLevel] == ["debug", "info", "success", "warning", "danger", "error", "critical"]


def test_a_level_is_found_in_a_dictionary_by_its_value_and_by_itself():
    assert {"info": 1}[LogLevel.INFO] == {LogLevel.INFO: 1}["info"] == 1


def test_a_level_survives_pickling_as_itself():
    assert pickle.loads(pickle.dumps(LogLevel.DANGER)) is LogLevel.DANGER


def test_run_statuses_are_those_of_the_documents_and_crashed():
    assert [status.value for status in RunStatus] == [
        "pending",
        "running",
        "completed",
        "failed",
        "cancelled",
        "crashed",
    ]


def test_action_statuses_are_those_of_the_documents():
    assert [status.value for status in ActionStatus] == ["pending", "running", "completed", "failed", "skipped"]


@pytest.mark.parametrize(("current", "total", "percent"), [(0, 3, 0.0), (1, 3, 33.33), (3, 3, 100.0), (0, 0, 0.0)])
def test_percent_is_rounded_to_two_places(current, total, percent):
    assert ProgressData(current, total).percent == percent


def test_progress_reads_its_category_as_step_too():
    assert ProgressData(1, 2, "train").step == "train"


def test_progress_cannot_be_changed():
    with pytest.raises(AttributeError, match="cannot assign to field 'current'"):
        ProgressData(1, 2).current = 2  # type: ignore[misc]  # it is frozen


def test_the_totals_of_a_report_are_the_sums_over_its_kinds():
    report = DeliveryReport({"message": Counts(5, 4, 1, 0, 0), "metrics": Counts(7, 3, 1, 2, 1)})
    assert (report.accepted, report.delivered, report.pending, report.dropped, report.dead_lettered) == (12, 7, 2, 2, 1)


def test_a_report_is_complete_when_nothing_is_pending():
    complete = DeliveryReport({"message": Counts(accepted=2, delivered=1, dropped=1)})
    assert (complete.complete, DeliveryReport({"message": Counts(accepted=1, pending=1)}).complete) == (True, False)


def test_an_empty_report_equals_one_of_nothing():
    assert DeliveryReport.empty() == DeliveryReport({})


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (Counts(), "0 accepted"),
        (Counts(3, 3), "3 accepted, 3 delivered"),
        (Counts(9, 5, 2, 1, 1), "9 accepted, 5 delivered, 2 pending, 1 dropped, 1 dead-lettered"),
    ],
)
def test_a_report_as_text_names_what_is_not_zero(counts, text):
    assert str(DeliveryReport({"message": counts})) == text
