"""The doctor looks at the variables: ours, and OpenTelemetry's as far as they are used."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from synapse_otel.cli.findings import Findings
from synapse_otel.export import settings as config
from synapse_otel.export.plan import shipping_plan
from synapse_otel.projection.redaction import Redactor
from synapse_otel.secret_keys import SecretKeys

_PREFIX = "SYNAPSE_OTEL_"


def check_settings(findings: Findings) -> tuple[config.TelemetrySettings | None, Redactor]:
    """Name every variable with a wrong value; return our settings, None where they are wrong, and the redactor."""
    findings.section("Settings")
    before = findings.failed
    settings = _ours(findings)
    _unknown(findings)
    for check in (config.signal_settings, config.attribute_limits, config.metric_export_interval):
        _guarded(findings, check)
    redactor = Redactor()
    if settings is not None:
        redactor = _guarded(findings, lambda: _redactor(settings)) or redactor
    if findings.failed == before and settings is not None:
        _guarded(findings, lambda: shipping_plan(settings))
    if findings.failed == before:
        used = sorted(name for name in os.environ if name.startswith((_PREFIX, "OTEL_")))
        findings.good("variables", ", ".join(used) if used else "none is set; the defaults are used")
    return settings, redactor


def _ours(findings: Findings) -> config.TelemetrySettings | None:
    try:
        return config.TelemetrySettings()
    except ValidationError as error:
        for one in error.errors(include_url=False):
            name = _PREFIX + str(one["loc"][0]).upper()
            findings.bad("variable", f"{name} = {one['input']!r}: {one['msg']}")
    except ValueError as error:
        findings.bad("variable", str(error))
    return None


def _unknown(findings: Findings) -> None:
    known = [_PREFIX + name.upper() for name in config.TelemetrySettings.model_fields]
    for name in sorted(os.environ):
        if name.startswith(_PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            findings.warn("variable", f"{name} is none of our settings{f'; {close[0]} is' if close else ''}")


def _guarded(findings: Findings, check: Callable[[], Any]) -> Any:
    try:
        return check()
    except ValueError as error:
        findings.bad("variable", str(error))
        return None


def _redactor(settings: config.TelemetrySettings) -> Redactor:
    keys = SecretKeys(settings.redaction_keys)
    return Redactor(settings.redaction_patterns, enabled=settings.redaction, is_secret=keys)
