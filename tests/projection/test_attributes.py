import math
from typing import Any

import pytest

from projection.rendering import plain
from synapse_otel.projection.attributes import AttributeLimits, Kept, flat, limited, nested, number, shown

DEFAULT = AttributeLimits()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (7, 7),
        (0.5, 0.5),
        (math.inf, math.inf),
        ("", ""),
        ("a\0b", "a\0b"),
        (None, "null"),
        (2**63, "9223372036854775808"),
        ([], ()),
        ({}, "{}"),
        (["a", ""], ("a", "")),
        ([True, False], (True, False)),
        ([1, 2.5], (1.0, 2.5)),
        ([2**53 + 1, 0.5], "[9007199254740993, 0.5]"),
        ([1, True], "[1, true]"),
        ([None, "ä"], '[null, "ä"]'),
        ([[1], [2]], "[[1], [2]]"),
        ([math.nan, "x", -math.inf], '[NaN, "x", -Infinity]'),
        ([2**63], "[9223372036854775808]"),
        ([{"a": math.nan}], '[{"a": NaN}]'),
    ],
)
def test_span_attribute_is_a_scalar_or_a_sequence_of_one_type_and_else_says_the_same_as_text(
    value: Any, expected: Any
) -> None:
    assert repr(dict(flat({"key": value}))["key"]) == repr(expected)


def test_mappings_are_flattened_with_dots() -> None:
    data = {"a": {"b": {"c": 1}, "d": 2}, "e": {}}
    assert list(flat(data)) == [("a.b.c", 1), ("a.d", 2), ("e", "{}")]


def test_log_attributes_stay_nested_with_integers_of_64_bits_at_most() -> None:
    data = {"a": {"b": [None, {"c": 2**64 - 1}], "": 1, "data.": 2}, "n": None}
    expected = {"a": {"b": [None, {"c": "18446744073709551615"}], "data.": 1, "data.#2": 2}, "n": None}
    assert dict(nested(data)) == expected


def test_what_is_nested_deeper_than_parsers_of_protobuf_go_becomes_text() -> None:
    value: Any = "deep"
    for _ in range(30):
        value = [value]
    found = dict(nested({"a": value}))["a"]
    for _ in range(24):
        found = found[0]
    assert found == '[[[[[["deep"]]]]]]'


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"level": 1}, {"data.level": 1}),
        ({"Level": 1, "data.Level": 2}, {"data.Level": 1, "data.Level#2": 2}),
        ({"": 1}, {"data.": 1}),
        ({"ours": 1}, {"data.ours": 1}),
        ({"data.ours": 1, "ours": 2}, {"data.ours": 1, "data.ours#2": 2}),
        ({"a.b": 1, "a": {"b": 2}}, {"a.b": 1, "a.b#2": 2}),
        ({"level": {"a": 1}}, {"level.a": 1}),
    ],
)
def test_a_plugins_attribute_never_replaces_ours_nor_another_one(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert limited(flat(given), {"ours": "x"}, DEFAULT) == Kept({**expected, "ours": "x"})


def test_a_limit_of_the_environment_counts_ours_and_drops_the_plugins() -> None:
    kept = limited(flat({"a": 1, "b": 2, "c": 3}), {"ours": "x"}, AttributeLimits(count=3))
    assert kept == Kept({"a": 1, "b": 2, "ours": "x"}, dropped=1)


def test_by_default_nothing_of_a_record_is_dropped() -> None:
    data = {f"key {number}": number for number in range(128)} | {"…": "[cut: 9 items]"}
    assert limited(nested(data), {"ours": "x"}, DEFAULT) == Kept({**data, "ours": "x"})


def test_strings_are_cut_to_the_limit_wherever_they_are() -> None:
    kept = limited(nested({"a": "long", "b": ["long", {"c": "long"}], "d": 12345}), {}, AttributeLimits(value_length=2))
    assert kept == Kept({"a": "lo", "b": ["lo", {"c": "lo"}], "d": 12345})


def test_what_was_dropped_is_counted_where_the_encoders_look_for_it() -> None:
    attributes: Any = shown(Kept({"a": {"b": None}}, dropped=3))
    assert (plain(attributes), attributes.dropped, len(attributes)) == ({"a": {"b": None}}, 3, 1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(True, 1), (2**63 - 1, 2**63 - 1), (2**63, 2.0**63), (10**400, math.inf), (-(10**400), -math.inf), (0.5, 0.5)],
)
def test_number_is_one_that_otlp_can_express(given: float, expected: float) -> None:
    assert repr(number(given)) == repr(expected)
