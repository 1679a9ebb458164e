"""The parameters of an action from the command line: JSON, or a file with JSON in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from synapse_otel.cli.errors import CliError
from synapse_otel.projection.redaction import REDACTED
from synapse_otel.secret_keys import is_secret_key

_LONGEST_VALUE = 80
_LONGEST_LINE = 100


def read_params(option: str) -> dict[str, Any]:
    """Return the parameters that `option` gives: JSON, ``@FILE``, or ``@-`` for standard input.

    Raises:
        CliError: The file is missing, or it is no JSON object; it says where.
    """
    source, text = "--params", option
    if option.startswith("@"):
        source, text = _file(option[1:])
    try:
        params = json.loads(text)
    except json.JSONDecodeError as error:
        raise CliError(f"{source} is not JSON: {error.msg} at {_place(error)}\n{_excerpt(error)}") from error
    except RecursionError as error:
        raise CliError(f"{source} is not usable: it is nested too deeply") from error
    if not isinstance(params, dict):
        raise CliError(f'{source} must be a JSON object such as {{"epochs": 3}}, got {_kind(params)}')
    return params


def checked_params(model: type[BaseModel] | None, params: Mapping[str, Any]) -> Any:
    """Return `params` as the action's model has them, or as they are where it has none.

    Raises:
        CliError: They do not fit the model; it says what is wrong with which field.
    """
    if model is None:
        return dict(params)
    try:
        return model.model_validate(dict(params), context={"client": None})
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        lines = "".join(f"\n  {_field(one)}" for one in found)
        raise CliError(f"the parameters do not fit {model.__name__}:{lines}") from error


def _file(name: str) -> tuple[str, str]:
    if name == "-":
        return "standard input", sys.stdin.read()
    path = Path(name).expanduser()
    try:
        return str(path), path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CliError(f"--params @{name}: there is no file {path.absolute()}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"--params @{name}: {path.absolute()} cannot be read: {error}") from error


def _place(error: json.JSONDecodeError) -> str:
    return f"column {error.colno}" if "\n" not in error.doc else f"line {error.lineno}, column {error.colno}"


def _excerpt(error: json.JSONDecodeError) -> str:
    """Return the line that is wrong, and below it an arrow to the place."""
    lines = error.doc.split("\n")
    line, at = lines[error.lineno - 1].replace("\t", " "), error.colno - 1
    start = max(0, at - _LONGEST_LINE // 2)
    return f"  {line[start : start + _LONGEST_LINE]}\n  {' ' * (at - start)}^"


def _kind(value: object) -> str:
    kinds = {list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def _field(error: Any) -> str:
    """Return what is wrong with one field, without showing a secret."""
    names = [str(part) for part in error["loc"]]
    message = f"{'.'.join(names) or 'parameters'}: {error['msg'].removeprefix('Value error, ')}"
    if error["type"] == "missing" or not names:
        return message
    return f"{message} (got {_got(names, error['input'])})"


def _got(names: list[str], value: object) -> str:
    if any(is_secret_key(name) for name in names):
        return REDACTED
    shown = repr(value)
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}…"
