"""What each method of the Synapse SDK's loggers becomes: the arguments are the SDK's, the recorder is ours.

Each function takes the SDK's own signature, so that Python binds the arguments as the SDK does. What the SDK refuses is
refused here as well, by the recorder's checks, and left to the SDK to say.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synapse_otel.models import LogLevel
from synapse_otel.sdk.steps import is_between_steps
from synapse_otel.values import text

if TYPE_CHECKING:
    from synapse_otel.sdk.runs import Run

Report = Callable[..., None]
_BYTES = frozenset({bytes, bytearray, memoryview})
_LEVELS: dict[object, LogLevel] = {level.value: level for level in LogLevel}
_MAX_PATH = 4096
_STEP_DONE = 100
"""The current and the total that the SDK's orchestrator reports of a step that it has executed."""


class RefusedError(Exception):
    """The SDK refuses this call, and says so itself."""


# -- progress and metrics


def set_progress(run: Run, logger: object, current: Any, total: Any, step: Any = None) -> None:
    """Progress of the category `step`, by default of the SDK's current step."""
    category = _step_or_current(logger, step)
    if step is None and current == total == _STEP_DONE and is_between_steps() and not _is_open(run, category):
        return  # the orchestrator says that a step has ended: that is what the step's span says
    run.core.set_progress(current, total, "" if category is None else category)


def _is_open(run: Run, category: str | None) -> bool:
    known = run.core.get_progress(category or "")
    return known is not None and known.status == "running"


def set_progress_failed(run: Run, logger: object, step: Any = None) -> None:  # noqa: ARG001  # the common signature
    """The failure of a category; without one, of the progress that has none, whatever the step."""
    run.core.set_progress_failed("" if step is None else _name(step))


def set_metrics(run: Run, logger: object, value: Any, step: Any = None) -> None:
    """Samples in the category `step`, by default of the SDK's current step."""
    category = _step_or_current(logger, step)
    if not category:
        raise RefusedError
    run.core.set_metrics(value, category)


def log_metric(run: Run, logger: object, category: Any, key: Any, value: Any, **metrics: Any) -> None:  # noqa: ARG001  # the shape of every such function
    """Samples of several metrics, of which the first is named apart."""
    _samples(run, category, key, value, metrics)


# -- events and messages


def log(run: Run, logger: object, level: Any, event: Any, data: Any, file: Any = None, step: Any = None) -> None:
    """An event; those that the SDK's context makes of other calls become those again."""
    if not isinstance(level, Enum) or not _is_mapping(data):
        raise RefusedError
    meant = _MEANT.get(event) if isinstance(event, str) else None
    if meant is None or not meant(run, logger, level, data, file, step):
        _event(run, logger, level, event, data, file, step)


def log_event(run: Run, logger: object, event: Any, data: Any, file: Any = None) -> None:
    """An event without a level."""
    if not isinstance(data, Mapping):
        data = {"data": data}
    _event(run, logger, "info", event, data, file, None)


def log_message(run: Run, logger: object, message: Any, level: Any = None, *, context: Any = None) -> None:
    """A message to the user; `context` is the old name of `level`."""
    _message(run, logger, message, next((given for given in (level, context) if given is not None), "info"), None)


def message_at(level: str) -> Report:
    """A message at the level that the method is named after."""

    def report(run: Run, logger: object, message: Any) -> None:
        _message(run, logger, message, level, None)

    return report


def debug(run: Run, logger: object, message: Any) -> None:  # noqa: ARG001  # the shape of every such function
    """A message that the SDK does not show to users."""
    run.core.log_dev_event(message)


def log_visualization(run: Run, logger: object, category: Any, group: Any, index: Any, image: Any, **meta: Any) -> None:
    """An event with the path and the size of an image, never its content."""
    data = {"category": category, "group": group, "index": index, **meta}
    _event(run, logger, "info", "visualization", data, image, None)


def log_trials(
    run: Run,
    logger: object,
    data: Any = None,
    *,
    trials: Any = None,
    base: Any = None,
    hyperparameters: Any = None,
    metrics: Any = None,
    best_trial: Any = "",
) -> None:
    """An event with the table of a tuning's trials."""
    if data is None:
        table = {"base": base, "trials": trials, "hyperparameters": hyperparameters, "metrics": metrics}
        data = {key: value or ({} if key == "trials" else []) for key, value in table.items()}
        data["best_trial"] = best_trial
    elif not isinstance(data, Mapping):
        data = {"trials": data}
    _event(run, logger, "info", "trials", data, None, None)


REPORTS: dict[str, Report] = {
    "set_progress": set_progress,
    "set_progress_failed": set_progress_failed,
    "set_metrics": set_metrics,
    "log": log,
    "log_event": log_event,
    "log_message": log_message,
    "log_metric": log_metric,
    "log_visualization": log_visualization,
    "log_trials": log_trials,
    "debug": debug,
    "info": message_at("info"),
    "warning": message_at("warning"),
    "error": message_at("error"),
    "critical": message_at("critical"),
}
"""The methods of a logger that report, and how."""

