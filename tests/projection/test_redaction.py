import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from projection.corpus_harmless import HARMLESS
from projection.corpus_secrets import SECRETS, Secret
from synapse_otel.projection.redaction import REDACTED, Redactor

REDACTOR = Redactor()

ids = [secret.name for secret in SECRETS]


@pytest.mark.parametrize("case", SECRETS, ids=ids)
def test_credential_goes_and_the_rest_stays(case: Secret) -> None:
    redacted = REDACTOR.text(case.text)
    assert case.secret not in redacted
    assert REDACTED in redacted
    assert [part for part in case.kept if part not in redacted] == []


@pytest.mark.parametrize("case", SECRETS, ids=ids)
def test_no_piece_of_a_credential_stays(case: Secret) -> None:
    redacted = REDACTOR.text(case.text)
    pieces = {case.secret[start : start + 8] for start in range(max(len(case.secret) - 7, 1))}
    assert [piece for piece in pieces if piece in redacted] == []


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS.keys())
def test_look_alike_is_untouched(text: str) -> None:
    assert REDACTOR.text(text) == text


@pytest.mark.parametrize("case", SECRETS, ids=ids)
def test_second_pass_changes_nothing(case: Secret) -> None:
    once = REDACTOR.text(case.text)
    assert REDACTOR.text(once) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abc", "Authorization: Bearer [REDACTED]"),
        (
            "https://user:pw@host/path?sig=" + "aB3" * 8,
            "https://user:[REDACTED]@host/path?sig=[REDACTED]",
        ),
        ("password=x", "password=[REDACTED]"),
        ("Cookie: a=1; b=2", "Cookie: a=[REDACTED]; b=[REDACTED]"),
        ("Set-Cookie: a=1; Path=/; Secure", "Set-Cookie: a=[REDACTED]; Path=/; Secure"),
        ('{"password": "a\\"b", "user": 1}', '{"password": "[REDACTED]", "user": 1}'),
        ("f(password='x', token='y', user='z')", "f(password='[REDACTED]', token='[REDACTED]', user='z')"),
        ("user=bob,password=x,host=h", "user=bob,password=[REDACTED],host=h"),
        ("password: hunter user: bob", "password: [REDACTED] user: bob"),
        ("password=\nnext line", "password=\nnext line"),
        ('"token": ""', '"token": ""'),
        ("[password=abc]", "[password=[REDACTED]]"),
    ],
)
def test_text_around_a_credential(text: str, expected: str) -> None:
    assert REDACTOR.text(text) == expected


def test_private_key_keeps_its_first_line_only() -> None:
    begin, end = ("-" * 5 + f"{word} EC PRIVATE KEY" + "-" * 5 for word in ("BEGIN", "END"))
    assert REDACTOR.text(f"a {begin}\nMHcC\nAQEE\n{end} b") == f"a {begin}[REDACTED] b"


def test_several_credentials_in_one_text() -> None:
    text = "\n".join(case.text for case in SECRETS)
    redacted = REDACTOR.text(text)
    assert [case.name for case in SECRETS if len(case.secret) > 11 and case.secret in redacted] == []


_FRAGMENTS = [
    *(
        "password",
        "token",
        "secret",
        "api_key",
        "Authorization",
        "Cookie",
        "Bearer ",
        "Basic ",
        "eyJ",
        "hunter2",
        "sig=",
    ),
    *("=", ":", ": ", '"', "'", "\\", '\\"', ", ", " ", "\n", ";", "&", "?", "@", "://", "--", "-u ", "x"),
    *("[", "]", "{", "}", "(", ")", "<", ">", "[REDACTED]", "[REDACTED", "REDACTED]"),
]
_pieces = st.sampled_from(
    [*(case.text for case in SECRETS), *(case.secret for case in SECRETS), *HARMLESS.values(), *_FRAGMENTS]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_pieces | st.text(max_size=8), max_size=8).map("".join))
@example("password=[REDACTED")
@example("\ud800token='\udfff")
def test_any_text_is_stable_after_one_pass(text: str) -> None:
    once = REDACTOR.text(text)
    assert REDACTOR.text(once) == once


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SECRETS), st.sampled_from(sorted(HARMLESS.values())))
def test_credential_goes_on_a_line_of_its_own_in_any_text(case: Secret, around: str) -> None:
    assert case.secret not in REDACTOR.text(f"{around}\n{case.text}\n{around}")


