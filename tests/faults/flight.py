"""One run that many odd calls are made in, and a comparison of what they left with what arrived, at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from synapse_otel import RuntimeContext
from synapse_otel.models import DeliveryReport
from synapse_otel.projection.redaction import Redactor
from synapse_otel.testing import Collector
from synapse_otel.values import plain

DELIVERY = 60.0
"""Seconds in which everything is to be delivered."""

MISUSE = (TypeError, ValueError, RuntimeError)

batched = settings(
    derandomize=True, max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
"""For examples that all go into one run: what they have in common is the run."""


@dataclass(frozen=True)
class Runs:
    """Opens runs of this process, which send to a collector; `fly_to` has set the environment so."""

    collector: Collector

    def __call__(self, job_id: Any = None, name: Any = "run") -> RuntimeContext:
        return RuntimeContext.open(job_id, name)


def fly_to(env: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs of this process be as runs in an environment are, but for the patience at their end."""
    for name, value in env.items():
        if name.startswith(("OTEL_", "SYNAPSE_")):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("SYNAPSE_OTEL_FINISH_TIMEOUT", str(DELIVERY))


def accepted(call: Callable[[], object]) -> bool:
    """Make a call; return whether it was accepted. Refused it may be as misuse, with nothing else coming out."""
    with suppress(*MISUSE):
        call()
        return True
    return False


def arrived_whole(ctx: RuntimeContext, made: Mapping[str, int]) -> DeliveryReport:
    """End a run, and check that each accepted call is one record, and each record delivered."""
    assert ctx.flush(DELIVERY), f"not delivered: {ctx.report()}"
    ctx.logger.finish()
    report = ctx.report()
    counted = {kind: of.accepted for kind, of in report.by_kind.items() if kind in made}
    assert counted == dict(made), f"{dict(made)} calls were accepted, and there are {counted} records"
    assert report.accepted == report.delivered, f"not all was delivered: {report}"
    return report


def seen(data: object) -> str:
    """How the `value` in a plugin's data is seen at the far end."""
    return repr(_on_the_wire(Redactor().value(plain(data))["value"]))  # type: ignore[index]  # a dict comes back as one


def on_arrival(records: Iterable[Any], key: str) -> dict[int, str]:
    """The values under `key` of log records or span events, by their serial number."""
    return {record.attributes["serial"]: repr(record.attributes[key]) for record in records if key in record.attributes}


def _on_the_wire(value: Any) -> Any:
    """Plain data as OTLP has it: no key is empty, and what is numbered after it gives way."""
    if isinstance(value, list):
        return [_on_the_wire(item) for item in value]
    return {key or "data.": _on_the_wire(item) for key, item in value.items()} if isinstance(value, dict) else value
