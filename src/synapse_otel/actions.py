"""Actions: what a plugin offers to run, as a function or as a class."""

from __future__ import annotations

import inspect
import os
from abc import ABC
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast, get_args, get_origin, get_type_hints, overload

from synapse_otel.logger import describe
from synapse_otel.models import LogLevel
from synapse_otel.steps import BaseStepContext, Orchestrator, StepRegistry

if TYPE_CHECKING:
    from pydantic import BaseModel

    from synapse_otel.context import RuntimeContext
    from synapse_otel.logger import BaseLogger

F = TypeVar("F", bound=Callable[..., Any])
P = TypeVar("P", bound="BaseModel")


@overload
def action(name: F) -> F: ...
@overload
def action(
    name: str | None = None,
    description: str = "",
    params: type[BaseModel] | None = None,
    result: type[BaseModel] | None = None,
    category: str | None = None,
) -> Callable[[F], F]: ...
def action(
    name: Any = None,
    description: str = "",
    params: type[BaseModel] | None = None,
    result: type[BaseModel] | None = None,
    category: str | None = None,
) -> Any:
    """Make a function of `(params, ctx)` an action: `@action`, or `@action(params=TrainParams)`.

    The function itself is returned, with what was given as its attributes `_action_name`, `_action_description`,
    `_action_params`, `_action_result` and `_action_category`, and with `_is_action`.

    Args:
        name: The action's name; the function's by default.
        description: What it does, for people.
        params: The pydantic model that its parameters are checked against.
        result: The pydantic model of its result.
        category: What kind of plugin it belongs to.

    Raises:
        TypeError: `name` is neither a string nor, with a bare `@action`, a function.
    """

    def mark(function: F) -> F:
        marked: Any = function
        marked._is_action = True
        marked._action_name = name if isinstance(name, str) else function.__name__
        marked._action_description = description
        marked._action_params = params
        marked._action_result = result
        marked._action_category = category
        return function

    if name is None or isinstance(name, str):
        return mark
    if callable(name):
        return mark(name)
    raise TypeError(f"name must be a str, got {describe(name)}")


