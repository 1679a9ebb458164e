from __future__ import annotations

import gzip
import zlib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from synapse_otel.testing.answers import Refused
from synapse_otel.testing.compression import decompress
from synapse_otel.testing.decoding import value

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXT | st.binary()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)

ENCODERS = {"identity": bytes, "gzip": gzip.compress, "deflate": zlib.compress}


def encode(given_value: Any) -> AnyValue:
    match given_value:
        case None:
            return AnyValue()
        case list():
            return AnyValue(array_value=ArrayValue(values=map(encode, given_value)))
        case dict():
            pairs = [KeyValue(key=key, value=encode(inner)) for key, inner in given_value.items()]
            return AnyValue(kvlist_value=KeyValueList(values=pairs))
    fields = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value", bytes: "bytes_value"}
    return AnyValue(**{fields[type(given_value)]: given_value})


@given(VALUES)
def test_any_value_survives(given_value: Any) -> None:
    """Whatever OTLP can carry is decoded to what was encoded, of the same types."""
    received = AnyValue.FromString(encode(given_value).SerializeToString())
    assert repr(value(received)) == repr(given_value)


@pytest.mark.skipif(
    "string_value_strindex" not in AnyValue.DESCRIPTOR.fields_by_name,
    reason="this version of the protocol has no profiles",
)
def test_a_reference_of_the_profiling_signal_is_no_value() -> None:
    """What only profiles may carry is read as absent, as the protocol asks."""
    assert value(AnyValue(string_value_strindex=1)) is None


@given(st.binary(max_size=200), st.sampled_from(sorted(ENCODERS)), st.integers(0, 200))
def test_decompression_is_bounded(body: bytes, encoding: str, limit: int) -> None:
    """A body comes out as it went in, or is refused when it is larger than the limit."""
    packed = ENCODERS[encoding](body)
    if len(body) <= limit:
        assert decompress(packed, encoding, limit) == body
        return
    with pytest.raises(Refused) as raised:
        decompress(packed, encoding, limit)
    assert raised.value.answer.status == 413


@given(st.binary(max_size=50), st.sampled_from(["gzip", "deflate", " GZIP ", "br"]))
def test_any_bytes_are_decompressed_or_refused(body: bytes, encoding: str) -> None:
    """No bytes raise anything but a refusal."""
    with suppress(Refused):
        assert len(decompress(body, encoding, 1000)) <= 1000
