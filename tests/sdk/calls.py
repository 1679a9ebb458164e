"""All that loggers and contexts can be called with, right and wrong."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

from synapse_sdk.i18n import LocalizedMessage
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
from synapse_sdk.plugins.log_messages import LogMessageCode, register_log_messages
from synapse_sdk.plugins.models.logger import LogLevel

from sdk.comparing import done, seen


class Code(LogMessageCode):
    FOUND = ("FOUND", LogLevel.SUCCESS)
    UNKNOWN = ("UNKNOWN", LogLevel.DANGER)


register_log_messages({Code.FOUND: {"en": "Found {count}", "ko": "{count}개"}})


class ForeignLevel(Enum):
    INFO = "info"
    LOUD = "loud"


class Hostile:
    """A value that refuses everything."""

    def _refuse(self, *_: object) -> Any:
        raise RuntimeError("hostile")

    __repr__ = __str__ = __eq__ = __float__ = __int__ = __index__ = __bool__ = __len__ = __iter__ = __lt__ = _refuse
    __hash__ = None


class BrokenMapping(Mapping[str, Any]):
    """A mapping that cannot be read."""

    def __getitem__(self, key: str) -> Any:
        raise OSError("unreadable")

    def __iter__(self) -> Iterator[str]:
        raise OSError("unreadable")

    def __len__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return "<unreadable>"


@dataclass
class Script:
    """Notes calls of loggers and contexts, so that the same can be made again."""

    calls: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    def __getattr__(self, target: str) -> Any:
        return _Noting(self, target)


@dataclass
class _Noting:
    script: Script
    target: str

    def __getattr__(self, method: str) -> Callable[..., None]:
        return lambda *args, **kwargs: self.script.calls.append((self.target, method, args, kwargs))


def script(file: str) -> Script:
    """Every method, used as it is meant to be, and in every wrong way."""
    noted = Script()
    logger, ctx = noted.logger, noted.ctx
    progress(logger, ctx)
    _metrics(logger, ctx)
    _events(logger, ctx, file)
    messages(logger, ctx)
    _unsendable(logger, ctx)
    logger.no_such_method()
    logger.finish()
    logger.finish()
    progress(logger, ctx)
    _metrics(logger, ctx)
    _events(logger, ctx, file)
    messages(logger, ctx)
    return noted


def progress(logger: Any, ctx: Any) -> None:
    logger.get_progress()
    logger.get_step()
    logger.set_progress(0, 8)
    logger.set_progress(3, 8)
    logger.set_step("train", 1)
    logger.get_step()
    logger.get_step_order()
    logger.set_progress(1, 4)
    logger.set_progress(current=2, total=4, step="upload")
    logger.set_progress(1.5, 3.0, None)
    logger.set_progress(True, 3, "bool")
    ctx.set_progress(3, 4)
    ctx.set_progress(4, 4, "upload")
    logger.set_progress_failed()
    logger.set_progress_failed("train")
    logger.set_progress_failed(step="never seen")
    for current, total in [
        (1, 0),
        (1, -1),
        (11, 10),
        (-1, 10),
        (float("nan"), 1),
        (1, float("nan")),
        (1, float("inf")),
    ]:
        logger.set_progress(current, total)
    for current, total in [("1", 10), (1, "10"), (None, 10), (1, None), ([1], 10), (Hostile(), 10), (1, Hostile())]:
        logger.set_progress(current, total, "misuse")
    logger.set_progress(1, 4, 7)
    logger.set_progress(1, 4, ["a step"])
    logger.set_progress()
    logger.set_progress(1, 4, "train", "too many")
    logger.set_progress(1, 4, category="unknown")
    logger.get_progress()
    logger.get_progress("train")
    logger.get_progress_record()
    logger.get_progress_record(time_elapsed=3)
    logger.set_step(None, 4)
    logger.get_step_order()


def _metrics(logger: Any, ctx: Any) -> None:
    logger.set_metrics({"loss": 0.5}, "train")
    logger.set_metrics(value=MappingProxyType({"loss": 0.25, "acc": 1}), step="train")
    ctx.set_metrics({"f1": float("nan")}, "validation")
    logger.set_metrics({"text": "a", "none": None, "list": [1], 5: 6}, "kinds")
    logger.set_metrics({}, "empty")
    logger.set_metrics({"loss": 1})
    logger.set_metrics({"loss": 1}, "")
    logger.set_step("train")
    logger.set_metrics({"loss": 2})
    logger.set_step(None)
    for value in (None, 1, "loss", [("loss", 1)], BrokenMapping(), Hostile()):
        logger.set_metrics(value, "train")
    logger.set_metrics({"loss": 1}, 5)
    logger.set_metrics()
    logger.set_metrics({"loss": 1}, category="train")
    logger.get_metrics()
    logger.get_metrics("train")
    logger.log_metric("train", "loss", 0.5)
    logger.log_metric("train", "loss", value=1, loss=2, acc=0.5)
    logger.log_metric("train", "text", "high", hostile=None)
    logger.log_metric(None, 5, [1])
    logger.log_metric("train")
    ctx.log_metric("train", "epoch", 3, val_loss=0.015)


def _events(logger: Any, ctx: Any, file: str) -> None:
    for level in LogLevel:
        logger.log(level, "event", {"a": 1})
    logger.log(
        level=LogLevel.INFO, event="event", data=MappingProxyType({"b": [1, {"c": (2, 3)}]}), file=file, step="own"
    )
    logger.log(LogLevel.INFO, "train", {}, None, "train")
    logger.log(LogLevel.INFO, "message", {"content": "looks like a message"})
    logger.log(LogLevel.INFO, "metric", {"category": "c", "key": "k", "value": "not a number", "metrics": 7})
    logger.log(LogLevel.DEBUG, "dev_event", {"message": "m", "data": 7})
    for level in ("info", None, 20, ForeignLevel.INFO, ForeignLevel.LOUD, LogLevel, Hostile()):
        logger.log(level, "event", {"a": 1})
    for data in (None, [1], "text", 5, {1: 2}, BrokenMapping(), Hostile()):
        logger.log(LogLevel.INFO, "event", data)
    for event in (None, 5, "", ["list"]):
        logger.log(LogLevel.INFO, event, {"a": 1})
    logger.log(LogLevel.INFO, "event")
    logger.log(LogLevel.INFO, "event", {}, None, None, "too many")
    logger.log_event("event", {"a": 1})
    logger.log_event("event", {"a": 1}, file)
    logger.log_event("event", ["no mapping"])
    logger.log_event(5, None)
    logger.log_event()
    ctx.log("event", {"a": 1})
    ctx.log("event", {"a": 1}, file, LogLevel.WARNING)
    ctx.log("event", {"a": 1}, level="warning")
    ctx.log_dev_event("layers")
    ctx.log_dev_event("layers", {"count": 12})
    ctx.log_dev_event("layers", [12])
    for target in (logger, ctx):
        target.log_visualization("train", "epoch_1", 0, file, width=3)
        target.log_visualization("train", "epoch_1", 0, "data:image/png;base64,AAAA")
        target.log_visualization("train", "epoch_1")
        target.log_trials({"trials": {"t1": {"loss": 0.1}}})
        target.log_trials(trials={"t1": {"loss": 0.1}}, metrics=["loss"], best_trial="t1")
        target.log_trials({"no": "trials"})
        target.log_trials(["t1"])
        target.log_trials()
        target.log_trials(unknown=1)


def messages(logger: Any, ctx: Any) -> None:
    for message in ("text", "", "{braces}", 5, None, {"a": 1}, Code.FOUND):
        logger.info(message)
        logger.debug(message)
        logger.log_message(message)
    logger.warning("text")
    logger.error("text")
    logger.critical("text")
    logger.info()
    logger.info("text", "too many")
    logger.log_message("text", LogLevel.SUCCESS)
    logger.log_message("text", level=LogLevel.DANGER)
    logger.log_message("text", "info")
    logger.log_message("text", context="warning")
    logger.log_message("text", LogLevel.DEBUG, context=LogLevel.ERROR)
    logger.log_message("text", context="no level")
    logger.log_message()
    ctx.log_message("text")
    ctx.log_message("{count} files", LogLevel.WARNING, count=2)
    ctx.log_message("{missing} files", count=2)
    ctx.log_message({"en": "{count} files", "ko": "{count}개"}, count=2)
    ctx.log_message({"en": "files", "ko": "개"}, language="ko", step="own")
    ctx.log_message({"fr": "fichiers"})
    ctx.log_message(LocalizedMessage(en="Hello {name}", ko="안녕 {name}"), name="you")
    ctx.log_message(Code.FOUND, count=3)
    ctx.log_message(Code.FOUND, language="ko", count=3, step="own")
    ctx.log_message(Code.FOUND)
    ctx.log_message(Code.UNKNOWN)
    ctx.log_message("text", context="warning")
    ctx.log_message("text", context="no level")
    ctx.log_message("text", "info")
    ctx.log_message(5)
    ctx.end_log()


def _unsendable(logger: Any, ctx: Any) -> None:
    """What a `JobLogger` tries to send again and again, with all that follows."""
    logger.set_metrics({"hostile": Hostile()}, "hostile")
    for data in ({"hostile": Hostile()}, {"bytes": b"x"}):
        logger.log(LogLevel.INFO, "event", data)
    logger.log(LogLevel.INFO, Hostile(), {"a": 1})
    logger.info(Hostile())
    logger.debug(Hostile())
    logger.log_message(Hostile())
    logger.log_metric("train", Hostile(), 1)
    logger.log_metric("train", "loss", Hostile())
    logger.log(LogLevel.INFO, "missing", {"a": 1}, "/nowhere/file.png")
    ctx.log_visualization("train", "epoch_1", 0, "/nowhere/file.png")
    logger.info("afterwards")


def played(noted: Script, logger: Any) -> list[Any]:
    """Make the calls of a script on a logger, and tell what is to be seen of each, and of the logger afterwards."""
    targets = {"logger": logger, "ctx": RuntimeContext(logger, PluginEnvironment({}), "job-1")}
    told: list[Any] = []
    for number, (target, method, args, kwargs) in enumerate(noted.calls):
        call = functools.partial(_call, targets[target], method)
        told.append(done(f"{number}: {target}.{method}", call, *args, **kwargs))
        if method == "no_such_method":
            told.append(seen(logger))
    return [*told, seen(logger)]


def _call(target: Any, method: str, /, *args: Any, **kwargs: Any) -> Any:
    return getattr(target, method)(*args, **kwargs)