class BaseAction(ABC, Generic[P]):
    """An action as a class: `class TrainAction(BaseAction[TrainParams])`, with an `execute` or with steps.

    The type argument becomes `params_model`.

    Attributes:
        action_name: The action's name; the class's by default.
        category: What kind of plugin it belongs to.
        params_model: The pydantic model that the parameters are checked against.
        result_model: The pydantic model of the result.
        params: The checked parameters.
        ctx: The runtime context.
    """

    action_name: ClassVar[str | None] = None
    category: ClassVar[str | None] = None
    params_model: ClassVar[type[BaseModel] | None] = None
    result_model: ClassVar[type[BaseModel] | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "params_model" in cls.__dict__:
            return
        for base in cls.__dict__.get("__orig_bases__", ()):
            origin, arguments = get_origin(base), get_args(base)
            if isinstance(origin, type) and issubclass(origin, BaseAction) and _is_model(arguments[0]):
                cls.params_model = arguments[0]

    def __init__(self, params: P, ctx: RuntimeContext) -> None:
        self.params = params
        self.ctx = ctx

    def execute(self) -> Any:
        """Do the action. It may be `async`.

        Returns:
            The result.
        """
        raise NotImplementedError(f"{type(self).__name__} must define execute(), or register steps in setup_steps()")

    def setup_steps(self, registry: StepRegistry[Any]) -> None:
        """Register the steps of a workflow; without any, `execute` is the action."""

    def create_context(self) -> BaseStepContext:
        """What the steps share."""
        return BaseStepContext(runtime_ctx=self.ctx)

    def run(self) -> Any:
        """Run the steps, if there are any, else `execute`."""
        registry: StepRegistry[Any] = StepRegistry()
        self.setup_steps(registry)
        if registry:
            return Orchestrator(registry, self.create_context(), self.set_progress).execute()
        return self.execute()

    @property
    def logger(self) -> BaseLogger:
        """The context's logger."""
        return self.ctx.logger

    def set_progress(
        self, current: float, total: float, category: str | None = None, *, step: str | None = None
    ) -> None:
        """Report progress; see `RuntimeContext.set_progress`."""
        self.ctx.set_progress(current, total, category, step=step)

    def set_metrics(self, value: Mapping[str, Any], category: str | None = None, *, step: str | None = None) -> None:
        """Report metrics; see `RuntimeContext.set_metrics`."""
        self.ctx.set_metrics(value, category, step=step)

    def log(
        self,
        event: str,
        data: Mapping[str, Any],
        file: str | os.PathLike[str] | None = None,
        level: LogLevel | str = LogLevel.INFO,
    ) -> None:
        """Record an event; see `RuntimeContext.log`."""
        self.ctx.log(event, data, file, level)

    def log_message(
        self,
        message: object,
        context: LogLevel | str = "info",
        *,
        level: LogLevel | str | None = None,
        step: str | None = None,
    ) -> None:
        """Record a message to the user; see `RuntimeContext.log_message`."""
        self.ctx.log_message(message, context, level=level, step=step)

    def log_dev_event(self, message: object, data: Mapping[str, Any] | None = None) -> None:
        """Record something for the plugin's developer; see `RuntimeContext.log_dev_event`."""
        self.ctx.log_dev_event(message, data)


def run_action(action_or_class: Callable[..., Any] | type[BaseAction[Any]], params: Any, ctx: RuntimeContext) -> Any:
    """Run an action.

    A function, decorated or not, is called with the parameters and the context; a class is made with them and run. The
    parameters are checked against the action's model: the one it was given, or that its first parameter is annotated
    with. Without a model they are passed as they are. What is `async` is run to its end.

    Args:
        action_or_class: The action.
        params: A mapping, a model, or None for no parameters.
        ctx: The runtime context. It is not finished here.

    Returns:
        The action's result.

    Raises:
        TypeError: The action is none, or the parameters are of the wrong type.
        pydantic.ValidationError: The parameters do not fit the model.
        RuntimeError: The action is `async` and called from a running event loop.
    """
    if _is_action_class(action_or_class):
        cls = cast("type[BaseAction[Any]]", action_or_class)
        name, model = getattr(cls, "action_name", None) or cls.__name__, getattr(cls, "params_model", None)

        def start(checked: Any) -> Any:
            return cls(checked, ctx).run()
    elif callable(action_or_class) and not isinstance(action_or_class, type):
        function = action_or_class
        name, model = action_name(function), params_model(function)

        def start(checked: Any) -> Any:
            return function(checked, ctx)
    else:
        raise TypeError(
            "an action must be a function of (params, ctx) or a subclass of BaseAction, "
            f"got {describe(action_or_class)}"
        )
    checked = _checked_params(params, model, ctx)
    ctx.logger.set_action(name)
    result = start(checked)
    return _run_to_its_end(result, name) if inspect.isawaitable(result) else result


def _is_action_class(target: object) -> bool:
    """Whether it is a class like `BaseAction`: the Synapse SDK's has the same methods."""
    return isinstance(target, type) and callable(getattr(target, "run", None)) and hasattr(target, "execute")


def _is_model(candidate: object) -> bool:
    """Whether it is a pydantic model; asked so that pydantic is not imported for it."""
    return isinstance(candidate, type) and hasattr(candidate, "model_validate")


def action_name(function: Callable[..., Any]) -> str:
    """Return the name of a function action."""
    return str(getattr(function, "_action_name", None) or getattr(function, "__name__", type(function).__name__))


def params_model(function: Callable[..., Any]) -> type[BaseModel] | None:
    """Return the params model of a function action: the declared one, or the annotation of its first parameter."""
    model = getattr(function, "_action_params", None)
    if model is not None:
        return cast("type[BaseModel]", model)
    try:
        annotation = _resolved(next(iter(inspect.signature(function).parameters.values())).annotation, function)
    except Exception:  # noqa: BLE001 - an annotation may be any expression, and need not be resolvable
        return None
    return cast("type[BaseModel]", annotation) if _is_model(annotation) else None


def _resolved(annotation: Any, function: Callable[..., Any]) -> Any:
    """An annotation that may be text; of the others, some may only be resolvable for a type checker."""
    names = getattr(inspect.unwrap(function), "__globals__", {})
    return get_type_hints(SimpleNamespace(__annotations__={"params": annotation}), names)["params"]


def _checked_params(params: Any, model: type[BaseModel] | None, ctx: RuntimeContext) -> Any:
    expected = "a mapping or None" if model is None else f"a mapping, a {model.__name__} or None"
    if not (params is None or isinstance(params, Mapping) or _is_model(type(params))):
        raise TypeError(f"params must be {expected}, got {describe(params)}")
    params = {} if params is None else params
    if model is None or isinstance(params, model):
        return params
    return model.model_validate(dict(params), context={"client": ctx.client})


def _run_to_its_end(result: Awaitable[Any], name: str) -> Any:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        from synapse_otel.event_loop import interruptible

        return asyncio.run(interruptible(result))
    if isinstance(result, Coroutine):
        result.close()
    raise RuntimeError(f"the action {name!r} is async: run_action cannot run it inside a running event loop")
