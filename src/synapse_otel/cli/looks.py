"""How statuses and levels look."""

from __future__ import annotations

from typing import Final

from rich.text import Text

STATUS: Final = {
    "completed": ("✔", "green"),
    "failed": ("✖", "red"),
    "cancelled": ("✖", "yellow"),
    "crashed": ("✖", "bold red"),
    "running": ("·", "cyan"),
}
LEVEL: Final = {
    "debug": ("·", "dim"),
    "info": ("ℹ", "blue"),
    "success": ("✔", "green"),
    "warning": ("⚠", "yellow"),
    "danger": ("✖", "red"),
    "error": ("✖", "red"),
    "critical": ("✖", "bold red"),
}


def status_text(status: str) -> Text:
    """Return a run's status with its sign and colour."""
    sign, style = STATUS.get(status, ("?", "dim"))
    return Text(f"{sign} {status or 'unknown'}", style)
