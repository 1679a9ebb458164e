import copy
import pickle

import pytest

from synapse_otel.environment import PluginEnvironment

VALUES = {
    "API_KEY": "abc",
    "BATCH_SIZE": " 32 ",
    "RATE": "1e-3",
    "FLAG": "Yes",
    "GPU_IDS": "0, 1,,2 ",
    "EMPTY": "",
    "storage_path": "/data",
    "DEBUG": "off",
}


@pytest.fixture
def env():
    return PluginEnvironment(VALUES)


def test_from_environ_takes_everything(monkeypatch):
    monkeypatch.setenv("SYNAPSE_TEST_ONLY", "1")
    assert PluginEnvironment.from_environ()["SYNAPSE_TEST_ONLY"] == "1"


def test_a_prefix_selects_and_is_cut_off(monkeypatch):
    monkeypatch.setenv("SYNTEST_A", "1")
    monkeypatch.setenv("SYNTEST_B", "2")
    monkeypatch.setenv("SYNTEST_", "nameless")
    assert PluginEnvironment.from_environ("SYNTEST_").to_dict() == {"A": "1", "B": "2"}


@pytest.mark.parametrize("prefixes", [("SYNTEST_", "OTHER_"), ["SYNTEST_", "OTHER_"]])
def test_prefixes_select_and_stay_and_win_over_the_prefix(monkeypatch, prefixes):
    monkeypatch.setenv("SYNTEST_A", "1")
    monkeypatch.setenv("OTHER_B", "2")
    assert PluginEnvironment.from_environ("X", prefixes=prefixes).to_dict() == {"SYNTEST_A": "1", "OTHER_B": "2"}


def test_one_prefix_as_prefixes_is_no_sequence_of_letters(monkeypatch):
    monkeypatch.setenv("SYNTEST_A", "1")
    assert PluginEnvironment.from_environ(prefixes="SYNTEST_").to_dict() == {"SYNTEST_A": "1"}


def test_a_toml_file_keeps_the_types_of_its_values(tmp_path):
    file = tmp_path / "plugin.toml"
    file.write_text('epochs = 3\nname = "é"\nflags = [1, 2]\n[storage]\npath = "/data"\n', encoding="utf-8")
    expected = {"epochs": 3, "name": "é", "flags": [1, 2], "storage": {"path": "/data"}}
    assert PluginEnvironment.from_file(str(file)).to_dict() == expected


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        PluginEnvironment.from_file(tmp_path / "none.toml")
    assert str(error.value) == f"configuration file not found: {tmp_path}/none.toml"


