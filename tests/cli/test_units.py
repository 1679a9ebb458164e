from __future__ import annotations

import math
import sys
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_otel.cli import units


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.0 ms"),
        (0.0042, "4.2 ms"),
        (0.0996, "100 ms"),
        (0.9, "900 ms"),
        (0.9996, "1.0 s"),
        (12.34, "12.3 s"),
        (59.96, "1 min 00 s"),
        (3599.6, "1 h 00 min"),
        (7322, "2 h 02 min"),
        (100_000, "1 d 03 h"),
        (3_155_760_000, "36525 d 00 h"),
        (1e300, "> 100 y"),
        (math.inf, "> 100 y"),
    ],
)
def test_a_duration_has_two_or_three_figures_and_never_sixty_of_a_unit(seconds: float, shown: str) -> None:
    assert units.duration(seconds) == shown


@pytest.mark.parametrize(("count", "shown"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2**30, "1.1 GB")])
def test_a_size_is_in_decimal_units(count: int, shown: str) -> None:
    assert units.size(count) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (math.nan, "NaN"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (0.123456, "0.1235"),
        (10**6, "1000000"),
        (1e30, "1e+30"),
    ],
)
def test_a_number_is_short_and_what_is_none_says_so(value: float, shown: str) -> None:
    assert units.number(value) == shown


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([], ""),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([5, 5, 5], "▄▄▄"),
        ([0, math.nan, 1], "▁×█"),
        ([math.nan, math.inf], "××"),
        ([-sys.float_info.max, 0, sys.float_info.max], "▁▅█"),
        ([0, 0, 8, 8, 4, 4, math.nan, 4], "▁█▅▅"),
    ],
)
def test_a_sparkline_spans_from_least_to_most_with_gaps_where_nothing_is_a_number(
    values: list[float], shown: str
) -> None:
    assert units.sparkline(values, 4 if len(values) == 8 and values[1] == 0 else 8) == shown


@given(st.lists(st.floats(), max_size=100), st.integers(1, 40))
def test_a_sparkline_of_any_floats_has_a_sign_for_each_bucket(values: list[float], width: int) -> None:
    assert len(units.sparkline(values, width)) == min(len(values), width)


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)))
def test_iso_times_are_those_of_datetime(moment: datetime) -> None:
    t = int(moment.replace(microsecond=0).timestamp()) * units.SECOND + moment.microsecond * 1000
    assert datetime.fromisoformat(units.iso(t)) == moment.astimezone()
