import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_otel.secret_keys import SecretKeys, is_secret_key


def _words(text: str) -> list[str]:
    return text.split()


SECRET = _words("""
    password passwd pwd passphrase password1 passwords.0 db.password db_password newPassword PGPASSWORD MYSQL_PWD
    confirm_password hashed_password password_hash userpassword smtp_pass secret secrets client_secret clientSecret
    SECRET FOO_SECRET secret_value SecretString secret_id token access_token refreshToken id_token auth_token
    authToken authtoken OAuthToken bot_token access_tokens user_tokens GITHUB_TOKEN GITHUB_TOKEN_2 HF_TOKEN hf_token
    csrf_token sas_token use_auth_token aws_session_token x-amz-security-token X-Amz-Signature api_key apikey apiKey
    APIKey API-KEY X-API-Key api_keys openai_api_key openaiapikey WANDB_API_KEY azure_key api_key_value private_key
    privateKey sshPrivateKey ssh_key signing_key encryption_key secret_key access_key accountKey SharedAccessKey
    SharedAccessSignature aws_secret_access_key aws_access_key_id authorization Authorization proxy-authorization
    authorization_header http.request.header.authorization auth basic_auth cookie set-cookie Set-Cookie cookies
    session_cookie sessionid PHPSESSID credential credentials connection_string ConnectionString dsn SENTRY_DSN
    account_sas jwt bearer otp webhook_url slack_webhook github_pat personal_access_token mfa_code recovery_codes
    seed_phrase
""")

HARMLESS = _words("""
    api_key_set api_key_id api_key_name has_password password_length password_policy passed passes pass compass
    bypass forward_pass token_count tokens max_tokens num_tokens n_tokens total_tokens tokens_per_second tokens_seen
    token_accuracy tokenizer token_ids token_str token_17 token_embedding special_tokens additional_special_tokens
    prompt_tokens completion_tokens usage.total_tokens max_new_tokens pad_token eos_token bos_token unk_token
    mask_token cls_token image_token pad_token_id next_token_loss first_token_latency time_to_first_token
    loss_per_token ms_per_token next_page_token is_token_valid token_type token_expiry token_file key keys
    primary_key foreign_key public_key ssh_public_key keypoint keypoints key_frame keyframes monkey keyboard
    cache_key s3_key sort_key hash_key key_id private_key_id KeyError secretary secret_santa secret_name
    secret_count authorship author authors authenticated auth_type oauth cookie_cutter cookies_accepted
    cookie_policy session session_id sessionId credentials_path GOOGLE_APPLICATION_CREDENTIALS model_signature seed
    salt nonce pin pin_memory webhook path patch loss accuracy lr epoch 17 3.14 _ - é 비밀
""")


@pytest.mark.parametrize("key", SECRET)
def test_key_names_a_secret(key: str) -> None:
    assert is_secret_key(key) is True


@pytest.mark.parametrize("key", [*HARMLESS, "", " "])
def test_look_alike_names_none(key: str) -> None:
    assert is_secret_key(key) is False


@given(st.text())
def test_any_key_gets_the_same_verdict_every_time(key: str) -> None:
    keys = SecretKeys()
    assert [keys(key), keys(key), keys.verdicts[key], is_secret_key(key)] == [keys(key)] * 4


@pytest.mark.parametrize("join", ["_".join, "-".join, ".".join, " ".join, lambda words: "".join(map(str.title, words))])
def test_spelling_does_not_matter(join: object) -> None:
    assert callable(join)
    assert is_secret_key(join(["aws", "secret", "access", "key"]))
    assert not is_secret_key(join(["max", "new", "tokens"]))


def test_verdicts_are_kept() -> None:
    keys = SecretKeys()
    assert (keys("password"), keys("loss")) == (True, False)
    assert keys.verdicts == {"password": True, "loss": False}
    assert keys.verdicts.__getitem__("api_key") is True


def test_kept_verdicts_are_bounded() -> None:
    keys = SecretKeys()
    for number in range(10_000):
        keys(f"key_{number}")
    assert 0 < len(keys.verdicts) <= 4096


def test_long_keys_are_judged_by_their_end_and_not_kept() -> None:
    keys = SecretKeys()
    assert keys("a" * 1_000_000 + "_password")
    assert not keys("password_" * 100_000 + "length")
    assert keys.verdicts == {}


def test_extra_patterns_are_added() -> None:
    keys = SecretKeys(extra=("employee", r"^iban$"))
    assert [keys(key) for key in ("Employee_Number", "IBAN", "iban_count", "password", "loss")] == [
        True,
        True,
        False,
        True,
        False,
    ]


def test_invalid_extra_pattern_is_named() -> None:
    message = "the secret key pattern '[a' is not a valid regular expression: unterminated character set at position 0"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SecretKeys(extra=["[a"])
