"""Credentials inside strings become `[REDACTED]`; what surrounds them stays readable.

From cheap to dear: a string without a long word and without a suspicious fragment is done, as nearly all are. Long
words are searched for credentials of a known format (`_FORMATS`); a string with a suspicious fragment for what gives
itself away by its context (`_CONTEXTS`): headers, URLs, and last `name=value` in all its spellings, where `secret_keys`
judges the name. The patterns that the user added come after.

Every pattern takes time linear in the text: a run without a bound is possessive or ends the pattern, so that nothing
after it can fail and make it try again; and a pattern that can fail late starts only where a word starts.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from synapse_otel.secret_keys import SecretKeys, is_secret_key

REDACTED = "[REDACTED]"

# A mark can uncover what was no word of its own before: credentials glued together. One pass is all that texts without
# a credential cost.
_MAX_PASSES = 8

_T = TypeVar("_T")


class Redactor:
    """Takes credentials out of strings and of plain data. Applying it twice changes nothing more.

    Args:
        patterns: Regular expressions of what else to replace, matched with regard to case.
        enabled: Whether to do anything at all.
        is_secret: Says of a mapping's key whether the value under it is a secret.

    Raises:
        ValueError: If a pattern is no regular expression, or matches the empty string.
    """

    __slots__ = ("_enabled", "_extra", "_is_secret")

    def __init__(
        self,
        patterns: Sequence[str] = (),
        enabled: bool = True,
        *,
        is_secret: Callable[[str], bool] = is_secret_key,
    ) -> None:
        self._extra = tuple(_compiled(pattern) for pattern in patterns)
        self._enabled = enabled
        self._is_secret = is_secret

    def text(self, text: str) -> str:
        """Returns `text` with the credentials in it replaced."""
        if not self._enabled:
            return text
        for _ in range(_MAX_PASSES):
            before, text = text, self._pass(text)
            if text == before:
                break
        return text

    def value(self, value: _T) -> _T:
        """Returns plain data, the credentials in its strings and keys and the values under secret keys replaced."""
        return self._walk(value, "") if self._enabled else value

    def _pass(self, text: str) -> str:
        lowered = text.lower()
        if len(text) >= _LONG_WORD and _has_known_format(text):
            text = _apply(_FORMATS, text, lowered)
        for fragment in _FRAGMENTS:
            if fragment in lowered:
                text = _apply(_CONTEXTS, text, lowered)
                break
        for pattern in self._extra:
            text = _outside_marks(pattern, text)
        return text

    def _walk(self, value: Any, within: str) -> Any:
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is list:
            return [self._walk(item, within) for item in value]
        return self._mapping(value, within) if kind is dict else value

    def _mapping(self, value: dict[str, Any], within: str) -> dict[str, Any]:
        """Returns a mapping that stands under the key `within`: an `api.key` is a secret as an `api_key` is."""
        result: dict[str, Any] = {}
        for key, item in value.items():
            is_secret = self._is_secret(key) or (within and self._is_secret(f"{within}.{key}"))
            hidden = is_secret and not _tells_nothing(item)
            result[_unique(self.text(key), result)] = REDACTED if hidden else self._walk(item, key)
        return result


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the redaction pattern {pattern!r} is not a valid regular expression: {error}") from error
    if compiled.search(""):
        raise ValueError(f"the redaction pattern {pattern!r} matches the empty string, so it would match everywhere")
    return compiled


def _outside_marks(pattern: re.Pattern[str], text: str) -> str:
    """Replaces the matches of `pattern`, but in no mark that stands there already."""
    return REDACTED.join(pattern.sub(_mark_unless_empty, part) for part in text.split(REDACTED))


def _mark_unless_empty(match: re.Match[str]) -> str:
    return REDACTED if match[0] else ""


def _tells_nothing(value: object) -> bool:
    return value is None or isinstance(value, bool) or value in ("", [], {})


def _unique(key: str, taken: dict[str, Any]) -> str:
    unique, number = key, 2
    while unique in taken:
        unique, number = f"{key}#{number}", number + 1
    return unique


# -- name=value, and its relatives ------------------------------------------------------------------------------------

_names_secret = SecretKeys()

# Without one of these no name is secret, of those that occur in free text.
_STEMS = (
    *("pass", "pwd", "secret", "token", "key", "auth", "cookie", "cred", "jwt", "bearer", "otp", "dsn", "webhook"),
    *("connection", "connstr", "conn_str", "sessid", "sessionid", "phrase"),
)

_ASSIGNMENT = re.compile(
    r"(?<![\w.-])(?P<name>-{0,2}"
    r"(?:(?:api|access|secret|private|auth|client|session|refresh|signing|encryption|ssh)[ ])?[a-z_][\w.-]*+)"
    r"(?P<sep>\\{0,2}[\"']?\]?[ \t]{0,4}(?:=>|:=|==?|:)[ \t]{0,4}|[\"'],[ ]?(?=b?[\"']))",
    re.IGNORECASE | re.ASCII,
)
_FLAG = re.compile(r"(?<![\w.-])(?P<name>--?[a-z][\w-]*+)(?P<sep>[ ]{1,4})(?![-=:])", re.IGNORECASE | re.ASCII)
_QUOTED = re.compile(
    r"b?(?:\"(?P<double>(?:[^\"\\\r\n]|\\.)*+)|'(?P<single>(?:[^'\\\r\n]|\\.)*+)"
    r"|\\{1,2}[\"'](?P<escaped>[^\"'\\\r\n]*+))"
)
# A comma belongs to the value unless `name=` follows.
_BARE = re.compile(r"(?![\[({<])(?:[^\s\"'`&;,<>)\]}]|,(?=[^\s\"'`&;,<>)\]}])(?![\w.-]{0,40}[=:]))++")

_PASSWORD_LIKE = re.compile(r"(?:pass(?:word|wd|phrase|code)?s?|pwd)$", re.IGNORECASE)
_SEVERAL_WORDS = re.compile(
    r"[a-z0-9][_.-][a-z0-9]|[a-z][A-Z]|(?:api|access|secret|private|auth)(?:key|token)", re.ASCII
)
_SHORT_NUMBER = re.compile(r"\d{1,5}(?:\.\d{1,5})?%?\.?")
_DOTTED_NUMBER = re.compile(r"v?\d[\d.:T+Z-]*", re.ASCII)
_CALL = re.compile(r"[A-Za-z_][\w.]{0,80}[(\[]", re.ASCII)
_PROSE_FOLLOWS = re.compile(r"[ ][a-z]+(?![\w.-]*[ ]?[:=])", re.IGNORECASE | re.ASCII)
_STAND_IN = re.compile(
    r"\*+|x{3,}|\.{2,}|…|%\(?\w{0,40}\)?[sdr]|\$\{?[A-Z][A-Z0-9_]*\}?|\$?\{+[^{}]{0,80}\}*"
    r"|<[^<>]{0,80}>|\[[A-Za-z_ ]{0,40}\]"
)
_NOTHING = frozenset(
    ("true", "false", "yes", "no", "on", "off", "none", "null", "nil", "undefined", "unset", "missing", "empty")
)
_SPEECH = frozenset(
    (
        *(
            "set",
            "required",
            "optional",
            "changed",
            "expired",
            "revoked",
            "removed",
            "any",
            "default",
            "ok",
            "or",
            "and",
        ),
        *("valid", "invalid", "wrong", "incorrect", "rejected", "accepted", "failed", "hidden", "masked", "redacted"),
        *("str", "int", "bytes", "bool", "string", "text", "value", "password", "secret", "token", "key"),
        *("basic", "bearer", "digest", "oauth", "oauth2"),
    )
)


class _Value(NamedTuple):
    """What stands after a name and a separator."""

    text: str
    start: int
    end: int


def _replace_named(text: str) -> str:
    if "=" in text or ":" in text or '",' in text or "'," in text:
        text = _replace_values(_ASSIGNMENT, text)
    return _replace_values(_FLAG, text) if " -" in text or text.startswith("-") else text


def _replace_values(pattern: re.Pattern[str], text: str) -> str:
    parts: list[str] = []
    done = 0
    for match in pattern.finditer(text):
        if match.start() < done or not _names_secret(match["name"]):
            continue
        value = _value_at(text, match.end())
        if value is not None and _is_credential(match["name"], match["sep"], value, text):
            parts += (text[done : value.start], REDACTED)
            done = value.end
    return "".join((*parts, text[done:])) if parts else text


def _value_at(text: str, position: int) -> _Value | None:
    if quoted := _QUOTED.match(text, position):
        group = quoted.lastgroup or ""
        return _Value(quoted[group], quoted.start(group), quoted.end(group))
    if bare := _BARE.match(text, position):
        return _Value(bare[0], bare.start(), bare.end())
    return None


def _is_credential(name: str, separator: str, value: _Value, text: str) -> bool:
    """Returns whether a value under a secret name is one: no stand-in, count, call, or next word of a sentence."""
    content = value.text
    is_password = _PASSWORD_LIKE.search(name) is not None
    is_assigned = "=" in separator or (separator[0] in "\\\"'" and "," not in separator)
    if _is_stand_in(name, content) or (not (is_password and is_assigned) and content.lower() in _SPEECH):
        return False
    if not is_password and _SHORT_NUMBER.fullmatch(content):
        return False
    if separator.endswith(" ") and _CALL.match(content):
        return False
    if is_assigned:
        return True
    is_identifier = " " not in name and _SEVERAL_WORDS.search(name.strip("-")) is not None
    if "," not in separator and (is_password or separator.isspace() or (is_identifier and separator.endswith(" "))):
        return not (content.isalpha() and content.islower() and _PROSE_FOLLOWS.match(text, value.end))
    return _looks_random(content)


def _is_stand_in(name: str, content: str) -> bool:
    if not content or content.lower() in _NOTHING or _STAND_IN.fullmatch(content):
        return True
    if "[REDACTED" in content:
        return content == REDACTED or " " not in content or name.lower().endswith("authorization")
    # The shell's PWD is a directory.
    return name.lower().endswith("pwd") and content[0] in "/~"


def _looks_random(content: str) -> bool:
    if len(content) < 8 or " " in content or _DOTTED_NUMBER.fullmatch(content):
        return False
    return any(char.isdigit() for char in content) and any(char.isalpha() for char in content)


# -- headers ----------------------------------------------------------------------------------------------------------

_AUTHORIZATION = re.compile(
    r"(authorization\\{0,2}[\"']?[ \t]{0,4}[:=,][ \t]{0,4}b?\\{0,2}[\"']?"
    r"(?:bearer|basic|token|negotiate|ntlm|api-?key|key|bot|sso-key|splunk|genie-?key)[ \t]{1,4}(?:token=)?\\{0,2}\"?)"
    r"(?!\[REDACTED)([^\s\"',;\\]++)",
    re.IGNORECASE | re.ASCII,
)
_BEARER = re.compile(r"(?<!\w)(bearer[ \t]{1,4})(?=[\w.~+/-]{0,256}\d)[\w.~+/-]{16,}+={0,2}", re.IGNORECASE | re.ASCII)
_BASIC = re.compile(r"(?<!\w)(basic[ \t]{1,4})([A-Za-z0-9+/]{8,}+={0,2})", re.IGNORECASE | re.ASCII)
_DIGEST = re.compile(r"((?<!\w)(?:response|cnonce|nonce)=\"?)[\w+/=-]{8,}+", re.IGNORECASE | re.ASCII)
_COOKIES = re.compile(
    r"((?<![\w-])(?:set-)?cookie2?\\{0,2}[\"']?[ \t]{0,4}[:=][ \t]{0,4}b?\\{0,2}[\"']?)"
    r"([^\s=;,\"'\\]{1,128}=[^\s;\"']*+(?:;[ ]?[^\s=;,\"'\\]{1,128}=[^\s;\"']*+)*)",
    re.IGNORECASE | re.ASCII,
)
_COOKIE = re.compile(
    r"((?:^|;[ ]?)(?!(?:path|domain|expires|max-age|samesite|version|priority)=)[^\s=;]{1,128}=)[^\s;]*", re.IGNORECASE
)


def _replace_authorization(text: str) -> str:
    return _AUTHORIZATION.sub(_authorization, text)


def _authorization(match: re.Match[str]) -> str:
    is_sentence = match[2].isalpha() and _PROSE_FOLLOWS.match(match.string, match.end())
    return match[0] if is_sentence else f"{match[1]}{REDACTED}"


def _replace_basic(text: str) -> str:
    return _BASIC.sub(_basic, text)


def _basic(match: re.Match[str]) -> str:
    try:
        decoded = base64.b64decode(match[2], validate=True)
    except binascii.Error:
        return match[0]
    return f"{match[1]}{REDACTED}" if b":" in decoded and decoded.isascii() else match[0]


def _replace_cookies(text: str) -> str:
    return _COOKIES.sub(lambda match: match[1] + _COOKIE.sub(rf"\1{REDACTED}", match[2]), text)


# -- formats that are known by sight ----------------------------------------------------------------------------------

# A body is lines of base64, with newlines real, escaped, or made spaces. Without an END it goes as far as it looks so.
_PRIVATE_KEY = re.compile(
    r"(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)"
    r"(?:(?:[^-]|-(?!----))++-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"|(?:(?:\s|\\{1,4}[nr])+(?:(?:Proc-Type|DEK-Info|Version|Comment):[^\r\n\\]*+|[A-Za-z0-9+/=]{20,}+"
    r"|(?<=[\nnr])[A-Za-z0-9+/=]++))++)",
    re.ASCII,
)
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+){1,3}", re.ASCII)
_TOKENS = re.compile(
    r"(?<=bot)\d{6,12}:AA[\w-]{32,34}|(?<![A-Za-z0-9])(?:"  # Telegram puts `bot` before it in URLs
    + "|".join(
        (
            r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])",  # AWS access key ids
            r"AIza[\w-]{35}",  # Google API keys
            r"GOCSPX-[\w-]{20,}",  # Google OAuth client secrets
            r"ya29\.[\w-]{20,}",  # Google access tokens
            r"1//0[\w-]{30,}",  # Google refresh tokens
            r"\w{3}[0-9]Q~[\w.~-]{31,34}",  # Azure AD client secrets
            r"gh[pousr]_[A-Za-z0-9]{20,}",
            r"github_pat_\w{20,}",
            r"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat|oas)-[\w.-]{20,}",
            r"xox[abeoprs](?:\.xox[bp])?-[\w-]{10,}",  # Slack
            r"xapp-\d-[\w-]{10,}",
            r"\d{6,12}:AA[\w-]{32,34}(?![\w-])",  # Telegram bots
            r"[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}",  # Discord bots
            r"[srp]k_(?:live|test)_[A-Za-z0-9]{10,}",  # Stripe
            r"whsec_[A-Za-z0-9+/=]{20,}",
            r"SK[0-9a-f]{32}(?![A-Za-z0-9])",  # Twilio API keys
            r"SG\.[\w-]{16,32}\.[\w-]{16,64}",  # SendGrid
            r"key-[0-9a-f]{32}(?![A-Za-z0-9])",  # Mailgun
            r"npm_[A-Za-z0-9]{30,}",
            r"pypi-A[\w-]{50,}",
            r"hf_[A-Za-z0-9]{30,}",
            r"api_org_[A-Za-z0-9]{30,}",  # Hugging Face organisations
            r"sk-ant-[\w-]{20,}",
            r"sk-(?:proj|svcacct|admin|or-v1|lf)-[\w-]{20,}",
            r"sk-[A-Za-z0-9]{32,}",
            r"wandb_v1_\w{20,}",
            r"r8_[A-Za-z0-9]{36,}",  # Replicate
            r"gsk_[A-Za-z0-9]{40,}",  # Groq
            r"xai-[A-Za-z0-9]{60,}",
            r"pcsk_\w{40,}",  # Pinecone
            r"lsv2_(?:pt|sk)_\w{30,}",  # LangSmith
            r"nvapi-[\w-]{40,}",
            r"dapi[0-9a-f]{32}(?:-\d)?(?![A-Za-z0-9])",  # Databricks
            r"do[opr]_v1_[0-9a-f]{64}",  # DigitalOcean
            r"HRKU-[\w-]{30,}",  # Heroku
            r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",  # Shopify
            r"sq0(?:atp|csp|idp)-[\w-]{22,43}",  # Square
            r"EAAA[\w-]{60}(?![\w-])",
            r"hv[sbr]\.[\w-]{20,}",  # HashiCorp Vault
            r"dckr_(?:pat|oat)_[\w-]{20,}",
            r"lin_(?:api|oauth)_[A-Za-z0-9]{30,}",  # Linear
            r"ntn_[A-Za-z0-9]{40,}",  # Notion
            r"secret_[A-Za-z0-9]{43}(?![A-Za-z0-9])",
            r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",  # Postman
            r"NR(?:AK|JS|II|SP)-[A-Za-z0-9_-]{20,}",  # New Relic
            r"[0-9a-f]{36}NRAL(?![A-Za-z0-9])",
            r"sntry[su]_[\w+/=-]{30,}",  # Sentry
            r"glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}",  # Grafana
            r"glc_[A-Za-z0-9+/=]{32,}",
            r"AGE-SECRET-KEY-1[A-Z0-9]{50,}",
            r"tskey-[\w-]{20,}",  # Tailscale
            r"ATATT3[\w=-]{50,}",  # Atlassian
            r"dp\.(?:pt|st|ct)\.[\w.]{40,}",  # Doppler
        )
    )
    + ")+",
    re.ASCII,
)

# -- URLs and commands ------------------------------------------------------------------------------------------------

_URL_PASSWORD = re.compile(r"(://[^\s:/?#@\[\]\"'<>]{0,256}:)[^\s/?#\"'<>]{1,512}(?=@)")
_URL_USER = re.compile(r"((?<=http)|(?<=https))(://)(?=[\w-]{0,40}\d)[\w-]{20,256}(?=@)", re.ASCII)
_SIGNATURE = re.compile(
    r"((?<![A-Za-z0-9])(?:sig|(?:x-(?:amz|goog|oss)-)?signature|oauth_signature|x-amz-security-token)=\"?)"
    r"[\w%+/=.~-]{16,}+",
    re.IGNORECASE | re.ASCII,
)
_WEBHOOK = re.compile(
    r"(hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/"
    r"|\.webhook\.office\.com/webhookb2/)"
    r"[\w/@-]{10,}+",
    re.IGNORECASE | re.ASCII,
)
_WANDB = re.compile(r"(wandb[^\n]{0,20}?(?:key|login)[^\n]{0,20}?)(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])", re.IGNORECASE)
_NETRC = re.compile(r"((?<!\w)login\s{1,4}[^\s]{1,128}\s{1,4}password\s{1,4})(?!\[REDACTED)[^\s]++", re.ASCII)
_USER_OPTION = re.compile(r"((?<!\S)(?:-u|--user)[ =]{1,2}[\"']?[^\s:\"'/]{1,128}:)(?!\[REDACTED)[^\s\"']++", re.ASCII)
_SSHPASS = re.compile(r"((?<!\w)sshpass[ ]{1,4}-p[ ]{0,4})(?!\[REDACTED)[^\s]++", re.ASCII)


def _keeping_first(pattern: re.Pattern[str]) -> Callable[[str], str]:
    return partial(pattern.sub, rf"\g<1>{REDACTED}")


class _Rule(NamedTuple):
    """What to do with a text in which, in lower case, one of the fragments occurs."""

    fragments: tuple[str, ...]
    replace: Callable[[str], str]


# The shortest credential of a known format has 20 characters, and no space.
_LONG_WORD = 20
_FORMATS = (
    _Rule(("",), partial(_TOKENS.sub, REDACTED)),
    _Rule(("eyj",), partial(_JWT.sub, REDACTED)),
    _Rule(("webhook", "hooks.slack"), _keeping_first(_WEBHOOK)),
    _Rule(("sig=", "signature=", "security-token="), _keeping_first(_SIGNATURE)),
    _Rule(("wandb",), _keeping_first(_WANDB)),
)

_FRAGMENTS = (*_STEMS, "basic ", "@", "-u ", "--user")
_CONTEXTS = (
    _Rule(("private key",), _keeping_first(_PRIVATE_KEY)),
    _Rule(("authorization",), _replace_authorization),
    _Rule(("bearer",), _keeping_first(_BEARER)),
    _Rule(("basic ",), _replace_basic),
    _Rule(("digest ",), _keeping_first(_DIGEST)),
    _Rule(("cookie",), _replace_cookies),
    _Rule(("@",), _keeping_first(_URL_PASSWORD)),
    _Rule(("@",), partial(_URL_USER.sub, rf"\g<2>{REDACTED}")),
    _Rule(("login",), _keeping_first(_NETRC)),
    _Rule(("-u ", "--user"), _keeping_first(_USER_OPTION)),
    _Rule(("sshpass",), _keeping_first(_SSHPASS)),
    _Rule(("",), _replace_named),
)

_KNOWN_FORMAT = re.compile(
    _TOKENS.pattern + r"|eyJ|(?i:webhook|hooks\.slack|sig=|signature=|security-token=)|[0-9a-f]{40}", re.ASCII
).search


def _has_known_format(text: str) -> bool:
    """Returns whether a long word holds what `_FORMATS` replaces. Short words cost no more than the split."""
    long_words = [word for word in text.split() if len(word) >= _LONG_WORD]
    return any(_KNOWN_FORMAT(word) for word in long_words) if long_words else False


def _apply(rules: tuple[_Rule, ...], text: str, lowered: str) -> str:
    for fragments, replace in rules:
        for fragment in fragments:
            if fragment in lowered:
                text = replace(text)
                break
    return text
