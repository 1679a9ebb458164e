"""What msgspec knows of a type is made at import: half made, it ends a forked child, or another thread's process."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import synapse_otel

SOURCES = sorted(Path(synapse_otel.__file__).parent.rglob("*.py"))
MAKERS = {"Decoder", "convert"}


def test_types_are_described_at_import() -> None:
    """No function decodes into a type that was not described before: Python runs meanwhile, so a fork can come."""
    assert [place for source in SOURCES for place in described_late(source)] == []


def described_late(source: Path) -> Iterator[str]:
    """Yield where functions have msgspec describe a type."""
    for function in ast.walk(ast.parse(source.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and is_msgspec(call.func):
                    typed = any(keyword.arg == "type" for keyword in call.keywords)
                    if call.func.attr in MAKERS or (call.func.attr == "decode" and typed):
                        yield f"{source.name}:{call.lineno}"


def is_msgspec(function: ast.Attribute) -> bool:
    return ast.unparse(function).startswith("msgspec.")
