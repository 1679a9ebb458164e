import re

from synapse_otel.models import LogLevel
from synapse_otel.projection import names

OTHERS = {
    "job_id", "message", "exception", "file.path", "exception.type", "exception.message", "exception.stacktrace",
    "error.type", "log.record.uid",
}  # fmt: skip
"""Names that semantic conventions or the contract give."""

PLAIN = ("SCOPE", "RUN_STARTED", "RUNNING", "DEFAULT_RUN", "DATA_PREFIX", "RESERVED")
"""Values that are no names of attributes, events or metrics."""


def test_every_name_is_ours_or_of_the_semantic_conventions() -> None:
    given = [value for key, value in vars(names).items() if key.isupper() and key not in PLAIN]
    texts = {value[0] if isinstance(value, tuple) else value for value in given if isinstance(value, str | tuple)}
    assert [
        name for name in sorted(texts) if not re.match(r"synapse(_otel)?\.[a-z_.]+$", name) and name not in OTHERS
    ] == []
    assert "level" not in texts


def test_every_level_has_a_severity() -> None:
    assert set(names.SEVERITY) == set(LogLevel)
    assert set(LogLevel) >= names.FAILURE_LEVELS


def test_units_are_those_of_ucum() -> None:
    assert {value[1] for value in vars(names).values() if isinstance(value, tuple)} == {
        "{item}",
        "{record}",
        "{run}",
        "1",
        "s",
        "By",
    }
