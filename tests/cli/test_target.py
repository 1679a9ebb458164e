from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from synapse_otel.cli.errors import CliError
from synapse_otel.cli.target import load_action

TWO = """
from synapse_otel import action, BaseAction

class Base(BaseAction):
    pass

class Export(BaseAction):
    def execute(self): ...

@action
def train(params, ctx): ...

alias = train

def helper(params, ctx): ...

number = 3
"""
ONE = "from synapse_otel import action\n@action('training')\ndef train(params, ctx): return __name__\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path, modules = list(sys.path), set(sys.modules)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def refusal(target: str) -> str:
    with pytest.raises(CliError) as error:
        load_action(target)
    assert error.value.code == 2
    return str(error.value)


def test_the_only_action_of_a_file_needs_no_name(folder: Path) -> None:
    (folder / "one_action.py").write_text(ONE)

    assert load_action("one_action.py")(None, None) == "one_action"
    assert load_action("one_action:train").__name__ == "train"


def test_a_file_may_have_a_name_that_is_no_module_s_or_is_taken(folder: Path) -> None:
    (folder / "my-plugin.v2.py").write_text(ONE)
    (folder / "json.py").write_text(ONE)

    assert load_action("./my-plugin.v2.py")(None, None) == "plugin_my_plugin_v2"
    assert load_action(str(folder / "json.py"))(None, None) == "plugin_json"


def test_a_file_in_a_package_imports_relatively_and_its_neighbours_absolutely(folder: Path) -> None:
    package = folder / "elsewhere" / "pkg_of_test"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "sibling.py").write_text("value = 5")
    (package / "plugin.py").write_text("from .sibling import value\nimport sibling\n" + ONE)

    assert load_action("elsewhere/pkg_of_test/plugin.py:train")(None, None) == "pkg_of_test.plugin"


def test_an_explicit_name_may_be_any_function_of_params_and_ctx(folder: Path) -> None:
    (folder / "two_actions.py").write_text(TWO)

    assert load_action("two_actions.py:helper").__name__ == "helper"
    assert load_action("two_actions:Export").__name__ == "Export"
    with pytest.raises(CliError, match=r"two_actions:Export\.execute is no action: expected a function of"):
        load_action("two_actions:Export.execute")


def test_what_a_module_imports_counts_only_if_it_defines_no_action(folder: Path) -> None:
    (folder / "one_action.py").write_text(ONE)
    (folder / "reexport.py").write_text("from one_action import train")
    (folder / "own.py").write_text("from one_action import train\n" + ONE.replace("def train", "def own"))

    assert load_action("reexport").__name__ == "train"
    assert load_action("own").__name__ == "own"


def test_several_actions_are_offered(folder: Path) -> None:
    (folder / "two_actions.py").write_text(TWO)

    assert refusal("two_actions.py") == (
        "two_actions.py has 2 actions, which one?\n"
        "  synapse-otel run two_actions.py:Export\n"
        "  synapse-otel run two_actions.py:train"
    )


def test_an_attribute_that_is_missing_or_no_action_says_what_there_is(folder: Path) -> None:
    (folder / "two_actions.py").write_text(TWO)

    assert refusal("two_actions:trian") == (
        "two_actions has no 'trian'; its actions are: Export, train; did you mean two_actions:train?"
    )
    assert refusal("two_actions:number") == (
        "two_actions:number is no action: expected a function of (params, ctx) or a subclass of BaseAction, got int 3"
    )


def test_a_file_without_actions_says_how_to_name_a_function(folder: Path) -> None:
    (folder / "no_action.py").write_text("def main(params, ctx): ...")

    assert refusal("no_action.py") == (
        "no_action.py has no action: expected a function decorated with @action or a subclass of BaseAction\n"
        "any other function of (params, ctx) can be named: synapse-otel run no_action.py:NAME"
    )


def test_a_missing_file_says_where_it_was_looked_for(folder: Path) -> None:
    (folder / "plugin.py").touch()

    assert refusal("plugn.py:train") == f"there is no file {folder}/plugn.py; there are: plugin.py"
    assert refusal("nothing/at/all.py") == f"there is no file {folder}/nothing/at/all.py"


def test_a_missing_module_says_where_it_was_searched(folder: Path) -> None:
    (folder / "outer.py").touch()

    message = refusal("no_such_module:train")

    assert message.startswith(f"there is no module 'no_such_module'; searched:\n  {folder} (the current directory)\n")
    assert refusal("outer.inner").startswith("there is no module 'outer.inner'; searched:")


@pytest.mark.parametrize("target", [":train", "module:"])
def test_what_is_no_target_is_refused(target: str) -> None:
    assert refusal(target) == f"{target!r} is no target: expected MODULE, MODULE:ACTION, FILE.py or FILE.py:ACTION"


def test_a_directory_is_no_file(folder: Path) -> None:
    (folder / "plugin").mkdir()

    assert refusal("./plugin") == f"{folder}/plugin is a directory: expected a file, such as {folder}/plugin/plugin.py"


def test_what_a_module_raises_is_not_taken_for_a_missing_module(folder: Path) -> None:
    (folder / "broken.py").write_text("import no_such_dependency")

    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        load_action("broken")


def test_a_plugin_of_the_sdk_needs_the_sdk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed, that is what is said."""
    (folder / "plugin").mkdir()
    (folder / "plugin" / "config.yaml").write_text("code: plugin")
    monkeypatch.setitem(sys.modules, "synapse_sdk", None)

    start, _, end = refusal("plugin:train").partition("(")
    assert start == "plugin is a plugin of the Synapse SDK, which is not installed "
    assert end.endswith("): pip install 'synapse-otel[synapse]', with Python 3.12 or later")