def test_invalid_toml_is_named_with_its_line(tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text("a = 1\nb = \n", encoding="utf-8")
    with pytest.raises(ValueError, match="is not valid TOML") as error:
        PluginEnvironment.from_file(file)
    assert str(error.value) == f"configuration file {file} is not valid TOML: Invalid value (at line 2, column 5)"


def test_a_file_of_another_encoding_is_no_valid_toml(tmp_path):
    file = tmp_path / "latin.toml"
    file.write_bytes(b'name = "\xe9"')
    with pytest.raises(ValueError, match=r"latin\.toml is not valid TOML: 'utf-8' codec can't decode byte 0xe9"):
        PluginEnvironment.from_file(file)


def test_when_environments_are_merged_the_later_wins():
    first, second = PluginEnvironment({"a": 1, "b": 1}), PluginEnvironment({"b": 2})
    assert PluginEnvironment.merge(first, second, {"c": 3}) == PluginEnvironment({"a": 1, "b": 2, "c": 3})


def test_every_getter_reads_its_type(env):
    assert [
        env.get("API_KEY"),
        env.get_str("BATCH_SIZE"),
        env.get_int("BATCH_SIZE"),
        env.get_float("RATE"),
        env.get_bool("FLAG"),
        env.get_list("GPU_IDS"),
    ] == ["abc", " 32 ", 32, 0.001, True, ["0", "1", "2"]]


def test_every_getter_returns_its_default_for_a_missing_name(env):
    assert [
        env.get("NO", "default"),
        env.get_str("NO", "x"),
        env.get_int("NO", default=32),
        env.get_float("NO", default=0.5),
        env.get_bool("NO", default=False),
        env.get_list("NO", default=["0"]),
        env.get_int("NO"),
    ] == ["default", "x", 32, 0.5, False, ["0"], None]


def test_an_empty_string_is_unset_for_what_it_cannot_be(env):
    assert [
        env.get_str("EMPTY", "x"),
        env.get_list("EMPTY", ["x"]),
        env.get_int("EMPTY", 1),
        env.get_float("EMPTY", 1.0),
        env.get_bool("EMPTY", True),
    ] == ["", [], 1, 1.0, True]


@pytest.mark.parametrize("value", ["true", "1", "yes", "on", "TRUE", " On ", True, 1])
def test_words_that_are_true(value):
    assert PluginEnvironment({"x": value}).get_bool("x") is True


@pytest.mark.parametrize("value", ["false", "0", "no", "off", "FALSE", " Off ", False, 0])
def test_words_that_are_false(value):
    assert PluginEnvironment({"x": value}).get_bool("x") is False


@pytest.mark.parametrize(
    ("getter", "value", "message"),
    [
        ("get_int", "3.5", "x must be an integer, got '3.5'"),
        ("get_int", 3.5, "x must be an integer, got 3.5"),
        ("get_int", float("inf"), "x must be an integer, got inf"),
        ("get_int", True, "x must be an integer, got True"),
        ("get_float", "fast", "x must be a number, got 'fast'"),
        ("get_float", False, "x must be a number, got False"),
        ("get_bool", "maybe", "x must be true, 1, yes, on, false, 0, no or off, got 'maybe'"),
        ("get_list", 3, "x must be a comma-separated list, got 3"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(getter, value, message):
    with pytest.raises(ValueError, match=r"^x must be") as error:
        getattr(PluginEnvironment({"x": value}), getter)("x")
    assert str(error.value) == message


def test_a_wrong_value_under_a_secret_name_is_not_shown():
    with pytest.raises(ValueError, match="must be an integer") as error:
        PluginEnvironment({"API_KEY": "hunter2-hunter2"}).get_int("API_KEY")
    assert str(error.value) == "API_KEY must be an integer, got [REDACTED]"


@pytest.mark.parametrize(("value", "read"), [(3.0, 3), (3, 3), ("1_000", 1000), (-1, -1)])
def test_whole_numbers_are_integers(value, read):
    assert PluginEnvironment({"x": value}).get_int("x") == read


def test_a_list_of_a_file_is_copied():
    values = [1, 2]
    env = PluginEnvironment({"x": values})
    env.get_list("x").append(3)
    assert env.get_list("x") == [1, 2]


def test_attributes_read_the_name_or_its_capitals(env):
    assert (env.storage_path, env.batch_size, env.API_KEY, env.api_url) == ("/data", " 32 ", "abc", None)


@pytest.mark.parametrize(
    ("data", "debug"),
    [
        ({}, False),
        ({"DEBUG": "false"}, False),
        ({"DEBUG": "0"}, False),
        ({"DEBUG": ""}, False),
        ({"debug": False}, False),
        ({"DEBUG": "true"}, True),
        ({"debug": 1}, True),
        ({"DEBUG": "app:*"}, True),
        ({"debug": "no", "DEBUG": "yes"}, False),
    ],
)
def test_debug_is_a_truth_value_and_never_raises(data, debug):
    assert PluginEnvironment(data).debug is debug


def test_private_names_are_no_attributes(env):
    with pytest.raises(AttributeError, match="'PluginEnvironment' object has no attribute '_secret'"):
        env._secret  # noqa: B018  # the look is the test


def test_it_is_a_container_of_its_names():
    env = PluginEnvironment({"a": 1, "b": 2})
    assert ("a" in env, "c" in env, env["b"], list(env), len(env), dict(env)) == (
        True,
        False,
        2,
        ["a", "b"],
        2,
        {"a": 1, "b": 2},
    )


def test_a_missing_name_in_brackets_is_a_key_error(env):
    with pytest.raises(KeyError, match="'NO'"):
        env["NO"]


def test_an_empty_environment_is_still_one():
    assert bool(PluginEnvironment())


def test_it_keeps_a_copy_of_its_data_and_gives_copies():
    data = {"a": 1}
    env = PluginEnvironment(data)
    data["a"] = env.to_dict()["a"] = 2
    assert env.to_dict() == {"a": 1}


def test_its_repr_shows_names_only(env):
    assert repr(PluginEnvironment({"b": "secret", "a": 1})) == "PluginEnvironment(a, b)"


def test_it_survives_copying_and_pickling(env):
    assert (pickle.loads(pickle.dumps(env)), copy.deepcopy(env)) == (env, env)


def test_it_equals_only_another_with_the_same_values(env):
    assert (env == PluginEnvironment(VALUES), env == VALUES) == (True, False)
