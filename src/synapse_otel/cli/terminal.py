"""Standard output and standard error, for a person or for a pipe.

Everything that comes from a run goes through `clean`: without secrets, and without control characters, which would
move the cursor or retitle the terminal. Nothing is markup. On a pipe there are no colours and lines are never wrapped.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from synapse_otel.projection.redaction import Redactor

PIPE_WIDTH = 120
_UNBOUNDED = 100_000
_LONGEST_VALUE = 200

# Controls of C0 and C1, line separators, and what turns the direction of text around.
_DANGEROUS = [*range(32), *range(127, 160), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
_ONE_LINE = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _DANGEROUS} | {
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): " ",
}
_LINES = {code: shown for code, shown in _ONE_LINE.items() if code != ord("\n")} | {ord("\t"): "    "}

# What stands for our own signs where the output's encoding does not have them: one for one, so that styles keep place.
_PLAIN_SIGNS = str.maketrans("✔✖⚠ℹ·…→━╸╺×▁▂▃▄▅▆▇█", "+x!i.~>=--!_.-:=+*#")


class Terminal:
    """Where a command prints.

    Args:
        redactor: Takes credentials out of what comes from runs.
    """

    def __init__(self, redactor: Redactor | None = None) -> None:
        self.out = _console(sys.stdout)
        self.err = _console(sys.stderr)
        self.redactor = redactor

    @property
    def width(self) -> int:
        """The columns that there are to lay things out in."""
        if not self.out.is_terminal:
            return _columns() or PIPE_WIDTH
        return _columns() or max(40, self.out.size.width if self.out.size.width < _UNBOUNDED else PIPE_WIDTH)

    @property
    def has_colours(self) -> bool:
        """Whether colours can tell something."""
        return self.out.color_system is not None and not self.out.no_color

    @property
    def is_live(self) -> bool:
        """Whether something can be drawn over."""
        return self.out.is_terminal and not self.out.is_dumb_terminal

    def line(self, *parts: Text | str, style: str = "") -> None:
        """Print a line of text and styled text."""
        _print(self.out, Text.assemble(*parts, style=style))

    def error(self, message: str) -> None:
        """Say on standard error what went wrong."""
        text = Text.assemble(("error: ", "bold red"), self.clean(message, lines=True))
        _print(self.err, text)

    def note(self, message: str, style: str = "dim") -> None:
        """Say something on standard error that is not part of the output."""
        _print(self.err, Text(self.clean(message, lines=True), style))

    def clean(self, content: str, *, lines: bool = False) -> str:
        """Return text without secrets and with control characters shown, on one line unless `lines` are kept."""
        shown = self.redactor.text(content) if self.redactor else content
        return shown.translate(_LINES if lines else _ONE_LINE)

    def pairs(self, data: dict[str, Any]) -> str:
        """Return data on one line."""
        shown = self.redactor.value(data) if self.redactor else data
        return " ".join(f"{self.clean(str(key))}={self._short(value)}" for key, value in shown.items())

    def _short(self, value: Any) -> str:
        shown = f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else repr(value)
        return fitted(self.clean(shown), _LONGEST_VALUE)


def fitted(content: str, width: int) -> str:
    """Return `content` in at most `width` columns; an ellipsis says that it was longer."""
    if cell_len(content) <= width:
        return content
    return set_cell_size(content, max(0, width - 1)).rstrip() + "…"


def fit(cell: Text, width: int) -> Text:
    """Return a cell in at most `width` columns; an ellipsis says that it was longer."""
    shown = cell.copy()
    shown.truncate(width, overflow="ellipsis")
    return shown


def columns(
    rows: Sequence[Sequence[Text]], *, right: Sequence[int] = (), gap: int = 2, width: int = 0, flexible: int = 0
) -> list[Text]:
    """Return rows as lines with aligned columns and no blanks at their ends.

    Args:
        rows: The cells, as many in each row.
        right: Which columns are aligned to the right.
        gap: Blanks between columns.
        width: What a line may take; the flexible column gives way. 0 is no limit.
        flexible: Which column that is.
    """
    if not rows:
        return []
    widths = [max(row[at].cell_len for row in rows) for at in range(len(rows[0]))]
    excess = sum(widths) + gap * (len(widths) - 1) - width
    if width and excess > 0:
        widths[flexible] = max(8, widths[flexible] - excess)
    return [_aligned(row, widths, right, " " * gap) for row in rows]


def _aligned(row: Sequence[Text], widths: Sequence[int], right: Sequence[int], gap: str) -> Text:
    line = Text()
    for at, (cell, width) in enumerate(zip(row, widths, strict=True)):
        shown = fit(cell, width)
        blanks = " " * (width - shown.cell_len)
        line.append(gap if at else "")
        line.append_text(Text(blanks) + shown if at in right else shown + Text(blanks))
    line.rstrip()
    return line


def encodable(console: Console, text: Text) -> Text:
    """Return a text as the output's encoding can take it."""
    encoding = console.encoding
    if not encoding.startswith("utf"):
        text.plain = text.plain.translate(_PLAIN_SIGNS).encode(encoding, "replace").decode(encoding)
    return text


def _print(console: Console, text: Text) -> None:
    text = encodable(console, text)
    if console.is_terminal:
        console.print(text, soft_wrap=True)
    else:
        console.file.write(f"{text.plain}\n")  # ten times as fast, for those who search a long timeline


def _console(file: Any) -> Console:
    console = Console(file=file, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _UNBOUNDED
    return console


def _columns() -> int:
    value = os.environ.get("COLUMNS", "")
    return int(value) if value.isdecimal() and 0 < int(value) < _UNBOUNDED else 0