# -- the events that stand for other calls


def _meant_message(run: Run, logger: object, level: Any, data: Mapping[str, Any], file: Any, step: Any) -> bool:
    if "content" not in data or not data.keys() <= {"content", "key"} or file is not None:
        return False
    _message(run, logger, data["content"], level, step, data.get("key"))
    return True


def _meant_debug(run: Run, logger: object, level: Any, data: Mapping[str, Any], file: Any, step: Any) -> bool:  # noqa: ARG001  # the shape of every such function
    if data.keys() != {"content"} or file is not None:
        return False
    run.core.log_dev_event(data["content"])
    return True


def _meant_dev_event(run: Run, logger: object, level: Any, data: Mapping[str, Any], file: Any, step: Any) -> bool:  # noqa: ARG001  # the shape of every such function
    details = data.get("data")
    if data.keys() != {"message", "data"} or file is not None or not isinstance(details, Mapping | None):
        return False
    run.core.log_dev_event(data["message"], details)
    return True


def _meant_metric(run: Run, logger: object, level: Any, data: Mapping[str, Any], file: Any, step: Any) -> bool:  # noqa: ARG001  # the shape of every such function
    metrics = data.get("metrics")
    if not data.keys() >= {"category", "key", "value"} or not isinstance(metrics, Mapping | None):
        return False
    _samples(run, data["category"], data["key"], data["value"], metrics or {})
    return True


_MEANT = {
    "message": _meant_message,
    "debug": _meant_debug,
    "dev_event": _meant_dev_event,
    "metric": _meant_metric,
}


def _samples(run: Run, category: Any, key: Any, value: Any, others: Mapping[str, Any]) -> None:
    name, first = _name(category) or "default", {_name(key): value}
    if first.keys() & others.keys():  # two samples of one metric
        run.core.set_metrics(first, name)
    run.core.set_metrics({**first, **others}, name)


def _message(run: Run, logger: object, message: Any, level: Any, step: Any, key: Any = None) -> None:
    code = key if key is not None or type(message) is str else _code(message)
    named = _other_step(run, logger, step)
    run.core.log_message(message, _level(level), step=named, key=None if code is None else _name(code))


def _event(run: Run, logger: object, level: Any, event: Any, data: Mapping[str, Any], file: Any, step: Any) -> None:
    shown, path = _without_images(data), None
    if file is not None:
        path = _path(file)
        shown = {**shown, **_about(file, path)}
    run.core.log(_level(level), _name(event) or "event", shown, path, _other_step(run, logger, step))


# -- helpers


def _code(message: Any) -> Any:
    """Return the code that a message is: a member of an enum of strings."""
    return message.value if isinstance(message, str) and isinstance(message, Enum) else None


def _about(file: Any, path: str | None) -> dict[str, Any]:
    """Return the size of a file, or what `file` is where it is no path."""
    if path is None:
        return {"file": _size(file)}
    try:
        return {"file.size": Path(path).stat().st_size}
    except (OSError, ValueError):
        return {}


def _path(file: Any) -> str | None:
    """Return `file` where it is a path, and not an image in text."""
    if not isinstance(file, str | os.PathLike):
        return None
    path = os.fsdecode(file)
    return None if path.startswith("data:") or len(path) > _MAX_PATH or "\n" in path else path


def _without_images(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `data`, with how large it is in the place of an image's content."""
    for value in data.values():
        if type(value) in _BYTES or (type(value) is str and value.startswith("data:")):
            return {key: _size(value) for key, value in data.items()}
    return data


def _is_mapping(value: Any) -> bool:
    return type(value) is dict or isinstance(value, Mapping)


def _is_image(value: Any) -> bool:
    kind = type(value)
    return kind in _BYTES or (kind is str and value.startswith("data:") and ";base64," in value[:256])


def _size(value: Any) -> Any:
    if not _is_image(value):
        return value
    return f"<data of {len(value)} characters>" if isinstance(value, str) else f"<{len(value)} bytes>"


def _level(level: Any) -> Any:
    """Return the level as ours, which is what the recorder takes at once."""
    return _LEVELS.get(getattr(level, "_value_", level), level)


def _step_or_current(logger: object, step: Any) -> str | None:
    if step is None:
        step = getattr(logger, "_current_step", None)
    return step if step is None or type(step) is str else _name(step)


def _other_step(run: Run, logger: object, step: Any) -> str | None:
    """Return the step of a record, None where it is the one whose span is current."""
    named = _step_or_current(logger, step)
    return None if not named or named == run.step else named


def _name(value: Any) -> str:
    if type(value) is str:
        return value
    return text(value.value if isinstance(value, Enum) else value)
