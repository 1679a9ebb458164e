"""What is told at a glance is what the walk over the value gives."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synapse_otel.secret_keys import SecretKeys
from synapse_otel.values import numbers_at_a_glance, plain, plain_at_a_glance

VERDICTS = SecretKeys().verdicts
INT64 = st.integers(-(2**63), 2**63 - 1)
NUMPY = st.one_of(
    st.floats().map(np.float64),
    st.floats(width=32).map(np.float32),
    st.integers(-(2**31), 2**31 - 1).map(np.int32),
    st.booleans().map(np.bool_),
)
KEYS = st.one_of(
    st.sampled_from(["a", "token", "password", "auth", "loss", "k" * 257]), st.text(max_size=9), st.integers()
)
LEAVES = st.one_of(
    *(st.none(), st.booleans(), INT64, st.floats(), st.text(), st.binary(max_size=4), NUMPY),
    st.sampled_from(["x" * 5000, "y" * 40_000]),
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=6), st.lists(inner, max_size=6).map(tuple), st.dictionaries(KEYS, inner, max_size=6)
    )


DATA = st.dictionaries(KEYS, st.recursive(LEAVES, containers, max_leaves=20), max_size=6)


@settings(deadline=None, max_examples=500)
@given(DATA)
def test_what_is_plain_is_what_the_snapshot_is(data: dict[Any, Any]) -> None:
    """Encoded it is the same as the snapshot, or it is left to the snapshot."""
    found = plain_at_a_glance(data, VERDICTS)
    if found is None:
        return
    try:
        encoded = msgspec.msgpack.encode(found)
    except (TypeError, ValueError, OverflowError):
        return  # as who records meets it, and goes on with the snapshot
    assert encoded == msgspec.msgpack.encode(plain(data, is_secret=VERDICTS.__getitem__))


@pytest.mark.parametrize(
    "data",
    [
        {"epoch": 3, "loss": 0.5, "path": "model.pt", "none": None, "flag": True},
        {"optimizer": {"name": "adam", "betas": [0.9, 0.999]}, "shape": (3, 224, 224)},
        {"a": {"b": {"c": {"d": 1}}}},
    ],
)
def test_built_in_types_need_no_copy(data: dict[str, Any]) -> None:
    """Small data of built-in types is itself plain, also nested."""
    assert plain_at_a_glance(data, VERDICTS) is data


def test_the_numbers_of_numpy_are_taken_out_of_a_copy() -> None:
    """Its scalars become numbers, and the plugin's own mapping stays as it is."""
    data = {"loss": np.float32(0.5), "epoch": np.int64(3), "best": np.bool_(True), "path": "model.pt"}
    found = plain_at_a_glance(data, VERDICTS)
    assert found == {"loss": 0.5, "epoch": 3, "best": True, "path": "model.pt"}
    assert [type(value) for value in (found or {}).values()] == [float, int, bool, str]
    assert type(data["loss"]) is np.float32


def cycle() -> dict[str, Any]:
    data: dict[str, Any] = {}
    data["self"] = [data]
    return data


class Float(float):
    pass


@pytest.mark.parametrize(
    "data",
    [
        *({"token": "x"}, {"auth": {"token": "x"}}, {"a": [{"password": "x"}]}, {1: 2}, {"a": {1: 2}}, {"a": b"x"}),
        *({"a": "x" * 2000}, {"k" * 257: 1}, {"a": list(range(300))}, {"a": [[[[[1]]]]]}, {"a": np.zeros(3)}),
        *({"a": Float(1)}, {"a": np.longdouble(1)}, {str(number): 1 for number in range(129)}, cycle()),
    ],
    ids=lambda data: repr(data)[:20],
)
def test_what_needs_more_than_a_glance_is_left_alone(data: dict[Any, Any]) -> None:
    """Secrets, long or deep or foreign values, and cycles are for the snapshot."""
    assert plain_at_a_glance(data, VERDICTS) is None


def test_numbers_by_name_are_themselves() -> None:
    """Also those that are not finite, under any name."""
    values = {"loss": math.nan, "steps": 3, "token": True}
    assert numbers_at_a_glance(values, 1000) is values


def test_nested_and_numpy_numbers_are_copied() -> None:
    """What changes in the plugin's mapping later is not changed in what was recorded."""
    inner = {"train": 0.5, "val": np.float64(0.25)}
    values = {"loss": inner, "lr": np.float32(0.5)}
    found = numbers_at_a_glance(values, 1000)
    assert found == {"loss": {"train": 0.5, "val": 0.25}, "lr": 0.5}
    inner["train"] = 7
    assert found["loss"]["train"] == 0.5


@pytest.mark.parametrize(
    "values",
    [{"a": "text"}, {"a": None}, {1: 2}, {"a": {"b": {"c": 1}}}, {"a": [1]}, {"a": Float(1)}, {"a": 1, "b": 2, "c": 3}],
)
def test_what_is_no_number_is_left_alone(values: dict[Any, Any]) -> None:
    """Text, lists, deep mappings, foreign types, and too many of them."""
    assert numbers_at_a_glance(values, 2) is None
