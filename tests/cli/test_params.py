from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, Field, field_validator

from synapse_otel.cli.errors import CliError
from synapse_otel.cli.params import checked_params, read_params


class TrainParams(BaseModel):
    epochs: int = Field(3, ge=1)
    api_key: str = Field("x" * 9, min_length=8)
    data: dict[str, float] = {}
    mode: str = "fast"

    @field_validator("mode")
    @classmethod
    def _known(cls, mode: str) -> str:
        if mode not in {"fast", "slow"}:
            raise ValueError("must be fast or slow")
        return mode


def test_parameters_are_json_a_file_or_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "params.json"
    file.write_text('{"epochs": 2}')
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"epochs": 4}'))

    assert read_params('{"epochs": 1}') == {"epochs": 1}
    assert read_params(f"@{file}") == {"epochs": 2}
    assert read_params("@-") == {"epochs": 4}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            '{"epochs": 3,, "lr": 1}',
            "--params is not JSON: Expecting property name enclosed in double quotes at column 14\n"
            '  {"epochs": 3,, "lr": 1}\n'
            "               ^",
        ),
        ("[1]", '--params must be a JSON object such as {"epochs": 3}, got a list'),
        ("null", '--params must be a JSON object such as {"epochs": 3}, got null'),
        ("[" * 100_000, "--params is not usable: it is nested too deeply"),
    ],
    ids=["comma", "list", "null", "deep"],
)
def test_what_is_no_object_is_refused_with_the_place(option: str, message: str) -> None:
    with pytest.raises(CliError) as error:
        read_params(option)

    assert str(error.value) == message
    assert error.value.code == 2


def test_a_file_with_an_error_shows_the_line(tmp_path: Path) -> None:
    file = tmp_path / "params.json"
    file.write_text('{\n  "epochs": 3\n  "lr": 1\n}')

    with pytest.raises(CliError) as error:
        read_params(f"@{file}")

    assert str(error.value) == (
        f"{file} is not JSON: Expecting ',' delimiter at line 3, column 3\n    \"lr\": 1\n    ^"
    )


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CliError) as error:
        read_params(f"@{tmp_path}/none.json")

    assert str(error.value) == f"--params @{tmp_path}/none.json: there is no file {tmp_path}/none.json"


def test_what_does_not_fit_the_model_is_listed_field_by_field_and_without_secrets() -> None:
    wrong = {"epochs": 0, "api_key": "short", "data": {"a": "x"}, "mode": "odd"}

    with pytest.raises(CliError) as error:
        checked_params(TrainParams, wrong)

    assert str(error.value).split("\n") == [
        "the parameters do not fit TrainParams:",
        "  epochs: Input should be greater than or equal to 1 (got 0)",
        "  api_key: String should have at least 8 characters (got [REDACTED])",
        "  data.a: Input should be a valid number, unable to parse string as a number (got 'x')",
        "  mode: must be fast or slow (got 'odd')",
    ]


def test_without_a_model_they_are_passed_as_they_are() -> None:
    assert checked_params(None, {"a": 1}) == {"a": 1}
    assert checked_params(TrainParams, {"epochs": 5}) == TrainParams(epochs=5)
