import pytest

from projection.rendering import TRACE, origin_of
from synapse_otel.projection.resource import derived_id, is_span_id


def test_resource_is_what_the_process_noted_and_its_job() -> None:
    resource = origin_of(resource={"service.name": "x", "process.pid": 7, "job_id": "of somebody else"}).resource
    assert dict(resource.attributes) == {"service.name": "x", "process.pid": 7, "job_id": "job-1"}


def test_scope_is_this_package() -> None:
    scope = origin_of().scope
    assert (scope.name, scope.version) == ("synapse_otel", "1.2.3")


def test_span_contexts_are_sampled_and_of_the_runs_trace() -> None:
    context = origin_of().span_context(b"\x07" * 8, remote=True)
    assert (context.trace_id, context.span_id) == (int.from_bytes(TRACE, "big"), int.from_bytes(b"\x07" * 8, "big"))
    assert (context.is_remote, context.trace_flags.sampled, context.is_valid) == (True, True, True)


def test_derived_ids_are_always_the_same_and_differ_by_origin_and_parts() -> None:
    one, other = b"\1" * 8, b"\2" * 8
    assert derived_id(one, "part", 1).hex() == "6da6f2f1c5df7f5d"
    parts: list[tuple[str | int, ...]] = [("part", 1), ("part", 11), ("phase", "p", 1)]
    assert len({derived_id(span, *some) for span in (one, other) for some in parts}) == 6


@pytest.mark.parametrize(("span", "valid"), [(b"\1" * 8, True), (bytes(8), False), (b"", False), (b"\1" * 9, False)])
def test_span_id_is_eight_bytes_not_all_zero(span: bytes, valid: bool) -> None:
    assert is_span_id(span) == valid
