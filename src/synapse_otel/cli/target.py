"""Finds the action that a target names: ``package.module:attr``, ``path/file.py:attr``, or without ``:attr``."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from synapse_otel.actions import BaseAction
from synapse_otel.cli.errors import CliError
from synapse_otel.logger import describe
from synapse_otel.sdk.local import is_sdk_action

_CONFIG = "config.yaml"


@dataclass(frozen=True, slots=True)
class Target:
    """What a person asked for.

    Attributes:
        text: As it was written.
        where: The module, or the file.
        attribute: What in it; None for its only action.
    """

    text: str
    where: str
    attribute: str | None

    @classmethod
    def parse(cls, text: str) -> Target:
        """Return the parts of a target."""
        where, colon, attribute = text.rpartition(":")
        if not colon or Path(text).is_file():
            return cls(text, text, None)
        if not where or not attribute:
            raise CliError(f"{text!r} is no target: expected MODULE, MODULE:ACTION, FILE.py or FILE.py:ACTION")
        return cls(text, where, attribute)

    @property
    def is_plugin(self) -> bool:
        """Whether it names a plugin of the Synapse SDK: a folder with a ``config.yaml``, or that file."""
        path = Path(self.where).expanduser()
        return path.name == _CONFIG or (path / _CONFIG).is_file()

    @property
    def is_file(self) -> bool:
        """Whether it names a file."""
        return self.where.endswith(".py") or "/" in self.where or Path(self.where).is_file()


def load_action(text: str) -> Callable[..., Any]:
    """Return the action that `text` names. What its module raises when it is imported passes.

    Raises:
        CliError: There is none; it says what was looked for and what was found.
    """
    target = Target.parse(text)
    if target.is_plugin:
        return _action_of_plugin(target)
    module = _load_file(target) if target.is_file else _load_module(target)
    return _attribute(target, module) if target.attribute else _only_action(target, module)


# -- plugins of the SDK


def _action_of_plugin(target: Target) -> Callable[..., Any]:
    path = Path(target.where).expanduser().absolute()
    folder = path.parent if path.name == _CONFIG else path
    try:
        from synapse_sdk.plugins.discovery import PluginDiscovery
    except ImportError as error:
        raise CliError(
            f"{target.where} is a plugin of the Synapse SDK, which is not installed ({error}): "
            "pip install 'synapse-otel[synapse]', with Python 3.12 or later"
        ) from None
    try:
        plugin = PluginDiscovery.from_path(folder / _CONFIG)
    except Exception as error:  # noqa: BLE001  # of YAML, of the SDK's own checks: all of them are about the file
        raise CliError(f"{folder / _CONFIG} cannot be read: {error}") from None
    _make_importable(folder)
    name = target.attribute or _only_name(target, plugin.list_actions())
    if name not in plugin.list_actions():
        raise CliError(f"{target.where} has no action {name!r}; its actions are: {', '.join(plugin.list_actions())}")
    return plugin.get_action_class(name)  # type: ignore[no-any-return]  # the SDK is untyped here


def _only_name(target: Target, names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    choices = "".join(f"\n  synapse-otel run {target.where}:{name}" for name in names)
    raise CliError(f"{target.where} has {len(names)} actions, which one?{choices}")


# -- modules and files


def _load_module(target: Target) -> ModuleType:
    _make_importable(Path.cwd())
    try:
        return importlib.import_module(target.where)
    except ModuleNotFoundError as error:
        if not error.name or not f"{target.where}.".startswith(f"{error.name}."):
            raise  # something that the module imports
        raise CliError(_no_module(target, error.name)) from None
    except (TypeError, ValueError):
        if all(part.isidentifier() for part in target.where.split(".")):
            raise
        raise CliError(f"{target.where!r} is neither a module's name nor a file") from None


def _no_module(target: Target, missing: str) -> str:
    whole = "" if missing == target.where else f" (for {target.where!r})"
    searched = "".join(f"\n  {entry}" for entry in _searched())
    file = Path(f"{target.where.replace('.', '/')}.py")
    hint = f"\nthere is a file {file}: synapse-otel run {file}" if file.is_file() else ""
    return f"there is no module {missing!r}{whole}; searched:{searched}{hint}"


def _searched() -> Iterator[str]:
    yield f"{Path.cwd()} (the current directory)"
    yield from (entry for entry in sys.path if entry and entry != str(Path.cwd()))


def _load_file(target: Target) -> ModuleType:
    file = Path(target.where).expanduser().absolute()
    if file.is_dir():
        raise CliError(f"{file} is a directory: expected a file, such as {file / 'plugin.py'}")
    if not file.is_file():
        raise CliError(f"there is no file {file}{_similar_files(file)}")
    root, name = _importable_name(file)
    for directory in dict.fromkeys((Path.cwd(), file.parent, root)):
        _make_importable(directory)
    if "." in name:
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise CliError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    # Under its name, so that its classes can be pickled and worker processes import the same module.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _importable_name(file: Path) -> tuple[Path, str]:
    """Return the folder that the file's module is imported from, and the module's name, dotted inside a package."""
    parts, folder = [file.stem], file.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    if len(parts) > 1 and parts[-1] == "__init__":
        parts.pop()
    name = ".".join(parts)
    taken = sys.modules.get(parts[0])
    if all(part.isidentifier() for part in parts) and (taken is None or len(parts) > 1):
        return folder, name
    return file.parent, f"plugin_{file.stem}".replace("-", "_").replace(".", "_")


def _similar_files(file: Path) -> str:
    try:
        there = sorted(entry.name for entry in file.parent.glob("*.py"))
    except OSError:
        there = []
    close = difflib.get_close_matches(file.name, there, n=3)
    return f"; there are: {', '.join(close)}" if close else ""


def _make_importable(directory: Path) -> None:
    entry = str(directory)
    if entry in sys.path:
        sys.path.remove(entry)
    sys.path.insert(0, entry)


# -- actions in a module


def _attribute(target: Target, module: ModuleType) -> Callable[..., Any]:
    found: Any = module
    for part in (target.attribute or "").split("."):
        if not hasattr(found, part):
            raise CliError(f"{target.where} has no {target.attribute!r}; {_offer(target, module)}")
        found = getattr(found, part)
    if not is_runnable(found):
        raise CliError(
            f"{target.text} is no action: expected a function of (params, ctx) or a subclass of BaseAction, "
            f"got {describe(found)}"
        )
    if not isinstance(found, type) and not _takes_two(found):
        raise CliError(
            f"{target.text} is no action: expected a function of (params, ctx) or a subclass of BaseAction, "
            f"got {describe(found)}"
        )
    return found  # type: ignore[no-any-return]  # checked above, of an untyped module


def _only_action(target: Target, module: ModuleType) -> Callable[..., Any]:
    actions = actions_in(module)
    if not actions:
        raise CliError(
            f"{target.where} has no action: expected a function decorated with @action or a subclass of BaseAction\n"
            f"any other function of (params, ctx) can be named: synapse-otel run {target.where}:NAME"
        )
    if len(actions) > 1:
        choices = "".join(f"\n  synapse-otel run {target.where}:{name}" for name in actions)
        raise CliError(f"{target.where} has {len(actions)} actions, which one?{choices}")
    return next(iter(actions.values()))


def _offer(target: Target, module: ModuleType) -> str:
    actions = list(actions_in(module))
    if not actions:
        return "it has no actions"
    close = difflib.get_close_matches(target.attribute or "", actions, n=1)
    meant = f"; did you mean {target.where}:{close[0]}?" if close else ""
    return f"its actions are: {', '.join(actions)}{meant}"


def actions_in(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return the actions that a module defines, by their names; those that it imports, where it defines none."""
    found = {name: value for name, value in vars(module).items() if not name.startswith("_") and _is_action(value)}
    own = {name: value for name, value in found.items() if getattr(value, "__module__", None) == module.__name__}
    return _without_aliases(own or found)


def is_runnable(value: object) -> bool:
    """Return whether `run_action` takes it."""
    if isinstance(value, type):
        return callable(getattr(value, "run", None)) and hasattr(value, "execute")
    return callable(value)


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return False
    except ValueError:
        return True  # one of C that does not say
    return True


def _is_action(value: Any) -> bool:
    if isinstance(value, type):
        ours = issubclass(value, BaseAction) and not inspect.isabstract(value) and _does_something(value)
        return ours or is_sdk_action(value)
    return getattr(value, "_is_action", False) is True


def _does_something(action: type[BaseAction[Any]]) -> bool:
    changed = ("execute", "setup_steps", "run")
    return any(getattr(action, name) is not getattr(BaseAction, name) for name in changed)


def _without_aliases(found: dict[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    return {name: value for at, (name, value) in enumerate(found.items()) if value not in list(found.values())[:at]}
