"""Whether a key names a secret: judged by its words, not by letters that happen to occur in it.

A key is a phrase whose last word says what the value is: `password_length` is a length, `db_password` a password. So
the last word decides, helped by the word before it where it is ambiguous: an `api_key` is a secret, a `primary_key` is
not; a `refresh_token` is one, a `pad_token` is a piece of text. An unknown kind of token counts as a secret, an unknown
kind of key does not: telemetry is full of keys.
"""

import re
from collections.abc import Callable, Sequence

_MAX_VERDICTS = 4096
_MAX_CACHED_KEY = 256

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Secret wherever they are the last word.
_ALWAYS = _words(
    "password passwords passwd passwds pwd passphrase passphrases passcode passkey secret secrets credential"
    " credentials cred creds auth authorization cookie cookies jwt bearer otp totp dsn sessionid sessid phpsessid"
    " jsessionid connectionstring connstr apikeys accesskeys privatekeys"
)
# Words that were written together: `openaiapikey`, `PGPASSWORD`, `userAccesstoken`.
_FUSED = (
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "authkey",
    "authtoken",
    "accesstoken",
    "refreshtoken",
    "sessiontoken",
    "bearertoken",
    "idtoken",
    "apitoken",
    "clientsecret",
    "appsecret",
    "sharedsecret",
    "accountkey",
    "userpass",
    "dbpass",
    "sshpass",
)
# Two words at the end, without the tables below.
_PAIRS = frozenset(
    tuple(pair.split("_"))
    for pair in _words(
        "set_cookie session_cookie connection_string connection_str conn_string conn_str connection_uri webhook_url"
        " webhook_uri access_signature amz_signature goog_signature connect_sid id_rsa id_ed25519 secret_id seed_phrase"
        " recovery_phrase mnemonic_phrase private_pem auth_code authorization_code verification_code mfa_code otp_code"
        " pin_code recovery_code recovery_codes backup_codes account_sas container_sas blob_sas service_sas storage_sas"
        " azure_sas"
    )
)
_VENDORS = _words(
    "openai anthropic wandb azure aws gcp google stripe sendgrid mailgun twilio datadog dd newrelic sentry github"
    " gitlab bitbucket hf huggingface cohere mistral groq replicate pinecone langsmith slack discord telegram npm pypi"
    " vault databricks cloudflare heroku docker jira linear notion postman grafana roboflow comet neptune clearml"
)
_KEY_KINDS = _VENDORS | _words(
    "api private secret access ssh rsa dsa pgp gpg hmac aes fernet signing encryption decryption crypto cipher master"
    " account subscription shared auth authentication authorization session client tls ssl app application deploy"
    " license ingest ingestion role webhook jwt"
)
_PASS_KINDS = _words(
    "db database user smtp mail email mysql postgres pg redis ftp sftp admin root login auth http https proxy mongo"
    " rabbitmq amqp sudo ssh registry"
)
# Tokens in the plural are counts, unless they are these.
_CREDENTIAL_TOKENS = _VENDORS | _words(
    "access refresh auth api bearer session security csrf xsrf oauth oauth2 secret personal private deploy id user jwt"
)
# Tokens that are text, or a place in a list, not a right.
_TEXT_TOKENS = _words(
    "pad eos bos unk mask sep cls sos eot eom eoi boi eop bop soi sot eoh soh boh eod bod eou special next prev"
    " previous first last start end stop begin image img per each current sampled predicted target input output prompt"
    " completion generated new old text audio video speech visual vision prefix suffix middle fim class distill"
    " distillation register query context word subword draft think thinking tool function role newline space digit rare"
    " added additional source src tgt label soft virtual separator delimiter trigger placeholder padding padded ner pos"
    " entity top best worst unknown unexpected expected page continuation sync cancellation reserved control"
)
# The value under such a key counts the secrets or says something about one.
_ABOUT = _words("has is are was num n count max min len total avg mean number per")
# The last word only says how the secret is written.
_FORMS = _words(
    "value hash string str data confirmation confirm header headers plaintext plain base64 b64 raw encoded encrypted"
)


class _Verdicts(dict[str, bool]):
    """Verdicts by key; judges what it does not hold, so that a hit costs one dict lookup."""

    def __init__(self, judge: Callable[[str], bool]) -> None:
        super().__init__()
        self._judge = judge

    def __missing__(self, key: str) -> bool:
        verdict = self._judge(key)
        if len(key) <= _MAX_CACHED_KEY:
            if len(self) >= _MAX_VERDICTS:
                self.clear()
            self[key] = verdict
        return verdict


class SecretKeys:
    """Says of a key whether the value under it is a secret.

    Attributes:
        verdicts: The verdicts so far, at most 4096. `verdicts[key]` judges a new key too, so that
            `keys.verdicts.__getitem__` is the same function as `keys`, without the call.

    Args:
        extra: Regular expressions, without regard to case; a key in which one is found is secret as well.

    Raises:
        ValueError: If one of `extra` is no regular expression.
    """

    __slots__ = ("_extra", "verdicts")

    def __init__(self, extra: Sequence[str] = ()) -> None:
        self._extra = tuple(_compiled(pattern) for pattern in extra)
        self.verdicts: dict[str, bool] = _Verdicts(self._judge)

    def __call__(self, key: str) -> bool:
        """Returns whether `key` names a secret."""
        return self.verdicts[key]

    def _judge(self, key: str) -> bool:
        return _names_secret(key) or any(pattern.search(key) for pattern in self._extra)


def is_secret_key(key: str) -> bool:
    """Returns whether `key` names a secret, by the built-in words alone."""
    return _DEFAULT[key]


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"the secret key pattern {pattern!r} is not a valid regular expression: {error}") from error


def _names_secret(key: str) -> bool:
    # The last words decide, so that of a key of a megabyte only the end is looked at.
    words = [word.lower() for word in _WORD.findall(key[-_MAX_CACHED_KEY:])]
    numbered = False
    while words and words[-1].isdigit():
        words.pop()
        numbered = True
    # `token_17` is one of a sequence; `github_token_2` is the second of two.
    if not words or words[0] in _ABOUT or (numbered and words == ["token"]):
        return False
    return _phrase_is_secret(words) or (words[-1] in _FORMS and _is_strong(words[:-1]))


def _phrase_is_secret(words: list[str]) -> bool:
    """Returns the verdict on the last word, in the light of those before it."""
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last == "token":
        return before not in _TEXT_TOKENS and "per" not in words
    if last == "tokens":
        return before in _CREDENTIAL_TOKENS
    if last == "pass":
        return before in _PASS_KINDS
    return _is_strong(words)


def _is_strong(words: list[str]) -> bool:
    """Returns whether the words name a secret whatever stands before them."""
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in ("key", "keys"):
        return before in _KEY_KINDS
    if last == "token":
        return before in _CREDENTIAL_TOKENS
    if words[-3:] == ["access", "key", "id"]:
        return True
    # GOOGLE_APPLICATION_CREDENTIALS is the path of a file.
    if (before, last) == ("application", "credentials"):
        return False
    return last in _ALWAYS or last.endswith(_FUSED) or (before, last) in _PAIRS or _is_named_credential(before, last)


def _is_named_credential(before: str, last: str) -> bool:
    return (last in ("webhook", "pat") and before in _VENDORS) or (last, before) == ("pat", "access")


_DEFAULT: dict[str, bool] = SecretKeys().verdicts