HOSTILE = [
    "a", "a_", "a-", "1", "M", "N-", "@", "://", "://a:", "https://", "eyJ", "-eyJ", "eyJaaaaaaaaaaaa.", "password=",
    "password: ", 'password="', "'password':\\", "password=a,", "token,", "token ", "token={", "token=%(", "token=$A",
    'token\\"', "api ", "key-", "sk-", "xoxb-", "ya29.", "12345678:AA", "Bearer ", "bearer a", "Basic A",
    "Authorization: Bearer ", "cookie: a=b;", "cookie: a", "Cookie: a=b; ", "--token ", "-u a:", "login a password ",
    "wandb key ", "x-amz-signature=", f"{'-' * 5}BEGIN PRIVATE KEY{'-' * 5}\n", "-----BEGIN ", "\n", "\\n", "\\", '"',
    "é", "\ud800", "Digest response=", "sshpass -p", "hooks.slack.com/services/",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE, ids=repr)
def test_half_a_megabyte_takes_linear_time(unit: str) -> None:
    text = "password eyJ @ cookie authorization digest " + unit * (500_000 // len(unit))
    start = time.process_time()
    REDACTOR.text(text)
    # Twice what the slowest takes on a slow machine; a quadratic pattern takes minutes.
    assert time.process_time() - start < 4


@pytest.mark.parametrize(
    "opening", ["bearer ", "eyJ", "cookie: ", "password=", f"{'-' * 5}BEGIN PRIVATE KEY{'-' * 5}\n"]
)
def test_endless_run_after_an_opening_takes_linear_time(opening: str) -> None:
    start = time.process_time()
    for filler in ("a", "A1", "a=", ";", " ", "\n", "\nA"):
        REDACTOR.text(opening + filler * (200_000 // len(filler)))
    assert time.process_time() - start < 4


def test_value_walks_plain_data() -> None:
    data = {
        "password": "x",
        "api_key_set": True,
        "token": None,
        "secret": "",
        "cookies": {},
        "credentials": {"user": "bob"},
        "pin": 3,
        "nested": [{"api_key": 17, "note": "password=x"}, "Bearer " + "a1" * 10],
    }
    assert REDACTOR.value(data) == {
        "password": "[REDACTED]",
        "api_key_set": True,
        "token": None,
        "secret": "",
        "cookies": {},
        "credentials": "[REDACTED]",
        "pin": 3,
        "nested": [{"api_key": "[REDACTED]", "note": "password=[REDACTED]"}, "Bearer [REDACTED]"],
    }


def test_value_leaves_its_argument_as_it_was() -> None:
    data = {"password": "x", "list": ["password=x"]}
    REDACTOR.value(data)
    assert data == {"password": "x", "list": ["password=x"]}


def test_credentials_in_keys_are_replaced_and_no_value_is_lost() -> None:
    first, second = "gh" + "p_" + "A1b2" * 9, "gh" + "p_" + "C3d4" * 9
    assert REDACTOR.value({first: 1, second: 2}) == {"[REDACTED]": 1, "[REDACTED]#2": 2}


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "text", [], {}])
def test_value_without_secrets_is_equal(value: object) -> None:
    assert REDACTOR.value(value) == value


def test_keys_can_be_judged_by_the_caller() -> None:
    redactor = Redactor(is_secret=lambda key: key == "employee")
    assert redactor.value({"employee": 7, "password": "x"}) == {"employee": "[REDACTED]", "password": "x"}


def test_switched_off_it_changes_nothing() -> None:
    redactor = Redactor(["a"], enabled=False)
    assert redactor.text("password=abc") == "password=abc"
    assert redactor.value({"password": "abc"}) == {"password": "abc"}


def test_patterns_are_added() -> None:
    redactor = Redactor([r"EMP-\d+", "(?i)project x"])
    assert redactor.text("EMP-17 is on Project X, EMP-18 not") == "[REDACTED] is on [REDACTED], [REDACTED] not"


def test_pattern_that_matches_the_mark_changes_no_mark() -> None:
    redactor = Redactor(["RED|[A-Z]+"])
    assert redactor.text("password=x RED green") == "password=[REDACTED] [REDACTED] green"
    assert redactor.text("password=[REDACTED] [REDACTED] green") == "password=[REDACTED] [REDACTED] green"


def test_pattern_that_can_match_nothing_replaces_only_something() -> None:
    assert Redactor([r"\bx*\b"]).text("a xx b") == "a [REDACTED] b"


def test_invalid_pattern_is_named() -> None:
    message = (
        "the redaction pattern '(a' is not a valid regular expression: missing ), unterminated subpattern at position 0"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Redactor(["b", "(a"])


def test_pattern_that_matches_everywhere_is_refused() -> None:
    message = "the redaction pattern 'x*' matches the empty string, so it would match everywhere"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Redactor(["x*"])


def test_corpus_is_as_large_as_promised() -> None:
    assert len(set(ids)) == len(SECRETS) >= 65
    assert len(HARMLESS) >= 65
