from __future__ import annotations

import io
import sys

import pytest
from rich.text import Text

from synapse_otel.cli.terminal import Terminal, columns, fitted
from synapse_otel.projection.redaction import Redactor


def test_controls_are_shown_and_not_obeyed() -> None:
    text = "\x1b[2J\x07 \x9b31m \u202e evil \x00 a\nb\tc"

    assert Terminal().clean(text) == "\\x1b[2J\\x07 \\x9b31m \\u202e evil \\x00 a\\nb c"
    assert Terminal().clean("a\n\x1bb", lines=True) == "a\n\\x1bb"


def test_secrets_are_replaced_before_controls_are_shown() -> None:
    assert Terminal(Redactor()).clean("password=hunter2\x1b[0m") == "password=[REDACTED]"
    assert Terminal(Redactor()).pairs({"api_key": "abc", "loss": 0.123456}) == "api_key=[REDACTED] loss=0.1235"


def test_markup_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().line("[bold red]not red[/] :smile:")

    assert capsys.readouterr().out == "[bold red]not red[/] :smile:\n"


def test_an_output_without_unicode_gets_signs_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii", write_through=True))

    Terminal().line("✔ ▁▅█ ━━ 日本 …")

    assert written.getvalue() == b"+ _=# == ?? ~\n"


def test_columns_are_aligned_without_blanks_at_the_end_and_one_gives_way() -> None:
    rows = [[Text("name"), Text("7"), Text("")], [Text("a much longer name"), Text("1234"), Text("x")]]

    assert [line.plain for line in columns(rows, right=(1,))] == [
        "name                   7",
        "a much longer name  1234  x",
    ]
    assert [line.plain for line in columns(rows, right=(1,), width=20)] == ["name            7", "a much lon…  1234  x"]


def test_wide_characters_count_as_two() -> None:
    assert fitted("日本語", 6) == "日本語"
    assert fitted("日本語", 5) == "日本…"
